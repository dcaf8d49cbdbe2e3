#include "backup/age.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::string_view version_line = "age-encryption.org/v1\n";
constexpr std::string_view x25519_info = "age-encryption.org/v1/X25519";
constexpr std::string_view scrypt_label = "age-encryption.org/v1/scrypt";
constexpr std::size_t chunk_size = std::size_t{64} * 1024;
constexpr std::size_t sealed_chunk_size = chunk_size + ChaChaPoly::tag_size;
constexpr std::size_t wrapped_key_size = 16 + ChaChaPoly::tag_size;
constexpr std::size_t body_columns = 64;
// Thousands of recipients fit; what is longer is no header.
constexpr std::size_t header_limit = std::size_t{1} << 20U;

using FileKey = std::array<std::byte, 16>;
using PayloadNonce = std::array<std::byte, 16>;

[[noreturn]] void damaged(std::string_view why) {
    throw Error(ErrorKind::archive_damaged, fmt::format("the encrypted file is damaged: {}", why));
}

Bytes joined(std::string& buffer, std::string_view a, std::string_view b) {
    buffer.assign(a).append(b);
    return as_bytes(buffer);
}

Key32 header_mac(const FileKey& file_key, std::string_view header) {
    Key32 key = hkdf_sha256(file_key, {}, "header");
    const Key32 mac = hmac_sha256(key, as_bytes(header));
    wipe(key);
    return mac;
}

Key32 payload_key(const FileKey& file_key, const PayloadNonce& nonce) {
    return hkdf_sha256(file_key, nonce, "payload");
}

Key32 x25519_wrap_key(const Key32& shared, const Key32& share, const Key32& recipient) {
    std::string salt;
    return hkdf_sha256(shared, joined(salt, as_text(share), as_text(recipient)), x25519_info);
}

Key32 scrypt_wrap_key(const Secret& password, std::string_view salt, int work_factor) {
    std::string labelled;
    return scrypt(password.reveal(), joined(labelled, scrypt_label, salt), work_factor);
}

std::string stanza(std::string_view arguments, const Key32& wrap_key, const FileKey& file_key) {
    std::array<std::byte, wrapped_key_size> body{};
    ChaChaPoly(wrap_key).seal({}, file_key, body.data());
    // 32 bytes make 43 columns: the short line that ends a body.
    return fmt::format("-> {}\n{}\n", arguments, base64_encode(body));
}

// Counts the chunks of a payload: eleven bytes, big endian, then whether it is the last.
class ChunkNonce {
  public:
    ChaChaPoly::Nonce next(bool last) {
        ChaChaPoly::Nonce nonce{};
        for (unsigned i = 0; i < 8; ++i) {
            nonce[10 - i] = static_cast<std::byte>(count_ >> 8U * i);
        }
        nonce[11] = std::byte{static_cast<unsigned char>(last ? 1 : 0)};
        ++count_;
        return nonce;
    }
    bool at_first() const { return count_ == 0; }

  private:
    std::uint64_t count_ = 0;
};

struct Stanza {
    std::vector<std::string> arguments;
    std::string body;
};

struct Header {
    std::vector<Stanza> stanzas;
    std::string text;  // what the MAC covers
    std::string mac;
};

// Reads a header byte by byte out of a buffer that it fills from the source.
class HeaderReader {
  public:
    HeaderReader(const ByteSource& source, std::string& buffer)
        : source_(source), buffer_(buffer) {}

    Header read() {
        Header header;
        if (line() != version_line.substr(0, version_line.size() - 1)) {
            damaged("it is not of age's version 1");
        }
        while (true) {
            const std::size_t start = position_;
            const std::string_view text = line();
            if (text.starts_with("---")) {
                if (header.stanzas.empty()) {
                    damaged("its header names no recipient");
                }
                header.text = buffer_.substr(0, start + 3);
                header.mac = mac(text);
                buffer_.erase(0, position_);
                return header;
            }
            header.stanzas.push_back(stanza(text));
        }
    }

  private:
    // Without its line feed; good until the next call.
    std::string_view line() {
        std::size_t searched = position_;
        while (true) {
            const std::size_t end = buffer_.find('\n', searched);
            if (end != std::string::npos) {
                const std::size_t start = std::exchange(position_, end + 1);
                return std::string_view(buffer_).substr(start, end - start);
            }
            searched = buffer_.size();
            if (buffer_.size() > header_limit) {
                damaged("its header is too long");
            }
            std::array<std::byte, 4096> block{};
            const std::size_t got = source_(block);
            if (got == 0) {
                damaged("it ends within its header");
            }
            buffer_ += as_text(Bytes(block).first(got));
        }
    }

    static std::string mac(std::string_view text) {
        const std::optional<std::string> decoded =
            text.starts_with("--- ") ? base64_decode(text.substr(4)) : std::nullopt;
        if (!decoded || decoded->size() != Key32{}.size()) {
            damaged("its header does not end as it must");
        }
        return *decoded;
    }

    Stanza stanza(std::string_view first) {
        Stanza result;
        if (!first.starts_with("-> ")) {
            damaged("its header has a line that is no recipient");
        }
        result.arguments = split(first.substr(3), ' ');
        for (const std::string& argument : result.arguments) {
            if (argument.empty() || std::any_of(argument.begin(), argument.end(),
                                                [](char c) { return c < 33 || c > 126; })) {
                damaged("a recipient in its header is malformed");
            }
        }
        while (true) {
            const std::string_view text = line();
            const std::optional<std::string> decoded = base64_decode(text);
            if (!decoded || text.size() > body_columns) {
                damaged("a recipient's body in its header is malformed");
            }
            result.body += *decoded;
            if (text.size() < body_columns) {
                return result;
            }
        }
    }

    const ByteSource& source_;
    std::string& buffer_;
    std::size_t position_ = 0;
};

std::optional<FileKey> unwrap(const Key32& wrap_key, const Stanza& stanza) {
    FileKey key{};
    if (!ChaChaPoly(wrap_key).open({}, as_bytes(stanza.body), key.data())) {
        return std::nullopt;
    }
    return key;
}

void check_body(const Stanza& stanza) {
    if (stanza.body.size() != wrapped_key_size) {
        damaged("a wrapped key in its header has a wrong length");
    }
}

int work_factor_of(const std::string& text) {
    if (text.empty() || text.size() > 3 || text.front() == '0' ||
        text.find_first_not_of("0123456789") != std::string::npos) {
        damaged("the work factor in its header is malformed");
    }
    const int factor = std::stoi(text);
    if (factor > age_work_factor_limit) {
        damaged(fmt::format("its work factor {} is over the limit of {}", factor,
                            age_work_factor_limit));
    }
    return factor;
}

FileKey unwrap_by_password(const Stanza& stanza, const Secret& password) {
    if (stanza.arguments.size() != 3) {
        damaged("the scrypt recipient in its header is malformed");
    }
    const std::optional<std::string> salt = base64_decode(stanza.arguments[1]);
    if (!salt || salt->size() != 16) {
        damaged("the salt in its header is malformed");
    }
    const int work_factor = work_factor_of(stanza.arguments[2]);
    check_body(stanza);
    if (password.empty()) {
        throw Error(ErrorKind::wrong_password, "the file is encrypted with a password",
                    "set PASS or give --password-file FILE");
    }
    const std::optional<FileKey> key =
        unwrap(scrypt_wrap_key(password, *salt, work_factor), stanza);
    if (!key) {
        throw Error(ErrorKind::wrong_password,
                    "the password does not open the file, or its header is damaged",
                    "set PASS or give --password-file FILE");
    }
    return *key;
}

std::optional<FileKey> unwrap_by_identity(const Stanza& stanza, const Key32& identity) {
    Key32 share{};
    std::memcpy(share.data(), base64_decode(stanza.arguments[1])->data(), share.size());
    const std::optional<Key32> shared = x25519(identity, share);
    if (!shared) {
        damaged("a recipient in its header has a share of low order");
    }
    return unwrap(x25519_wrap_key(*shared, share, x25519_public(identity)), stanza);
}

void check_x25519(const Stanza& stanza) {
    if (stanza.arguments.size() != 2) {
        damaged("an X25519 recipient in its header is malformed");
    }
    const std::optional<std::string> share = base64_decode(stanza.arguments[1]);
    if (!share || share->size() != Key32{}.size()) {
        damaged("the share of a recipient in its header is malformed");
    }
    check_body(stanza);
}

FileKey unwrap_file_key(const Header& header, const Secret& password,
                        const std::vector<Key32>& identities) {
    for (const Stanza& stanza : header.stanzas) {
        if (stanza.arguments.front() == "scrypt") {
            if (header.stanzas.size() != 1) {
                damaged("its header has a password beside other recipients");
            }
            return unwrap_by_password(stanza, password);
        }
    }
    for (const Stanza& stanza : header.stanzas) {
        if (stanza.arguments.front() == "X25519") {
            check_x25519(stanza);
        }
    }
    for (const Stanza& stanza : header.stanzas) {
        if (stanza.arguments.front() != "X25519") {
            continue;
        }
        for (const Key32& identity : identities) {
            if (const std::optional<FileKey> key = unwrap_by_identity(stanza, identity)) {
                return *key;
            }
        }
    }
    throw Error(ErrorKind::wrong_password,
                identities.empty()
                    ? "the file is encrypted for age recipients"
                    : "none of the identities opens the file, or its header is damaged",
                "give --identity FILE");
}

FileKey random_file_key() {
    FileKey key{};
    fill_random(key);
    return key;
}

}  // namespace

struct AgeEncryptor::State {
    ByteSink sink;
    std::unique_ptr<ChaChaPoly> cipher;
    ChunkNonce nonce;
    std::vector<std::byte> pending;
    std::vector<std::byte> sealed = std::vector<std::byte>(sealed_chunk_size);

    void start(std::string header, FileKey& file_key) {
        header = fmt::format("{}{}---", version_line, header);
        header += fmt::format(" {}\n", base64_encode(header_mac(file_key, header)));
        PayloadNonce payload_nonce{};
        fill_random(payload_nonce);
        header += as_text(payload_nonce);
        Key32 key = payload_key(file_key, payload_nonce);
        cipher = std::make_unique<ChaChaPoly>(key);
        wipe(key);
        wipe(file_key);
        pending.reserve(chunk_size);
        sink(as_bytes(header));
    }

    void seal(Bytes chunk, bool last) {
        cipher->seal(nonce.next(last), chunk, sealed.data());
        sink(Bytes(sealed).first(chunk.size() + ChaChaPoly::tag_size));
    }
};

AgeEncryptor::AgeEncryptor(const std::vector<Key32>& recipients, ByteSink sink)
    : state_(std::make_unique<State>()) {
    state_->sink = std::move(sink);
    FileKey file_key = random_file_key();
    std::string stanzas;
    for (const Key32& recipient : recipients) {
        Key32 secret{};
        fill_random(secret);
        const Key32 share = x25519_public(secret);
        const std::optional<Key32> shared = x25519(secret, recipient);
        wipe(secret);
        if (!shared) {
            throw Error(ErrorKind::usage, "an age recipient is a point of low order");
        }
        stanzas += stanza("X25519 " + base64_encode(share),
                          x25519_wrap_key(*shared, share, recipient), file_key);
    }
    state_->start(std::move(stanzas), file_key);
}

AgeEncryptor::AgeEncryptor(const Secret& password, int work_factor, ByteSink sink)
    : state_(std::make_unique<State>()) {
    state_->sink = std::move(sink);
    FileKey file_key = random_file_key();
    std::array<std::byte, 16> salt{};
    fill_random(salt);
    const std::string arguments = fmt::format("scrypt {} {}", base64_encode(salt), work_factor);
    state_->start(
        stanza(arguments, scrypt_wrap_key(password, as_text(salt), work_factor), file_key),
        file_key);
}

AgeEncryptor::~AgeEncryptor() = default;

void AgeEncryptor::write(Bytes plain) {
    // A full chunk waits until more comes, because the last one is marked as such.
    std::vector<std::byte>& pending = state_->pending;
    while (!plain.empty()) {
        if (pending.size() == chunk_size) {
            state_->seal(pending, false);
            pending.clear();
        }
        if (pending.empty() && plain.size() > chunk_size) {
            state_->seal(plain.first(chunk_size), false);
            plain = plain.subspan(chunk_size);
            continue;
        }
        const std::size_t part = std::min(plain.size(), chunk_size - pending.size());
        pending.insert(pending.end(), plain.begin(),
                       plain.begin() + static_cast<std::ptrdiff_t>(part));
        plain = plain.subspan(part);
    }
}

void AgeEncryptor::finish() {
    state_->seal(state_->pending, true);
    state_->pending.clear();
}

struct AgeDecryptor::State {
    ByteSource source;
    std::string ahead;  // read, but not yet used
    std::unique_ptr<ChaChaPoly> cipher;
    ChunkNonce nonce;
    std::vector<std::byte> sealed = std::vector<std::byte>(sealed_chunk_size + 1);
    std::size_t sealed_size = 0;
    std::vector<std::byte> plain = std::vector<std::byte>(chunk_size);
    std::size_t plain_size = 0;
    std::size_t plain_position = 0;
    bool finished = false;

    // Fills the buffer up to `size`; less at the source's end.
    std::size_t fill(std::byte* buffer, std::size_t size) {
        std::size_t filled = std::min(size, ahead.size());
        std::memcpy(buffer, ahead.data(), filled);
        ahead.erase(0, filled);
        while (filled < size) {
            const std::size_t got = source(std::span(buffer + filled, size - filled));
            if (got == 0) {
                break;
            }
            filled += got;
        }
        return filled;
    }

    void next_chunk() {
        // One byte more than a chunk tells whether another follows.
        sealed_size += fill(sealed.data() + sealed_size, sealed.size() - sealed_size);
        const bool last = sealed_size <= sealed_chunk_size;
        const std::size_t size = last ? sealed_size : sealed_chunk_size;
        if (size < ChaChaPoly::tag_size) {
            damaged("it is truncated");
        }
        const bool first = nonce.at_first();
        if (!cipher->open(nonce.next(last), Bytes(sealed).first(size), plain.data())) {
            damaged(last ? "it is truncated or changed" : "it is changed");
        }
        plain_size = size - ChaChaPoly::tag_size;
        plain_position = 0;
        if (last && plain_size == 0 && !first) {
            damaged("its last chunk is empty");
        }
        finished = last;
        sealed[0] = sealed[sealed_chunk_size];
        sealed_size = last ? 0 : 1;
    }
};

AgeDecryptor::AgeDecryptor(ByteSource source, const Secret& password,
                           const std::vector<Key32>& identities)
    : state_(std::make_unique<State>()) {
    state_->source = std::move(source);
    const Header header = HeaderReader(state_->source, state_->ahead).read();
    FileKey file_key = unwrap_file_key(header, password, identities);
    if (!equal_in_constant_time(header_mac(file_key, header.text), as_bytes(header.mac))) {
        damaged("its header is changed");
    }
    PayloadNonce payload_nonce{};
    if (state_->fill(payload_nonce.data(), payload_nonce.size()) != payload_nonce.size()) {
        damaged("it ends after its header");
    }
    Key32 key = payload_key(file_key, payload_nonce);
    state_->cipher = std::make_unique<ChaChaPoly>(key);
    wipe(key);
    wipe(file_key);
}

AgeDecryptor::~AgeDecryptor() = default;

std::size_t AgeDecryptor::read(std::span<std::byte> plain) {
    State& state = *state_;
    while (state.plain_position == state.plain_size) {
        if (state.finished) {
            return 0;
        }
        state.next_chunk();
    }
    const std::size_t part = std::min(plain.size(), state.plain_size - state.plain_position);
    std::memcpy(plain.data(), state.plain.data() + state.plain_position, part);
    state.plain_position += part;
    return part;
}

}  // namespace drunner
