#include "core/unified_diff.hpp"

#include <algorithm>
#include <cstdint>
#include <dtl/dtl.hpp>
#include <map>
#include <string>
#include <vector>

namespace drunner {
namespace {

constexpr std::size_t context = 3;
// Comparisons that the search for the shortest script may need in the worst case.
constexpr std::uint64_t most_comparisons = 25'000'000;

// With their line feeds, so that a last line without one differs from the same line with one.
std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::size_t length = end == std::string_view::npos ? text.size() : end + 1;
        lines.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return lines;
}

struct Edit {
    char mark;  // ' ' '-' '+'
    std::string_view line;
};

// Lines as numbers: equal lines have equal ones, and comparing them costs nothing.
class Numbers {
  public:
    std::vector<int> of(const std::vector<std::string_view>& lines) {
        std::vector<int> numbers;
        numbers.reserve(lines.size());
        for (const std::string_view line : lines) {
            numbers.push_back(known_.emplace(line, static_cast<int>(known_.size())).first->second);
        }
        return numbers;
    }

  private:
    std::map<std::string_view, int> known_;
};

// What stands between the lines that both texts begin and end with.
void add_middle(std::vector<Edit>& edits, const std::vector<std::string_view>& before,
                const std::vector<std::string_view>& after) {
    if (std::uint64_t{before.size()} * after.size() > most_comparisons) {
        for (const std::string_view line : before) {
            edits.push_back({'-', line});
        }
        for (const std::string_view line : after) {
            edits.push_back({'+', line});
        }
        return;
    }
    Numbers numbers;
    const std::vector<int> old_numbers = numbers.of(before);
    const std::vector<int> new_numbers = numbers.of(after);
    dtl::Diff<int, std::vector<int>> diff(old_numbers, new_numbers);
    diff.onHuge();
    diff.compose();
    std::size_t old_line = 0;
    std::size_t new_line = 0;
    for (const auto& [number, element] : diff.getSes().getSequence()) {
        if (element.type == dtl::SES_ADD) {
            edits.push_back({'+', after[new_line++]});
        } else if (element.type == dtl::SES_DELETE) {
            edits.push_back({'-', before[old_line++]});
        } else {
            edits.push_back({' ', before[old_line++]});
            ++new_line;
        }
    }
}

std::vector<Edit> edits_between(const std::vector<std::string_view>& before,
                                const std::vector<std::string_view>& after) {
    const auto [old_start, new_start] =
        std::mismatch(before.begin(), before.end(), after.begin(), after.end());
    const auto [old_tail, new_tail] =
        std::mismatch(before.rbegin(), std::make_reverse_iterator(old_start), after.rbegin(),
                      std::make_reverse_iterator(new_start));
    std::vector<Edit> edits;
    for (auto line = before.begin(); line != old_start; ++line) {
        edits.push_back({' ', *line});
    }
    add_middle(edits, {old_start, old_tail.base()}, {new_start, new_tail.base()});
    for (auto line = old_tail.base(); line != before.end(); ++line) {
        edits.push_back({' ', *line});
    }
    // Within one change everything that goes stands before everything that comes.
    for (auto at = edits.begin(); at != edits.end();) {
        const auto end = std::find_if(at, edits.end(), [](const Edit& e) { return e.mark == ' '; });
        std::stable_partition(at, end, [](const Edit& e) { return e.mark == '-'; });
        at = end == edits.end() ? end : end + 1;
    }
    return edits;
}

std::string range(std::size_t first, std::size_t count) {
    // An empty range names the line before it.
    return std::to_string(count == 0 ? first : first + 1) + "," + std::to_string(count);
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after) {
    const std::vector<Edit> edits = edits_between(lines_of(before), lines_of(after));
    const auto is_change = [](const Edit& edit) { return edit.mark != ' '; };
    std::string text;
    std::size_t old_line = 0;  // lines of each text before `at`
    std::size_t new_line = 0;
    std::size_t at = 0;
    const auto pass = [&](std::size_t to) {
        for (; at < to; ++at) {
            old_line += edits[at].mark == '+' ? 0U : 1U;
            new_line += edits[at].mark == '-' ? 0U : 1U;
        }
    };
    const auto next_change = [&](std::size_t from) {
        return static_cast<std::size_t>(
            std::find_if(edits.begin() + static_cast<std::ptrdiff_t>(from), edits.end(),
                         is_change) -
            edits.begin());
    };
    for (std::size_t change = next_change(0); change < edits.size();) {
        std::size_t end = change;
        // Changes with less than twice the context between them share a hunk.
        while (change < edits.size() && change <= end + 2 * context) {
            end = change + 1;
            change = next_change(end);
        }
        const std::size_t start = next_change(at) - std::min(context, next_change(at) - at);
        end = std::min(end + context, edits.size());
        pass(start);
        const std::size_t old_start = old_line;
        const std::size_t new_start = new_line;
        std::string body;
        for (std::size_t i = start; i < end; ++i) {
            body += edits[i].mark;
            body += edits[i].line;
            if (!edits[i].line.ends_with('\n')) {
                body += "\n\\ No newline at end of file\n";
            }
        }
        pass(end);
        text += "@@ -" + range(old_start, old_line - old_start) + " +" +
                range(new_start, new_line - new_start) + " @@\n" + body;
    }
    return text;
}

}  // namespace drunner
