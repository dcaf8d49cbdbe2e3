#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/text.hpp"
#include "host/clock.hpp"
#include "host/file.hpp"
#include "operation/operations.hpp"
#include "service/audit_trail.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"output", 'o', "FILE", "write them there, readable for everybody, in one rename"},
};

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        result += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : c == '\n' ? "\\n" : std::string(1, c);
    }
    return result;
}

// The text format of Prometheus, version 0.0.4: every family once, its samples behind it.
class Metrics {
  public:
    void family(const std::string& name, const std::string& type, const std::string& help) {
        family_ = name;
        text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }

    void sample(const MetricLabels& labels, double value) {
        std::vector<std::string> pairs;
        json object = json::object();
        for (const auto& [name, label] : labels) {
            pairs.push_back(fmt::format("{}=\"{}\"", name, escaped(label)));
            object[name] = label;
        }
        text_ += fmt::format("{}{} {}\n", family_,
                             pairs.empty() ? "" : "{" + join(pairs, ",") + "}", value);
        rows_.push_back({{"name", family_}, {"labels", std::move(object)}, {"value", value}});
    }

    // A moment, where there is one.
    void moment(const MetricLabels& labels, const std::string& at) {
        if (const auto time = parse_iso8601(at)) {
            sample(labels, static_cast<double>(std::chrono::system_clock::to_time_t(*time)));
        }
    }

    const std::string& text() const { return text_; }
    const json& rows() const { return rows_; }

  private:
    std::string family_;
    std::string text_;
    json rows_ = json::array();
};

struct Row {
    ListedService listed;
    std::optional<Manifest> manifest;  // empty where it is broken

    MetricLabels labels() const { return {{"service", listed.name.text()}}; }
};

std::vector<Row> rows_of(Machine& machine) {
    std::vector<Row> rows;
    for (ListedService& listed : list_services(machine)) {
        Row row{std::move(listed), std::nullopt};
        try {
            row.manifest = Catalog(machine.paths).find(row.listed.name);
        } catch (const std::exception&) {
            // The state says that it is broken.
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

void tell_services(const std::vector<Row>& rows, Metrics& metrics) {
    metrics.family("drunner_services", "gauge", "Installed services.");
    metrics.sample({}, static_cast<double>(rows.size()));
    metrics.family("drunner_service_state", "gauge", "1 for the state that the service is in.");
    for (const Row& row : rows) {
        MetricLabels labels = row.labels();
        labels.emplace_back("state", row.listed.state);
        metrics.sample(labels, 1);
    }
    metrics.family("drunner_service_containers_running", "gauge", "Its containers that run.");
    for (const Row& row : rows) {
        metrics.sample(row.labels(), static_cast<double>(row.listed.running.size()));
    }
    metrics.family("drunner_service_release", "gauge", "The number of its current release.");
    for (const Row& row : rows) {
        if (row.manifest) {
            MetricLabels labels = row.labels();
            labels.emplace_back("reference", row.listed.image);
            metrics.sample(labels, row.manifest->current);
        }
    }
    metrics.family("drunner_service_updated_timestamp_seconds", "gauge",
                   "When its current release was installed.");
    for (const Row& row : rows) {
        metrics.moment(row.labels(), row.listed.updated_at);
    }
    metrics.family("drunner_service_held", "gauge", "1 where update --all leaves it alone.");
    for (const Row& row : rows) {
        metrics.sample(row.labels(), row.listed.hold ? 1 : 0);
    }
}

void tell_backups(const std::vector<Row>& rows, Metrics& metrics) {
    metrics.family("drunner_service_backup_timestamp_seconds", "gauge",
                   "When its newest whole backup was made.");
    for (const Row& row : rows) {
        if (row.manifest && row.manifest->last_backup) {
            metrics.moment(row.labels(), row.manifest->last_backup->at);
        }
    }
    metrics.family("drunner_service_backup_bytes", "gauge", "The data in that backup.");
    for (const Row& row : rows) {
        if (row.manifest && row.manifest->last_backup) {
            metrics.sample(row.labels(),
                           static_cast<double>(row.manifest->last_backup->original_bytes));
        }
    }
    metrics.family("drunner_service_drill_timestamp_seconds", "gauge",
                   "When a restore of it was last tried.");
    for (const Row& row : rows) {
        if (row.manifest && row.manifest->last_drill) {
            metrics.moment(row.labels(), row.manifest->last_drill->at);
        }
    }
    metrics.family("drunner_service_drill_passed", "gauge", "1 where that succeeded.");
    for (const Row& row : rows) {
        if (row.manifest && row.manifest->last_drill) {
            metrics.sample(row.labels(), row.manifest->last_drill->passed ? 1 : 0);
        }
    }
}

void tell_operations(const Machine& machine, Metrics& metrics) {
    std::map<std::pair<std::string, int>, std::uint64_t> counts;
    for (const AuditEntry& entry : AuditTrail(machine.paths).entries()) {
        ++counts[{entry.command, entry.exit_code}];
    }
    metrics.family("drunner_operations", "gauge", "Lines of the audit trail, by how they ended.");
    for (const auto& [operation, count] : counts) {
        metrics.sample({{"command", operation.first}, {"exit", std::to_string(operation.second)}},
                       static_cast<double>(count));
    }
}

Answer run(const Invocation& invocation) {
    Machine& machine = invocation.machine();
    const std::vector<Row> rows = rows_of(machine);
    Metrics metrics;
    tell_services(rows, metrics);
    tell_backups(rows, metrics);
    tell_operations(machine, metrics);
    const std::string document = json{{"command", "metrics"}, {"metrics", metrics.rows()}}.dump(
        -1, ' ', true, json::error_handler_t::replace);
    if (!invocation.arguments.has("output")) {
        return {ExitCode::done, metrics.text(), document};
    }
    if (!invocation.is_check()) {
        constexpr mode_t readable_for_everybody = 0644;
        write_file(invocation.arguments.value("output"), metrics.text(), readable_for_everybody);
    }
    return {ExitCode::done, "", document};
}

}  // namespace

constinit const Command metrics_command{
    "metrics",
    "",
    "the services, their backups and operations for Prometheus (a textfile for node_exporter)",
    "0 printed, or written",
    options,
    0,
    0,
    false,
    run,
    CheckMode::reads_only};

}  // namespace drunner
