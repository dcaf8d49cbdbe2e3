#include "archive/turned_stream.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "core/error.hpp"

using namespace drunner;

namespace {

std::string sample(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>(i * 2654435761U >> 13U);
    }
    return text;
}

void push_in_parts(const std::string& text, const ByteSink& sink, std::size_t part) {
    for (std::size_t at = 0; at < text.size(); at += part) {
        sink(as_bytes(text).subspan(at, std::min(part, text.size() - at)));
    }
}

std::string read_all(const ByteSource& source, std::size_t part) {
    std::string text;
    std::vector<std::byte> buffer(part);
    while (const std::size_t got = source(buffer)) {
        text += as_text(Bytes(buffer).first(got));
    }
    return text;
}

}  // namespace

TEST_CASE("what a call pushes can be pulled, in parts of any size") {
    const std::string text = sample(1'000'003);
    for (const std::size_t pushed : {7UL, 65'536UL, 700'000UL}) {
        for (const std::size_t pulled : {1'000UL, 262'144UL, 2'000'000UL}) {
            PulledStream stream([&](const ByteSink& sink) { push_in_parts(text, sink, pushed); });
            CHECK(read_all([&](auto buffer) { return stream.read(buffer); }, pulled) == text);
            std::array<std::byte, 1> more{};
            CHECK(stream.read(more) == 0);
        }
    }
}

TEST_CASE("a call that fails while it pushes: what came before, then its error") {
    PulledStream stream([](const ByteSink& sink) {
        sink(as_bytes("abc"));
        throw Error(ErrorKind::engine_unreachable, "it went away");
    });
    std::array<std::byte, 3> buffer{};
    std::size_t got = 0;
    while (got < 3) {
        got += stream.read(std::span(buffer).subspan(got));
    }
    CHECK_THROWS_WITH_AS(stream.read(buffer), "it went away", Error);
}

TEST_CASE("a pushing call that nobody reads to its end is ended") {
    bool ended = false;
    {
        PulledStream stream([&](const ByteSink& sink) {
            try {
                while (true) {
                    sink(as_bytes(std::string(100'000, 'x')));
                }
            } catch (const Error&) {
                ended = true;
                throw;
            }
        });
        std::array<std::byte, 10> buffer{};
        stream.read(buffer);
    }
    CHECK(ended);
}

TEST_CASE("what is pushed can be pulled by a call, to its end") {
    const std::string text = sample(1'000'003);
    std::string taken;
    PushedStream stream([&](const ByteSource& source) { taken = read_all(source, 1'000); });
    push_in_parts(
        text, [&](Bytes bytes) { stream.write(bytes); }, 300'000);
    stream.finish();
    CHECK(taken == text);
}

TEST_CASE("a pulling call that fails is told at the next write, and at the end") {
    const auto failing = [](const ByteSource& source) {
        std::array<std::byte, 4> buffer{};
        source(buffer);
        throw Error(ErrorKind::no_space, "it is full");
    };
    PushedStream written(failing);
    CHECK_THROWS_WITH_AS(
        {
            while (true) {
                written.write(as_bytes(std::string(100'000, 'x')));
            }
        },
        "it is full", Error);
    PushedStream finished(failing);
    finished.write(as_bytes("x"));
    CHECK_THROWS_WITH_AS(finished.finish(), "it is full", Error);
}

TEST_CASE("a call that returns before the end of what is pushed has not taken it") {
    PushedStream stream([](const ByteSource& source) {
        std::array<std::byte, 4> buffer{};
        source(buffer);
    });
    stream.write(as_bytes("abcdefgh"));
    CHECK_THROWS_WITH_AS(stream.finish(), "a stream was not taken to its end", Error);
}

TEST_CASE("a stream that is given up never ends for the call that pulls it") {
    std::optional<ErrorKind> told;
    {
        PushedStream stream([&](const ByteSource& source) {
            try {
                read_all(source, 100);
            } catch (const Error& error) {
                told = error.kind();
                throw;
            }
        });
        stream.write(as_bytes("half of it"));
    }
    CHECK(told == ErrorKind::interrupted);
}
