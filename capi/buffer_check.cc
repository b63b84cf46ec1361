// Checks of the buffers of one call.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "capi/check.h"

namespace varlstm {
namespace {

constexpr int64_t kScratchAlignment = 64;  // promised in varlstm.h

int32_t too_large(const char* name, std::initializer_list<Dim> dims, int64_t element_size) {
  char shape[256] = "";
  size_t used = 0;
  for (const Dim& dim : dims) {
    used += static_cast<size_t>(
        snprintf(shape + used, sizeof shape - used, "%s = %lld, ", dim.name, static_cast<long long>(dim.value)));
  }
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s: %s%lld bytes each, is more than fits in memory", name, shape,
                   static_cast<long long>(element_size));
}

}  // namespace

int32_t check_bytes(const char* name, std::initializer_list<Dim> dims, int64_t element_size, int64_t* bytes) {
  int64_t product = element_size;
  bool empty = false;
  for (const Dim& dim : dims) {
    empty = empty || dim.value == 0;
    const int64_t factor = dim.value == 0 ? 1 : dim.value;
    if (product > kMaxBytes / factor) return too_large(name, dims, element_size);
    product *= factor;
  }
  if (bytes != nullptr) *bytes = empty ? 0 : product;
  return VARLSTM_OK;
}

void BufferCheck::add_interval(const char* name, const void* data, int64_t bytes, int64_t alignment, bool written) {
  if (bytes == 0) return;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  if (data == nullptr) {
    status_ = set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s is NULL", name);
  } else if (begin % static_cast<uintptr_t>(alignment) != 0) {
    status_ = set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %p is not aligned to %lld bytes", name, data,
                        static_cast<long long>(alignment));
  } else {
    intervals_[count_++] = Interval{name, begin, static_cast<uint64_t>(bytes), written};
  }
}

void BufferCheck::add(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size,
                      bool written) {
  if (status_ != VARLSTM_OK) return;
  if (element_size == 0) element_size = default_element_size_;
  int64_t bytes = 0;
  status_ = check_bytes(name, dims, element_size, &bytes);
  if (status_ == VARLSTM_OK) add_interval(name, data, bytes, element_size, written);
}

void BufferCheck::read(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size) {
  add(name, data, dims, element_size, false);
}

void BufferCheck::read_or_null(const char* name, const void* data, std::initializer_list<Dim> dims,
                               int64_t element_size) {
  if (data != nullptr) add(name, data, dims, element_size, false);
}

void BufferCheck::write(const char* name, const void* data, std::initializer_list<Dim> dims, int64_t element_size) {
  add(name, data, dims, element_size, true);
}

void BufferCheck::write_or_null(const char* name, const void* data, std::initializer_list<Dim> dims,
                                int64_t element_size) {
  if (data != nullptr) add(name, data, dims, element_size, true);
}

void BufferCheck::scratch(const char* name, const void* data, int64_t bytes, int64_t needed, bool written) {
  if (status_ != VARLSTM_OK) return;
  if (bytes < 0 || bytes > kMaxBytes) {
    status_ = set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s_bytes = %lld is not in 0 ... %lld", name,
                        static_cast<long long>(bytes), static_cast<long long>(kMaxBytes));
  } else if (bytes < needed) {
    status_ = set_error(VARLSTM_ERROR_BUFFER_TOO_SMALL, "%s_bytes = %lld is too small: %lld bytes are needed", name,
                        static_cast<long long>(bytes), static_cast<long long>(needed));
  } else {
    add_interval(name, data, bytes, kScratchAlignment, written);
  }
}

void BufferCheck::may_be_same(const char* first, const char* second) {
  same_[0] = first;
  same_[1] = second;
}

bool BufferCheck::is_in_place_pair(const Interval& a, const Interval& b) const {
  if (a.begin != b.begin) return false;
  return (strcmp(a.name, same_[0]) == 0 && strcmp(b.name, same_[1]) == 0) ||
         (strcmp(a.name, same_[1]) == 0 && strcmp(b.name, same_[0]) == 0);
}

int32_t BufferCheck::finish() {
  for (int j = 0; status_ == VARLSTM_OK && j < count_; ++j) {
    for (int k = 0; k < j; ++k) {
      const Interval& a = intervals_[j];
      const Interval& b = intervals_[k];
      if (!a.written && !b.written) continue;
      const bool apart = a.begin < b.begin ? b.begin - a.begin >= a.bytes : a.begin - b.begin >= b.bytes;
      if (apart || is_in_place_pair(a, b)) continue;
      const Interval& first = a.written ? a : b;
      const Interval& second = a.written ? b : a;
      status_ =
          set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s (%p, %llu bytes) overlaps %s (%p, %llu bytes)", first.name,
                    reinterpret_cast<void*>(first.begin), static_cast<unsigned long long>(first.bytes), second.name,
                    reinterpret_cast<void*>(second.begin), static_cast<unsigned long long>(second.bytes));
      break;
    }
  }
  return status_;
}

}  // namespace varlstm
