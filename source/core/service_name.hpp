#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace drunner {

// The name of an installed service: [a-z0-9][a-z0-9_.-]{0,62}. A value of this type has been
// checked, so it is safe in paths, container names and labels.
class ServiceName {
  public:
    // Throws Error(invalid_name), naming the text and the rule.
    explicit ServiceName(std::string_view text);

    static bool is_valid(std::string_view text);

    const std::string& text() const { return text_; }
    auto operator<=>(const ServiceName&) const = default;

  private:
    std::string text_;
};

}  // namespace drunner
