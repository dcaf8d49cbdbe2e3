#pragma once

#include <memory>

#include "host/write_ban.hpp"
#include "operation/machine.hpp"

namespace drunner {

// The world of --check. Operations plan in it as they always do and stop where they would begin;
// what one of them does all the same is refused, by three things that know no operation:
//
//   - the engine answers what is asked by GET and HEAD; beside that it makes, for an image that it
//     has, a container labelled drunner.scratch, reads it and removes it, and never starts it;
//   - scripts run nowhere;
//   - a WriteBan stands as long as this lives.
//
// Everything that is refused throws Error(system).
class Rehearsal {
  public:
    // `real` and what it refers to must outlive this.
    explicit Rehearsal(const Machine& real);
    ~Rehearsal();
    Rehearsal(const Rehearsal&) = delete;
    Rehearsal& operator=(const Rehearsal&) = delete;

    Machine& machine() { return machine_; }

  private:
    WriteBan ban_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<ScriptRunner> scripts_;
    Machine machine_;
};

}  // namespace drunner
