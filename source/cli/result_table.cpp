#include "cli/result_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.hpp"

namespace drunner {

std::string result_table(const std::vector<ResultRow>& rows, const std::string& title,
                         const std::string& none) {
    if (rows.empty()) {
        return none + "\n";
    }
    std::size_t width = title.size();
    for (const ResultRow& row : rows) {
        width = std::max(width, row.name.size());
    }
    std::string text = fmt::format("{:<{}}  {:<13}\n", title, width, "RESULT");
    for (const ResultRow& row : rows) {
        const std::string what =
            row.what.empty() ? std::string() : printable(split(row.what, '\n').front());
        text += what.empty()
                    ? fmt::format("{:<{}}  {}\n", row.name, width, row.result)
                    : fmt::format("{:<{}}  {:<13}  {}\n", row.name, width, row.result, what);
    }
    return text;
}

}  // namespace drunner
