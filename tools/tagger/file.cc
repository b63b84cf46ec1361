// Files through POSIX calls: the C++ streams hide why a write failed.
// SPDX-License-Identifier: Apache-2.0
#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "error.h"

namespace tagger {
namespace {

namespace fs = std::filesystem;

// A single read or write call moves at most this much: Linux stops short of 2 GiB anyway.
constexpr uint64_t kMaxTransfer = uint64_t{1} << 30;

std::string reason() {
  return std::strerror(errno);
}

// The folder a path lies in, "." for a bare name.
std::string parent_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// Brings a file or folder to the disk. EINVAL and EROFS: a pipe, a terminal, a device that has nothing to bring there.
void sync(int descriptor, const std::string& path) {
  if (::fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
    fail("cannot write {}: {}", path, reason());
}

// The same for the names in a folder, as far as it may be opened at all: one may be allowed to write there alone.
void sync_folder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  try {
    sync(descriptor, path);
  } catch (const Error&) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
}

// Where a folder really is or will be: without links and slashes at its end, both of which rename() takes amiss.
std::string real_place(const std::string& path) {
  std::error_code absent;
  const fs::path real = fs::canonical(path, absent);
  return absent ? without_slashes(path) : real.string();
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail("cannot open {}: {}", path, reason());
  struct stat status;
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (known && S_ISREG(status.st_mode)) {
    bytes_ = static_cast<uint64_t>(status.st_size);
    return;
  }
  ::close(descriptor_);
  fail("cannot read {}: not a regular file", path);
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(uint64_t offset, void* data, uint64_t count) const {
  char* target = static_cast<char*>(data);
  while (count > 0) {
    const ssize_t got = ::pread(descriptor_, target, std::min(count, kMaxTransfer), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read {}: {}", path_, reason());
    if (got == 0) fail("cannot read {}: it has become shorter", path_);
    target += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<uint64_t>(got);
  }
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot create {}: {}", path, reason());
}

OutputFile::OutputFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputFile OutputFile::standard_output() {
  const int descriptor = ::dup(STDOUT_FILENO);
  if (descriptor < 0) fail("cannot write to standard output: {}", reason());
  return OutputFile("standard output", descriptor);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::string_view data) {
  write(data.data(), data.size());
}

void OutputFile::write(const void* data, uint64_t count) {
  const char* source = static_cast<const char*>(data);
  while (count > 0) {
    const ssize_t put = ::write(descriptor_, source, std::min(count, kMaxTransfer));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot write {}: {}", path_, reason());
    source += put;
    count -= static_cast<uint64_t>(put);
  }
}

void OutputFile::close() {
  sync(descriptor_, path_);
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("cannot write {}: {}", path_, reason());
}

std::string read_all(const std::string& path) {
  const bool standard_input = path == "-";
  const int descriptor = standard_input ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const std::string name = standard_input ? "standard input" : path;
  if (descriptor < 0) fail("cannot open {}: {}", name, reason());
  struct stat status;
  std::string text;
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
    text.reserve(static_cast<size_t>(status.st_size) + 1);
  char chunk[1 << 16];
  while (true) {
    const ssize_t got = ::read(descriptor, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const std::string why = reason();
      ::close(descriptor);
      fail("cannot read {}: {}", name, why);
    }
    if (got == 0) break;
    text.append(chunk, static_cast<size_t>(got));
  }
  ::close(descriptor);
  return text;
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

bool is_mount_point(const std::string& path) {
  struct stat own, parent;
  const std::string place = real_place(path);
  return ::stat(place.c_str(), &own) == 0 && ::stat(parent_of(place).c_str(), &parent) == 0 &&
         own.st_dev != parent.st_dev;
}

PendingFolder::PendingFolder(const std::string& place) : place_(real_place(place)) {
  std::string name = place_ + ".partial-XXXXXX";
  if (!::mkdtemp(name.data())) fail("cannot create {}: {}", place_, reason());
  path_ = name;
  // mkdtemp makes the folder private; a model is as readable as any other file the user makes.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::chmod(path_.c_str(), 0777 & ~mask);
}

PendingFolder::~PendingFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

// An empty or absent place takes a plain rename. A filled one is exchanged with ours, so that at no moment there is no
// folder; the old one, which bears our temporary name then, goes with the destructor. False with errno otherwise.
bool PendingFolder::put_in_place() {
  if (::rename(path_.c_str(), place_.c_str()) == 0) return true;
  if (errno != ENOTEMPTY && errno != EEXIST) return false;
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, place_.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return false;
  // A file system that exchanges nothing (NFS): the old folder steps aside, and back if need be.
  const std::string aside = path_ + ".old";
  if (::rename(place_.c_str(), aside.c_str()) != 0) return false;
  if (::rename(path_.c_str(), place_.c_str()) != 0) {
    const int why = errno;
    ::rename(aside.c_str(), place_.c_str());
    errno = why;
    return false;
  }
  path_ = aside;
  return true;
}

void PendingFolder::keep_what_only_the_old_has() {
  std::error_code error;
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(path_, error)) old.push_back(entry.path());
  for (const fs::path& file : old) {
    const fs::path target = fs::path(place_) / file.filename();
    if (fs::exists(fs::symlink_status(target))) continue;
    fs::rename(file, target, error);
    if (error) path_.clear();  // The old folder stays, for what it still holds.
    if (error) return;
  }
}

void PendingFolder::publish() {
  sync_folder(path_);
  if (!put_in_place()) {
    const std::string why = reason();
    fail("cannot create {}: {}; what belongs there stays in {}", place_, why, std::exchange(path_, ""));
  }
  sync_folder(parent_of(place_));
  keep_what_only_the_old_has();
}

}  // namespace tagger
