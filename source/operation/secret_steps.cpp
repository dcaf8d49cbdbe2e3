#include "operation/secret_steps.hpp"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "host/file.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/steps.hpp"

namespace drunner {
namespace {

using nlohmann::json;

ino_t inode_or_none(const std::string& path) {
    return exists(path) ? inode_of(path) : 0;
}

// Lets `place` and `beside` change places, each of which may be absent.
void swap_places(const std::string& place, const std::string& beside) {
    if (!exists(beside)) {
        rename_new(place, beside);
        sync_directory(parent_of(place));
    } else if (!exists(place)) {
        rename_new(beside, place);
    } else {
        exchange_files(beside, place);
    }
}

Step exchange_secret(const std::string& place, const std::string& beside) {
    const json parameters{{"place", place}, {"beside", beside}, {"inode", inode_or_none(place)}};
    return {"exchange-secret", parameters.dump(), [place, beside] { swap_places(place, beside); }};
}

std::string outer_directory(const Machine& machine, const Transaction& transaction,
                            const ServiceName& service) {
    return machine.paths.service(service) + "/secrets-" + transaction.id();
}

}  // namespace

void place_secrets(Machine& machine, Transaction& transaction, const ServiceName& service,
                   const Secrets& secrets) {
    if (secrets.empty()) {
        return;
    }
    const std::string store = machine.paths.secrets(service);
    if (!exists(store)) {
        transaction.perform(make_path(store, [&] { make_directories(store); }));
    }
    const std::string outer = outer_directory(machine, transaction, service);
    transaction.perform(make_path(outer, [&] {
        make_directories(outer);
        for (const auto& [name, content] : secrets) {
            SecretStore(store).write_beside(outer + "/" + name, name, content);
        }
    }));
    transaction.after_commit(removing_path(outer));
    for (const auto& [name, content] : secrets) {
        transaction.perform(
            exchange_secret(machine.paths.secret(service, name), outer + "/" + name));
    }
}

void withdraw_secret(Machine& machine, Transaction& transaction, const ServiceName& service,
                     const std::string& name) {
    const std::string outer = outer_directory(machine, transaction, service);
    transaction.perform(make_path(outer, [&] { make_directories(outer); }));
    transaction.after_commit(removing_path(outer));
    transaction.perform(exchange_secret(machine.paths.secret(service, name), outer + "/" + name));
}

// The inode tells which of the two directories stands at the place: it goes with an exchange.
void undo_exchange_secret(const UndoContext&, const json& parameters) {
    const std::string place = parameters.at("place");
    const auto before = parameters.at("inode").get<ino_t>();
    if (inode_or_none(place) == before) {
        return;
    }
    if (before == 0) {
        remove_tree(place);
    } else {
        swap_places(place, parameters.at("beside"));
    }
}

void keep_secrets(Machine& machine, Transaction& transaction, const ServiceName& service,
                  const std::string& directory) {
    const SecretStore store(machine.paths.secrets(service));
    const Secrets secrets = store.all();
    if (secrets.empty()) {
        return;
    }
    transaction.perform(make_path(directory, [&] {
        for (const auto& [name, content] : secrets) {
            store.write_beside(directory + "/" + name, name, content);
        }
    }));
}

}  // namespace drunner
