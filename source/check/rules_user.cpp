#include <algorithm>
#include <array>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;

constexpr unsigned nobody = 65534;
constexpr unsigned largest_mapped = 65535;
constexpr unsigned first_person = 1000;
// The first accounts that distributions and their images give out.
constexpr std::array<unsigned, 3> crowded{1000, 1001, 999};
constexpr unsigned world_write = 0002;

Founds about_user(const Subject& subject, bool wrong, const std::string& message) {
    if (!subject.facts.resolved_user || !wrong) {
        return {};
    }
    return {{message, "", 0}};
}

std::string user_of(const Subject& subject) {
    return "USER '" + printable(subject.facts.user) + "'";
}

unsigned uid_of(const Subject& subject) {
    return subject.facts.resolved_user ? subject.facts.resolved_user->uid : 0;
}

Founds by_number(const Subject& subject) {
    const std::string& user = subject.facts.user;
    return about_user(
        subject, user.find_first_not_of("0123456789:") != std::string::npos,
        user_of(subject) + " is a name, today of uid " + std::to_string(uid_of(subject)));
}

Founds own_uid(const Subject& subject) {
    const unsigned uid = uid_of(subject);
    return about_user(subject, std::find(crowded.begin(), crowded.end(), uid) != crowded.end(),
                      user_of(subject) + " has the uid " + std::to_string(uid) +
                          ", which other images and people have too");
}

Founds not_nobody(const Subject& subject) {
    return about_user(subject, uid_of(subject) == nobody, user_of(subject) + " is nobody");
}

Founds not_the_hosts(const Subject& subject) {
    const unsigned uid = uid_of(subject);
    return about_user(subject, uid > 0 && uid < first_person && uid != crowded.back(),
                      user_of(subject) + " has the uid " + std::to_string(uid) +
                          ", one of the host's own daemons");
}

Founds group_not_root(const Subject& subject) {
    return about_user(subject, subject.facts.resolved_user && subject.facts.resolved_user->gid == 0,
                      user_of(subject) + " runs with group 0, root's");
}

Founds uid_mapped(const Subject& subject) {
    return about_user(
        subject, uid_of(subject) > largest_mapped,
        user_of(subject) + " has the uid " + std::to_string(uid_of(subject)) + ", beyond 65535");
}

Founds world_writable(const Subject& subject) {
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        if ((file.mode & world_write) != 0) {
            found.push_back({"everybody can write '" + printable(name) + "'", name, 0});
        }
    }
    return found;
}

Founds owned_by_user(const Subject& subject) {
    if (!subject.facts.files) {
        return {};
    }
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        if (file.uid != 0 && file.uid == uid_of(subject)) {
            found.push_back({"'" + printable(name) + "' belongs to the image's USER", name, 0});
        }
    }
    return found;
}

Founds extra_not_root(const Subject& subject) {
    Founds found;
    for (const auto& [reference, extra] : subject.facts.extra_images) {
        const std::string name = extra.user.substr(0, extra.user.find(':'));
        if (name.empty() || name == "root" || name.find_first_not_of('0') == std::string::npos) {
            found.push_back({"the extra container '" + printable(reference) + "' starts as root",
                             "servicecfg.sh", 0});
        }
    }
    return found;
}

}  // namespace

std::vector<Rule> user_rules() {
    using enum Severity;
    return {
        {"user-by-number", 1, note, Needs::image, "USER is a number",
         "a rebuilt base image may give the name another uid; the volumes of installed services "
         "keep the old one, and the service cannot read its own data",
         "write USER 22022:22022", by_number},
        {"user-of-its-own", 1, warning, Needs::image, "the uid is not one that everybody uses",
         "the contract asks for different uids for different services: two with one uid can signal "
         "and read each other wherever they share anything",
         "take a uid of your own, above 10000", own_uid},
        {"user-not-nobody", 1, error, Needs::image, "the user is not nobody",
         "nobody is who has no files: NFS, user namespaces and other daemons act as 65534, and "
         "would own the service's volumes",
         "take a uid of your own, above 10000", not_nobody},
        {"user-not-of-the-host", 1, warning, Needs::image, "the uid is not one of a daemon's",
         "below 1000 are the host's own accounts: www-data of the host can read what uid 33 of "
         "the service keeps in its volumes",
         "take a uid of your own, above 10000", not_the_hosts},
        {"user-group-not-root", 1, error, Needs::image, "the group is not root's",
         "a uid without an entry in /etc/passwd gets group 0, and the host has files that group "
         "root may read and write",
         "write USER UID:GID with a group of its own", group_not_root},
        {"user-mapped", 1, warning, Needs::image, "the uid exists in a user namespace",
         "rootless engines and userns-remap map 65536 uids: on those hosts no container of the "
         "image starts",
         "take a uid up to 65535", uid_mapped},
        {"scripts-not-world-writable", 1, error, Needs::files,
         "only their owner can write the scripts",
         "directories and scripts of mode 0777 were the habit of the 2016 tool: whoever runs in "
         "the image rewrites what a derived image would hand to root",
         "chmod -R go-w drunner, before COPY", world_writable},
        {"scripts-owned-by-root", 1, warning, Needs::image,
         "the scripts do not belong to the service's user",
         "a step of the build that runs as the service's user, or an image built on this one, "
         "can change what the host runs as root",
         "COPY without --chown", owned_by_user},
        {"extra-containers-not-root", 1, warning, Needs::extra_images,
         "the extra containers do not start as root",
         "the last dRunner refused these at install unless they were declared: root in a container "
         "that the scripts give host directories is root on them",
         "take an image with a USER, or start it with --user", extra_not_root},
    };
}

}  // namespace drunner
