#include <exception>
#include <mutex>
#include <thread>

#include "operation/operations.hpp"
#include "operation/service_containers.hpp"

namespace drunner {
namespace {

void follow_side_by_side(Engine& engine, const std::vector<ContainerSummary>& containers,
                         unsigned last_lines, const LogsSink& sink) {
    std::mutex one_call;
    std::exception_ptr failure;
    const auto hand_on = [&](const std::string& container, bool is_error, Bytes bytes) {
        const std::lock_guard guard(one_call);
        // Where one has failed (nobody reads any more) the others end with what comes next.
        if (failure) {
            std::rethrow_exception(failure);
        }
        sink(container, is_error, bytes);
    };
    const auto follow = [&](const ContainerSummary& container) {
        const auto to = [&](bool is_error) {
            return [&, is_error](Bytes bytes) { hand_on(container.name, is_error, bytes); };
        };
        try {
            engine.follow_logs(container.id, last_lines, to(false), to(true));
        } catch (...) {
            const std::lock_guard guard(one_call);
            failure = failure ? failure : std::current_exception();
        }
    };
    {
        std::vector<std::jthread> followers;
        for (const ContainerSummary& container : containers) {
            followers.emplace_back([&] { follow(container); });
        }
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace

std::size_t read_logs(Machine& machine, const ServiceName& name, const LogsRequest& request,
                      const LogsSink& sink) {
    Catalog(machine.paths).load(name);
    const std::vector<ContainerSummary> containers = containers_of(machine, name);
    if (request.follow) {
        follow_side_by_side(machine.engine, containers, request.last_lines, sink);
        return containers.size();
    }
    for (const ContainerSummary& container : containers) {
        machine.engine.read_logs(
            container.id, request.last_lines,
            [&](Bytes bytes) { sink(container.name, false, bytes); },
            [&](Bytes bytes) { sink(container.name, true, bytes); });
    }
    return containers.size();
}

}  // namespace drunner
