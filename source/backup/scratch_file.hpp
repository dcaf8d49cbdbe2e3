#pragma once

#include <string>

#include "backup/room.hpp"
#include "core/bytes.hpp"
#include "host/file.hpp"

namespace drunner {

// A file without a name, in TMPDIR (else /var/tmp), for what a program must be able to seek in.
// Goes with this object, and with the process. Throws Error(system), Error(no_space).
class ScratchFile {
  public:
    ScratchFile();

    void write(Bytes bytes);
    int descriptor() const { return fd_.get(); }

  private:
    FileDescriptor fd_;
    std::string directory_;
    Room room_;
};

}  // namespace drunner
