#include "operation/review.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"
#include "fakes/world.hpp"
#include "operation/operations.hpp"

using namespace drunner;
using drunner::test::World;

namespace {

const ServiceName blog("blog");

ErrorKind kind_of(const auto& operation) {
    try {
        operation();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::usage;
}

// A machine whose operator pins scripts.
Machine pinned(World& world) {
    Machine machine = world.machine();
    machine.config.review = Review::pin;
    return machine;
}

std::string digest_of(World& world) {
    Machine machine = world.machine();
    return diff_image(machine, blog, world.reference()).digest;
}

}  // namespace

TEST_CASE("pin: no hook runs and nothing changes before somebody accepted the scripts") {
    World world;
    world.build(1);
    Machine machine = pinned(world);
    const std::string digest = digest_of(world);
    const auto before = world.state();
    CHECK(kind_of([&] {
              install(machine, {world.reference(), blog, {}});
          }) == ErrorKind::scripts_not_accepted);
    CHECK(world.scripts().called.empty());
    CHECK(world.state() == before);

    CHECK(trust(machine, blog, {digest}) == Outcome::changed);
    CHECK(trust(machine, blog, {digest}) == Outcome::unchanged);
    CHECK(install(machine, {world.reference(), blog, {}}).outcome == Outcome::changed);
}

TEST_CASE("a digest on the command line accepts these scripts, and no others, whatever REVIEW is") {
    World world;
    world.build(1);
    Machine machine = world.machine();
    machine.accept_scripts = std::string(64, '0');
    CHECK(kind_of([&] {
              install(machine, {world.reference(), blog, {}});
          }) == ErrorKind::scripts_not_accepted);
    machine.accept_scripts = digest_of(world);
    install(machine, {world.reference(), blog, {}});

    // What runs as root already needs nobody's word.
    Machine other = pinned(world);
    install(other, {world.reference(), ServiceName("second"), {}});
}

TEST_CASE("the diff of scripts") {
    const ImageFiles before{{"servicerunner", {"a\n", true}}, {"gone", {"x\n"}}, {"lib", {"l\n"}}};
    const ImageFiles after{{"servicerunner", {"a\n\tb\x1b\n", false}},
                           {"lib", {"l\n", true}},
                           {"new", {std::string("\0", 1)}},
                           {"utils.sh", {"never run\n"}}};
    const std::string text = scripts_diff(before, after);
    CHECK(
        text.starts_with("--- a/gone\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"
                         "lib: is executable now\n"
                         "binary new: sha256 - -> "));
    CHECK(
        text.ends_with("--- a/servicerunner\n+++ b/servicerunner\n@@ -1,1 +1,2 @@\n a\n"
                       "+\tb\\x1b\n"));
    CHECK(scripts_diff(after, after).empty());
}
