#include "core/image_reference.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::string_view docker_hub = "docker.io";
constexpr std::string_view official_prefix = "library/";
constexpr std::size_t longest_name = 255;
constexpr std::size_t longest_tag = 128;
constexpr std::size_t sha256_digits = 64;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_lower_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool is_alphanumeric(char c) {
    return is_digit(c) || is_lower(c) || is_upper(c);
}

bool all_of(std::string_view text, bool (*matches)(char)) {
    return std::all_of(text.begin(), text.end(), matches);
}

[[noreturn]] void refuse(std::string_view text, std::string_view reason) {
    constexpr std::size_t shown = 300;
    throw Error(ErrorKind::invalid_reference,
                "'" + printable(text.substr(0, shown)) +
                    "' is not an image reference: " + std::string(reason));
}

bool is_domain_part(std::string_view part) {
    return !part.empty() && is_alphanumeric(part.front()) && is_alphanumeric(part.back()) &&
           all_of(part, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool is_domain(std::string_view domain) {
    std::string_view host = domain;
    const bool bracketed = domain.starts_with('[');
    const std::size_t host_end = bracketed ? domain.find(']') : domain.find(':');
    if (bracketed && host_end == std::string_view::npos) {
        return false;
    }
    if (host_end != std::string_view::npos) {
        host = domain.substr(0, bracketed ? host_end + 1 : host_end);
        const std::string_view rest = domain.substr(host.size());
        if (!rest.empty() &&
            (rest.front() != ':' || rest.size() == 1 || !all_of(rest.substr(1), is_digit))) {
            return false;
        }
    }
    if (bracketed) {
        const std::string_view address = host.substr(1, host.size() - 2);
        return !address.empty() && all_of(address, [](char c) {
            return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
        });
    }
    const auto parts = split(host, '.');
    return std::all_of(parts.begin(), parts.end(), is_domain_part);
}

// [a-z0-9]+ groups, parted by one '.', one or two '_' or any number of '-'.
bool is_path_part(std::string_view part) {
    const auto in_group = [](char c) { return is_lower(c) || is_digit(c); };
    if (part.empty() || !in_group(part.front()) || !in_group(part.back())) {
        return false;
    }
    for (std::size_t i = 0; i < part.size();) {
        if (in_group(part[i])) {
            ++i;
            continue;
        }
        const auto end = static_cast<std::size_t>(
            std::find_if(part.begin() + static_cast<std::ptrdiff_t>(i), part.end(), in_group) -
            part.begin());
        const std::string_view separator = part.substr(i, end - i);
        if (separator != "." && separator != "_" && separator != "__" &&
            separator.find_first_not_of('-') != std::string_view::npos) {
            return false;
        }
        i = end;
    }
    return true;
}

bool is_tag(std::string_view tag) {
    const auto is_word = [](char c) { return is_alphanumeric(c) || c == '_'; };
    return !tag.empty() && tag.size() <= longest_tag && is_word(tag.front()) &&
           all_of(tag,
                  [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_sha256(std::string_view digest) {
    constexpr std::string_view algorithm = "sha256:";
    return digest.starts_with(algorithm) && digest.size() == algorithm.size() + sha256_digits &&
           all_of(digest.substr(algorithm.size()), is_lower_hex);
}

// The first part of a path is a domain where no repository on Docker Hub could be called so.
bool names_domain(std::string_view first_part) {
    return first_part.find_first_of(".:") != std::string_view::npos || first_part == "localhost" ||
           std::any_of(first_part.begin(), first_part.end(), is_upper);
}

}  // namespace

ImageReference::ImageReference(std::string_view text) : text_(text) {
    if (text.empty()) {
        refuse(text, "it is empty");
    }
    if (text.size() == sha256_digits && all_of(text, is_lower_hex)) {
        refuse(text, "64 hexadecimal digits are an image's id");
    }
    std::string_view rest = text;
    if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
        digest_ = rest.substr(at + 1);
        rest = rest.substr(0, at);
        if (!is_sha256(digest_)) {
            refuse(text, "what follows '@' must be 'sha256:' and 64 hexadecimal digits");
        }
    }
    const std::size_t slash = rest.find('/');
    if (slash != std::string_view::npos && names_domain(rest.substr(0, slash))) {
        domain_ = rest.substr(0, slash);
        rest = rest.substr(slash + 1);
        if (!is_domain(domain_)) {
            refuse(text, "its registry '" + printable(domain_) + "' is not HOST or HOST:PORT");
        }
    } else {
        domain_ = docker_hub;
    }
    if (domain_ == "index.docker.io" || domain_ == "registry-1.docker.io") {
        domain_ = docker_hub;
    }
    if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
        tag_ = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
        if (!is_tag(tag_)) {
            refuse(text, "its tag must be 1 to 128 of A-Z a-z 0-9 _ . - and not begin with . or -");
        }
    }
    path_ = rest;
    if (std::any_of(path_.begin(), path_.end(), is_upper)) {
        refuse(text, "a repository's name must be lower case");
    }
    const auto parts = split(path_, '/');
    if (!std::all_of(parts.begin(), parts.end(), is_path_part)) {
        refuse(text,
               "each part of a repository's name takes a-z 0-9, parted by one '.', one or two "
               "'_' or any number of '-'");
    }
    if (domain_ == docker_hub && parts.size() == 1) {
        path_.insert(0, official_prefix);
    }
    if (repository().size() > longest_name) {
        refuse(text, "its name is longer than 255 characters");
    }
}

std::string ImageReference::familiar_repository() const {
    // Without Docker Hub before it, such a first part would be taken for a registry.
    if (domain_ != docker_hub || names_domain(path_.substr(0, path_.find('/')))) {
        return repository();
    }
    if (path_.starts_with(official_prefix) &&
        path_.find('/', official_prefix.size()) == std::string::npos) {
        return path_.substr(official_prefix.size());
    }
    return path_;
}

std::string ImageReference::engine_name() const {
    return familiar_repository() + (digest_.empty() ? ":" + tag_or_latest() : "@" + digest_);
}

std::string ImageReference::last_part() const {
    return path_.substr(path_.rfind('/') + 1);
}

bool ImageReference::same_as(const ImageReference& other) const {
    const auto tag_of = [](const ImageReference& reference) {
        return reference.digest_.empty() ? reference.tag_or_latest() : reference.tag_;
    };
    return repository() == other.repository() && digest_ == other.digest_ &&
           tag_of(*this) == tag_of(other);
}

}  // namespace drunner
