#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fakes/fake_image.hpp"

namespace drunner::test {

// Tars as the archive endpoints speak them, in memory. Names are relative.
std::string packed(const FakeFiles& files);

// The members in order, hard links as copies of what they name. Throws Error(engine_refused) for
// what is no tar, as an engine would.
std::vector<std::pair<std::string, FakeFile>> members_of(const std::string& tar);

// The same by name, directories without the slash at their end.
FakeFiles unpacked(const std::string& tar);

// "/a//b/." -> "/a/b".
std::string normalised(std::string_view path);

}  // namespace drunner::test
