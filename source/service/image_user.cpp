#include "service/image_user.hpp"

#include <charconv>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr unsigned highest_id = 2'147'483'647;  // the engine takes no id above it

Error refused(std::string_view user, const std::string& why) {
    return Error(ErrorKind::image_refused, "the image's USER '" + printable(user) + "' " + why,
                 "give the image a USER that is not root, by number: USER 10001:10001");
}

// A number with an optional sign, as the engine's parser takes it; empty for a name.
std::optional<long long> as_number(std::string_view text) {
    const bool negative = !text.empty() && text.front() == '-';
    if (!text.empty() && (text.front() == '+' || negative)) {
        text.remove_prefix(1);
    }
    long long value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || text.front() == '-' || stop != end) {
        return std::nullopt;
    }
    if (error == std::errc::result_out_of_range) {
        value = static_cast<long long>(highest_id) + 1;
    }
    return negative ? -value : value;
}

unsigned checked_id(std::string_view user, long long number) {
    if (number < 0 || number > highest_id) {
        throw refused(user, "has an id that is not from 0 to " + std::to_string(highest_id));
    }
    return static_cast<unsigned>(number);
}

using Database = std::function<std::optional<std::string>()>;

// The fields of the first line of passwd(5) or group(5) whose name is `name`, or whose number is
// `number` where that is given.
std::optional<std::vector<std::string>> find_entry(const Database& database, std::string_view name,
                                                   std::optional<long long> number) {
    const std::string text = database().value_or("");
    for (const std::string& line : split(text, '\n')) {
        std::vector<std::string> fields = split(trim(line), ':');
        if (fields.size() >= 3 && (number ? as_number(fields[2]) == number : fields[0] == name)) {
            return fields;
        }
    }
    return std::nullopt;
}

unsigned id_field(std::string_view user, const std::vector<std::string>& fields,
                  std::size_t index) {
    const auto number = index < fields.size() ? as_number(fields[index]) : std::nullopt;
    if (!number) {
        throw refused(user, "is on a malformed line of the image's own /etc/passwd or /etc/group");
    }
    return checked_id(user, *number);
}

}  // namespace

ImageUser resolve_image_user(std::string_view user, const Database& passwd, const Database& group) {
    if (trim(user).empty()) {
        throw Error(ErrorKind::image_refused, "the image has no USER, so it runs as root",
                    "give the image a USER that is not root, by number: USER 10001:10001");
    }
    const std::size_t colon = user.find(':');
    const std::string_view user_part = user.substr(0, colon);
    const std::string_view group_part =
        colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);

    ImageUser resolved;
    const auto uid = as_number(user_part);
    if (uid) {
        resolved.uid = checked_id(user, *uid);
    }
    if (!uid || group_part.empty()) {
        if (const auto entry = find_entry(passwd, user_part, uid)) {
            resolved.uid = id_field(user, *entry, 2);
            resolved.gid = group_part.empty() ? id_field(user, *entry, 3) : 0;
        } else if (!uid && !user_part.empty()) {
            throw refused(user, "is not in the image's own /etc/passwd");
        }
    }
    if (!group_part.empty()) {
        if (const auto gid = as_number(group_part)) {
            resolved.gid = checked_id(user, *gid);
        } else if (const auto entry = find_entry(group, group_part, std::nullopt)) {
            resolved.gid = id_field(user, *entry, 2);
        } else {
            throw refused(user, "has a group that is not in the image's own /etc/group");
        }
    }
    if (resolved.uid == 0) {
        throw refused(user, "is root");
    }
    return resolved;
}

}  // namespace drunner
