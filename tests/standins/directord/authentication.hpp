#pragma once

#include <string>

#include "wire.hpp"

namespace standin {

// How the two ends of a connection know each other: not at all, by a key that both were given, or
// by a pair of keys each.
struct Authentication {
    enum class Kind { none, shared_key, curve };

    Kind kind = Kind::none;
    // The shared key, as it was given.
    std::string shared_key;
    // Raw keys of X25519, 32 bytes each: the own secret one, the other end's public one.
    std::string own_secret;
    std::string peer_public;
};

// The server's end of the handshake: the identity of a client that proved to have the right keys.
// Throws std::runtime_error for any other, after which the connection is to be closed. No key
// crosses the connection: both ends prove theirs by a HMAC of numbers that were never used before.
std::string admit(const Socket& client, const Authentication& authentication);

// The client's end: proves itself under this identity, and demands the same of the server. Throws
// std::runtime_error where either fails.
void introduce(const Socket& server, const Authentication& authentication,
               const std::string& identity);

// Makes a pair of keys for the server and one for the client, as files in public_keys/ and
// private_keys/ below the directory: NAME.key and NAME.key_secret. Keys that are there are kept as
// NAME.key.bak and NAME.key_secret.bak. Throws std::runtime_error.
void generate_keys(const std::string& directory);

// The keys of one end, "server" or "client", from such a directory. Throws std::runtime_error that
// names the file which is missing or is none.
Authentication read_curve_keys(const std::string& directory, const std::string& own,
                               const std::string& peer);

}  // namespace standin
