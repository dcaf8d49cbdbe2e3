#pragma once

#include <string>
#include <vector>

namespace drunner {

// What exec and posix_spawn take for argv and envp: valid as long as the texts stay as they are.
inline std::vector<char*> exec_pointers(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace drunner
