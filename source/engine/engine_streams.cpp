#include "engine/engine_streams.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "engine/json_fields.hpp"
#include "engine/pull_error.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::size_t longest_message = 1U << 20U;
constexpr std::size_t tar_block = 512;

std::uint64_t count_of(const json& detail, const char* key) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(detail, key), 0));
}

}  // namespace

void LogFrames::write(Bytes bytes) {
    while (!bytes.empty()) {
        if (left_ == 0) {
            header_.at(header_size_++) = bytes.front();
            bytes = bytes.subspan(1);
            if (header_size_ == header_.size()) {
                header_size_ = 0;
                for (std::size_t i = 4; i < header_.size(); ++i) {
                    left_ = (left_ << 8U) | std::to_integer<std::uint32_t>(header_.at(i));
                }
            }
            continue;
        }
        const Bytes piece = bytes.first(std::min<std::size_t>(left_, bytes.size()));
        const bool is_error = std::to_integer<int>(header_.front()) >= 2;
        (is_error ? err_ : out_)(piece);
        left_ -= static_cast<std::uint32_t>(piece.size());
        bytes = bytes.subspan(piece.size());
    }
}

PullMessages::PullMessages(const ImageReference& reference, bool with_credentials,
                           Progress& progress)
    : reference_(reference),
      with_credentials_(with_credentials),
      activity_(progress, "pulling " + printable(reference.text())) {}

void PullMessages::write(Bytes bytes) {
    pending_ += as_text(bytes);
    std::size_t start = 0;
    for (std::size_t end = pending_.find('\n'); end != std::string::npos;
         end = pending_.find('\n', start)) {
        take(std::string_view(pending_).substr(start, end - start));
        start = end + 1;
    }
    pending_.erase(0, start);
    if (pending_.size() > longest_message) {
        throw pull_error(reference_, "the engine's answer is not a stream of messages",
                         with_credentials_);
    }
}

void PullMessages::finish() {
    take(pending_);
    if (!complete_) {
        throw pull_error(reference_, "the engine's answer ended before the image was complete",
                         with_credentials_);
    }
}

void PullMessages::take(std::string_view line) {
    line = trim(line);
    if (line.empty()) {
        return;
    }
    const json message = json::parse(line, nullptr, false);
    if (!message.is_object()) {
        throw pull_error(reference_, "the engine's answer is not a stream of messages",
                         with_credentials_);
    }
    std::string error = text_of(message, "error");
    if (error.empty()) {
        error = text_of(member(message, "errorDetail"), "message");
    }
    if (!error.empty()) {
        throw pull_error(reference_, error, with_credentials_);
    }
    const std::string status = text_of(message, "status");
    // Docker ends with a line about the image; Podman only says that the download is over.
    complete_ = complete_ || status.starts_with("Status: ") || status == "Download complete";
    const json& detail = member(message, "progressDetail");
    show(text_of(message, "id"), status, {count_of(detail, "current"), count_of(detail, "total")});
}

// Downloading is what takes the time; unpacking would count every byte twice.
void PullMessages::show(const std::string& id, const std::string& status, const Layer& downloaded) {
    if (id.empty()) {
        return;
    }
    if (status == "Downloading") {
        layers_[id] = downloaded;
    } else if (status == "Download complete" || status == "Pull complete") {
        const auto layer = layers_.find(id);
        if (layer == layers_.end()) {
            return;
        }
        layer->second.done = layer->second.total;
    } else {
        return;
    }
    Layer sum;
    for (const auto& [ignored, layer] : layers_) {
        sum.done += layer.done;
        sum.total += layer.total;
    }
    activity_.at(sum.done, sum.total);
}

void Lines::write(Bytes bytes, const std::function<void(std::string_view line)>& sink) {
    pending_ += as_text(bytes);
    std::size_t start = 0;
    for (std::size_t end = pending_.find('\n'); end != std::string::npos;
         end = pending_.find('\n', start)) {
        sink(std::string_view(pending_).substr(start, end - start));
        start = end + 1;
    }
    pending_.erase(0, start);
    if (pending_.size() > longest_message) {
        throw Error(ErrorKind::engine_refused, "the engine's answer is not a stream of lines");
    }
}

std::optional<ContainerEvent> container_event(std::string_view line) {
    const json document = json::parse(line, nullptr, false);
    if (text_of(document, "Type") != "container") {
        return std::nullopt;
    }
    const json& actor = member(document, "Actor");
    ContainerEvent event{
        text_of(document, "Action"), text_of(actor, "ID"), {}, number_of(document, "timeNano")};
    if (const json& attributes = member(actor, "Attributes"); attributes.is_object()) {
        for (const auto& [name, text] : attributes.items()) {
            event.labels[name] = text.is_string() ? text.get<std::string>() : "";
        }
    }
    return event;
}

void TarEnd::write(Bytes bytes) {
    const auto last =
        std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte b) { return b != std::byte{0}; });
    const auto zeros = static_cast<std::size_t>(last - bytes.rbegin());
    zeros_ = zeros == bytes.size() ? zeros_ + zeros : zeros;
    size_ += bytes.size();
}

bool TarEnd::complete() const {
    return zeros_ >= 2 * tar_block && size_ % tar_block == 0;
}

}  // namespace drunner
