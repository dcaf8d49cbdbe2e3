#include "service/audit_trail.hpp"

#include <doctest/doctest.h>

#include <regex>

#include "archive/digest.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

AuditEntry entry_of(int number) {
    AuditEntry entry;
    entry.at = "2026-01-02T03:04:05+00:00";
    entry.caller = {0, "alice"};
    entry.version = "1.0";
    entry.command = "update";
    entry.words = {"blog"};
    entry.options = {"--image=blog:" + std::to_string(number)};
    entry.services = {{"blog", AuditedState{1, "blog:1", "sha256:1", "", "s"}, std::nullopt}};
    entry.milliseconds = number;
    entry.exit_code = 1;
    entry.kind = "script-failed";
    entry.rolled_back = true;
    return entry;
}

class Trail {
  public:
    Trail() : paths_(scratch_.path()), trail_(paths_) {}
    const AuditTrail* operator->() const { return &trail_; }
    std::string file(const std::string& name = "audit.log") const {
        return paths_.log_directory() + "/" + name;
    }
    std::string fault() const {
        const auto found = trail_.verify().fault;
        return found ? base_name(found->file) + ":" + std::to_string(found->line) : "";
    }

  private:
    Scratch scratch_;
    Paths paths_;
    AuditTrail trail_;
};

}  // namespace

TEST_CASE("what is added comes back in order, each line sealed as anybody can compute it") {
    const Trail trail;
    CHECK(trail->entries().empty());
    CHECK(trail->verify().digests.empty());
    trail->add(entry_of(1));
    trail->add(entry_of(2));
    CHECK(trail->entries() == std::vector{entry_of(1), entry_of(2)});
    CHECK(trail.fault().empty());
    const std::vector<std::string> lines = split(read_file(trail.file()), '\n');
    const std::regex form(R"re((\{.*,"previous":"([0-9a-f]{64})"),"sha256":"([0-9a-f]{64})"\})re");
    std::string previous(64, '0');
    for (std::size_t i = 0; i < 2; ++i) {
        std::smatch match;
        REQUIRE(std::regex_match(lines[i], match, form));
        CHECK(match[2] == previous);
        CHECK(match[3] == sha256_hex(as_bytes(match[1].str())));
        previous = match[3];
        CHECK(trail->verify().digests[i] == previous);
    }
}

TEST_CASE("every edited byte, dropped line and swapped pair is found, and its line is named") {
    const Trail trail;
    for (int i = 1; i <= 4; ++i) {
        trail->add(entry_of(i));
    }
    const std::string whole = read_file(trail.file());
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string edited = whole;
        edited[at] = whole[at] == 'x' ? 'y' : 'x';
        write_file(trail.file(), edited);
        const std::size_t line =
            1 + static_cast<std::size_t>(
                    std::count(whole.begin(), whole.begin() + static_cast<long>(at), '\n'));
        // Without its '\n' the last line is what a power cut leaves of one.
        const bool cuts_the_last = at + 1 == whole.size();
        CAPTURE(at);
        CHECK(trail.fault() == (cuts_the_last ? "" : "audit.log:" + std::to_string(line)));
    }
    std::vector<std::string> lines = split(whole, '\n');
    write_file(trail.file(), lines[0] + "\n" + lines[2] + "\n" + lines[3] + "\n");
    CHECK(trail.fault() == "audit.log:2");
    write_file(trail.file(), lines[0] + "\n" + lines[2] + "\n" + lines[1] + "\n" + lines[3] + "\n");
    CHECK(trail.fault() == "audit.log:2");
    write_file(trail.file(), lines[1] + "\n" + lines[2] + "\n");
    CHECK(trail.fault() == "audit.log:1");
    write_file(trail.file(), whole);
    CHECK(trail.fault().empty());
}

TEST_CASE("what is added behind an edited line does not heal the chain, nor does it lose the new") {
    const Trail trail;
    trail->add(entry_of(1));
    write_file(trail.file(), "nonsense\n");
    trail->add(entry_of(2));
    trail->add(entry_of(3));
    CHECK(trail.fault() == "audit.log:1");
    CHECK(trail->entries() == std::vector{entry_of(2), entry_of(3)});
}

TEST_CASE("what a power cut left of a line goes, and the chain holds") {
    const Trail trail;
    trail->add(entry_of(1));
    write_file(trail.file(), read_file(trail.file()) + R"({"at":"2026)");
    CHECK(trail.fault().empty());
    trail->add(entry_of(2));
    CHECK(trail.fault().empty());
    CHECK(trail->entries().size() == 2);
}

TEST_CASE("the chain goes on from a full file to the next one") {
    const Trail trail;
    AuditEntry large = entry_of(1);
    large.words.assign(3, std::string(400'000, 'w'));
    trail->add(large);
    trail->add(entry_of(2));
    trail->add(large);
    trail->add(entry_of(3));
    CHECK(exists(trail.file("audit-000001.log")));
    CHECK(exists(trail.file("audit-000002.log")));
    CHECK(trail.fault().empty());
    CHECK(trail->entries().size() == 4);
    // The oldest may go; one from the middle may not.
    remove_tree(trail.file("audit-000001.log"));
    CHECK(trail.fault().empty());
    trail->add(large);
    trail->add(entry_of(4));
    REQUIRE(exists(trail.file("audit-000003.log")));
    trail->add(large);
    trail->add(entry_of(5));
    remove_tree(trail.file("audit-000003.log"));
    CHECK(trail.fault() == "audit-000004.log:1");
}
