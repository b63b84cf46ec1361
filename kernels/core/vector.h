// Moves rows as words of up to 16 bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::cuda {

struct alignas(16) Word16 {
  uint64_t low, high;
};

// Returns the widest word, in bytes, that divides `bytes` and the address of each pointer: 16, 8, 4 or 2.
template <class... P>
int widest_word(int64_t bytes, const P*... pointers) {
  const uint64_t bits = (static_cast<uint64_t>(bytes) | ... | reinterpret_cast<uintptr_t>(pointers));
  return bits % 16 == 0 ? 16 : bits % 8 == 0 ? 8 : bits % 4 == 0 ? 4 : 2;
}

// Calls body(Word()), with a Word of that many bytes. body returns a status.
template <class Body>
int32_t with_word(int bytes, const Body& body) {
  switch (bytes) {
    case 16:
      return body(Word16());
    case 8:
      return body(uint64_t());
    case 4:
      return body(uint32_t());
    default:
      return body(uint16_t());
  }
}

// Returns the number of threads that share one row of `words` words: a power of two, at most a warp.
inline unsigned threads_per_row(int64_t words) {
  unsigned threads = 1;
  while (threads < 32 && threads < words) threads *= 2;
  return threads;
}

}  // namespace varlstm::cuda
