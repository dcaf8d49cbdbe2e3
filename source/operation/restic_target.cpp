#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/network.hpp"
#include "operation/target_program.hpp"

namespace drunner {
namespace {

using nlohmann::json;

// A snapshot of drunner's has these, and one file.
constexpr const char* own_tag = "drunner";

std::string service_tag(const ServiceName& service) {
    return "drunner-service=" + service.text();
}

json parsed(const std::string& text) {
    json document = json::parse(text, nullptr, false);
    if (document.is_discarded()) {
        throw Error(ErrorKind::system, "what 'restic' answered is not understood");
    }
    return document;
}

// "2026-11-26T09:00:00.123456789+01:00", "...Z".
std::optional<TimePoint> time_of(std::string text) {
    if (const std::size_t dot = text.find('.'); dot != std::string::npos) {
        const std::size_t zone =
            std::min(text.find_first_not_of("0123456789", dot + 1), text.size());
        text.erase(dot, zone - dot);
    }
    if (text.ends_with('Z')) {
        text.replace(text.size() - 1, 1, "+00:00");
    }
    return parse_iso8601(text);
}

class ResticUpload final : public TargetUpload {
  public:
    ResticUpload(const TargetProgram& restic, const ServiceName& service, bool encrypted)
        : restic_(restic), file_(service.text() + (encrypted ? ".tar.zst.age" : ".tar.zst")) {
        process_ =
            restic_.start({"backup", "--json", "--quiet", "--stdin", "--stdin-filename", file_,
                           "--tag", own_tag, "--tag", service_tag(service), "--host", host_name()},
                          StreamedProcess::Ours::input);
    }
    ~ResticUpload() override {
        process_->stop();
        note_snapshot(process_->output());
        if (!kept_ && !snapshot_.empty()) {
            restic_.run_tolerantly({"forget", "--quiet", snapshot_});
        }
    }
    ResticUpload(const ResticUpload&) = delete;
    ResticUpload& operator=(const ResticUpload&) = delete;

    void write(Bytes bytes) override { write_to(*process_, restic_, bytes); }

    std::string finish(const std::string& sha256) override {
        const ExitStatus status = process_->finish(longest_call);
        note_snapshot(process_->output());
        if (status != 0) {
            throw restic_.failure(status, process_->errors());
        }
        if (snapshot_.empty()) {
            throw Error(ErrorKind::system, "'restic' does not say which snapshot it made");
        }
        const auto reading = restic_.start({"dump", "--quiet", snapshot_, "/" + file_},
                                           StreamedProcess::Ours::output);
        if (sha256_of_output(*reading, restic_) != sha256) {
            throw Error(ErrorKind::archive_damaged,
                        "restic's snapshot " + snapshot_ + " does not read back as it was written");
        }
        return snapshot_;
    }

    void keep() override { kept_ = true; }

  private:
    // The last line with one: {"message_type":"summary",...,"snapshot_id":"1a2b3c4d"}.
    void note_snapshot(const std::string& output) {
        for (const std::string& line : split(output, '\n')) {
            const json message = json::parse(line, nullptr, false);
            if (message.is_object() && message.value("message_type", "") == "summary") {
                snapshot_ = message.value("snapshot_id", "");
            }
        }
    }

    const TargetProgram& restic_;
    std::string file_;
    std::unique_ptr<StreamedProcess> process_;
    std::string snapshot_;
    bool kept_ = false;
};

class ResticTarget final : public BackupTarget {
  public:
    ResticTarget(const Machine& machine, std::string repository)
        : restic_(machine, "restic",
                  repository.empty() ? std::vector<std::string>()
                                     : std::vector<std::string>{"RESTIC_REPOSITORY=" + repository}),
          repository_(std::move(repository)) {}

    std::unique_ptr<TargetUpload> begin(const ServiceName& service, TimePoint,
                                        bool encrypted) override {
        return std::make_unique<ResticUpload>(restic_, service, encrypted);
    }

    std::vector<TargetBackup> list(const ServiceName& service) override {
        std::vector<TargetBackup> backups;
        for (const json& one : snapshots(service)) {
            if (const auto time = time_of(one.value("time", ""))) {
                backups.push_back(
                    {one.value("short_id", ""), *time, one.value("hostname", "") == host_name()});
            }
        }
        std::sort(backups.begin(), backups.end(),
                  [](const TargetBackup& a, const TargetBackup& b) { return a.time > b.time; });
        return backups;
    }

    std::unique_ptr<TargetDownload> open(const ServiceName& service,
                                         const std::string& id) override {
        for (const json& one : snapshots(service)) {
            const json paths = one.value("paths", json::array());
            if (one.value("short_id", "") == id && paths.size() == 1 && paths[0].is_string()) {
                return std::make_unique<ProgramDownload>(
                    restic_,
                    std::vector<std::string>{"dump", "--quiet", id, paths[0].get<std::string>()});
            }
        }
        throw Error(
            ErrorKind::archive_refused,
            "restic's snapshot '" + printable(id) + "' is no backup of '" + service.text() + "'",
            "restic snapshots");
    }

    void remove(const ServiceName&, const std::vector<std::string>& ids) override {
        // What was killed keeps its lock, and this takes locks of the living alone.
        restic_.run({"unlock", "--quiet"});
        std::vector<std::string> words{"forget", "--quiet", "--prune"};
        words.insert(words.end(), ids.begin(), ids.end());
        restic_.run(std::move(words));
    }

    std::string name_of(const ServiceName&, const std::string& id) const override {
        return "restic:" + repository_ + "#" + id;
    }

  private:
    // Without a lock, which is a file there: with --check nothing is written.
    json snapshots(const ServiceName& service) {
        const std::string tags = std::string(own_tag) + "," + service_tag(service);
        const json all =
            parsed(restic_.run({"snapshots", "--no-lock", "--json", "--quiet", "--tag", tags}));
        return all.is_array() ? all : json::array();
    }

    TargetProgram restic_;
    std::string repository_;
};

}  // namespace

std::unique_ptr<BackupTarget> make_restic_target(const Machine& machine,
                                                 const std::string& repository) {
    return std::make_unique<ResticTarget>(machine, repository);
}

}  // namespace drunner
