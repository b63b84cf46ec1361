// Strong accesses and fences by the PTX ISA's memory consistency model: what they order, and which value a load
// returns. https://docs.nvidia.com/cuda/parallel-thread-execution/#memory-consistency-model
//
// A release pattern is a release, or a fence or a release of the same word before a strong store. An acquire pattern is
// an acquire, or a strong load before a fence or before an acquire of the same word. If a load returns the value of a
// store, or a value that atomics made of it, the two patterns synchronise, provided that the scope of each contains the
// other's thread.
//
// Nothing orders relaxed accesses of two words. So under the schedules random and pct a load may return the value
// before the last one, unless the thread is known to come after the last store. Code that uses one relaxed word as a
// flag for another then computes with old values. An atomic reads the last value, as its atomicity requires. All of
// this happens only if the race detector is on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <map>
#include <utility>
#include <vector>

#include "kernels/simt/knowledge.h"
#include "kernels/simt/ordering.h"
#include "kernels/simt/race.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// What was released, by the units of threads that may acquire it. The keys are those of knowledge.h, each once.
using Released = std::vector<std::pair<uint64_t, Knowledge>>;

// What a thread has released and read, for patterns that are not complete.
struct OpenPatterns {
  struct ByScope {
    Knowledge known[kScopes];
  };
  ByScope fenced;                         // before its last fence of each scope or a wider one
  std::map<const void*, ByScope> stored;  // before its last release of each word
  std::map<const void*, Released> read;   // what strong loads of each word returned
  Knowledge fences;                       // what fence.sc of all threads released before this thread's own
};

// Words of 1, 2, 4 or 8 bytes, which must be aligned. Each access is reported to the race detector. A load yields
// before it reads, and a store yields after it has written.
uint64_t load_strong(const void* from, unsigned bytes, Ordering ordering, Site site, uintptr_t pc);
void store_strong(void* to, uint64_t bits, unsigned bytes, Ordering ordering, Site site, uintptr_t pc);

// `count` neighbouring words, as a vector or as a word of 16 bytes: each word is an access of its own. Under the
// schedules random and pct they happen in any order, with other threads in between.
void load_pieces(const void* from, void* to, unsigned bytes, unsigned count, Ordering ordering, Site site,
                 uintptr_t pc);
void store_pieces(void* to, const void* from, unsigned bytes, unsigned count, Ordering ordering, Site site,
                  uintptr_t pc);

// An atomic has read `old` and is about to write `changed`. A reduction does not read; a comparison that fails does not
// write.
struct Change {
  uint64_t old = 0;
  uint64_t changed = 0;
  bool reads = true;
  bool writes = true;
};
void order_change(void* address, unsigned bytes, const Change& change, Ordering ordering);
// Called after the atomic has written. If it changed nothing, it may be a spin, so others run. Otherwise others may
// wait for it, above all if it releases.
void end_change(bool changed, Ordering ordering, Site site);

// An atomic on an aligned word. `operation(old, &changed)` returns whether it writes. Returns the old value, which a
// reduction does not read.
template <class T, class F>
T change_word(T* address, F operation, bool reads, Ordering ordering, Site site, uintptr_t pc) {
  note_access(address, sizeof(T), Access::kAtomic, pc);
  const T old = *address;
  T changed = old;
  Change change;
  change.reads = reads;
  change.writes = operation(old, &changed);
  memcpy(&change.old, &old, sizeof(T));
  memcpy(&change.changed, &changed, sizeof(T));
  order_change(address, sizeof(T), change, ordering);
  *address = changed;
  end_change(change.changed != change.old, ordering, site);
  return old;
}

// A volatile access by the kernel's own code, which is about to happen.
void note_volatile_load(const void* from, unsigned bytes, uintptr_t pc);
void note_volatile_store(void* to, unsigned bytes, uintptr_t pc);

// fence.acq_rel, its halves, and fence.sc, which is __threadfence.
void fence(Ordering ordering, bool sequential);

// Returns whether the current thread, or another thread that it comes after, has seen that segment's strong store to
// the word.
bool has_observed(const void* word, uint32_t segment);

// At the begin of a launch, and for shared memory of a wave, words have no earlier versions.
void begin_order_launch();
void begin_order_wave();

}  // namespace varlstm::simt
