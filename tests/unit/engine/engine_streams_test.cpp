#include "engine/engine_streams.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "core/error.hpp"
#include "engine/json_fields.hpp"
#include "fakes/silent_progress.hpp"

using namespace drunner;

namespace {

std::string frame(char stream, const std::string& text) {
    return std::string{stream, 0, 0, 0, 0, 0, 0, static_cast<char>(text.size())} + text;
}

std::string pull(const std::string& text, std::size_t part = 5) {
    const ImageReference reference("team/app:1");
    test::SilentProgress progress;
    PullMessages messages(reference, false, progress);
    try {
        for (std::size_t at = 0; at < text.size(); at += part) {
            messages.write(as_bytes(std::string_view(text).substr(at, part)));
        }
        messages.finish();
    } catch (const Error& error) {
        return error.what();
    }
    return "complete";
}

const std::string status_line = "{\"status\":\"Status: Downloaded newer image\"}\n";

}  // namespace

TEST_CASE("a log's frames are parted wherever they are cut") {
    const std::string log = frame(1, "one\n") + frame(2, "two\n") + frame(1, "") + frame(1, "3");
    for (std::size_t part = 1; part <= log.size(); ++part) {
        std::string out;
        std::string err;
        const ByteSink to_out = [&](Bytes bytes) { out += as_text(bytes); };
        const ByteSink to_err = [&](Bytes bytes) { err += as_text(bytes); };
        LogFrames frames(to_out, to_err);
        for (std::size_t at = 0; at < log.size(); at += part) {
            frames.write(as_bytes(std::string_view(log).substr(at, part)));
        }
        CHECK(out == "one\n3");
        CHECK(err == "two\n");
        CHECK(frames.complete());
        frames.write(as_bytes(std::string_view("\1\0\0", 3)));
        CHECK_FALSE(frames.complete());
    }
}

TEST_CASE("a pull's figures are whole numbers, or none") {
    for (const char* odd : {"5", "1e300", "-1", "-1e300", "\"5\"", "null", "[]", "0.5"}) {
        CAPTURE(std::string(odd));
        const std::string detail = "{\"current\":" + std::string(odd) + ",\"total\":9}";
        CHECK(number_of(nlohmann::json::parse(detail), "current") == (std::string(odd) == "5" ? 5
                                                                      : std::string(odd) == "-1"
                                                                          ? -1
                                                                          : 0));
        CHECK(pull("{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":" + detail + "}\n" +
                   status_line) == "complete");
    }
}

TEST_CASE("a pull that ends without saying that it is complete has failed") {
    CHECK(pull("").find("ended before the image was complete") != std::string::npos);
    CHECK(pull("{\"status\":\"Pulling\"}\n").find("ended before") != std::string::npos);
    CHECK(pull("{\"error\":\"no such\"}\n" + status_line).find("no such") != std::string::npos);
    for (const std::string& text : {std::string("[]\n"), std::string("{\n"), std::string("\xff\n"),
                                    std::string(3U << 20U, 'x')}) {
        CHECK(pull(text + status_line, 100'000).find("not a stream of messages") !=
              std::string::npos);
    }
}

TEST_CASE("a tar's end is two blocks of zeros, in however many parts") {
    const std::string tar = std::string(512, 'x') + std::string(1024, '\0');
    for (const std::size_t part : {1U, 7U, 512U, 1536U}) {
        TarEnd end;
        for (std::size_t at = 0; at < tar.size(); at += part) {
            CHECK_FALSE(end.complete());
            end.write(as_bytes(std::string_view(tar).substr(at, part)));
        }
        CHECK(end.complete());
        end.write(as_bytes("error"));
        CHECK_FALSE(end.complete());
    }
}
