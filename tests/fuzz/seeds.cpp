#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "backup/age_key.hpp"
#include "fakes/tar_text.hpp"
#include "unit/backup/hand_made_age.hpp"
#include "unit/backup/hand_made_backup.hpp"
#include "unit/backup/old_backup_fixture.hpp"

// Writes what the fuzzers start from: DIRECTORY/TARGET/NUMBER.

namespace {

using namespace drunner;
using namespace drunner::test;

std::string small_tree() {
    return root + tar_member({.name = "volumes/1/d/", .type = '5', .mode = 0755}) +
           tar_member({.name = "volumes/1/d/f", .content = "content"}) +
           tar_member({.name = "volumes/1/h", .type = '1', .link = "volumes/1/d/f"}) +
           tar_member({.name = "volumes/1/l", .type = '2', .link = "d/f"}) +
           pax_member(pax_record("path", "volumes/1/" + std::string(120, 'n')) +
                      pax_record("mtime", "-1.5") + pax_record("SCHILY.xattr.user.a", "b") +
                      pax_record("SCHILY.acl.access",
                                 "user::rw-\nuser:1:r--\ngroup::r--\nmask::r--\nother::---\n")) +
           tar_member({.name = "x"}) +
           pax_member(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                      pax_record("GNU.sparse.name", "volumes/1/s") +
                      pax_record("GNU.sparse.realsize", "5000")) +
           tar_member(
               {.name = "volumes/1/s", .content = "1\n4096\n3\n" + std::string(503, '\0') + "end"});
}

std::string log_frame(char stream, const std::string& text) {
    return std::string{stream, 0, 0, 0, 0, 0, 0, static_cast<char>(text.size())} + text;
}

std::map<std::string, std::vector<std::string>> seeds() {
    HandMadeAge age;
    const Key32 identity{std::byte{8}};
    const AgeKeyPair pair = make_age_key_pair("2024-01-01T00:00:00Z");
    const std::string body = json_member(header_member, header_json()) + small_tree();
    BackupClosing closing;
    return {
        {"age",
         {age.file(age.x25519_stanza(x25519_public(identity))), age.file(age.scrypt_stanza()),
          pair.identity_file, pair.recipient}},
        {"backup_reader",
         {small_tree(), body + tar_end(), hand_made(small_tree()), compressed(body)}},
        {"backup_header", {header_json(), to_json(closing)}},
        {"backup_extract", {small_tree(), std::string(300, '\x05'), std::string(2000, 'a')}},
        {"old_backup",
         {old_backup_of(old_root() + tar_member({.name = "./f", .content = "content"}) +
                        tar_member({.name = "./h", .type = '1', .link = "./f"})),
          small_tree(), "OLDDOCKERVOLS=(\"a\" \"b\")\nIMAGENAME=\"team/app\"\n",
          old_root() + tar_member({.name = "././@LongLink", .type = 'L', .content = "./n"}) +
              tar_member({.name = "x"})}},
        {"service_config",
         {"#!/bin/bash\nVOLUMES=(\"/data\" '/var/lib/x' /y) # three\nEXTRACONTAINERS=(\n  "
          "a/b:1\n)\n"
          "VERSION=2\nSELFTEST=yes\n",
          "SETTINGS=(\"PORT|required|80|The port|port\")\nBACKUP_EXCLUDE=('cache/*')\n",
          "VOLUMES=(\"$HOME\" `x` $(y))\n", "\xef\xbb\xbfVOLUMES=()\r\n"}},
        {"engine_streams",
         {"\x03" + log_frame(1, "out\n") + log_frame(2, "err\n"),
          "\x10{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":5,"
          "\"total\":9}}"
          "\n{\"status\":\"Status: Downloaded newer image\"}\n",
          "\x20{\"errorDetail\":{\"message\":\"x\"},\"error\":\"x\"}\n", "\x7f" + tar_end()}},
        {"image_files",
         {tar_member({.name = "drunner/", .type = '5', .mode = 0755}) +
              tar_member({.name = "drunner/servicecfg.sh", .content = "VOLUMES=()\n"}) + tar_end(),
          tar_member({.name = "passwd", .content = "root:x:0:0::/:/bin/sh\n"}) + tar_end()}},
        {"image_reference",
         {"debian", "127.0.0.1:5000/team/app:2",
          "docker.io/library/debian@sha256:" + std::string(64, 'a')}},
    };
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: fuzz-seeds DIRECTORY\n");
        return 1;
    }
    try {
        for (const auto& [target, texts] : seeds()) {
            const std::string directory = std::string(argv[1]) + "/" + target;
            make_directories(directory, 0755);
            for (std::size_t i = 0; i < texts.size(); ++i) {
                write_file(directory + "/" + std::to_string(i), texts[i], 0644);
            }
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "fuzz-seeds: %s\n", error.what());
        return 1;
    }
    return 0;
}
