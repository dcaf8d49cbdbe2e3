#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace drunner {

struct ImageUser {
    unsigned uid = 0;
    unsigned gid = 0;
};

// Resolves USER of an image (name, uid, name:group, uid:gid) the way the engine does: a name is
// looked up in the image's own /etc/passwd and /etc/group, a bare uid without an entry has gid 0.
// The two functions give those files' text, empty optional where the image has none; they are
// only called where they are needed. Throws Error(image_refused) for an empty USER, for uid 0 and
// for a name that cannot be resolved.
ImageUser resolve_image_user(std::string_view user,
                             const std::function<std::optional<std::string>()>& passwd,
                             const std::function<std::optional<std::string>()>& group);

}  // namespace drunner
