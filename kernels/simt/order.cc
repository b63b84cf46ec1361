// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/order.h"

#include <string.h>

#include <algorithm>
#include <unordered_map>

#include "kernels/simt/address_space.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

constexpr Scope kOrderScopes[] = {kBlock, kCluster, kGrid};
constexpr size_t kMostWitnesses = 8;  // one more represents any number

struct Version {
  uint64_t value;
  Released released;
};

// A word that a strong access has written. A thread may see the older version, as long as it knows of no access before
// its own that wrote or saw the last version.
struct Word {
  Version last, older;
  unsigned bytes = 0;               // 0: there is no older version
  bool value_known = false;         // whether `last.value` is known; else memory holds it
  std::vector<uint32_t> witnesses;  // segments of the store, and of threads that saw the last version
};

using Words = std::unordered_map<uintptr_t, Word>;
Words device_words, shared_words;
Knowledge all_fences;  // what every fence.sc of the launch has released

Words& words_around(const void* address) {
  return offset_in_shared(address) < kSharedBytes ? shared_words : device_words;
}
uintptr_t key_of(const void* address) {
  return reinterpret_cast<uintptr_t>(address);
}
Word* find_word(const void* address) {
  Words& words = words_around(address);
  const auto found = words.find(key_of(address));
  return found == words.end() ? nullptr : &found->second;
}

uint64_t bits_at(const void* address, unsigned bytes) {
  uint64_t bits = 0;
  memcpy(&bits, address, bytes);
  return bits;
}

bool memory_is_weak() {
  const Schedule schedule = launch_state().options.schedule;
  return schedule == Schedule::kRandom || schedule == Schedule::kPct;
}

void merge(Released& released, uint64_t unit, const Knowledge& knowledge) {
  for (auto& [known_unit, known] : released)
    if (known_unit == unit) {
      known = join(known, knowledge);
      return;
    }
  released.emplace_back(unit, knowledge);
}

// Acquires for the current thread what was released to its own units of that scope and of narrower ones.
void acquire(const Released& released, Scope scope) {
  for (const Scope each : kOrderScopes) {
    if (each > scope) break;
    const uint64_t mine = unit_key(each, *current_thread);
    for (const auto& [unit, knowledge] : released)
      if (unit == mine) acquire_from(knowledge);
  }
}

// Adds what a strong store of the current thread releases, as part of a pattern or by itself.
void release_by_store(void* to, Ordering ordering, Released& released) {
  OpenPatterns& patterns = current_thread->patterns;
  OpenPatterns::ByScope mine = patterns.fenced;
  if (releases(ordering.order)) {
    const Knowledge all = released_knowledge();
    OpenPatterns::ByScope& stored = patterns.stored[to];
    for (const Scope scope : kOrderScopes)
      if (scope <= ordering.scope) stored.known[scope] = mine.known[scope] = all;
  }
  if (const auto stored = patterns.stored.find(to); stored != patterns.stored.end())
    for (const Scope scope : kOrderScopes) mine.known[scope] = join(mine.known[scope], stored->second.known[scope]);
  for (const Scope scope : kOrderScopes)
    if (scope <= ordering.scope && mine.known[scope] != nullptr)
      merge(released, unit_key(scope, *current_thread), mine.known[scope]);
}

// Called when the current thread has read a version.
void acquire_by_load(const void* from, const Version& version, Ordering ordering) {
  auto& read = current_thread->patterns.read;
  if (acquires(ordering.order)) {
    acquire(version.released, ordering.scope);
    if (const auto found = read.find(from); found != read.end()) acquire(found->second, ordering.scope);
    return;
  }
  if (version.released.empty()) return;
  Released& pending = read[from];
  for (const Scope scope : kOrderScopes)
    for (const auto& [unit, knowledge] : version.released)
      if (scope <= ordering.scope && unit == unit_key(scope, *current_thread)) merge(pending, unit, knowledge);
}

// Returns whether the last version of `word` is known to come before what the current thread does next.
bool must_see_last(const Word& word) {
  for (const uint32_t segment : word.witnesses)
    if (happened_before(segment, current_thread->patterns.fences)) return true;
  return false;
}

void add_witness(Word& word) {
  const uint32_t segment = current_segment();
  if (std::find(word.witnesses.begin(), word.witnesses.end(), segment) != word.witnesses.end()) return;
  if (word.witnesses.size() == kMostWitnesses) word.bytes = 0;
  if (word.witnesses.size() <= kMostWitnesses) word.witnesses.push_back(segment);
}

// Called when a new last version is about to replace `bits`.
Word& begin_version(void* to, uint64_t bits, unsigned bytes) {
  Word& word = words_around(to)[key_of(to)];
  word.older.value = bits;
  word.older.released.swap(word.last.released);
  word.last.released.clear();
  word.bytes = memory_is_weak() ? bytes : 0;
  word.witnesses.clear();
  add_witness(word);
  return word;
}

uint64_t read_word(const void* from, unsigned bytes, Ordering ordering, bool may_be_old) {
  const uint64_t bits = bits_at(from, bytes);
  Word* word = races_are_watched() ? find_word(from) : nullptr;
  if (word == nullptr) return bits;
  if (word->bytes != bytes || (word->value_known && word->last.value != bits)) word->bytes = 0;  // another write
  if (may_be_old && word->bytes != 0 && draw() % 2 == 0 && !must_see_last(*word)) {
    acquire_by_load(from, word->older, ordering);
    return word->older.value;
  }
  add_witness(*word);
  acquire_by_load(from, word->last, ordering);
  return bits;
}

// By the ISA a vector is as many accesses as it has words. Every GPU makes one access of it, and CUB depends on this.
bool vectors_are_split() {
  return memory_is_weak() && launch_state().options.strict;
}

// The order of the pieces, and whether others run between two of them.
void shuffle_pieces(unsigned* order, unsigned count) {
  for (unsigned k = 0; k < count; ++k) order[k] = k;
  if (!vectors_are_split()) return;
  for (unsigned k = count; k > 1; --k) std::swap(order[k - 1], order[draw() % k]);
}
void part_pieces() {
  if (!vectors_are_split() || draw() % 2 == 0) return;
  give_way();
}

void write_word(void* to, uint64_t bits, unsigned bytes, Ordering ordering) {
  if (races_are_watched()) {
    Word& word = begin_version(to, bits_at(to, bytes), bytes);
    word.last.value = bits;
    word.value_known = true;
    release_by_store(to, ordering, word.last.released);
  }
  memcpy(to, &bits, bytes);
  note_progress();
}

constexpr unsigned kMostPieces = 8;

}  // namespace

uint64_t load_strong(const void* from, unsigned bytes, Ordering ordering, Site site, uintptr_t pc) {
  spin(site);
  note_access(from, bytes, Access::kStrongRead, pc);
  return read_word(from, bytes, ordering, true);
}

void store_strong(void* to, uint64_t bits, unsigned bytes, Ordering ordering, Site, uintptr_t pc) {
  note_access(to, bytes, Access::kAtomic, pc);
  write_word(to, bits, bytes, ordering);
  yield_thread();
}

void load_pieces(const void* from, void* to, unsigned bytes, unsigned count, Ordering ordering, Site site,
                 uintptr_t pc) {
  unsigned order[kMostPieces];
  spin(site);
  note_access(from, size_t{bytes} * count, Access::kStrongRead, pc);
  shuffle_pieces(order, count);
  for (unsigned k = 0; k < count; ++k) {
    if (k > 0) part_pieces();
    const size_t offset = size_t{bytes} * order[k];
    const auto* piece = static_cast<const unsigned char*>(from) + offset;
    const uint64_t bits = read_word(piece, bytes, ordering, vectors_are_split());
    memcpy(static_cast<unsigned char*>(to) + offset, &bits, bytes);
  }
}

void store_pieces(void* to, const void* from, unsigned bytes, unsigned count, Ordering ordering, Site, uintptr_t pc) {
  unsigned order[kMostPieces];
  note_access(to, size_t{bytes} * count, Access::kAtomic, pc);
  shuffle_pieces(order, count);
  for (unsigned k = 0; k < count; ++k) {
    if (k > 0) part_pieces();
    const size_t offset = size_t{bytes} * order[k];
    write_word(static_cast<unsigned char*>(to) + offset,
               bits_at(static_cast<const unsigned char*>(from) + offset, bytes), bytes, ordering);
  }
  yield_thread();
}

void order_change(void* address, unsigned bytes, const Change& change, Ordering ordering) {
  if (!races_are_watched()) return;
  const Ordering loading = {acquires(ordering.order) ? Order::kAcquire : Order::kRelaxed, ordering.scope};
  if (change.reads) read_word(address, bytes, loading, false);
  if (!change.writes) return;
  Word* word = find_word(address);
  Released chain = word == nullptr ? Released() : word->last.released;  // the chain continues through atomics
  const bool is_new = word == nullptr || change.changed != change.old;
  Word& written = is_new ? begin_version(address, change.old, bytes) : *word;
  release_by_store(address, ordering, chain);
  written.last.value = change.changed;
  written.value_known = true;
  written.last.released = std::move(chain);
}

void end_change(bool changed, Ordering ordering, Site site) {
  if (!changed) {
    spin(site);
    return;
  }
  note_progress();
  const bool yields = launch_state().options.schedule != Schedule::kFifo && draw() % 4 == 0;
  if (yields || releases(ordering.order)) yield_thread();
}

void note_volatile_load(const void* from, unsigned bytes, uintptr_t pc) {
  spin_at(pc);
  note_access(from, bytes, Access::kStrongRead, pc);
  read_word(from, bytes, {}, false);
}

void note_volatile_store(void* to, unsigned bytes, uintptr_t pc) {
  note_access(to, bytes, Access::kAtomic, pc);
  note_progress();
  if (!races_are_watched()) return;
  Word& word = begin_version(to, bits_at(to, bytes), bytes);
  word.value_known = false;
  release_by_store(to, {}, word.last.released);
}

void fence(Ordering ordering, bool sequential) {
  if (!races_are_watched()) return;
  OpenPatterns& patterns = current_thread->patterns;
  if (acquires(ordering.order)) {
    for (const auto& [address, released] : patterns.read) acquire(released, ordering.scope);
    if (ordering.scope == kGrid) patterns.read.clear();
  }
  if (!releases(ordering.order)) return;
  const Knowledge all = released_knowledge();
  if (sequential) patterns.fences = all_fences = join(all_fences, all);
  for (const Scope scope : kOrderScopes)
    if (scope <= ordering.scope) patterns.fenced.known[scope] = all;
}

bool has_observed(const void* word_at, uint32_t segment) {
  const Word* word = find_word(word_at);
  if (word == nullptr || word->witnesses.empty() || word->witnesses.front() != segment) return false;
  if (word->witnesses.size() > kMostWitnesses) return true;
  for (const uint32_t witness : word->witnesses)
    if (witness != segment && happened_before(witness, nullptr)) return true;
  return false;
}

void begin_order_launch() {
  device_words.clear();
  all_fences = nullptr;
}

void begin_order_wave() {
  shared_words.clear();
}

}  // namespace varlstm::simt
