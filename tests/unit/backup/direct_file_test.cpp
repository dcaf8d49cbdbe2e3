#include "backup/direct_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "archive/digest.hpp"
#include "core/bytes.hpp"
#include "fakes/numbers.hpp"
#include "fakes/temporary_directory.hpp"
#include "host/file.hpp"

using namespace drunner;

namespace {

FileDescriptor create(const std::string& path) {
    return FileDescriptor(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

}  // namespace

TEST_CASE("a file that is read again while it is written holds what was written") {
    const test::TemporaryDirectory directory;
    // Nothing, less than a block, whole blocks, and more than two steps.
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1000}, std::size_t{2} << 20U, (std::size_t{70} << 20U) + 1}) {
        CAPTURE(size);
        const std::string path = directory.path() + "/" + std::to_string(size);
        const FileDescriptor fd = create(path);
        const std::string text = test::numbers(size);
        DirectFile file(fd.get(), path);
        test::write_in_parts(file, text);
        file.finish();
        CHECK(sha256_of_file(path) == sha256_hex(as_bytes(text)));
    }
}

TEST_CASE("a file that changes on the disk while it is written does not read back") {
    const test::TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    const FileDescriptor fd = create(path);
    const std::string text = test::numbers(std::size_t{4} << 20U);
    DirectFile file(fd.get(), path);
    file.write(as_bytes(text));
    // The first block is in the file when the third was taken.
    const FileDescriptor other(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(pwrite(other.get(), "x", 1, 100) == 1);
    CHECK_THROWS_WITH(file.finish(), doctest::Contains("does not read back as it was written"));
}
