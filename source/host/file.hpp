#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace drunner {

// Files of this machine. Everything throws Error(system or no_space) with the path in it. Nothing
// here follows a symbolic link at the last part of a path unless it says so.

class FileDescriptor {
  public:
    FileDescriptor() = default;
    explicit FileDescriptor(int fd) : fd_(fd) {}
    FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept;
    ~FileDescriptor() { reset(); }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    int release();
    void reset(int fd = -1);

  private:
    int fd_ = -1;
};

enum class FileType { absent, regular, directory, symlink, other };

FileType file_type(const std::string& path);
inline bool exists(const std::string& path) {
    return file_type(path) != FileType::absent;
}

// Follows links.
std::string read_file(const std::string& path);
// Writes beside, syncs, renames over `path`, syncs the directory: a reader sees the old content or
// the new, also after a power cut.
void write_file(const std::string& path, std::string_view content, mode_t mode = 0600);
// As write_file, for a file that must not exist (Error(file_exists)).
void create_file(const std::string& path, std::string_view content, mode_t mode = 0600);

// Adds a line (without its '\n') behind the last whole one, making the file (mode 0600) where it is
// absent, and syncs. What a power cut or a full disk left of a line goes.
void append_line(const std::string& path, std::string_view line);

// Open at its beginning, in no directory and on no disk.
FileDescriptor memory_file(std::string_view content);

// Makes it and its parents; existing ones keep their mode. Says whether the last was created.
bool make_directories(const std::string& path, mode_t mode = 0700);
// Removes a file, link or tree, without following links or leaving its file system; false where
// it was absent.
bool remove_tree(const std::string& path);
// Names in it, sorted; empty where the directory is absent.
std::vector<std::string> directory_entries(const std::string& path);

void rename_file(const std::string& from, const std::string& to);
// renameat2(RENAME_NOREPLACE); Error(file_exists) where `to` exists.
void rename_new(const std::string& from, const std::string& to);
// renameat2(RENAME_EXCHANGE): both must exist on one file system.
void exchange_files(const std::string& a, const std::string& b);
// Replaces or creates the link by renaming a new one over it.
void replace_symlink(const std::string& target, const std::string& link);
// Empty where it is not a link.
std::string read_symlink(const std::string& path);
// The temporary names in a directory under which a killed write_file, create_file or
// replace_symlink left what never got its own.
std::vector<std::string> unfinished_entries(const std::string& directory);
// Such a name for what is to become `path`.
std::string unfinished_name(const std::string& path);

void sync_directory(const std::string& path);
std::string parent_of(const std::string& path);
std::string base_name(const std::string& path);
// Bytes that an unprivileged writer could still use on the path's file system.
unsigned long long free_space(const std::string& path);

// 32 lower-case hexadecimal digits from the kernel.
std::string random_id();

}  // namespace drunner
