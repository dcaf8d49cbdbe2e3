#include "certificates.hpp"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace standin {
namespace {

constexpr mode_t others = 077;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_pem(const std::string& path) {
    File file(std::fopen(path.c_str(), "re"), std::fclose);
    if (!file) {
        throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
    }
    return file;
}

std::shared_ptr<X509> read_certificate(const std::string& path) {
    const File file = open_pem(path);
    std::shared_ptr<X509> certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr),
                                      X509_free);
    if (!certificate) {
        throw std::runtime_error(path + " holds no certificate");
    }
    return certificate;
}

// A key with a password is none here: nobody is there to be asked.
int no_password(char*, int, int, void*) {
    return -1;
}

std::shared_ptr<EVP_PKEY> read_key(const std::string& path) {
    const File file = open_pem(path);
    struct stat status {};
    if (fstat(fileno(file.get()), &status) != 0 || (status.st_mode & others) != 0) {
        throw std::runtime_error(path + " can be read by others than its owner");
    }
    std::shared_ptr<EVP_PKEY> key(PEM_read_PrivateKey(file.get(), nullptr, no_password, nullptr),
                                  EVP_PKEY_free);
    if (!key) {
        throw std::runtime_error(path + " holds no private key without a password");
    }
    return key;
}

}  // namespace

Certificates::Certificates(const AgentConfig& config) {
    const auto ca = read_certificate(config.ca_certificate);
    const auto certificate = read_certificate(config.certificate);
    key_ = read_key(config.key);
    if (X509_check_private_key(certificate.get(), key_.get()) != 1) {
        throw std::runtime_error(config.key + " does not belong to " + config.certificate);
    }
    const std::unique_ptr<X509_STORE, void (*)(X509_STORE*)> store(X509_STORE_new(),
                                                                   X509_STORE_free);
    const std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> context(X509_STORE_CTX_new(),
                                                                             X509_STORE_CTX_free);
    if (!store || !context || X509_STORE_add_cert(store.get(), ca.get()) != 1 ||
        X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) != 1) {
        throw std::runtime_error("cannot verify " + config.certificate);
    }
    if (X509_verify_cert(context.get()) != 1) {
        throw std::runtime_error(
            config.certificate + " is not good: " +
            X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
    }
    public_key_ = {X509_get_pubkey(certificate.get()), EVP_PKEY_free};
}

bool Certificates::sign(const std::string& text) const {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                     EVP_MD_CTX_free);
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t size = 0;
    if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1) {
        return false;
    }
    std::vector<unsigned char> signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, bytes, text.size()) != 1) {
        return false;
    }
    EVP_MD_CTX_reset(context.get());
    return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, public_key_.get()) ==
               1 &&
           EVP_DigestVerify(context.get(), signature.data(), size, bytes, text.size()) == 1;
}

}  // namespace standin
