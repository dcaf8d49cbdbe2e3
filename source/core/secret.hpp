#pragma once

#include <string>
#include <string_view>

namespace drunner {

// A password or key: wiped when it goes, and without a formatter or stream operator, so that
// logging one does not compile. reveal() is the only way to the text.
class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text);
    Secret(const Secret&) = default;
    Secret& operator=(const Secret& other);
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    ~Secret();

    bool empty() const { return text_.empty(); }
    std::string_view reveal() const { return text_; }

  private:
    void wipe();

    std::string text_;
};

}  // namespace drunner
