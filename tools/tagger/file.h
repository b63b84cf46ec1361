// Files: reading, writing with every error seen, and a folder that appears complete or not at all.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tagger {

// A file open for reading, whose length is known.
class InputFile {
 public:
  explicit InputFile(const std::string& path);  // Error: missing, not readable, not a regular file
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }
  // Reads exactly `count` bytes from `offset`; the range lies in the file.
  void read(uint64_t offset, void* data, uint64_t count) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t bytes_ = 0;
};

// A file (or standard output) open for writing. What cannot be written is an Error, at the latest in close().
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);  // creates it, or empties what is there
  static OutputFile standard_output();
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view data);
  void write(const void* data, uint64_t count);
  // Brings everything to the disk and closes.
  void close();

 private:
  OutputFile(std::string path, int descriptor);
  std::string path_;
  int descriptor_ = -1;
};

// The whole of a file or, for "-", of standard input.
std::string read_all(const std::string& path);

// A path without slashes at its end: those make a link be followed that is meant itself.
std::string without_slashes(std::string path);
// Whether another file system begins there, so that no other folder can be renamed to it.
bool is_mount_point(const std::string& path);

// A folder that is filled under a temporary name beside its place. publish() puts it there in one step, in exchange for
// what stood there before, and moves along what the old folder had and the new one has not. Without publish() the
// folder and its files are removed again; where it fails they stay, and its Error says where.
class PendingFolder {
 public:
  explicit PendingFolder(const std::string& place);
  ~PendingFolder();
  PendingFolder(const PendingFolder&) = delete;
  PendingFolder& operator=(const PendingFolder&) = delete;

  const std::string& path() const { return path_; }
  // The files in it have been closed, and so are on the disk.
  void publish();

 private:
  bool put_in_place();
  void keep_what_only_the_old_has();

  std::string place_, path_;
};

}  // namespace tagger
