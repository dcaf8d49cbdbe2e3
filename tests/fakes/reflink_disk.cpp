#include "fakes/reflink_disk.hpp"

#include <sys/mount.h>

#include <cstdlib>

#include "host/file.hpp"

namespace drunner::test {

ReflinkDisk::ReflinkDisk() {
    const std::string image = directory_.path() + "/image";
    const std::string place = directory_.path() + "/disk";
    make_directories(place, 0755);
    const std::string make = "PATH=$PATH:/usr/sbin:/sbin; { truncate -s 400M '" + image +
                             "' && mkfs.xfs -q '" + image + "' && mount -o loop '" + image + "' '" +
                             place + "'; } >/dev/null 2>&1";
    if (std::system(make.c_str()) == 0) {
        path_ = place;
    }
}

ReflinkDisk::~ReflinkDisk() {
    if (!path_.empty()) {
        umount2(path_.c_str(), MNT_DETACH);
    }
}

}  // namespace drunner::test
