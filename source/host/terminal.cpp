#include "host/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

namespace drunner {

RawTerminal::RawTerminal() {
    if (tcgetattr(STDIN_FILENO, &before_) == 0) {
        termios raw = before_;
        cfmakeraw(&raw);
        changed_ = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    }
}

RawTerminal::~RawTerminal() {
    if (changed_) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
    }
}

std::pair<unsigned, unsigned> terminal_size() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
        return {0, 0};
    }
    return {size.ws_col, size.ws_row};
}

}  // namespace drunner
