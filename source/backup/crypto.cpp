#include "backup/crypto.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>

#include "core/error.hpp"

namespace drunner {
namespace {

const unsigned char* raw(Bytes bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

void require(bool succeeded, const char* what) {
    if (!succeeded) {
        throw Error(ErrorKind::system, std::string("OpenSSL cannot compute ") + what);
    }
}

using PkeyPointer = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using PkeyContextPointer = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

PkeyPointer private_key(const Key32& secret) {
    PkeyPointer key(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, raw(Bytes(secret)), secret.size()),
        EVP_PKEY_free);
    require(key != nullptr, "X25519");
    return key;
}

OSSL_PARAM octets(const char* name, Bytes bytes) {
    // The parameter is only read; the library's type has no const.
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(bytes.data()),
                                             bytes.size());
}

Key32 derive(const char* algorithm, const OSSL_PARAM* parameters, const char* what) {
    const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(
        EVP_KDF_fetch(nullptr, algorithm, nullptr), EVP_KDF_free);
    require(kdf != nullptr, what);
    const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(
        EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
    Key32 key{};
    require(context != nullptr &&
                EVP_KDF_derive(context.get(), raw(key.data()), key.size(), parameters) == 1,
            what);
    return key;
}

constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void fill_random(std::span<std::byte> bytes) {
    require(RAND_bytes(raw(bytes.data()), static_cast<int>(bytes.size())) == 1, "random bytes");
}

void wipe(std::span<std::byte> bytes) {
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

Key32 hkdf_sha256(Bytes key, Bytes salt, std::string_view info) {
    // No salt is by definition one of zeros; the library takes no empty one.
    const Key32 zeros{};
    std::string digest = "SHA256";
    const std::array parameters{
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), digest.size()),
        octets(OSSL_KDF_PARAM_KEY, key),
        octets(OSSL_KDF_PARAM_SALT, salt.empty() ? Bytes(zeros) : salt),
        octets(OSSL_KDF_PARAM_INFO, as_bytes(info)), OSSL_PARAM_construct_end()};
    return derive("HKDF", parameters.data(), "HKDF");
}

Key32 hmac_sha256(Bytes key, Bytes message) {
    Key32 code{};
    std::size_t size = 0;
    require(
        EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(), raw(message),
                  message.size(), raw(code.data()), code.size(), &size) != nullptr,
        "HMAC");
    return code;
}

bool equal_in_constant_time(Bytes a, Bytes b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Key32 scrypt(std::string_view password, Bytes salt, int log_n) {
    std::uint64_t n = std::uint64_t{1} << static_cast<unsigned>(log_n);
    std::uint32_t r = 8;
    std::uint32_t p = 1;
    // The library's own limit is 32 MiB; 128 * N * r bytes and some blocks are needed.
    std::uint64_t memory = std::uint64_t{128} * r * (n + 16);
    const std::array parameters{octets(OSSL_KDF_PARAM_PASSWORD, as_bytes(password)),
                                octets(OSSL_KDF_PARAM_SALT, salt),
                                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
                                OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
                                OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
                                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
                                OSSL_PARAM_construct_end()};
    return derive("SCRYPT", parameters.data(), "scrypt");
}

Key32 x25519_public(const Key32& secret) {
    Key32 share{};
    std::size_t size = share.size();
    require(EVP_PKEY_get_raw_public_key(private_key(secret).get(), raw(share.data()), &size) == 1,
            "X25519");
    return share;
}

std::optional<Key32> x25519(const Key32& secret, const Key32& share) {
    const PkeyPointer own = private_key(secret);
    const PkeyPointer other(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, raw(Bytes(share)), share.size()),
        EVP_PKEY_free);
    const PkeyContextPointer context(EVP_PKEY_CTX_new(own.get(), nullptr), EVP_PKEY_CTX_free);
    require(other != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
                EVP_PKEY_derive_set_peer(context.get(), other.get()) == 1,
            "X25519");
    Key32 shared{};
    std::size_t size = shared.size();
    if (EVP_PKEY_derive(context.get(), raw(shared.data()), &size) != 1 ||
        equal_in_constant_time(shared, Key32{})) {
        return std::nullopt;
    }
    return shared;
}

struct ChaChaPoly::State {
    EVP_CIPHER_CTX* sealing = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX* opening = EVP_CIPHER_CTX_new();

    State() = default;
    ~State() {
        EVP_CIPHER_CTX_free(sealing);
        EVP_CIPHER_CTX_free(opening);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

ChaChaPoly::ChaChaPoly(const Key32& key) : state_(std::make_unique<State>()) {
    require(state_->sealing != nullptr && state_->opening != nullptr &&
                EVP_EncryptInit_ex(state_->sealing, EVP_chacha20_poly1305(), nullptr,
                                   raw(Bytes(key)), nullptr) == 1 &&
                EVP_DecryptInit_ex(state_->opening, EVP_chacha20_poly1305(), nullptr,
                                   raw(Bytes(key)), nullptr) == 1,
            "ChaCha20-Poly1305");
}

ChaChaPoly::~ChaChaPoly() = default;

void ChaChaPoly::seal(const Nonce& nonce, Bytes plain, std::byte* sealed) {
    EVP_CIPHER_CTX* context = state_->sealing;
    int size = 0;
    int rest = 0;
    require(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, raw(Bytes(nonce))) == 1 &&
                EVP_EncryptUpdate(context, raw(sealed), &size, raw(plain),
                                  static_cast<int>(plain.size())) == 1 &&
                EVP_EncryptFinal_ex(context, raw(sealed) + size, &rest) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_size,
                                    sealed + plain.size()) == 1,
            "ChaCha20-Poly1305");
}

bool ChaChaPoly::open(const Nonce& nonce, Bytes sealed, std::byte* plain) {
    if (sealed.size() < tag_size) {
        return false;
    }
    EVP_CIPHER_CTX* context = state_->opening;
    const Bytes text = sealed.first(sealed.size() - tag_size);
    std::array<std::byte, tag_size> tag{};
    std::copy(sealed.end() - tag_size, sealed.end(), tag.begin());
    int size = 0;
    int rest = 0;
    require(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, raw(Bytes(nonce))) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_size, tag.data()) == 1 &&
                EVP_DecryptUpdate(context, raw(plain), &size, raw(text),
                                  static_cast<int>(text.size())) == 1,
            "ChaCha20-Poly1305");
    return EVP_DecryptFinal_ex(context, raw(plain) + size, &rest) == 1;
}

std::string base64_encode(Bytes bytes) {
    std::string text;
    unsigned bits = 0;
    unsigned count = 0;
    for (const std::byte byte : bytes) {
        bits = (bits << 8U | std::to_integer<unsigned>(byte)) & 0xffffU;
        count += 8;
        while (count >= 6) {
            count -= 6;
            text += base64_digits[bits >> count & 63U];
        }
    }
    if (count > 0) {
        text += base64_digits[bits << (6 - count) & 63U];
    }
    return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
    std::string bytes;
    unsigned bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const std::size_t digit = base64_digits.find(c);
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        bits = (bits << 6U | static_cast<unsigned>(digit)) & 0xffffU;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes += static_cast<char>(bits >> count & 0xffU);
        }
    }
    // A digit alone is no byte, and the bits that are left over must be zeros.
    if (text.size() % 4 == 1 || (bits & ((1U << count) - 1U)) != 0) {
        return std::nullopt;
    }
    return bytes;
}

}  // namespace drunner
