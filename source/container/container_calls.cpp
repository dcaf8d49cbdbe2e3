#include "container/container_calls.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using nlohmann::json;

// What a call hands back of a program's output or of a log.
constexpr std::size_t longest_output = 1U << 20U;

// Keeps the beginning of a stream.
class Output {
  public:
    ByteSink sink() {
        return [this](Bytes bytes) {
            const std::string_view text = as_text(bytes);
            const std::size_t taken = std::min(text.size(), longest_output - text_.size());
            text_ += text.substr(0, taken);
            truncated_ = truncated_ || taken < text.size();
        };
    }
    const std::string& text() const { return text_; }
    bool truncated() const { return truncated_; }

  private:
    std::string text_;
    bool truncated_ = false;
};

json output_document(const Output& out, const Output& err) {
    return {{"Stdout", out.text()},
            {"Stderr", err.text()},
            {"Truncated", out.truncated() || err.truncated()}};
}

// The fields of a call, all of them read before anything is done.
class Call {
  public:
    explicit Call(const json& call) : call_(call) {}

    std::string text(const char* name) const {
        const auto found = call_.find(name);
        if (found == call_.end() || !found->is_string()) {
            throw Error(ErrorKind::usage, "the call's '" + std::string(name) + "' is not a text");
        }
        return found->get<std::string>();
    }
    std::string text_or_nothing(const char* name) const {
        return call_.contains(name) ? text(name) : std::string();
    }
    unsigned lines() const {
        constexpr std::int64_t most = 1'000'000;
        const auto found = call_.find("lines");
        if (found == call_.end()) {
            return 0;
        }
        if (!found->is_number_integer() || *found < 0 || *found > most) {
            throw Error(ErrorKind::usage, "the call's 'lines' is not a number of lines");
        }
        return found->get<unsigned>();
    }
    std::vector<std::string> command() const {
        const auto found = call_.find("command");
        const bool fits =
            found != call_.end() && found->is_array() && !found->empty() &&
            std::all_of(found->begin(), found->end(), [](const json& w) { return w.is_string(); });
        if (!fits) {
            throw Error(ErrorKind::usage, "the call's 'command' is not a list of texts");
        }
        return found->get<std::vector<std::string>>();
    }
    std::string spec() const {
        const auto found = call_.find("spec");
        if (found == call_.end()) {
            throw Error(ErrorKind::usage, "the call's 'spec' is missing");
        }
        return found->dump();
    }
    void allow(std::initializer_list<std::string_view> further) const {
        constexpr std::array<std::string_view, 3> always{"method", "namespace", "tag"};
        for (const auto& [name, value] : call_.items()) {
            if (std::find(always.begin(), always.end(), name) == always.end() &&
                std::find(further.begin(), further.end(), name) == further.end()) {
                throw Error(ErrorKind::usage, "the call has no field '" + printable(name) + "'");
            }
        }
    }

  private:
    const json& call_;
};

using Method = json (*)(const ContainerHost& host, const Call& call);

TenantContainers containers_of(const ContainerHost& host, const Call& call) {
    return {host, Tenant(call.text("namespace"))};
}

json run(const ContainerHost& host, const Call& call) {
    call.allow({"spec"});
    return {{"Id", containers_of(host, call).run(parse_container_request(call.spec()))}};
}

json inspect(const ContainerHost& host, const Call& call) {
    call.allow({"id"});
    return json::parse(containers_of(host, call).inspect(call.text("id")));
}

json remove(const ContainerHost& host, const Call& call) {
    call.allow({"id"});
    containers_of(host, call).remove(call.text("id"));
    return json::object();
}

json list(const ContainerHost& host, const Call& call) {
    call.allow({});
    const std::string tenant = call.text_or_nothing("namespace");
    return json::parse(container_list_document(
        list_tenant_containers(host.engine, tenant.empty() ? tenant : Tenant(tenant).text())));
}

json exec(const ContainerHost& host, const Call& call) {
    call.allow({"id", "command"});
    ExecRequest request;
    request.command = call.command();
    Output out;
    Output err;
    const int code =
        containers_of(host, call).exec(call.text("id"), request, out.sink(), err.sink());
    json document = output_document(out, err);
    document["ExitCode"] = code;
    return document;
}

json logs(const ContainerHost& host, const Call& call) {
    call.allow({"id", "lines"});
    Output out;
    Output err;
    containers_of(host, call)
        .read_logs(call.text("id"), call.lines(), false, out.sink(), err.sink());
    return output_document(out, err);
}

struct MethodRow {
    const char* name;
    Method method;
};

constexpr std::array methods{
    MethodRow{"Run", run},   MethodRow{"Inspect", inspect}, MethodRow{"Delete", remove},
    MethodRow{"List", list}, MethodRow{"Exec", exec},       MethodRow{"Logs", logs},
};

json result_of(const ContainerHost& host, const json& call) {
    if (!call.is_object()) {
        throw Error(ErrorKind::usage, "the call is not one JSON object on one line");
    }
    const Call fields(call);
    const std::string wanted = fields.text("method");
    std::vector<std::string> names;
    for (const MethodRow& row : methods) {
        if (wanted == row.name) {
            return row.method(host, fields);
        }
        names.emplace_back(row.name);
    }
    throw Error(ErrorKind::usage,
                "there is no method '" + printable(wanted) + "'; there are " + join(names, ", "));
}

json error_document(const Error& error) {
    return {{"error",
             {{"kind", kind_word(error.kind())},
              {"message", error.what()},
              {"next", error.next()},
              {"retryable", is_retryable(error.kind())}}}};
}

std::string one_line(const json& document) {
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace

std::string answer_call(const ContainerHost& host, std::string_view line) {
    const json call = json::parse(line, nullptr, false);
    json answer;
    try {
        answer = {{"result", result_of(host, call)}};
    } catch (const Error& error) {
        answer = error_document(error);
    } catch (const std::exception& error) {
        answer = error_document(Error(ErrorKind::system, error.what()));
    }
    if (call.is_object() && call.contains("tag")) {
        answer["tag"] = call["tag"];
    }
    return one_line(answer);
}

std::string refused_call(const Error& error) {
    return one_line(error_document(error));
}

}  // namespace drunner
