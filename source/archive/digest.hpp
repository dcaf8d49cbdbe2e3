#pragma once

#include <memory>
#include <string>

#include "core/bytes.hpp"

namespace drunner {

// SHA-256 (FIPS 180-4) of a stream, by OpenSSL.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(Bytes bytes);
    // The digest of what came until now, as hex() gives it; more may follow.
    std::string hex_so_far() const;
    // 64 lower-case hexadecimal digits; the object takes nothing more afterwards.
    std::string hex();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

std::string sha256_hex(Bytes bytes);

// Throws Error(system) where the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace drunner
