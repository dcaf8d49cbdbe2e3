#pragma once

#include <stdlib.h>

#include <cstddef>

namespace drunner::test {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DRUNNER_TEST_SANITIZED
#endif
#endif

// Says of each case of a matrix whether it is tried. All are; but the sanitizers make a case six
// times as slow and look for other mistakes than the matrix does, so with them it is every third,
// unless DRUNNER_ALL=1 asks for all.
class Sampling {
  public:
    bool takes() { return number_++ % stride_ == 0; }

  private:
#ifdef DRUNNER_TEST_SANITIZED
    std::size_t stride_ = getenv("DRUNNER_ALL") == nullptr ? 3 : 1;
#else
    std::size_t stride_ = 1;
#endif
    std::size_t number_ = 0;
};

}  // namespace drunner::test
