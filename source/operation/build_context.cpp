#include "operation/build_context.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr std::uint64_t largest_dockerfile = 1U << 20U;

// Thrown inside: what is wrong with /drunner is a finding, not a failure.
struct Unfit {
    std::string why;
};

std::string quoted(const std::string& name) {
    return "'" + printable(name) + "'";
}

bool has_control_character(std::string_view name) {
    for (const char c : name) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            return true;
        }
    }
    return false;
}

struct Opened {
    FileDescriptor file;
    struct stat status {};
};

// Anything but a file or a directory is never opened: opening a pipe waits, and opening a device
// may do something.
Opened open_entry(int parent, const std::string& name, const std::string& shown) {
    Opened opened;
    if (fstatat(parent, name.c_str(), &opened.status, AT_SYMLINK_NOFOLLOW) != 0) {
        throw system_error("cannot read " + quoted(shown), errno);
    }
    if (!S_ISREG(opened.status.st_mode) && !S_ISDIR(opened.status.st_mode)) {
        throw Unfit{quoted(shown) + (S_ISLNK(opened.status.st_mode)
                                         ? " is a symbolic link"
                                         : " is neither a file nor a directory")};
    }
    opened.file.reset(openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!opened.file.valid() || fstat(opened.file.get(), &opened.status) != 0) {
        throw system_error("cannot read " + quoted(shown), errno);
    }
    return opened;
}

std::string content_of(int file, const std::string& name, std::uint64_t limit) {
    std::string content;
    std::array<char, 65536> block{};
    while (true) {
        const ssize_t got = read(file, block.data(), block.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw Unfit{quoted(name) + " cannot be read"};
        }
        if (got == 0) {
            return content;
        }
        content.append(block.data(), static_cast<std::size_t>(got));
        if (content.size() > limit) {
            throw Unfit{quoted(name) + " is larger than " + human_size(limit)};
        }
    }
}

class DrunnerDirectory {
  public:
    ImageFiles read(int directory, const std::string& path) {
        walk(directory, path, "");
        return std::move(files_);
    }

  private:
    void walk(int directory, const std::string& path, const std::string& prefix) {
        for (const std::string& name : directory_entries(path)) {
            const std::string below = prefix + name;
            if (has_control_character(name)) {
                throw Unfit{"the image's file " + quoted(below) +
                            " has a control character in its name"};
            }
            if (++members_ > limits_.files) {
                throw Unfit{"/drunner holds more than " + std::to_string(limits_.files) + " files"};
            }
            const Opened entry = open_entry(directory, name, "drunner/" + below);
            if ((entry.status.st_mode & (S_ISUID | S_ISGID)) != 0 &&
                S_ISREG(entry.status.st_mode)) {
                throw Unfit{"the image's file " + quoted(below) + " has a set-id bit"};
            }
            if (S_ISDIR(entry.status.st_mode)) {
                walk(entry.file.get(), path + "/" + name, below + "/");
            } else {
                ImageFile file;
                file.content = content_of(entry.file.get(), below, limits_.total_bytes - bytes_);
                bytes_ += file.content.size();
                file.mode = entry.status.st_mode & 07777U;
                file.executable = (file.mode & 0111U) != 0;
                files_.emplace(below, std::move(file));
            }
        }
    }

    ImageFilesLimits limits_;
    ImageFiles files_;
    std::size_t members_ = 0;
    std::uint64_t bytes_ = 0;
};

void read_config(ImageFacts& facts) {
    const auto file = facts.files->find("servicecfg.sh");
    if (file == facts.files->end()) {
        return;
    }
    try {
        ParsedConfig parsed = parse_service_config(file->second.content);
        if (parsed.config) {
            check_service_config(*parsed.config);
            facts.config = std::move(parsed.config);
        }
    } catch (const Error& error) {
        facts.config_problem = error.what();
    }
}

}  // namespace

ImageFacts read_build_context(const std::string& directory) {
    const FileDescriptor top(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top.valid()) {
        throw system_error("cannot read the directory " + quoted(directory), errno);
    }
    ImageFacts facts;
    facts.reference = directory;
    facts.context.emplace();
    for (const std::string& name : directory_entries(directory)) {
        facts.context->names.insert(name);
    }
    const bool has_scripts = facts.context->names.contains("drunner");
    if (!has_scripts && !facts.context->names.contains("Dockerfile")) {
        throw Error(ErrorKind::usage,
                    quoted(directory) + " holds neither a Dockerfile nor a directory drunner",
                    "drunner new NAME");
    }
    try {
        if (facts.context->names.contains("Dockerfile")) {
            const Opened file = open_entry(top.get(), "Dockerfile", "Dockerfile");
            facts.context->dockerfile =
                content_of(file.file.get(), "Dockerfile", largest_dockerfile);
        }
        if (!has_scripts) {
            throw Unfit{"there is no directory drunner"};
        }
        const Opened scripts = open_entry(top.get(), "drunner", "drunner");
        if (!S_ISDIR(scripts.status.st_mode)) {
            throw Unfit{"'drunner' is not a directory"};
        }
        facts.files = DrunnerDirectory().read(scripts.file.get(), directory + "/drunner");
        read_config(facts);
    } catch (const Unfit& unfit) {
        facts.files_problem = unfit.why;
    }
    return facts;
}

}  // namespace drunner
