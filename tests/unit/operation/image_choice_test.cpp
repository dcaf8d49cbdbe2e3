#include "operation/image_choice.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"
#include "fakes/world.hpp"

namespace drunner::test {
namespace {

const ImageReference reference("127.0.0.1:5000/team/app:1");

FakeImage version(int number) {
    FakeImage image;
    image.user = "1000:1000";
    image.environment = {"VERSION=" + std::to_string(number)};
    return image;
}

// A world whose registry has the first version, pulled and installed.
struct Published {
    Published() {
        world.registry().publish(reference.text(), version(1));
        Machine machine = world.machine();
        const ImageChoice first = choose_image(machine, {reference, PullPolicy::automatic, {}, {}});
        installed = first.image.id;
        CHECK(first.pulled);
    }

    ImageChoice choose(PullPolicy policy = PullPolicy::automatic) {
        Machine machine = world.machine();
        return choose_image(machine, {reference, policy, installed, {installed}});
    }
    std::size_t asked() const { return world.registry().asked().size(); }
    std::size_t pulls() const {
        std::size_t count = 0;
        for (const std::string& call : world.engine().calls()) {
            count += call.starts_with("pull_image") ? 1U : 0U;
        }
        return count;
    }

    mutable World world;
    std::string installed;
};

ErrorKind failure_of(Published& published, PullPolicy policy = PullPolicy::automatic) {
    try {
        published.choose(policy);
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::usage;
}

}  // namespace

TEST_CASE("an image whose tag did not move: one question, no pull, the installed image") {
    Published published;
    const ImageChoice choice = published.choose();
    CHECK(choice.image.id == published.installed);
    CHECK_FALSE(choice.pulled);
    CHECK(published.asked() == 1);
    CHECK(published.pulls() == 1);
}

TEST_CASE("a push to the registry is pulled") {
    Published published;
    published.world.registry().publish(reference.text(), version(2));
    const ImageChoice choice = published.choose();
    CHECK(choice.image.id == fake_image_id(version(2)));
    CHECK(choice.pulled);
}

TEST_CASE("a local rebuild of the same tag is taken, and no registry is asked") {
    Published published;
    const std::string rebuilt = published.world.engine().add_image(reference.text(), version(3));
    const ImageChoice choice = published.choose();
    CHECK(choice.image.id == rebuilt);
    CHECK_FALSE(choice.pulled);
    CHECK(published.asked() == 0);
}

TEST_CASE("an image that no registry ever had is local: nobody is asked") {
    World world;
    const ImageReference local("app");
    Machine machine = world.machine();
    const std::string id = world.engine().find_image("app")->id;
    CHECK(choose_image(machine, {local, PullPolicy::automatic, id, {}}).image.id == id);
    CHECK(world.registry().asked().empty());
}

TEST_CASE("an image that is called localhost/ was built here, whatever digests it has") {
    Published published;
    const ImageReference local("localhost/app");
    published.world.registry().publish(local.text(), version(5));
    published.world.engine().pull_image(local, {}, published.world.progress());
    Machine machine = published.world.machine();
    const std::string id = fake_image_id(version(5));
    CHECK(choose_image(machine, {local, PullPolicy::automatic, id, {id}}).image.id == id);
    CHECK(published.asked() == 0);
}

TEST_CASE("a pull by hand is taken as it is") {
    Published published;
    published.world.registry().publish(reference.text(), version(4));
    published.world.engine().pull_image(reference, {}, published.world.progress());
    const ImageChoice choice = published.choose();
    CHECK(choice.image.id == fake_image_id(version(4)));
    CHECK_FALSE(choice.pulled);
}

TEST_CASE("what the registry fails to say is an error, unless the image never came from it") {
    using Verdict = ManifestAnswer::Verdict;
    const struct {
        Verdict verdict;
        ErrorKind kind;
    } rows[]{{Verdict::unreachable, ErrorKind::registry_unreachable},
             {Verdict::denied, ErrorKind::registry_denied},
             {Verdict::not_found, ErrorKind::image_not_found}};
    for (const auto& row : rows) {
        Published published;
        published.world.registry().answer(reference.domain(), row.verdict);
        CHECK(failure_of(published) == row.kind);
        if (row.verdict != Verdict::unreachable) {
            Machine machine = published.world.machine();
            CHECK(choose_image(machine, {reference, PullPolicy::automatic, published.installed, {}})
                      .image.id == published.installed);
        }
    }
}

TEST_CASE("the other pull policies") {
    Published published;
    published.world.registry().publish(reference.text(), version(2));
    CHECK(published.choose(PullPolicy::never).image.id == published.installed);
    CHECK(published.choose(PullPolicy::missing).image.id == published.installed);
    CHECK(published.asked() == 0);
    CHECK(published.choose(PullPolicy::always).image.id == fake_image_id(version(2)));

    Machine machine = published.world.machine();
    const ImageReference absent("127.0.0.1:5000/team/absent");
    CHECK_THROWS_AS(choose_image(machine, {absent, PullPolicy::never, {}, {}}), Error);
    CHECK_THROWS_AS(choose_image(machine, {absent, PullPolicy::automatic, {}, {}}), Error);
}

}  // namespace drunner::test
