// Plain bytes by InputFile, compressed ones by zlib's inflate.
// SPDX-License-Identifier: Apache-2.0
#include "gzip_input.h"

#include <algorithm>

#include "error.h"

namespace tagger {
namespace {

constexpr size_t kInputBytes = size_t{1} << 18;
constexpr unsigned char kMagic[2] = {0x1F, 0x8B};
constexpr int kGzipAlone = 16 + MAX_WBITS;  // inflateInit2's code for data with gzip's header and sum

}  // namespace

void GzipInput::End::operator()(z_stream* stream) const {
  inflateEnd(stream);
  delete stream;
}

GzipInput::GzipInput(const std::string& path) : file_(path) {
  unsigned char first[2] = {};
  if (bytes() < sizeof first) return;
  file_.read(0, first, sizeof first);
  if (!std::equal(first, first + 2, kMagic)) return;
  stream_.reset(new z_stream());
  if (inflateInit2(stream_.get(), kGzipAlone) != Z_OK) fail("cannot open {}: no memory", path);
  input_.resize(kInputBytes);
}

void GzipInput::fail_as_gzip(std::string_view why) const {
  fail("{} cannot be read as gzip: {}", file_.path(), why);
}

size_t GzipInput::read_plain(void* data, size_t count) {
  count = static_cast<size_t>(std::min<uint64_t>(count, bytes() - offset_));
  file_.read(offset_, data, count);
  offset_ += count;
  return count;
}

bool GzipInput::next_input() {
  stream_->next_in = input_.data();
  stream_->avail_in = static_cast<unsigned>(read_plain(input_.data(), input_.size()));
  return stream_->avail_in > 0;
}

// After the end of compressed data: whether more of it begins here. Zeros up to the end of the file are padding.
bool GzipInput::next_member() {
  const uint64_t end = offset_ - stream_->avail_in;
  if (stream_->avail_in == 0 && !next_input()) return false;
  if (stream_->next_in[0] == kMagic[0]) {
    inflateReset(stream_.get());  // which looks at the second byte
    return true;
  }
  do {
    const unsigned char* const last = stream_->next_in + stream_->avail_in;
    if (std::any_of(static_cast<const unsigned char*>(stream_->next_in), last, [](unsigned char byte) { return byte; }))
      fail_as_gzip(fmt::format("its data ends after {} bytes of the file, and {} others follow", end, bytes() - end));
  } while (next_input());
  return false;
}

size_t GzipInput::read(char* data, size_t count) {
  if (!stream_) return read_plain(data, count);
  count = std::min(count, size_t{1} << 30);  // zlib counts in unsigned
  stream_->next_out = reinterpret_cast<unsigned char*>(data);
  stream_->avail_out = static_cast<unsigned>(count);
  while (stream_->avail_out > 0 && !at_end_) {
    if (stream_->avail_in == 0 && !next_input()) fail_as_gzip("it is cut off");
    const int status = inflate(stream_.get(), Z_NO_FLUSH);
    if (status == Z_STREAM_END)
      at_end_ = !next_member();
    else if (status != Z_OK && status != Z_BUF_ERROR)
      fail_as_gzip(stream_->msg != nullptr ? stream_->msg : zError(status));
  }
  return count - stream_->avail_out;
}

}  // namespace tagger
