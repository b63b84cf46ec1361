// Shuffles and votes: each lane of the mask calls them with the same mask. They order no memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels/simt/site.h"

namespace varlstm::simt {

enum class ShuffleKind { kIndex, kXor, kDown, kUp };

// What a lane of a shuffle requests: the operands b and c of shfl.sync in the PTX ISA. Only the five low bits of
// `lanes` are used. Bits 0 to 4 of `bounds` are the last lane of a segment (for kUp the first); bits 8 to 12 say which
// bits of the lane number identify the segment.
struct ShuffleRequest {
  ShuffleKind kind;
  unsigned lanes;
  unsigned bounds;
};
constexpr unsigned kWholeWarp = 31;  // as bounds, except for kUp, which has 0

struct Shuffled {
  uint64_t bits;   // of the source lane; the caller's own if out of bounds; poison if not in the mask
  bool in_bounds;  // whether the source lane is in bounds
};
Shuffled shuffle_in_bounds(const ShuffleRequest& request, unsigned mask, uint64_t bits, Site site);

// The same in the whole warp, for every kind but kUp.
uint64_t shuffle_bits(ShuffleKind kind, unsigned mask, uint64_t bits, unsigned operand, Site site);

template <class T>
T shuffle(ShuffleKind kind, unsigned mask, T value, unsigned operand, Site site) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  bits = shuffle_bits(kind, mask, bits, operand, site);
  memcpy(&value, &bits, sizeof(T));
  return value;
}

// They read from lane `source` % 32, from lane ^ `lanes` % 32, or from lane + `lanes` % 32 (the lane's own value if
// that is beyond the last lane).
template <class T>
T shfl(unsigned mask, T value, int source, Site site = Site::here()) {
  return shuffle(ShuffleKind::kIndex, mask, value, static_cast<unsigned>(source), site);
}
template <class T>
T shfl_xor(unsigned mask, T value, int lanes, Site site = Site::here()) {
  return shuffle(ShuffleKind::kXor, mask, value, static_cast<unsigned>(lanes), site);
}
template <class T>
T shfl_down(unsigned mask, T value, unsigned lanes, Site site = Site::here()) {
  return shuffle(ShuffleKind::kDown, mask, value, lanes, site);
}

// Returns one bit for each lane of the mask whose predicate is not 0.
unsigned ballot(unsigned mask, int predicate, Site site = Site::here());
inline int any(unsigned mask, int predicate, Site site = Site::here()) {
  return ballot(mask, predicate, site) != 0;
}
inline int all(unsigned mask, int predicate, Site site = Site::here()) {
  return ballot(mask, predicate == 0, site) == 0;
}

// Emulator's own: the last lane of the mask to arrive computes the result for all of them. in and out have an entry for
// each lane.
using CollectiveFunction = void (*)(void* const* in, void* const* out, unsigned mask);
void run_collective(const char* what, unsigned mask, void* in, void* out, CollectiveFunction function, Site site);

// Emulator's own: a barrier of some lanes of a warp.
void partial_warp_sync(unsigned mask, Site site);

// Emulator's own: called when the current thread has ended. Unless the launch is strict, lanes that wait for it
// continue without it.
void leave_collectives();

}  // namespace varlstm::simt
