#include "backup/direct_io.hpp"

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

TEST_CASE("what is written past the page cache is there to the last byte") {
    const test::TemporaryDirectory directory;
    // Nothing, less than a block of the disk, whole ones, and around whole blocks of ours.
    constexpr std::size_t ours = AlignedBlock::capacity;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4095},
                                   std::size_t{4096}, ours - 1, ours, ours + 1, 3 * ours + 4097}) {
        CAPTURE(size);
        const std::string path = directory.path() + "/" + std::to_string(size);
        const FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        const std::string text = test::numbers(size);
        DirectWriter writer(fd.get(), path);
        test::write_in_parts(writer, text);
        writer.finish();
        CHECK(sha256_of_file(path) == sha256_hex(as_bytes(text)));
        CHECK((fcntl(fd.get(), F_GETFL) & O_DIRECT) == 0);
    }
}

TEST_CASE("a full disk is told of with the file's name") {
    const FileDescriptor fd(open("/dev/full", O_WRONLY | O_CLOEXEC));
    DirectWriter writer(fd.get(), "/somewhere/file");
    writer.write(as_bytes(test::numbers(5000)));
    CHECK_THROWS_WITH(writer.finish(), doctest::Contains("cannot write '/somewhere/file'"));
}
