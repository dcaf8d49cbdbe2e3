#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "backup/age_key.hpp"
#include "backup_fixture.hpp"
#include "hand_made_age.hpp"

using namespace drunner;
using namespace drunner::test;

// Files of the age format (c2sp.org/age), one for each thing that it demands of a reader, made by
// hand. Where the machine has age itself, it must judge each of them as drunner does.

namespace {

constexpr std::size_t chunk_size = 65536;

struct Vector {
    std::string what;
    std::string file;
    std::string verdict;  // of drunner: the kind of its error, or none
    // age 1.1 asks about scrypt only where it tries a passphrase.
    bool age_opens;
};

class Vectors {
  public:
    explicit Vectors(const Key32& secret) : secret_(secret), recipient_(x25519_public(secret)) {
        for (std::byte& byte : made_.file_key) {
            byte = std::byte{7};
        }
        good_ = made_.x25519_stanza(recipient_);
        share_ = good_.substr(10, 43);
        body_ = good_.substr(54, 43);
    }

    std::vector<Vector> all() {
        REQUIRE(good_ == "-> X25519 " + share_ + "\n" + body_ + "\n");
        add_accepted();
        add_version_lines();
        add_stanzas();
        add_base64();
        add_x25519();
        add_macs();
        add_scrypt();
        add_payloads();
        return std::move(vectors_);
    }

  private:
    static constexpr const char* opens = "no error";
    static constexpr const char* damaged = "archive-damaged";
    static constexpr const char* no_match = "wrong-password";

    void add(const std::string& what, const std::string& file, const char* verdict = damaged) {
        vectors_.push_back({what, file, verdict, std::string(verdict) == opens});
    }
    void stanzas(const std::string& what, const std::string& text, const char* verdict = damaged) {
        add(what, made_.file(text), verdict);
    }
    // The good file with a part of its text replaced, which its MAC knows nothing of.
    void replaced(const std::string& what, const std::string& from, const std::string& to) {
        std::string file = made_.file(good_);
        const std::size_t at = file.find(from);
        REQUIRE(at != std::string::npos);
        add(what, file.replace(at, from.size(), to));
    }

    void add_accepted() {
        const std::string line(64, 'A');
        std::string others;
        for (int i = 0; i < 500; ++i) {
            others += made_.x25519_stanza(stranger());
        }
        const std::pair<std::string, std::string> accepted[] = {
            {"one stanza", good_},
            {"an unknown stanza before", "-> grease-x 1 2\n" + line + "\n\n" + good_},
            {"an unknown stanza after", good_ + "-> grease-x 1 2\n" + line + "\nAA\n"},
            {"an empty body", "-> empty\n\n" + good_},
            {"a body of many lines",
             "-> long\n" + line + "\n" + line + "\n" + line + "\n\n" + good_},
            {"a body of 63 columns", "-> x\n" + line.substr(0, 62) + "\n" + good_},
            {"arguments of all characters", "-> !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\n\n" + good_},
            {"an SSH key", "-> ssh-ed25519 Xyg06A " + share_ + "\n" + body_ + "\n" + good_},
            {"an SSH key of RSA", "-> ssh-rsa mhir0Q\n" + line + "\n" + line + "\nAA\n" + good_},
            {"a plugin", "-> piv-p256 AAAAAA " + share_ + "\n" + body_ + "\n" + good_},
            {"another's stanza before", made_.x25519_stanza(stranger()) + good_},
            {"many recipients", others + good_},
            {"its own stanza twice", good_ + good_},
            {"a name in other letters", "-> x25519 " + share_ + "\n" + body_ + "\n" + good_},
        };
        for (const auto& [what, text] : accepted) {
            stanzas(what, text, opens);
        }
        stanzas("only a stranger's stanza", made_.x25519_stanza(stranger()), no_match);
        stanzas("only a plugin's stanza", "-> piv-p256 AAAAAA\n" + body_ + "\n", no_match);
        stanzas("only a stanza in other letters", "-> x25519 " + share_ + "\n" + body_ + "\n",
                no_match);
        std::string changed = body_;
        changed[5] = changed[5] == 'A' ? 'B' : 'A';
        stanzas("a body that is not authentic", "-> X25519 " + share_ + "\n" + changed + "\n",
                no_match);
        stanzas("another's share", "-> X25519 " + base64_encode(stranger()) + "\n" + body_ + "\n",
                no_match);
    }

    void add_version_lines() {
        const std::string line = "age-encryption.org/v1\n";
        replaced("version 2", line, "age-encryption.org/v2\n");
        replaced("version 11", line, "age-encryption.org/v11\n");
        replaced("no version", line, "age-encryption.org/\n");
        replaced("a space behind the version", line, "age-encryption.org/v1 \n");
        replaced("a space before the version", line, " age-encryption.org/v1\n");
        replaced("capitals", line, "AGE-encryption.org/v1\n");
        replaced("a line feed before the version", line, "\nage-encryption.org/v1\n");
        replaced("a carriage return behind the version", line, "age-encryption.org/v1\r\n");
        replaced("two line feeds behind the version", line, "age-encryption.org/v1\n\n");
        replaced("no line feed behind the version", line, "age-encryption.org/v1");
        replaced("a NUL behind the version", line,
                 "age-encryption.org/v1" + std::string(1, '\0') + "\n");
        add("the version line alone", line);
        add("nothing", "");
    }

    void add_stanzas() {
        const std::string line(64, 'A');
        stanzas("no stanza", "");
        stanzas("a stanza without arguments", "->\n\n" + good_);
        stanzas("an empty argument", "-> \n\n" + good_);
        stanzas("two spaces", "-> a  b\n\n" + good_);
        stanzas("a space at the end", "-> a \n\n" + good_);
        stanzas("a space at the beginning", "->  a\n\n" + good_);
        stanzas("no space", "->a\n\n" + good_);
        stanzas("a tab", "-> a\tb\n\n" + good_);
        stanzas("a control character", "-> a\x01\n\n" + good_);
        stanzas("a DEL", "-> a\x7f\n\n" + good_);
        stanzas("a character that is not ASCII", "-> gr\xc3\xbc\xc3\x9f\n\n" + good_);
        stanzas("a carriage return", "-> a\r\n\r\n" + good_);
        stanzas("another arrow", "=> a\n\n" + good_);
        stanzas("an arrow of one character", "> a\n\n" + good_);
        stanzas("a blank line between stanzas", good_ + "\n" + good_);
        stanzas("a space before a stanza", " " + good_);
        stanzas("no body", "-> a\n" + good_);
        stanzas("no body at the end", good_ + "-> a\n");
        stanzas("a body that ends with a full line", "-> a\n" + line + "\n" + good_);
        stanzas("a full line at the end", good_ + "-> a\n" + line + "\n");
        stanzas("a line of 65 columns", "-> a\n" + line + "A\n\n" + good_);
        stanzas("a line of 68 columns", "-> a\n" + line + "AAAA\n\n" + good_);
        stanzas("a short line in the middle", "-> a\nAAAA\n" + line + "\n\n" + good_);
        stanzas("a space in a body", "-> a\nAA AA\n" + good_);
        stanzas("a space behind a body", "-> a\nAAAA \n" + good_);
    }

    void add_base64() {
        stanzas("padding in a body", "-> a\nAA==\n" + good_);
        stanzas("half a padding in a body", "-> a\nAAA=\n" + good_);
        stanzas("a body of one digit", "-> a\nA\n" + good_);
        stanzas("a body of five digits", "-> a\nAAAAA\n" + good_);
        stanzas("bits left over in a body", "-> a\nAB\n" + good_);
        stanzas("a bit left over in a body", "-> a\nAAB\n" + good_);
        stanzas("URL digits in a body", "-> a\nA-_A\n" + good_);
        stanzas("a NUL in a body", "-> a\nAA" + std::string(1, '\0') + "A\n" + good_);
        stanzas("padding in a share", "-> X25519 " + share_ + "=\n" + body_ + "\n");
        stanzas("bits left over in a share",
                "-> X25519 " + share_.substr(0, 42) + "B\n" + body_ + "\n");
        stanzas("bits left over in a wrapped key",
                "-> X25519 " + share_ + "\n" + body_.substr(0, 42) + "B\n");
    }

    void add_x25519() {
        stanzas("no share", "-> X25519\n" + body_ + "\n");
        stanzas("two shares", "-> X25519 " + share_ + " " + share_ + "\n" + body_ + "\n");
        for (const std::size_t size : {0, 31, 33}) {
            const std::string text = base64_encode(as_bytes(std::string(size, 'x')));
            if (size > 0) {
                stanzas(fmt::format("a share of {} bytes", size),
                        "-> X25519 " + text + "\n" + body_ + "\n");
            }
            stanzas(fmt::format("a wrapped key of {} bytes", size),
                    "-> X25519 " + share_ + "\n" + text + "\n");
        }
        stanzas(
            "a wrapped key of 49 bytes",
            "-> X25519 " + share_ + "\n" + base64_encode(as_bytes(std::string(48, 'x'))) + "\n\n");
        // All points of low order, in all their spellings (RFC 7748, section 7, and the two of
        // order 8), each also with the bit that is to be ignored.
        for (const std::string& point : low_order_points()) {
            const std::string text = base64_encode(as_bytes(point));
            stanzas(fmt::format("the share of low order {}", text),
                    "-> X25519 " + text + "\n" + body_ + "\n");
        }
    }

    void add_macs() {
        const std::string file = made_.file(good_);
        const std::string end = file.substr(file.find("--- "), 48);
        const std::string mac = end.substr(4, 43);
        std::string changed = mac;
        changed[0] = changed[0] == 'A' ? 'B' : 'A';
        replaced("another MAC", end, "--- " + changed + "\n");
        replaced("no MAC", end, "---\n");
        replaced("an empty MAC", end, "--- \n");
        replaced("a MAC without a space", end, "---" + mac + "\n");
        replaced("a MAC behind two spaces", end, "---  " + mac + "\n");
        replaced("a space behind the MAC", end, "--- " + mac + " \n");
        replaced("two MACs", end, "--- " + mac + " " + mac + "\n");
        replaced("a carriage return behind the MAC", end, "--- " + mac + "\r\n");
        replaced("no line feed behind the MAC", end, "--- " + mac);
        replaced("padding behind the MAC", end, "--- " + mac + "=\n");
        replaced("a short MAC", end, "--- " + base64_encode(as_bytes(std::string(31, 'x'))) + "\n");
        replaced("a long MAC", end, "--- " + base64_encode(as_bytes(std::string(33, 'x'))) + "\n");
        replaced("a shortened MAC", end, "--- " + mac.substr(0, 42) + "\n");
        const std::string digits =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char next = digits[digits.find(mac.back()) + 1];
        replaced("bits left over in the MAC", end, "--- " + mac.substr(0, 42) + next + "\n");
        replaced("four dashes", end, "---- " + mac + "\n");
        replaced("two dashes", end, "-- " + mac + "\n");
        replaced("no end", end, "");
        replaced("a stanza that the MAC does not know", "---", "-> a\n\n---");
        replaced("a stanza less than the MAC knows", good_, made_.x25519_stanza(recipient_));
    }

    // With an identity, as here, a passphrase's file opens to nobody; malformed it is all the same.
    void add_scrypt() {
        const std::string scrypt = made_.scrypt_stanza();
        for (const std::string& text : {good_ + scrypt, scrypt + good_}) {
            stanzas("scrypt beside an identity's stanza", text);
            vectors_.back().age_opens = true;
        }
        stanzas("scrypt twice", scrypt + scrypt);
        stanzas("scrypt beside an unknown stanza", "-> a\n\n" + scrypt);
        stanzas("scrypt alone", scrypt, no_match);
    }

    void payload(const std::string& what, const std::vector<HandMadeAge::Chunk>& chunks,
                 const char* verdict = damaged) {
        add(what, made_.header(good_) + made_.payload(chunks), verdict);
    }

    void add_payloads() {
        const std::string header = made_.header(good_);
        const std::string full(chunk_size, 'f');
        const std::string other(chunk_size, 'g');
        for (const std::size_t size : {0, 1, 15, 16}) {
            add(fmt::format("{} bytes behind the header", size), header + std::string(size, 'n'));
        }
        payload("no bytes", {{"", 0, 1}}, opens);
        payload("a byte", {{"x", 0, 1}}, opens);
        payload("a whole chunk", {{full, 0, 1}}, opens);
        payload("a chunk and a byte", {{full, 0, 0}, {"x", 1, 1}}, opens);
        payload("two whole chunks", {{full, 0, 0}, {other, 1, 1}}, opens);

        payload("an empty chunk that is not the last", {{"", 0, 0}});
        payload("an empty last chunk behind another", {{full, 0, 0}, {"", 1, 1}});
        payload("two empty chunks", {{"", 0, 0}, {"", 1, 1}});
        payload("no last chunk", {{full, 0, 0}});
        payload("no last chunk of two", {{full, 0, 0}, {other, 1, 0}});
        payload("a short chunk that is not the last", {{"x", 0, 0}});
        payload("a short chunk before the last", {{"x", 0, 0}, {"y", 1, 1}});
        payload("a chunk behind the last", {{full, 0, 1}, {"x", 1, 1}});
        payload("a whole chunk behind the last", {{full, 0, 1}, {other, 1, 0}});
        payload("the last chunk twice", {{full, 0, 1}, {full, 0, 1}});
        payload("chunks that changed places", {{other, 1, 0}, {full, 0, 0}, {"x", 2, 1}});
        payload("a chunk left out", {{full, 0, 0}, {"x", 2, 1}});
        payload("the first chunk left out", {{full, 1, 0}, {"x", 2, 1}});
        payload("a chunk twice", {{full, 0, 0}, {full, 0, 0}, {"x", 2, 1}});
        payload("a counter that does not begin at zero", {{"x", 1, 1}});
        payload("another word for the last", {{"x", 0, 2}});
        payload("a chunk that is too long", {{full + "x", 0, 1}});

        const std::string two = header + made_.payload({{full, 0, 0}, {other, 1, 0}, {"x", 2, 1}});
        const std::size_t first = header.size() + 16 + chunk_size + 16;
        const auto cut = [&](const std::string& what, std::size_t size) {
            add("cut " + what, two.substr(0, size));
        };
        cut("behind the first chunk", first);
        cut("a byte behind the first chunk", first + 1);
        cut("a byte before its end", first - 1);
        cut("in a tag", first - 8);
        cut("behind the second chunk", first + chunk_size + 16);
        cut("before the last byte", two.size() - 1);
        cut("before the last tag", two.size() - 16);
        add("a byte behind the end", two + "x");
        add("a tag's length behind the end", two + std::string(16, '\0'));
        add("a chunk's length behind the end", two + std::string(chunk_size + 16, '\0'));
        add("a file behind the end", two + made_.file(good_));
        std::string changed = two;
        changed[header.size() + 3] ^= 1;
        add("another nonce", changed);
        changed = two;
        changed[first + 100] ^= 1;
        add("a changed byte in the second chunk", changed);
    }

    static std::vector<std::string> low_order_points() {
        const auto from_hex = [](const std::string& hex) {
            std::string bytes;
            for (std::size_t i = 0; i < hex.size(); i += 2) {
                bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
            }
            return bytes;
        };
        const std::string ff(60, 'f');
        std::vector<std::string> points;
        for (const std::string& hex :
             {std::string(64, '0'), "01" + std::string(62, '0'),
              std::string("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
              std::string("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
              "ec" + ff + "7f", "ed" + ff + "7f", "ee" + ff + "7f"}) {
            points.push_back(from_hex(hex));
            REQUIRE(points.back().size() == 32);
            points.push_back(points.back());
            points.back().back() = static_cast<char>(points.back().back() | 0x80);
        }
        return points;
    }

    static Key32 stranger() {
        Key32 secret{};
        fill_random(secret);
        return x25519_public(secret);
    }

    Key32 secret_;
    Key32 recipient_;
    HandMadeAge made_;
    std::string good_;
    std::string share_;
    std::string body_;
    std::vector<Vector> vectors_;
};

bool runs(const std::string& command) {
    return system(("(" + command + ") >/dev/null 2>&1 </dev/null").c_str()) == 0;
}

}  // namespace

TEST_CASE("age: every rule of the format has its vector, and age judges them alike") {
    const ScratchDirectory scratch;
    const AgeKeyPair pair = make_age_key_pair("now");
    create_file(scratch / "identity", pair.identity_file);
    const Key32 secret = parse_age_identities(pair.identity_file, "identity").front();
    const std::vector<Vector> vectors = Vectors(secret).all();
    CHECK(vectors.size() > 120);
    const bool have_age = runs("command -v age");
    for (const Vector& vector : vectors) {
        CAPTURE(vector.what);
        const std::string error = error_of([&] { decrypt(vector.file, "", {secret}); });
        CHECK(error.substr(0, error.find(':')) == vector.verdict);
        // In other steps the answer is the same.
        CHECK(error_of([&] { decrypt(vector.file, "", {secret}, 100'000); }) == error);
        if (have_age) {
            create_file(scratch / "vector", vector.file);
            CHECK(runs(fmt::format("age -d -i {0}/identity {0}/vector", scratch.path())) ==
                  vector.age_opens);
            remove_tree(scratch / "vector");
        }
    }
}

TEST_CASE("age: no file is made for a recipient of low order") {
    Key32 recipient{};
    CHECK_THROWS_AS(AgeEncryptor({recipient}, [](Bytes) {}), Error);
    recipient[0] = std::byte{1};
    CHECK_THROWS_AS(AgeEncryptor({recipient}, [](Bytes) {}), Error);
}
