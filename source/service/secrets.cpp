#include "service/secrets.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr std::size_t longest_name = 64;
constexpr const char* content_file = "/content";

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Owner and mode of a file that is there for a mount, as its name tells them.
struct MountedFile {
    uid_t user = 0;
    gid_t group = 0;
    mode_t mode = 0;
};

template <typename Number>
bool read_number(std::string_view text, int base, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

std::optional<MountedFile> parse_mounted_file(const std::string& name) {
    constexpr int octal = 8;
    constexpr int decimal = 10;
    const std::vector<std::string> parts = split(name, '-');
    MountedFile file;
    if (parts.size() != 3 || !read_number(parts[0], decimal, file.user) ||
        !read_number(parts[1], decimal, file.group) || !read_number(parts[2], octal, file.mode) ||
        file.mode > 0777) {
        return std::nullopt;
    }
    return file;
}

}  // namespace

bool is_secret_name(std::string_view name) {
    return !name.empty() && name.size() <= longest_name && is_letter_or_digit(name.front()) &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
           });
}

void check_secret_name(std::string_view name) {
    if (!is_secret_name(name)) {
        throw Error(ErrorKind::usage,
                    "'" + printable(name) +
                        "' is no name of a secret: a letter or digit, then at most 63 letters, "
                        "digits, '_', '.' and '-'");
    }
}

void check_secrets(const Secrets& secrets) {
    if (secrets.size() > most_secrets) {
        throw Error(ErrorKind::usage, "a service has at most " + std::to_string(most_secrets) +
                                          " secrets, not " + std::to_string(secrets.size()));
    }
    std::size_t sum = 0;
    for (const auto& [name, content] : secrets) {
        check_secret_name(name);
        if (content.empty()) {
            throw Error(ErrorKind::usage, "the secret '" + name + "' is empty");
        }
        if (content.reveal().size() > largest_secret) {
            throw Error(ErrorKind::usage,
                        "the secret '" + name + "' is larger than " + human_size(largest_secret));
        }
        sum += content.reveal().size();
    }
    if (sum > most_secret_bytes) {
        throw Error(ErrorKind::usage, "the secrets of a service are at most " +
                                          human_size(most_secret_bytes) + " together, not " +
                                          human_size(sum));
    }
}

std::vector<std::string> required_secrets(const Manifest& manifest, const Release& release) {
    std::set<std::string> names(manifest.secrets.begin(), manifest.secrets.end());
    for (const SecretDeclaration& declared : release.config.secrets) {
        if (declared.required) {
            names.insert(declared.name);
        }
    }
    return {names.begin(), names.end()};
}

std::vector<std::string> SecretStore::names() const {
    std::vector<std::string> names = directory_entries(directory_);
    std::erase_if(names, [this](const std::string& name) { return !has(name); });
    return names;
}

bool SecretStore::has(const std::string& name) const {
    return is_secret_name(name) &&
           file_type(directory_ + "/" + name + content_file) == FileType::regular;
}

std::optional<Secret> SecretStore::find(const std::string& name) const {
    if (!has(name)) {
        return std::nullopt;
    }
    return Secret(read_file(directory_ + "/" + name + content_file));
}

Secrets SecretStore::all() const {
    Secrets secrets;
    for (const std::string& name : names()) {
        secrets.emplace(name, *find(name));
    }
    return secrets;
}

std::optional<SecretStore::Facts> SecretStore::facts(const std::string& name) const {
    struct stat status {};
    const std::string file = directory_ + "/" + name + content_file;
    if (!has(name) || lstat(file.c_str(), &status) != 0) {
        return std::nullopt;
    }
    return Facts{static_cast<std::uint64_t>(status.st_size), status.st_mtim.tv_sec};
}

void SecretStore::write_beside(const std::string& directory, const std::string& name,
                               const Secret& content) const {
    make_directories(directory, 0700);
    write_file(directory + content_file, content.reveal());
    for (const std::string& entry : directory_entries(directory_ + "/" + name)) {
        if (const auto mounted = parse_mounted_file(entry)) {
            const std::string file = directory + "/" + entry;
            write_file(file, content.reveal());
            if (chown(file.c_str(), mounted->user, mounted->group) != 0 ||
                chmod(file.c_str(), mounted->mode) != 0) {
                throw system_error("cannot set owner and mode of '" + file + "'", errno);
            }
        }
    }
}

std::vector<std::string> missing_secrets(const SecretStore& store, const Manifest& manifest) {
    std::vector<std::string> names = required_secrets(manifest, manifest.release());
    std::erase_if(names, [&](const std::string& name) { return store.has(name); });
    return names;
}

}  // namespace drunner
