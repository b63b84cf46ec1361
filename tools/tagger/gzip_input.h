// A file that is read from its beginning to its end, plain or compressed by gzip (RFC 1952), as its content tells.
// zlib's own gzread does not say that bytes follow the compressed data.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "file.h"

namespace tagger {

class GzipInput {
 public:
  explicit GzipInput(const std::string& path);  // Error: missing, not readable, not a regular file

  uint64_t bytes() const { return file_.bytes(); }  // of the file as it is
  uint64_t bytes_read() const { return offset_; }   // of these, so far
  // Reads `count` bytes of content, or fewer only at the end. Compressed files may be concatenated, and zeros may
  // follow the last one, as on a tape. Error if the compressed data is broken or cut off, or if other bytes follow it.
  size_t read(char* data, size_t count);

 private:
  struct End {
    void operator()(z_stream* stream) const;
  };

  size_t read_plain(void* data, size_t count);
  bool next_input();  // fills what the stream reads from; false at the end of the file
  bool next_member();
  [[noreturn]] void fail_as_gzip(std::string_view why) const;

  InputFile file_;
  uint64_t offset_ = 0;
  std::vector<unsigned char> input_;
  std::unique_ptr<z_stream, End> stream_;  // none if the file is plain
  bool at_end_ = false;                    // of the compressed data
};

}  // namespace tagger
