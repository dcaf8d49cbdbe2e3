#include "backup/backup_header.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "backup/crypto.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using nlohmann::json;

// As many as a service may have.
constexpr std::size_t most_volumes = 64;

// What the parser makes of brackets takes a hundred times their room: deep ones are refused before.
bool is_deep(std::string_view text) {
    constexpr int limit = 16;
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size() && depth <= limit; ++i) {
        const char c = text[i];
        if (quoted) {
            i += c == '\\' ? 1 : 0;
            quoted = c != '"';
        } else {
            quoted = c == '"';
            depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
        }
    }
    return depth > limit;
}

json parse(std::string_view text, std::string_view member) {
    json document;
    // The parser takes a NUL for the end.
    if (!is_deep(text) && text.find('\0') == std::string_view::npos) {
        document = json::parse(text, nullptr, false);
    }
    if (!document.is_object()) {
        throw Error(ErrorKind::archive_damaged,
                    fmt::format("the backup is damaged: '{}' is no JSON object", member));
    }
    return document;
}

// Runs a reading of the document; what nlohmann throws there is damage.
template <class Read>
auto reading(std::string_view member, const Read& read) {
    try {
        return read();
    } catch (const json::exception& error) {
        throw Error(ErrorKind::archive_damaged, fmt::format("the backup is damaged: '{}': {}",
                                                            member, printable(error.what())));
    }
}

// A number that is whole and not negative; nlohmann's own conversion cuts what does not fit.
std::uint64_t whole_number(const json& document, const char* key) {
    const json& value = document.at(key);
    if (!value.is_number_unsigned()) {
        throw Error(ErrorKind::archive_damaged,
                    fmt::format("the backup is damaged: '{}' in it is no whole number", key));
    }
    return value.get<std::uint64_t>();
}

// Names that are no UTF-8 cannot stand in JSON as they are.
std::string dump(const json& document) {
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string image_member(std::size_t index) {
    return fmt::format("drunner/image/{:06}", index + 1);
}

std::string volume_member(std::size_t index) {
    return fmt::format("volumes/{}", index + 1);
}

std::string to_json(const BackupHeader& header) {
    json volumes = json::array();
    for (std::size_t i = 0; i < header.volumes.size(); ++i) {
        const BackupVolume& volume = header.volumes[i];
        volumes.push_back({{"path", volume.path},
                           {"name", volume.name},
                           {"driver", volume.driver},
                           {"labels", volume.labels},
                           {"options", volume.options},
                           {"member", volume_member(i)}});
        if (volume.streamed) {
            volumes.back()["streamed"] = true;
        }
    }
    json secrets = json::object();
    for (const auto& [name, content] : header.secrets) {
        secrets[name] = base64_encode(as_bytes(content.reveal()));
    }
    json document{{"format", backup_format},
                  {"minimum_reader", backup_minimum_reader},
                  {"drunner_version", header.drunner_version},
                  {"created_at", header.created_at},
                  {"service", header.service},
                  {"image",
                   {{"reference", header.image_reference},
                    {"digest", header.image_digest},
                    {"id", header.image_id},
                    {"embedded", header.image_embedded}}},
                  {"volumes", volumes},
                  {"settings", header.settings},
                  {"secrets_left_out", header.secrets_left_out},
                  {"excludes", header.excludes},
                  {"after", header.after}};
    if (!secrets.empty()) {
        document["secrets"] = std::move(secrets);
    }
    return dump(document);
}

BackupHeader backup_header_from_json(std::string_view text) {
    const json document = parse(text, header_member);
    return reading(header_member, [&] {
        const std::uint64_t format = whole_number(document, "format");
        const std::uint64_t minimum = whole_number(document, "minimum_reader");
        if (minimum > backup_format) {
            throw Error(
                ErrorKind::archive_refused,
                fmt::format("the backup has format {}, which needs a drunner that reads format {}; "
                            "this one reads up to format {}",
                            format, minimum, backup_format),
                "install a newer drunner");
        }
        BackupHeader header;
        document.at("drunner_version").get_to(header.drunner_version);
        document.at("created_at").get_to(header.created_at);
        document.at("service").get_to(header.service);
        const json& image = document.at("image");
        image.at("reference").get_to(header.image_reference);
        image.at("digest").get_to(header.image_digest);
        image.at("id").get_to(header.image_id);
        header.image_embedded = image.value("embedded", false);
        for (const json& entry : document.at("volumes")) {
            if (header.volumes.size() == most_volumes) {
                throw Error(ErrorKind::archive_refused,
                            fmt::format("the backup has more than {} volumes", most_volumes));
            }
            BackupVolume volume;
            entry.at("path").get_to(volume.path);
            entry.at("name").get_to(volume.name);
            entry.at("driver").get_to(volume.driver);
            entry.at("labels").get_to(volume.labels);
            entry.at("options").get_to(volume.options);
            volume.streamed = entry.value("streamed", false);
            for (const BackupVolume& other : header.volumes) {
                if (other.path == volume.path) {
                    throw Error(ErrorKind::archive_damaged,
                                fmt::format("the backup is damaged: the volume '{}' is there twice",
                                            printable(volume.path)));
                }
            }
            header.volumes.push_back(std::move(volume));
            if (entry.at("member") != volume_member(header.volumes.size() - 1)) {
                throw Error(ErrorKind::archive_damaged,
                            "the backup is damaged: a volume has another member's name");
            }
        }
        document.at("settings").get_to(header.settings);
        const json secrets = document.value("secrets", json::object());
        for (const auto& [name, encoded] : secrets.items()) {
            std::optional<std::string> content = base64_decode(encoded.get<std::string>());
            if (!content) {
                throw Error(ErrorKind::archive_damaged,
                            fmt::format("the backup is damaged: the secret '{}' is no base64",
                                        printable(name)));
            }
            header.secrets.emplace(name, Secret(std::move(*content)));
        }
        document.at("secrets_left_out").get_to(header.secrets_left_out);
        document.at("excludes").get_to(header.excludes);
        header.after = document.value("after", header.after);  // earlier files lack it
        return header;
    });
}

std::string to_json(const BackupClosing& closing) {
    return dump({{"members", closing.members},
                 {"content_bytes", closing.content_bytes},
                 {"headers_sha256", closing.headers_sha256}});
}

BackupClosing backup_closing_from_json(std::string_view text) {
    const json document = parse(text, closing_member);
    return reading(closing_member, [&] {
        return BackupClosing{whole_number(document, "members"),
                             whole_number(document, "content_bytes"),
                             document.at("headers_sha256").get<std::string>()};
    });
}

}  // namespace drunner
