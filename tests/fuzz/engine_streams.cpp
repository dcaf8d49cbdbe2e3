#include "engine/engine_streams.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.hpp"
#include "fakes/silent_progress.hpp"

// Any bytes as what the engine streams: a log, the messages of a pull, a tar. The answer must not
// depend on where the parts end.

namespace {

using namespace drunner;

template <class Take>
void in_parts(const std::string& text, std::size_t part, const Take& take) {
    for (std::size_t at = 0; at < text.size(); at += part) {
        take(as_bytes(std::string_view(text).substr(at, part)));
    }
}

std::string log_of(const std::string& text, std::size_t part) {
    std::string out;
    std::string err;
    const ByteSink to_out = [&](Bytes bytes) { out += as_text(bytes); };
    const ByteSink to_err = [&](Bytes bytes) { err += as_text(bytes); };
    LogFrames frames(to_out, to_err);
    in_parts(text, part, [&](Bytes bytes) { frames.write(bytes); });
    return out + "|" + err + (frames.complete() ? "|" : "");
}

std::string pull_of(const std::string& text, std::size_t part) {
    const ImageReference reference("team/app:1");
    test::SilentProgress progress;
    PullMessages messages(reference, false, progress);
    try {
        in_parts(text, part, [&](Bytes bytes) { messages.write(bytes); });
        messages.finish();
    } catch (const Error& error) {
        return error.what();
    }
    return "complete";
}

bool tar_ends(const std::string& text, std::size_t part) {
    TarEnd end;
    in_parts(text, part, [&](Bytes bytes) { end.write(bytes); });
    return end.complete();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t part = std::size_t{data[0]} + 1;
    const std::size_t whole = std::max<std::size_t>(text.size(), 1);
    if (log_of(text, part) != log_of(text, whole) || pull_of(text, part) != pull_of(text, whole) ||
        tar_ends(text, part) != tar_ends(text, whole)) {
        std::abort();
    }
    return 0;
}
