#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/image_reference.hpp"
#include "operation/machine.hpp"

namespace drunner {

// One thing that a service has to live through.
struct TestStep {
    enum class Verdict { passed, failed, skipped };

    std::string name;
    int level = 0;  // what an image that fails here does not reach
    Verdict verdict = Verdict::passed;
    std::string why;     // of a failure, with what was printed; of a skip
    double seconds = 0;  // how long it took
};

struct TestReport {
    std::string reference;
    std::vector<TestStep> steps;
    std::vector<std::string> rules;  // ids of the rules that checkimage finds broken
    int rules_level = -1;            // what checkimage says
    int level = -1;  // that, below every step that failed; -1: not even the contract
    bool passed() const;
};

struct TestRequest {
    ImageReference image;
    std::optional<ImageReference> from;  // a release to update from
    std::function<void(const TestStep&)> on_step = {};
};

// Lives a service's whole life with the image: this very program, called as an operator would call
// it, in a prefix and under names of its own, which are gone afterwards. Needs `docker` on PATH,
// for the image whose update fails. A step that fails is no error; the scripts of both images pass
// review_scripts before anything of them runs.
TestReport test_image(Machine& machine, const TestRequest& request);

// Removes what tests that were killed left: their services with all data, and their prefixes.
// Answers their names. One that goes on stays.
std::vector<std::string> remove_abandoned_tests(Machine& machine);

}  // namespace drunner
