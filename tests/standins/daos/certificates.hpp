#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "agent_config.hpp"

namespace standin {

// The key that credentials are signed with, and its certificate's public half.
class Certificates {
  public:
    // Loads and verifies all three files: the key is its owner's alone and belongs to the
    // certificate, which the CA signed and which is valid now. Throws std::runtime_error.
    explicit Certificates(const AgentConfig& config);

    // Signs the text, and verifies what came of it as a server would.
    bool sign(const std::string& text) const;

  private:
    std::shared_ptr<EVP_PKEY> key_;
    std::shared_ptr<EVP_PKEY> public_key_;
};

}  // namespace standin
