#include "operation/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/process.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr int journal_format = 1;
constexpr const char* committed_suffix = ".committed";
constexpr const char* nested_suffix = ".nested";

// Not UTF-8 can stand in a path or a name of a stranger; the journal must be writable all the same.
std::string one_line(const json& document) {
    return document.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
}

void cut_to(int fd, off_t size, const std::string& path) {
    if (ftruncate(fd, size) != 0) {
        throw system_error("cannot shorten the journal '" + path + "'", errno);
    }
}

void write_line(int fd, const std::string& text, const std::string& path) {
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t written = write(fd, text.data() + done, text.size() - done);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            throw system_error("cannot write the journal '" + path + "'", errno);
        }
        done += static_cast<std::size_t>(written);
    }
    if (fdatasync(fd) != 0) {
        throw system_error("cannot sync the journal '" + path + "'", errno);
    }
}

void append_line(int fd, const json& line, const std::string& path) {
    struct stat before {};
    if (fstat(fd, &before) != 0) {
        throw system_error("cannot look at the journal '" + path + "'", errno);
    }
    try {
        write_line(fd, one_line(line), path);
    } catch (const Error&) {
        // Part of a line would spoil the one behind it, and what it announces is not begun.
        cut_to(fd, before.st_size, path);
        throw;
    }
}

// The service's directory, durably; otherwise what was removed from it.
void remove_if_empty(const std::string& directory) {
    const bool removed = rmdir(directory.c_str()) == 0;
    if (!removed && errno == ENOENT) {
        return;
    }
    if (!removed && errno != ENOTEMPTY && errno != EEXIST) {
        throw system_error("cannot remove the directory '" + directory + "'", errno);
    }
    try {
        sync_directory(removed ? parent_of(directory) : directory);
    } catch (const Error&) {
        // The operation is done all the same: what a power cut then brings back, recover does and
        // removes once more.
    }
}

FileDescriptor open_journal(const std::string& path, int flags) {
    FileDescriptor file(open(path.c_str(), flags | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
    if (!file.valid()) {
        throw system_error("cannot open the journal '" + path + "'", errno);
    }
    return file;
}

JournalRecord read_journal(const std::string& path, bool committed) {
    JournalRecord record;
    record.committed = committed;
    record.path = path;
    const std::string text = read_file(path);
    std::vector<std::pair<std::string, std::string>> steps;
    std::vector<bool> settled;
    std::vector<bool> finished;
    std::vector<std::pair<std::string, std::string>> finishes;
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos;
         begin = end + 1, end = text.find('\n', begin)) {
        const json line = json::parse(text.substr(begin, end - begin), nullptr, false);
        if (!line.is_object()) {
            throw Error(ErrorKind::unfinished,
                        "the journal '" + path + "' has a damaged line: '" +
                            printable(text.substr(begin, std::min<std::size_t>(end - begin, 80))) +
                            "'");
        }
        if (line.contains("journal")) {
            if (line.value("journal", 0) > journal_format) {
                throw Error(ErrorKind::unfinished, "the journal '" + path +
                                                       "' was written by a newer drunner, which "
                                                       "must recover it");
            }
            record.operation = line.value("operation", "");
            record.verb = line.value("verb", "");
            record.command = line.value("command", "");
            record.engine_socket = line.value("engine", "");
            record.started = line.value("started", "");
        } else if (line.contains("step")) {
            steps.emplace_back(line.value("step", ""), line["parameters"].dump());
            settled.push_back(false);
        } else if (line.contains("settled")) {
            settled.at(line.value("settled", std::size_t{0})) = true;
        } else if (line.contains("hook")) {
            record.running_hook = {line.value("hook", ""), line.value("group", pid_t{0}),
                                   line.value("start", 0ULL)};
        } else if (line.contains("hook_ended")) {
            record.running_hook.reset();
        } else if (line.contains("finish")) {
            finishes.emplace_back(line.value("finish", ""), line["parameters"].dump());
            finished.push_back(false);
        } else if (line.contains("finished")) {
            finished.at(line.value("finished", std::size_t{0})) = true;
        }
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (!settled[i]) {
            record.steps.push_back(std::move(steps[i]));
            record.step_indexes.push_back(i);
        }
    }
    for (std::size_t i = 0; i < finishes.size(); ++i) {
        if (!finished[i]) {
            record.finishes.push_back(std::move(finishes[i]));
            record.finish_indexes.push_back(i);
        }
    }
    return record;
}

}  // namespace

Journal::Journal(const Paths& paths, const ServiceName& service, const Head& head)
    : id_(random_id()), path_(paths.journal(service) + (head.nested ? nested_suffix : "")) {
    committed_path_ = path_ + committed_suffix;
    make_directories(paths.service(service));
    const json first{{"journal", journal_format},
                     {"operation", id_},
                     {"verb", head.verb},
                     {"command", head.command},
                     {"engine", head.engine_socket},
                     {"pid", getpid()},
                     {"started", iso8601(head.started)}};
    try {
        // Whole from the beginning: a journal that does not say whose it is could not be recovered.
        create_file(path_, one_line(first));
        file_ = open_journal(path_, 0);
    } catch (const Error& error) {
        // It may have got its name before it failed; another's is not ours to remove.
        if (error.kind() != ErrorKind::file_exists) {
            unlink(path_.c_str());
        }
        rmdir(paths.service(service).c_str());
        throw;
    }
}

void Journal::step(std::string_view name, std::string_view parameters) {
    append_line(file_.get(), {{"step", name}, {"parameters", json::parse(parameters)}}, path_);
}

void Journal::settled(std::size_t step) {
    append_line(file_.get(), {{"settled", step}}, path_);
}

void Journal::hook_started(std::string_view name, pid_t group) {
    append_line(file_.get(),
                {{"hook", name}, {"group", group}, {"start", process_start_time(group)}}, path_);
}

void Journal::hook_ended(std::string_view name) {
    append_line(file_.get(), {{"hook_ended", name}}, path_);
}

void Journal::finish(std::string_view name, std::string_view parameters) {
    append_line(file_.get(), {{"finish", name}, {"parameters", json::parse(parameters)}}, path_);
}

void Journal::commit() {
    rename_file(path_, committed_path_);
}

bool Journal::is_committed() const {
    return exists(committed_path_);
}

JournalRecord Journal::read() const {
    const bool committed = is_committed();
    return read_journal(committed ? committed_path_ : path_, committed);
}

std::vector<JournalRecord> read_journals(const Paths& paths, const ServiceName& service) {
    std::vector<JournalRecord> records;
    for (const bool nested : {true, false}) {
        for (const bool committed : {false, true}) {
            const std::string path = paths.journal(service) + (nested ? nested_suffix : "") +
                                     (committed ? committed_suffix : "");
            if (exists(path)) {
                records.push_back(read_journal(path, committed));
            }
        }
    }
    return records;
}

namespace {

void append_mark(const std::string& path, const json& mark) {
    const FileDescriptor file = open_journal(path, 0);
    // A mark that a power cut tore would spoil this one.
    const std::string text = read_file(path);
    if (const std::size_t whole = text.rfind('\n') + 1; whole < text.size()) {
        cut_to(file.get(), static_cast<off_t>(whole), path);
    }
    append_line(file.get(), mark, path);
}

// In a service's directory, and where its releases keep their scripts and data.
std::vector<std::string> litter_below(const std::string& directory) {
    std::vector<std::string> places = {directory};
    for (const std::string& release : directory_entries(directory + "/releases")) {
        const std::string place = directory + "/releases/" + release;
        places.insert(places.end(), {place, place + "/drunner", place + "/data"});
    }
    std::vector<std::string> litter;
    for (const std::string& place : places) {
        for (const std::string& name : unfinished_entries(place)) {
            litter.push_back(place + "/" + name);
        }
    }
    return litter;
}

}  // namespace

void mark_settled(const std::string& path, std::size_t index) {
    append_mark(path, {{"settled", index}});
}

void mark_finished(const std::string& path, std::size_t index) {
    append_mark(path, {{"finished", index}});
}

bool has_litter(const Paths& paths, const ServiceName& service) {
    const std::string directory = paths.service(service);
    return file_type(directory) == FileType::directory &&
           (directory_entries(directory).empty() || !litter_below(directory).empty());
}

void remove_litter(const Paths& paths, const ServiceName& service) {
    const std::string directory = paths.service(service);
    for (const std::string& path : litter_below(directory)) {
        remove_tree(path);
    }
    remove_if_empty(directory);
}

void remove_journal(const std::string& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
        throw system_error("cannot remove the journal '" + path + "'", errno);
    }
    remove_if_empty(parent_of(path));
}

}  // namespace drunner
