#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace drunner {

// Why something failed, for programs. The words (kind_word) are stable: they stand in --json
// output and in the log. error.cpp holds the one table of them.
enum class ErrorKind {
    usage,                 // the command line cannot be understood
    settings,              // the operator's settings cannot be understood
    invalid_name,          // a service's name is malformed, reserved or taken
    invalid_reference,     // not an image reference
    image_not_found,       // neither the engine nor a registry has the image
    image_refused,         // the image breaks the contract
    scripts_not_accepted,  // nobody accepted the scripts that would run as root
    already_installed,     // another service stands where this one should go
    not_installed,         // no service of that name
    broken,                // the installation is not whole
    unfinished,            // an operation was interrupted and is not recovered yet
    locked,                // another drunner works on it
    engine_unreachable,    // nothing answers on the engine's socket
    engine_denied,         // no permission on the engine's socket
    engine_conflict,       // the engine says that something exists or is in use
    engine_not_found,      // the engine does not know the object
    engine_refused,        // the engine answered with any other error
    registry_unreachable,  // no usable answer from the registry
    registry_denied,       // the registry wants other credentials
    script_failed,         // a hook or command of the service failed
    unhealthy,             // a container of the service does not stay up or become healthy
    volume_missing,        // a recorded volume is gone
    volume_foreign,        // a volume belongs to another service or installation
    in_use,                // somebody else's container uses what must be idle
    archive_damaged,       // not a backup, or damaged
    archive_refused,       // a backup that cannot be restored as asked
    wrong_password,        // the key does not open the backup
    file_exists,           // would overwrite a file
    no_space,              // not enough room
    system,                // a system call failed
    timed_out,             // a wait reached its limit
    interrupted,           // a signal asked drunner to stop
};

// The stable word of a kind, for example "not-installed".
std::string_view kind_word(ErrorKind kind);

// True where trying the same again later can succeed without anybody changing anything.
bool is_retryable(ErrorKind kind);

// A failure that ends an operation. The message is a sentence without a capital or a full stop,
// with values in single quotes: "cannot read '/x': permission denied". `next` is the command (or
// advice) that leads out, empty where there is none. Only main prints errors.
class Error : public std::runtime_error {
  public:
    explicit Error(ErrorKind kind, const std::string& message, std::string next = {});

    ErrorKind kind() const { return kind_; }
    const std::string& next() const { return next_; }

    // True where something had been changed already and all of it was undone.
    bool rolled_back() const { return rolled_back_; }

    // The same failure told from further out: "CONTEXT: message".
    Error within(std::string_view context) const;
    // The same failure, after everything was undone.
    Error after_roll_back() const;

  private:
    ErrorKind kind_;
    std::string next_;
    bool rolled_back_ = false;
};

// A system call failed: "CONTEXT: strerror(errno)". ENOSPC and EDQUOT become no_space.
Error system_error(std::string_view context, int error_number);

}  // namespace drunner
