#include "archive/digest.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

std::string finish(EVP_MD_CTX* context) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context, digest.data(), &size) != 1) {
        throw Error(ErrorKind::system, "cannot finish SHA-256");
    }
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(std::size_t{2} * size);
    for (unsigned i = 0; i < size; ++i) {
        text += digits[digest[i] >> 4U];
        text += digits[digest[i] & 15U];
    }
    return text;
}

}  // namespace

struct Sha256::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();

    State() {
        if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
            EVP_MD_CTX_free(context);
            throw Error(ErrorKind::system, "cannot start SHA-256");
        }
    }
    ~State() { EVP_MD_CTX_free(context); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(Bytes bytes) {
    if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
        throw Error(ErrorKind::system, "cannot go on with SHA-256");
    }
}

std::string Sha256::hex_so_far() const {
    State copy;
    if (EVP_MD_CTX_copy_ex(copy.context, state_->context) != 1) {
        throw Error(ErrorKind::system, "cannot copy SHA-256");
    }
    return finish(copy.context);
}

std::string Sha256::hex() {
    return finish(state_->context);
}

std::string sha256_hex(Bytes bytes) {
    Sha256 digest;
    digest.update(bytes);
    return digest.hex();
}

std::string sha256_of_file(const std::string& path) {
    const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
        throw system_error("cannot read '" + printable(path) + "'", errno);
    }
    Sha256 digest;
    std::vector<std::byte> buffer(std::size_t{256} * 1024);
    while (true) {
        const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
        if (got == 0) {
            return digest.hex();
        }
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            throw system_error("cannot read '" + printable(path) + "'", errno);
        }
        digest.update(Bytes(buffer).first(static_cast<std::size_t>(got)));
    }
}

}  // namespace drunner
