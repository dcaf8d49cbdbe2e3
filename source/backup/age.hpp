#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/crypto.hpp"
#include "core/bytes.hpp"
#include "core/secret.hpp"

namespace drunner {

// The age file format, version 1 (https://age-encryption.org/v1, specified at c2sp.org/age), with
// the recipient types scrypt and X25519, without the ASCII armor.

inline constexpr std::string_view age_magic = "age-encryption.org/";
// age's own default: 256 MiB of memory and about a second.
inline constexpr int age_work_factor = 18;
// A header that asks for more than 1 GiB to try a password is refused.
inline constexpr int age_work_factor_limit = 20;

class AgeEncryptor {
  public:
    // Writes the header to the sink. Recipients are X25519 public keys.
    AgeEncryptor(const std::vector<Key32>& recipients, ByteSink sink);
    AgeEncryptor(const Secret& password, int work_factor, ByteSink sink);
    ~AgeEncryptor();
    AgeEncryptor(const AgeEncryptor&) = delete;
    AgeEncryptor& operator=(const AgeEncryptor&) = delete;

    void write(Bytes plain);
    // Writes the last chunk; without it the file is truncated.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

class AgeDecryptor {
  public:
    // Reads and authenticates the header. The source is at the file's first byte. Throws
    // Error(archive_damaged) for a malformed one, Error(wrong_password) where neither the password
    // nor an identity opens it.
    AgeDecryptor(ByteSource source, const Secret& password, const std::vector<Key32>& identities);
    ~AgeDecryptor();
    AgeDecryptor(const AgeDecryptor&) = delete;
    AgeDecryptor& operator=(const AgeDecryptor&) = delete;

    // As a ByteSource. Every byte handed out is authentic and in its place; 0 is only answered
    // after the last chunk, which nothing may follow. Throws Error(archive_damaged).
    std::size_t read(std::span<std::byte> plain);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
