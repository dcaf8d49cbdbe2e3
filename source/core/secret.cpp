#include "core/secret.hpp"

#include <string.h>

#include <utility>

namespace drunner {

Secret::Secret(std::string text) : text_(text) {
    explicit_bzero(text.data(), text.size());
}

Secret& Secret::operator=(const Secret& other) {
    if (this != &other) {
        wipe();
        text_ = other.text_;
    }
    return *this;
}

// A move would leave the bytes of a short text behind, out of reach of wipe().
// NOLINTNEXTLINE(performance-move-constructor-init)
Secret::Secret(Secret&& other) noexcept : text_(other.text_) {
    other.wipe();
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe();
        text_ = other.text_;
        other.wipe();
    }
    return *this;
}

Secret::~Secret() {
    wipe();
}

void Secret::wipe() {
    explicit_bzero(text_.data(), text_.size());
    text_.clear();
}

}  // namespace drunner
