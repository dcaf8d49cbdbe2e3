#include <algorithm>
#include <array>
#include <initializer_list>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

std::string upper(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return result;
}

// The name of something that should not be read: a part of it, between underscores, says so.
bool is_secret_name(std::string_view name) {
    const std::string text = upper(name);
    // What only says where the secret is, or who keeps it.
    for (const std::string_view harmless :
         {"_FILE", "_PATH", "_DIR", "_NAME", "_ID", "_STDIN", "_BACKEND"}) {
        if (text.ends_with(harmless)) {
            return false;
        }
    }
    for (const std::string& part : split(text, '_')) {
        for (const std::string_view word : {"PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "SECRET",
                                            "TOKEN", "APIKEY", "PASSWORT"}) {
            if (part == word || (word.size() > 5 && part.ends_with(word))) {
                return true;
            }
        }
    }
    return text.find("API_KEY") != std::string::npos ||
           text.find("PRIVATE_KEY") != std::string::npos ||
           text.find("ACCESS_KEY") != std::string::npos;
}

Founds no_secret_in_environment(const Subject& subject) {
    Founds found;
    for (const std::string& variable : subject.facts.environment) {
        const std::size_t equals = variable.find('=');
        const std::string name = variable.substr(0, equals);
        if (equals != std::string::npos && equals + 1 < variable.size() && is_secret_name(name)) {
            found.push_back({"ENV sets '" + printable(name) + "'", "", 0});
        }
    }
    return found;
}

Founds no_secret_in_labels(const Subject& subject) {
    Founds found;
    for (const auto& [key, value] : subject.facts.labels) {
        const std::string name = key.substr(key.find_last_of(".-") + 1);
        if (!value.empty() && is_secret_name(name)) {
            found.push_back({"the label '" + printable(key) + "' has a value", "", 0});
        }
    }
    return found;
}

int line_of(std::string_view text, std::size_t at) {
    return 1 + static_cast<int>(
                   std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

Founds no_private_key(const Subject& subject) {
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        for (const std::string_view mark :
             {"-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----",
              "-----BEGIN EC PRIVATE KEY-----", "-----BEGIN OPENSSH PRIVATE KEY-----",
              "-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----",
              "AGE-SECRET-KEY-1"}) {
            const std::size_t at = file.content.find(mark);
            if (at != std::string::npos) {
                found.push_back({"'" + printable(name) + "' holds a private key", name,
                                 line_of(file.content, at)});
                break;
            }
        }
    }
    return found;
}

bool is_token_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

// Beginnings that well-known services give their tokens, and how many characters follow at least.
struct TokenShape {
    std::string_view beginning;
    std::size_t rest;
};
constexpr std::array token_shapes{
    TokenShape{"AKIA", 16},        TokenShape{"ghp_", 36},     TokenShape{"gho_", 36},
    TokenShape{"github_pat_", 22}, TokenShape{"glpat-", 20},   TokenShape{"xoxb-", 20},
    TokenShape{"xoxp-", 20},       TokenShape{"sk_live_", 20}, TokenShape{"dckr_pat_", 20},
    TokenShape{"npm_", 36},
};

Founds no_token(const Subject& subject) {
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        const std::string& text = file.content;
        for (const TokenShape& shape : token_shapes) {
            for (std::size_t at = text.find(shape.beginning); at != std::string::npos;
                 at = text.find(shape.beginning, at + 1)) {
                std::size_t end = at + shape.beginning.size();
                while (end < text.size() && is_token_character(text[end])) {
                    ++end;
                }
                const bool begins = at == 0 || !is_token_character(text[at - 1]);
                if (begins && end - at >= shape.beginning.size() + shape.rest) {
                    found.push_back({"'" + printable(name) + "' holds what looks like a token ('" +
                                         std::string(shape.beginning) + "...')",
                                     name, line_of(text, at)});
                    break;
                }
            }
        }
    }
    return found;
}

Founds no_secret_in_scripts(const Subject& subject) {
    Founds found;
    for (const Script& script : subject.scripts()) {
        for (const ShellAssignment& one : script.text.assignments()) {
            if (is_secret_name(one.name) && one.words.size() == 1 && one.words[0].literal() &&
                !one.words[0].value.empty()) {
                found.push_back({"'" + printable(one.name) + "' has its value in the script",
                                 script.name, one.line});
            }
        }
    }
    return found;
}

// "NAME=value" or "--name=value" or "--name" that carries the secret itself.
Message secret_argument(const std::vector<const ShellWord*>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i]->value;
        const std::size_t equals = word.find('=');
        const std::size_t start = std::min(word.find_first_not_of('-'), word.size());
        std::string name =
            word.substr(start, equals == std::string::npos ? equals : equals - start);
        std::replace(name.begin(), name.end(), '-', '_');
        if (!is_secret_name(name) || name.find_first_of(" $/\"{") != std::string::npos) {
            continue;
        }
        const bool with_value = equals != std::string::npos && equals + 1 < word.size();
        const bool before_value = equals == std::string::npos && start == 2 &&
                                  i + 1 < words.size() && !words[i + 1]->value.starts_with("-");
        if (with_value || before_value) {
            return "'" + printable(name) + "' stands in the arguments of a program";
        }
    }
    return std::nullopt;
}

Founds no_secret_in_arguments(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const std::string name = command.name();
        // These are the shell's own and no process of their own.
        for (const std::string_view own :
             {"", "export", "local", "declare", "readonly", "typeset", "[[", "[", "test", "echo",
              "printf", "die", "read", "unset", "for", "set"}) {
            if (name == own) {
                return std::nullopt;
            }
        }
        return secret_argument(command.arguments());
    });
}

Founds no_secret_default(const Subject& subject) {
    Founds found;
    for (const SettingDeclaration& setting : subject.facts.config->settings) {
        if (is_secret_name(setting.name) && !setting.default_value.empty()) {
            found.push_back({"the setting '" + printable(setting.name) + "' has a default",
                             "servicecfg.sh", 0});
        }
    }
    return found;
}

}  // namespace

std::vector<Rule> secret_rules() {
    using enum Severity;
    return {
        {"no-secret-in-env", 1, error, Needs::image, "ENV holds no secret",
         "everybody who can pull the image, or inspect a container of it, reads its ENV",
         "let the service's own command store it in a volume, from stdin",
         no_secret_in_environment},
        {"no-secret-in-labels", 1, error, Needs::image, "labels hold no secret",
         "labels are shown by every listing and are inherited by every image built on this one",
         "remove the label", no_secret_in_labels},
        {"no-private-key", 1, error, Needs::files, "/drunner holds no private key",
         "whoever pulls the image has the key, and every host of it the same one",
         "make the key at install, in a volume", no_private_key},
        {"no-token", 1, error, Needs::files, "/drunner holds no access token",
         "tokens in images are found by whoever pulls them, in old layers too",
         "revoke it, and let the operator give one as a setting or on stdin", no_token},
        {"no-secret-in-scripts", 1, error, Needs::files, "scripts assign no secret",
         "the same password on every host, readable by whoever pulls the image, until the next "
         "release",
         "make one at install: head -c 32 /dev/urandom | base64", no_secret_in_scripts},
        {"no-secret-in-arguments", 1, error, Needs::files,
         "no secret stands in a program's arguments",
         "the 2016 tool gave PASS to docker, 7za and openssl as arguments: every user of the host "
         "sees them in ps, and docker inspect keeps them",
         "pass it by stdin, by a file, or by name only: -e PASSWORD", no_secret_in_arguments},
        {"no-secret-default", 1, error, Needs::config, "no secret setting has a default",
         "a password that the operator never changed is known to everybody who reads the image",
         "leave the default empty and make the setting required", no_secret_default},
    };
}

}  // namespace drunner
