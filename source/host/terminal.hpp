#pragma once

#include <termios.h>

#include <utility>

namespace drunner {

// The terminal on stdin without echo, line editing and signals from keys, as long as this object
// lives: what is typed goes as it is to a program that has a terminal of its own elsewhere.
class RawTerminal {
  public:
    RawTerminal();
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

  private:
    termios before_{};
    bool changed_ = false;
};

// Columns and rows of the terminal on stdout; 0 and 0 where there is none.
std::pair<unsigned, unsigned> terminal_size();

}  // namespace drunner
