#include "authentication.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace standin {
namespace {

using nlohmann::json;

constexpr std::size_t key_size = 32;
constexpr const char* hex_digits = "0123456789abcdef";

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

unsigned char* raw(std::string& bytes) {
    return reinterpret_cast<unsigned char*>(bytes.data());
}

const unsigned char* raw(const std::string& bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    if (RAND_bytes(raw(bytes), static_cast<int>(count)) != 1) {
        throw std::runtime_error("there are no random numbers");
    }
    return bytes;
}

std::string to_hex(const std::string& bytes) {
    std::string text;
    for (const char byte : bytes) {
        const auto value = static_cast<unsigned char>(byte);
        text += hex_digits[value >> 4U];
        text += hex_digits[value & 0xFU];
    }
    return text;
}

std::string from_hex(const std::string& text) {
    std::string bytes;
    for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
        bytes += static_cast<char>(std::stoi(text.substr(at, 2), nullptr, 16));
    }
    return bytes;
}

// What both ends of a connection have, and nobody else.
std::string common_secret(const Authentication& authentication) {
    if (authentication.kind == Authentication::Kind::shared_key) {
        return authentication.shared_key;
    }
    const Key own(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, raw(authentication.own_secret),
                                     authentication.own_secret.size()),
        &EVP_PKEY_free);
    const Key peer(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, raw(authentication.peer_public),
                                    authentication.peer_public.size()),
        &EVP_PKEY_free);
    const KeyContext context(own ? EVP_PKEY_CTX_new(own.get(), nullptr) : nullptr,
                             &EVP_PKEY_CTX_free);
    std::string secret(key_size, '\0');
    std::size_t size = secret.size();
    if (!peer || !context || EVP_PKEY_derive_init(context.get()) != 1 ||
        EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
        EVP_PKEY_derive(context.get(), raw(secret), &size) != 1) {
        throw std::runtime_error("these keys do not fit each other");
    }
    return secret;
}

std::string proof(const std::string& secret, const std::string& text) {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), raw(text), text.size(),
         raw(digest), &size);
    digest.resize(size);
    return to_hex(digest);
}

bool same(const std::string& one, const std::string& other) {
    return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

const char* word_of(Authentication::Kind kind) {
    switch (kind) {
        case Authentication::Kind::none:
            return "none";
        case Authentication::Kind::shared_key:
            return "key";
        case Authentication::Kind::curve:
            return "curve";
    }
    return "";
}

// The quoted word behind NAME = in a file of keys.
std::string read_key(const std::filesystem::path& path, const std::string& name) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        const std::size_t at = line.find(name + " = \"");
        if (at != std::string::npos) {
            const std::size_t begin = line.find('"', at) + 1;
            const std::string key = from_hex(line.substr(begin, line.find('"', begin) - begin));
            if (key.size() == key_size) {
                return key;
            }
        }
    }
    throw std::runtime_error("there is no " + name + " in " + path.string());
}

void keep_old(const std::filesystem::path& path) {
    if (std::filesystem::exists(path)) {
        std::filesystem::rename(path, path.string() + ".bak");
    }
}

void write_file(const std::filesystem::path& path, const std::string& text, mode_t mode) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    const bool written = descriptor >= 0 && ::write(descriptor, text.data(), text.size()) ==
                                                static_cast<ssize_t>(text.size());
    if (descriptor < 0 || ::close(descriptor) != 0 || !written) {
        throw std::runtime_error("cannot write " + path.string());
    }
}

void generate_pair(const std::filesystem::path& directory, const std::string& name) {
    const std::string secret = random_bytes(key_size);
    const Key key(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, raw(secret), secret.size()),
        &EVP_PKEY_free);
    std::string known(key_size, '\0');
    std::size_t size = known.size();
    if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw(known), &size) != 1) {
        throw std::runtime_error("cannot make a pair of keys");
    }
    const std::string head = "# made by the stand-in for Directord\nmetadata\ncurve\n";
    const std::string public_line = "    public-key = \"" + to_hex(known) + "\"\n";
    const std::filesystem::path public_file = directory / "public_keys" / (name + ".key");
    const std::filesystem::path secret_file = directory / "private_keys" / (name + ".key_secret");
    keep_old(public_file);
    keep_old(secret_file);
    write_file(public_file, head + public_line, 0644);
    write_file(secret_file, head + public_line + "    secret-key = \"" + to_hex(secret) + "\"\n",
               0600);
}

}  // namespace

std::string admit(const Socket& client, const Authentication& authentication) {
    const std::string mine = to_hex(random_bytes(key_size));
    write_frame(client, json{{"number", mine}}.dump());
    const json hello = json::parse(read_frame(client));
    const std::string identity = hello.at("identity");
    if (hello.at("kind") != word_of(authentication.kind)) {
        throw std::runtime_error(identity + " authenticates in another way");
    }
    json answer = {{"admitted", true}};
    if (authentication.kind != Authentication::Kind::none) {
        const std::string secret = common_secret(authentication);
        const std::string numbers = mine + " " + hello.at("number").get<std::string>();
        if (!same(proof(secret, "client " + numbers + " " + identity), hello.at("proof"))) {
            throw std::runtime_error(identity + " has another key");
        }
        answer["proof"] = proof(secret, "server " + numbers + " " + identity);
    }
    write_frame(client, answer.dump());
    return identity;
}

void introduce(const Socket& server, const Authentication& authentication,
               const std::string& identity) {
    const std::string theirs = json::parse(read_frame(server)).at("number");
    const std::string mine = to_hex(random_bytes(key_size));
    const std::string numbers = theirs + " " + mine;
    json hello = {{"identity", identity}, {"kind", word_of(authentication.kind)}, {"number", mine}};
    std::string secret;
    if (authentication.kind != Authentication::Kind::none) {
        secret = common_secret(authentication);
        hello["proof"] = proof(secret, "client " + numbers + " " + identity);
    }
    write_frame(server, hello.dump());
    const json answer = json::parse(read_frame(server));
    if (authentication.kind != Authentication::Kind::none &&
        !same(proof(secret, "server " + numbers + " " + identity), answer.at("proof"))) {
        throw std::runtime_error("the server has another key");
    }
}

void generate_keys(const std::string& directory) {
    const std::filesystem::path root(directory);
    std::filesystem::create_directories(root / "public_keys");
    std::filesystem::create_directories(root / "private_keys");
    generate_pair(root, "server");
    generate_pair(root, "client");
}

Authentication read_curve_keys(const std::string& directory, const std::string& own,
                               const std::string& peer) {
    const std::filesystem::path root(directory);
    Authentication authentication;
    authentication.kind = Authentication::Kind::curve;
    authentication.own_secret =
        read_key(root / "private_keys" / (own + ".key_secret"), "secret-key");
    authentication.peer_public = read_key(root / "public_keys" / (peer + ".key"), "public-key");
    return authentication;
}

}  // namespace standin
