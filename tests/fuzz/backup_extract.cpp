#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>

#include "fakes/tree_listing.hpp"
#include "unit/backup/hand_made_backup.hpp"

// A backup of members that a stranger chose, right in all its sums, is extracted: an Error or an
// end, and nothing changed around the target.

namespace {

using namespace drunner;
using namespace drunner::test;

std::string some_name(FuzzedDataProvider& input) {
    constexpr const char* parts[] = {"volumes/1", "/a", "/b",   "/..",     "/.",   "/",
                                     "/d",        "/l", "/tmp", "volumes", "../x", "drunner/hook"};
    std::string name = input.ConsumeBool() ? "volumes/1" : "";
    for (int i = input.ConsumeIntegralInRange(0, 4); i > 0; --i) {
        name += input.ConsumeBool() ? input.PickValueInArray(parts)
                                    : input.ConsumeRandomLengthString(8).c_str();
    }
    return name;
}

std::string some_records(FuzzedDataProvider& input) {
    constexpr const char* keys[] = {"path",
                                    "linkpath",
                                    "size",
                                    "uid",
                                    "mtime",
                                    "SCHILY.xattr.user.a",
                                    "SCHILY.xattr.security.capability",
                                    "SCHILY.acl.access",
                                    "SCHILY.acl.default",
                                    "GNU.sparse.major",
                                    "GNU.sparse.minor",
                                    "GNU.sparse.name",
                                    "GNU.sparse.realsize",
                                    "hdrcharset"};
    std::string records;
    for (int i = input.ConsumeIntegralInRange(0, 5); i > 0; --i) {
        const char* key = input.PickValueInArray(keys);
        records += pax_record(
            key, input.ConsumeBool() ? some_name(input) : input.ConsumeRandomLengthString(40));
    }
    return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider input(data, size);
    std::string members = root;
    for (int i = 0; i < 20 && input.remaining_bytes() > 0; ++i) {
        const std::string records = some_records(input);
        TarMember member;
        member.type = input.PickValueInArray({'0', '1', '2', '3', '4', '5', '6', '7', 'x', 'L'});
        member.name = some_name(input) + (member.type == '5' ? "/" : "");
        member.link = some_name(input);
        member.mode = input.ConsumeIntegralInRange(0U, 07777U);
        member.content = input.ConsumeRandomLengthString(700);
        members += (records.empty() ? "" : pax_member(records)) + tar_member(member);
    }
    static const ScratchDirectory scratch;
    static const std::string beside = scratch.make("beside");
    static const std::vector<std::string> before = tree_listing(beside);
    const std::string target = scratch.make("target");
    try {
        extract_bytes(hand_made(members), into(target));
    } catch (const Error&) {
    }
    if (!remove_tree(target) || directory_entries(scratch.path()).size() != 1 ||
        tree_listing(beside) != before) {
        std::abort();
    }
    return 0;
}
