#include "backup/age.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <random>

#include "backup/age_key.hpp"
#include "backup_fixture.hpp"
#include "hand_made_age.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

constexpr std::size_t chunk = 65536;

std::string text_of_size(std::size_t size) {
    std::string text(size, '\0');
    std::mt19937 random(7);
    for (char& c : text) {
        c = static_cast<char>(random() & 0xffU);
    }
    return text;
}

std::string encrypt(const std::string& text,
                    const std::function<std::unique_ptr<AgeEncryptor>(const ByteSink&)>& make) {
    std::string sealed;
    const auto encryptor = make([&](Bytes bytes) { sealed += as_text(bytes); });
    // In parts that fit no chunk.
    for (std::size_t at = 0; at < text.size(); at += 10'007) {
        encryptor->write(as_bytes(std::string_view(text).substr(at, 10'007)));
    }
    encryptor->finish();
    return sealed;
}

std::string with_password(const std::string& text, const std::string& password = "pass") {
    return encrypt(text, [&](const ByteSink& sink) {
        return std::make_unique<AgeEncryptor>(Secret(password), 2, sink);
    });
}

std::string with_recipients(const std::string& text, const std::vector<Key32>& recipients) {
    return encrypt(text, [&](const ByteSink& sink) {
        return std::make_unique<AgeEncryptor>(recipients, sink);
    });
}

struct Pair {
    Key32 secret{};
    Key32 recipient{};
};

Pair new_pair() {
    Pair pair;
    fill_random(pair.secret);
    pair.recipient = x25519_public(pair.secret);
    return pair;
}

std::string kind_of(const std::string& sealed, const std::string& password = "pass",
                    const std::vector<Key32>& identities = {}) {
    const std::string error = error_of([&] { decrypt(sealed, password, identities); });
    return error.substr(0, error.find(':'));
}

}  // namespace

TEST_CASE("age: what goes in comes out, at every size around a chunk's") {
    const Pair pair = new_pair();
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 5}) {
        CAPTURE(size);
        const std::string text = text_of_size(size);
        CHECK((decrypt(with_password(text), "pass") == text));
        CHECK((decrypt(with_recipients(text, {new_pair().recipient, pair.recipient}), "",
                       {new_pair().secret, pair.secret}, 100'000) == text));
    }
}

TEST_CASE("age: the key must fit") {
    const Pair pair = new_pair();
    const std::string by_password = with_password("text");
    const std::string by_recipient = with_recipients("text", {pair.recipient});
    CHECK(kind_of(by_password, "Pass") == "wrong-password");
    CHECK(kind_of(by_password, "") == "wrong-password");
    CHECK(kind_of(by_password, "", {pair.secret}) == "wrong-password");
    CHECK(kind_of(by_recipient, "pass") == "wrong-password");
    CHECK(kind_of(by_recipient, "", {new_pair().secret}) == "wrong-password");
    CHECK(kind_of(by_recipient, "", {pair.secret}) == "no error");
}

TEST_CASE("age: every truncation and every changed bit is seen") {
    const std::string sealed = with_password(text_of_size(chunk + 300));
    for (std::size_t size = 0; size < sealed.size(); size += size < 300 ? 1 : 777) {
        CAPTURE(size);
        CHECK(kind_of(sealed.substr(0, size)) == "archive-damaged");
    }
    CHECK(kind_of(sealed + "x") == "archive-damaged");
    for (std::size_t at = 0; at < sealed.size(); at += at < 200 ? 1 : 501) {
        CAPTURE(at);
        std::string changed = sealed;
        changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
        CHECK(kind_of(changed) != "no error");
    }
}

TEST_CASE("age: every malformed header is refused") {
    const HandMadeAge made;
    const std::string good = made.scrypt_stanza();
    REQUIRE(kind_of(made.file(good)) == "no error");
    const std::string salt = base64_encode(as_bytes(std::string(16, 's')));
    const std::string body = good.substr(good.find('\n') + 1);
    const std::string x25519_body = base64_encode(as_bytes(std::string(32, 'b'))) + "\n";
    const std::string share = base64_encode(Bytes(new_pair().recipient));
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string text = made.file(good);
        return text.replace(text.find(from), from.size(), to);
    };
    const std::string full_line(64, 'A');
    struct Case {
        const char* what;
        std::string file;
    };
    const Case cases[] = {
        {"version 2", replaced("/v1", "/v2")},
        {"version with a space", replaced("/v1", "/v1 ")},
        {"version with CR", replaced("/v1\n", "/v1\r\n")},
        {"no stanza", made.file("")},
        {"stanza without arguments", made.file("-> \n" + body)},
        {"stanza without a space", made.file("->scrypt " + salt + " 2\n" + body)},
        {"two spaces", made.file("-> scrypt  " + salt + " 2\n" + body)},
        {"space at the end", made.file("-> scrypt " + salt + " 2 \n" + body)},
        {"control character", made.file("-> scrypt " + salt + " 2\x01\n" + body)},
        {"no such line", made.file("=> scrypt " + salt + " 2\n" + body)},
        {"stanza without a body", made.file("-> scrypt " + salt + " 2\n")},
        {"body that has no short line", made.file(good + "-> other\n" + full_line + "\n")},
        {"body line too long", made.file("-> other\n" + full_line + "AA\n\n" + good)},
        {"body with padding",
         made.file("-> scrypt " + salt + " 2\n" + body.substr(0, body.size() - 1) + "=\n")},
        {"body that is not canonical", made.file("-> other\nAB\n" + good)},
        {"body of one digit", made.file("-> other\nA\n" + good)},
        {"body with a space", made.file("-> other\nA A\n" + good)},
        {"body too short for a key", made.file("-> scrypt " + salt + " 2\nAAAA\n")},
        {"body too long for a key",
         made.file("-> scrypt " + salt + " 2\n" + std::string(44, 'A') + "\n")},
        {"scrypt twice", made.file(good + good)},
        {"scrypt beside another", made.file(good + "-> X25519 " + share + "\n" + x25519_body)},
        {"scrypt beside an unknown one", made.file("-> other\n\n" + good)},
        {"scrypt without a work factor", made.file("-> scrypt " + salt + "\n" + body)},
        {"scrypt with one argument more", made.file("-> scrypt " + salt + " 2 3\n" + body)},
        {"salt too short", made.file("-> scrypt AAAA 2\n" + body)},
        {"salt that is not canonical",
         made.file("-> scrypt " + salt.substr(0, 21) + "x 2\n" + body)},
        {"work factor 0", made.file(made.scrypt_stanza("0"))},
        {"work factor 02", made.file(made.scrypt_stanza("02"))},
        {"work factor +2", made.file(made.scrypt_stanza("+2"))},
        {"work factor -2", made.file(made.scrypt_stanza("-2"))},
        {"work factor 2x", made.file(made.scrypt_stanza("2x"))},
        {"work factor over the limit", made.file(made.scrypt_stanza("21"))},
        {"work factor of many digits", made.file(made.scrypt_stanza("18446744073709551618"))},
        {"X25519 without a share", made.file("-> X25519\n" + x25519_body)},
        {"X25519 with two shares",
         made.file("-> X25519 " + share + " " + share + "\n" + x25519_body)},
        {"X25519 share too short", made.file("-> X25519 AAAA\n" + x25519_body)},
        {"X25519 body too short", made.file("-> X25519 " + share + "\nAAAA\n")},
        {"end without a MAC", replaced("--- ", "---\n")},
        {"MAC too short", replaced("--- ", "--- A\n")},
        {"end with four dashes", replaced("--- ", "---- ")},
        {"header without an end", std::string(age_version_line) + good},
        {"header only", made.header(good)},
        {"header and a part of the nonce", made.header(good) + "nonce"},
        {"no payload", made.header(good) + std::string(16, 'n')},
        {"header without limit", std::string(age_version_line) + "-> x\n" +
                                     [&] {
                                         std::string lines;
                                         for (int i = 0; i < 20'000; ++i) {
                                             lines += full_line + "\n";
                                         }
                                         return lines;
                                     }()},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        CHECK(kind_of(c.file) == "archive-damaged");
    }
}

TEST_CASE("age: keys have their spelling") {
    // The identity and the recipient that the format's specification prints.
    const std::string identity =
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    const std::string recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    const std::vector<Key32> keys =
        parse_age_identities("# comment\n\n  " + identity + "\r\n", "/k");
    REQUIRE(keys.size() == 1);
    CHECK(format_age_recipient(x25519_public(keys[0])) == recipient);
    CHECK(parse_age_recipient(recipient) == x25519_public(keys[0]));

    const auto refuse = [](const std::string& text) {
        CAPTURE(text);
        CHECK_THROWS_AS(parse_age_recipient(text), Error);
    };
    refuse("");
    refuse("age1");
    refuse(identity);
    refuse(recipient + "q");
    refuse(recipient.substr(0, 40));
    refuse("age1Zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
    refuse("AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ");
    refuse("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwb");
    refuse(bech32_encode("age", as_bytes("short")));
    CHECK_THROWS_WITH(parse_age_identities("# only\n", "/k"), "'/k' holds no age identity");
    CHECK_THROWS_WITH(parse_age_identities(identity + "\n" + recipient, "/k"),
                      "line 2 of '/k' is not an age identity (AGE-SECRET-KEY-1...)");

    const AgeKeyPair made = make_age_key_pair("2024-01-01T00:00:00Z");
    const std::vector<Key32> own = parse_age_identities(made.identity_file, "/k");
    REQUIRE(own.size() == 1);
    CHECK(format_age_recipient(x25519_public(own[0])) == made.recipient);
}

TEST_CASE("base 64 is canonical") {
    for (const std::size_t size : {0, 1, 2, 3, 4, 31, 32}) {
        const std::string bytes = text_of_size(size);
        CHECK((base64_decode(base64_encode(as_bytes(bytes))) == bytes));
    }
    for (const char* text :
         {"A", "AB", "AAB", "AA=", "AA==", "A A", "A\n", "A-", "A_AA", "AAAAA"}) {
        CAPTURE(text);
        CHECK_FALSE(base64_decode(text));
    }
}

TEST_CASE("HKDF gives the published values") {
    const auto bytes = [](std::string_view hex) {
        std::string text;
        for (std::size_t i = 0; i < hex.size(); i += 2) {
            text += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
        }
        return text;
    };
    // RFC 5869, test case 1 (its first 32 bytes).
    CHECK(as_text(hkdf_sha256(as_bytes(std::string(22, '\x0b')),
                              as_bytes(bytes("000102030405060708090a0b0c")),
                              bytes("f0f1f2f3f4f5f6f7f8f9"))) ==
          bytes("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
    // RFC 5869, test case 3: neither salt nor info.
    CHECK(as_text(hkdf_sha256(as_bytes(std::string(22, '\x0b')), {}, "")) ==
          bytes("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"));
}
