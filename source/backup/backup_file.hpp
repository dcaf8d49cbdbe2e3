#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.hpp"
#include "core/progress.hpp"
#include "core/secret.hpp"

namespace drunner {

// The backup file, specified to the byte in FORMAT.md: tar (pax), zstd, and age around it when
// there is a key.

// A volume's data as the tar of a directory, where a container engine has to hand it over.
struct VolumeStream {
    std::string root;  // the directory's name in the tar
    std::function<void(const ByteSink&)> read;
    std::function<void(const ByteSource&)> write;
};

struct BackupVolume {
    std::string path;  // in the container
    std::string name;  // of the Docker volume
    std::string driver = "local";
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> options;
    std::string source;   // directory to read; writing only
    bool absent = false;  // the old tool named it, but left its content out
    // The content came through a container engine, which does not hand out everything.
    bool streamed = false;
    std::optional<VolumeStream> stream = {};  // to read in place of `source`; writing only
};

// The first member, as data.
struct BackupHeader {
    std::string service;
    std::string created_at;  // ISO 8601
    std::string drunner_version;
    std::string image_reference;
    std::string image_digest;
    std::string image_id;
    bool image_embedded = false;  // the file holds the image itself
    // A backup of the tool of 2016. It says nothing that it had no field for: of the volumes only
    // names, which also stand in the place of their paths, and the order of their paths.
    bool from_old_tool = false;
    std::vector<BackupVolume> volumes;
    std::map<std::string, std::string> settings;
    std::map<std::string, Secret> secrets = {};  // contents by name; only in an encrypted file
    std::vector<std::string> secrets_left_out;
    // fnmatch patterns of what is left out below each volume: one that begins with '/' is matched
    // with the path in the container, others with the path below the volume and with the name.
    std::vector<std::string> excludes;
    // The services that come before this one, as its servicecfg.sh named them.
    std::vector<std::string> after = {};
};

struct BackupKey {
    Secret password;                      // age scrypt recipient
    std::vector<std::string> recipients;  // age1...
    int work_factor = 18;                 // log2 of the password's cost; tests lower it
    bool empty() const { return password.empty() && recipients.empty(); }
};

// Throws Error(usage) where both or a malformed recipient are given.
void check_backup_key(const BackupKey& key);

struct BackupJob {
    BackupHeader header;
    std::string scripts_directory;  // services/S/drunner, for show and diff
    std::string hook_directory;     // DIR of backupstart
    BackupKey key;
    int level = 3;
    unsigned workers = 0;      // 0: one per core
    bool want_sha256 = false;  // of the file: with a key another pass over all of it
    // Streams the image into the sink, on the caller's thread; empty: none is embedded.
    std::function<void(const ByteSink&)> image = {};
};

struct BackupResult {
    std::uint64_t files = 0;           // regular ones
    std::uint64_t original_bytes = 0;  // of their content, without holes and embedded image
    std::uint64_t written_bytes = 0;
    std::string sha256;                 // of every byte written; empty where it was not wanted
    std::vector<std::string> vanished;  // files that went or grew while they were read
    std::vector<std::string> skipped;   // sockets
};

// Writes the backup to the sink, which is called by the caller's thread. Throws whatever the sink
// throws, Error(system) for a file that cannot be read, Error(in_use) for one that shrank three
// times, Error(interrupted).
BackupResult write_backup(const BackupJob& job, const ByteSink& sink, Progress& progress);

// Writes the backup beside `path`, syncs it, drops it from the page cache, reads it again and
// compares, and renames it to `path`, which must not exist (Error(file_exists)). Mode 0600. Leaves
// nothing on failure.
BackupResult write_backup_file(const BackupJob& job, const std::string& path, Progress& progress);

struct OpenKey {
    Secret password;
    std::string identity_file;    // of age identities
    bool allow_plain = false;     // --plain: a key for a file that is not encrypted is no error
    bool require_trailer = true;  // --no-trailer clears it
};

// Where restored bytes go: directories that exist and are empty, or streams, by volume path. A
// volume that is not named is skipped.
struct RestoreTargets {
    std::map<std::string, std::string> volumes;        // volume path -> directory
    std::map<std::string, VolumeStream> streams = {};  // volume path -> where there is none
    std::string hook_directory;                        // empty: skipped
    std::string scripts_directory;                     // empty: skipped
};

// Of all members, also those that no target takes; counted as in BackupResult.
struct RestoreResult {
    std::uint64_t files = 0;
    std::uint64_t original_bytes = 0;
};

// A backup that is being read, once, from its beginning; works on pipes.
class BackupReader {
  public:
    virtual ~BackupReader() = default;

    // The first member; reading it decrypts and checks what comes before it.
    virtual const BackupHeader& header() = 0;

    // Hands the embedded image over as a stream, once, before anything else is read; without this
    // call extract and verify pass over it. Only they tell whether it was undamaged.
    virtual void read_image(const std::function<void(const ByteSource&)>& load) = 0;

    // Reads to the end, writing into the targets (owners, modes, times, xattrs, ACLs, hard links,
    // sparse files); nothing leaves them. Only when this returns has every byte been checked:
    // throws Error(archive_damaged) otherwise, and the targets' content is then to be removed.
    virtual RestoreResult extract(const RestoreTargets& targets, Progress& progress) = 0;

    // Reads to the end without writing: what extract checks. `member` is called for each, in order.
    struct Member {
        std::string volume;  // path of its volume; empty for scripts and the hook's directory
        std::string name;
        std::uint64_t size = 0;
        unsigned mode = 0;
        std::string type;  // file dir link hardlink fifo device
    };
    virtual RestoreResult verify(const std::function<void(const Member&)>& member,
                                 Progress& progress) = 0;

    // Of the backup as it is packed; empty where it comes through a pipe. open_backup sets it.
    std::optional<std::uint64_t> packed_bytes = {};
};

// Throws Error(archive_damaged) for what is not a backup, Error(wrong_password) where the key is
// missing or does not fit (which nobody can tell from a damaged header of an encrypted file),
// Error(archive_refused) for a newer format, Error(system) where the 7-Zip archives of 2016 are to
// be read without the program 7z. The file descriptor stays the caller's and must outlive the
// reader.
std::unique_ptr<BackupReader> open_backup(int fd, const OpenKey& key);

}  // namespace drunner
