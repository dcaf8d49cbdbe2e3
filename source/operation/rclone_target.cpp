#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/backup_directory.hpp"
#include "operation/target_program.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr ExitStatus directory_not_found = 3;
constexpr const char* unfinished = ".part";

std::optional<std::uint64_t> size_of(const json& file) {
    const std::int64_t size = file.value("Size", std::int64_t{-1});
    return size < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(size));
}

class RcloneUpload final : public TargetUpload {
  public:
    RcloneUpload(const TargetProgram& rclone, std::string directory, std::string file)
        : rclone_(rclone), file_(std::move(file)), place_(std::move(directory) + "/" + file_) {
        process_ = rclone_.start({"rcat", place_ + unfinished}, StreamedProcess::Ours::input);
    }
    ~RcloneUpload() override {
        process_->stop();
        if (!kept_) {
            rclone_.run_tolerantly({"deletefile", is_moved_ ? place_ : place_ + unfinished});
        }
    }
    RcloneUpload(const RcloneUpload&) = delete;
    RcloneUpload& operator=(const RcloneUpload&) = delete;

    void write(Bytes bytes) override { write_to(*process_, rclone_, bytes); }

    std::string finish(const std::string& sha256) override {
        if (const ExitStatus status = process_->finish(longest_call); status != 0) {
            throw rclone_.failure(status, process_->errors());
        }
        const auto reading =
            rclone_.start({"cat", place_ + unfinished}, StreamedProcess::Ours::output);
        if (sha256_of_output(*reading, rclone_) != sha256) {
            throw Error(ErrorKind::archive_damaged,
                        "'" + printable(place_) + "' does not read back as it was written");
        }
        // To its end: half way, nobody could say under which name it stands.
        const CancellationShield shield;
        rclone_.run({"moveto", place_ + unfinished, place_});
        is_moved_ = true;
        return file_;
    }

    void keep() override { kept_ = true; }

  private:
    const TargetProgram& rclone_;
    std::string file_;
    std::string place_;
    std::unique_ptr<StreamedProcess> process_;
    bool is_moved_ = false;
    bool kept_ = false;
};

class RcloneTarget final : public BackupTarget {
  public:
    RcloneTarget(const Machine& machine, std::string place)
        : rclone_(machine, "rclone", {}), place_(std::move(place)) {
        while (place_.ends_with('/')) {
            place_.pop_back();
        }
    }

    std::unique_ptr<TargetUpload> begin(const ServiceName& service, TimePoint time,
                                        bool encrypted) override {
        const std::vector<TargetBackup> standing = list(service);
        const auto name = [&] { return backup_file_name(time, encrypted); };
        while (std::any_of(standing.begin(), standing.end(),
                           [&](const TargetBackup& one) { return one.id == name(); })) {
            time += std::chrono::seconds(1);  // two backups of one second
        }
        return std::make_unique<RcloneUpload>(rclone_, directory_of(service), name());
    }

    std::vector<TargetBackup> list(const ServiceName& service) override {
        std::string output;
        std::string errors;
        const ExitStatus status =
            rclone_.try_run({"lsjson", "--files-only", directory_of(service)}, output, errors);
        if (status == directory_not_found) {
            return {};
        }
        const json files = json::parse(output, nullptr, false);
        if (status != 0 || !files.is_array()) {
            throw rclone_.failure(status, errors);
        }
        std::vector<TargetBackup> backups;
        for (const json& one : files) {
            const std::string name = one.value("Name", "");
            if (const auto time = backup_time(name)) {
                backups.push_back({name, *time, true, size_of(one)});
            }
        }
        std::sort(backups.begin(), backups.end(),
                  [](const TargetBackup& a, const TargetBackup& b) { return a.time > b.time; });
        return backups;
    }

    std::unique_ptr<TargetDownload> open(const ServiceName& service,
                                         const std::string& id) override {
        return std::make_unique<ProgramDownload>(
            rclone_, std::vector<std::string>{"cat", directory_of(service) + "/" + id});
    }

    void remove(const ServiceName& service, const std::vector<std::string>& ids) override {
        for (const std::string& id : ids) {
            rclone_.run({"deletefile", directory_of(service) + "/" + id});
        }
    }

    std::string name_of(const ServiceName& service, const std::string& id) const override {
        return "rclone:" + directory_of(service) + "/" + id;
    }

  private:
    std::string directory_of(const ServiceName& service) const {
        return place_ + (place_.ends_with(':') ? "" : "/") + service.text();
    }

    TargetProgram rclone_;
    std::string place_;
};

}  // namespace

std::unique_ptr<BackupTarget> make_rclone_target(const Machine& machine, const std::string& place) {
    return std::make_unique<RcloneTarget>(machine, place);
}

}  // namespace drunner
