// Shadow memory: four recent accesses for each four bytes. A shadow entry names a segment, which is the part of one
// thread between two of its synchronisations. Segments are numbered through all launches, so entries of an earlier
// launch are out of date without being cleared.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/race.h"

#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <vector>

#include "kernels/simt/address_space.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/order.h"
#include "kernels/simt/symbol.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

constexpr unsigned kSlots = 4;
static_assert(kSlots * sizeof(uint64_t) == 4 * kShadowBytesOfByte, "a cell of the shadow is for four bytes");
constexpr uint32_t kSegments = 1u << 28;
constexpr uint32_t kSegmentsOfLaunch = 1u << 26;  // a launch with more is no longer watched

struct Segment {
  uint32_t block;  // kAgents: the segment is an operation of the async proxy, and `thread` is its agent
  uint32_t cluster;
  uint32_t thread;
  uint32_t arrivals[kScopes];
  uint32_t time;
};

// From the lowest bit: pc 30, access 2, bytes 4, segment 28.
using Entry = uint64_t;
Entry make_entry(uint32_t segment, unsigned bytes, Access access, uintptr_t pc) {
  return uint64_t{segment} << 36 | uint64_t{bytes} << 32 | uint64_t{static_cast<unsigned>(access)} << 30 |
         (pc & ((1u << 30) - 1));
}
uint32_t segment_of(Entry entry) {
  return static_cast<uint32_t>(entry >> 36);
}
unsigned bytes_of(Entry entry) {
  return static_cast<unsigned>(entry >> 32) & 15;
}
Access access_of(Entry entry) {
  return static_cast<Access>(entry >> 30 & 3);
}

constexpr uint32_t kAgents = ~0u;

// An agent of the async proxy: who started its latest operation, and how many it has had.
struct Agent {
  uint32_t block;
  uint32_t thread;
  uint32_t operations;
};

std::vector<Segment> segments;  // of this launch
std::vector<Agent> agents;      // likewise
std::unordered_map<uint64_t, uint32_t> agent_numbers;
uint32_t async_segment = 0;  // of the operation whose access is being checked; 0: the access is a thread's own
// By thread: its segments before this one are behind its last fence of the async proxy, for device and shared memory.
std::unordered_map<uint64_t, uint32_t> fenced_before[2];
uint32_t first_of_launch = 1;
uint32_t first_of_wave = 1;  // shared memory is new in each wave
bool watching = false;
unsigned evicted = 0;
unsigned reports = 0;
std::set<std::pair<uint32_t, uint32_t>> reported;  // pairs of places

uint32_t segment_of_thread(Thread& thread) {
  if (thread.segment != 0) return thread.segment;
  if (segments.size() >= kSegmentsOfLaunch) {
    watching = false;
    return 0;
  }
  Segment segment{thread.block->number, thread.block->cluster->number, thread.number, {}, thread.time};
  memcpy(segment.arrivals, thread.arrivals, sizeof segment.arrivals);
  segments.push_back(segment);
  thread.segment = first_of_launch + static_cast<uint32_t>(segments.size()) - 1;
  if (launch_state().shape->cluster > 1) thread.since_release.push_back(thread.segment);
  return thread.segment;
}

uint64_t unit_of(unsigned scope, uint64_t block, uint64_t thread) {
  switch (scope) {
    case kWarp:
      return block * 32 + thread / 32;
    case kBlock:
      return block;
    case kCluster:
      return block / launch_state().shape->cluster;
    case kGrid:
      return 0;
    default:
      return block * 1024 + thread;
  }
}

bool known(const Epochs& epochs, unsigned scope, const Segment& before, uint32_t epoch) {
  return epoch < epoch_of(epochs, epoch_key(scope, unit_of(scope, before.block, before.thread)));
}

bool known(const Epochs& epochs, const Segment& before) {
  for (unsigned scope = kWarp; scope < kScopes; ++scope)
    if (known(epochs, scope, before, before.arrivals[scope])) return true;
  return known(epochs, kThread, before, before.time);
}

// The same for a thread's own knowledge, which only grows: what it once knew about a segment is true for the whole
// launch.
bool known(Thread& now, uint32_t segment, const Segment& before) {
  uint32_t& found = now.known_segments[segment % kKnownSegments];
  if (found == segment) return true;
  if (now.knowledge == nullptr || !known(*now.knowledge, before)) return false;
  found = segment;
  return true;
}

// Returns whether everything in the segment happened before what `now` does next.
bool ordered(uint32_t segment, Thread& now) {
  const Segment& before = segments[segment - first_of_launch];
  const Block& block = *now.block;
  if (before.block == block.number) {
    if (before.thread == now.number) return true;
    if (before.thread / 32 == now.warp && before.arrivals[kWarp] < now.passed[kWarp]) return true;
    if (before.arrivals[kBlock] < now.passed[kBlock]) return true;
  }
  if (before.cluster == block.cluster->number && before.arrivals[kCluster] < now.passed[kCluster]) return true;
  if (before.arrivals[kGrid] < now.passed[kGrid]) return true;
  return known(now, segment, before);
}

bool is_strong(Access access) {
  return access == Access::kStrongRead || access == Access::kAtomic;
}
bool stores(Access access) {
  return access == Access::kWrite || access == Access::kAtomic;
}

const char* verb(Access access) {
  static const char* const verbs[] = {"atomically reads", "reads", "writes", "atomically changes"};
  return verbs[static_cast<unsigned>(access)];
}

std::string memory_at(const void* address) {
  const size_t in_shared = offset_in_shared(address);
  if (in_shared < kSharedBytes) {
    const size_t slot = in_shared / kSharedStride;
    const std::vector<Block*>& blocks = launch_state().blocks;
    return "byte " + std::to_string(in_shared % kSharedStride) + " of the shared memory of block " +
           (slot < blocks.size() ? std::to_string(blocks[slot]->number) : "?");
  }
  return "device memory, byte " + std::to_string(offset_in_arena(address)) + " of the arena";
}

// Returns «(file:line)» of the code of an access. A thread that runs PTX accesses memory from lines of its kernel's
// file.
std::string code_at(uintptr_t pc) {
  const Site& place = current_thread->place;
  return place.file != nullptr ? describe(Site{place.file, static_cast<int>(pc)}) : symbol_of(pc);
}
std::string code_of_entry(Entry entry) {
  const auto low_bits = static_cast<uint32_t>(entry & ((1u << 30) - 1));
  return current_thread->place.file != nullptr ? code_at(low_bits) : symbol_of_low_bits(low_bits);
}

void report_race(const void* address, Access access, uintptr_t pc, Entry earlier) {
  Launch& launch = launch_state();
  if (reports >= 4 || !reported.insert({static_cast<uint32_t>(pc), static_cast<uint32_t>(earlier)}).second) return;
  ++reports;
  Segment before = segments[segment_of(earlier) - first_of_launch];
  if (before.block == kAgents) {
    const Agent& agent = agents[before.thread];
    before.block = agent.block;
    before.thread = agent.thread;
  }
  launch.report += (launch.report.empty() ? "" : "\n") + std::string("race: ") + describe(*current_thread) + " " +
                   verb(access) + " " + code_at(pc) + " what block " + std::to_string(before.block) + " thread " +
                   std::to_string(before.thread) + " " + verb(access_of(earlier)) + " " + code_of_entry(earlier) +
                   ": " + memory_at(address);
}

// Checks one cell of four bytes.
void check_cell(Entry* cell, unsigned bytes, Access access, uintptr_t pc, uint32_t oldest, uint32_t segment,
                const void* address) {
  const Entry mine = make_entry(segment, bytes, access, pc);
  Thread& now = *current_thread;
  for (unsigned slot = 0; slot < kSlots; ++slot)  // the most frequent case, and the fastest to detect
    if (segment_of(cell[slot]) == segment && access_of(cell[slot]) == access && (bytes & ~bytes_of(cell[slot])) == 0)
      return;
  int room = -1, follows = -1;
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    const Entry entry = cell[slot];
    if (segment_of(entry) < oldest) {
      room = room < 0 || segment_of(cell[room]) >= oldest ? static_cast<int>(slot) : room;
      continue;
    }
    if ((bytes & bytes_of(entry)) == 0) continue;
    const Access other = access_of(entry);
    const bool conflict = (stores(access) || stores(other)) && !(is_strong(access) && is_strong(other));
    const bool may_go = room < 0 && (access == Access::kWrite || other == access);
    if (!conflict && !may_go && !(access == Access::kAtomic && other == Access::kAtomic)) continue;
    const bool is_ordered = ordered(segment_of(entry), now);
    if (conflict && !is_ordered && !(other == Access::kAtomic && has_observed(address, segment_of(entry))))
      report_race(address, access, pc, entry);
    // An entry that is ordered before a write can only race with accesses that the write races with too, so the write
    // may replace it; the same holds among reads. An atomic continues the strong store that it has seen: who comes
    // after the atomic comes after that store.
    if ((bytes_of(entry) & ~bytes) != 0) continue;
    if (access == Access::kAtomic && other == Access::kAtomic)
      follows = static_cast<int>(slot);
    else if (may_go && is_ordered)
      room = static_cast<int>(slot);
  }
  if (follows >= 0) room = follows;
  if (room < 0) room = static_cast<int>(evicted++ % kSlots);
  cell[room] = mine;
}

// Reports a store to the cell that the async proxy may not see.
void require_fenced(const Entry* cell, unsigned bytes, Access access, uintptr_t pc, uint32_t oldest,
                    const void* address) {
  const bool in_shared = offset_in_shared(address) < kSharedBytes;
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    const Entry entry = cell[slot];
    if (segment_of(entry) < oldest || (bytes & bytes_of(entry)) == 0 || !stores(access_of(entry))) continue;
    const Segment& before = segments[segment_of(entry) - first_of_launch];
    if (before.block == kAgents) continue;
    const auto fenced = fenced_before[in_shared].find(unit_of(kThread, before.block, before.thread));
    if (fenced != fenced_before[in_shared].end() && segment_of(entry) < fenced->second) continue;
    defect("no fence of the async proxy: the async proxy, for " + describe(*current_thread) + ", " + verb(access) +
           " " + code_at(pc) + " what block " + std::to_string(before.block) + " thread " +
           std::to_string(before.thread) + " " + verb(access_of(entry)) + " " + code_of_entry(entry) + ": " +
           memory_at(address));
  }
}

void check_races(Entry* shadow, size_t offset, size_t bytes, Access access, uintptr_t pc, uint32_t oldest,
                 const void* address) {
  const uint32_t segment = async_segment != 0 ? async_segment : segment_of_thread(*current_thread);
  if (segment == 0) return;
  // Neighbouring cells mostly have the same history, so the result for one cell is used for the next.
  Entry before[kSlots];
  const Entry* same = nullptr;
  size_t at = offset;
  while (at < offset + bytes) {
    Entry* cell = shadow + at / 4 * kSlots;
    const size_t end = std::min(offset + bytes, (at / 4 + 1) * 4);
    const bool is_new = same == nullptr || !std::equal(before, before + kSlots, cell);
    if (async_segment != 0 && is_new)
      require_fenced(cell, 15, access, pc, oldest, static_cast<const unsigned char*>(address) + (at - offset));
    if (end - at < 4) {
      const unsigned first = at % 4, last = first + static_cast<unsigned>(end - at);
      check_cell(cell, (1u << last) - (1u << first), access, pc, oldest, segment,
                 static_cast<const unsigned char*>(address) + (at - offset));
    } else if (!is_new) {
      memcpy(cell, same, sizeof before);
    } else {
      memcpy(before, cell, sizeof before);
      check_cell(cell, 15, access, pc, oldest, segment, static_cast<const unsigned char*>(address) + (at - offset));
      same = cell;
    }
    at = end;
  }
}

void require_landed(const void* address, size_t bytes, uintptr_t pc) {
  const auto* from = static_cast<const unsigned char*>(address);
  for (const AsyncCopy& copy : current_thread->copies) {
    const auto* to = static_cast<const unsigned char*>(copy.to);
    if (from < to + copy.bytes && to < from + bytes)
      defect("early use: " + describe(*current_thread) + " uses " + code_at(pc) + " what cp_async " +
             describe(copy.site) + " may not have brought yet");
  }
}

void count_access(size_t bytes, Access access, uint64_t* read, uint64_t* written) {
  ++counters().accesses;
  if (!is_strong(access)) *(access == Access::kRead ? read : written) += bytes;
}

void check_shared(size_t offset, const void* address, size_t bytes, Access access, uintptr_t pc) {
  const std::vector<Block*>& blocks = launch_state().blocks;
  const size_t slot = offset / kSharedStride;
  if (slot >= blocks.size() || offset % kSharedStride + bytes > launch_state().shape->shared_bytes)
    defect("out of bounds: " + describe(*current_thread) + " " + verb(access) + " " + code_at(pc) + ": " +
           memory_at(address) + ", beyond its end");
  if (!current_thread->copies.empty()) require_landed(address, bytes, pc);
  if (blocks[slot] != current_thread->block) note_visit(address, pc);
  if (watching) check_races(address_space.shared_shadow, offset, bytes, access, pc, first_of_wave, address);
}

}  // namespace

void note_access(const void* address, size_t bytes, Access access, uintptr_t pc) {
  if (current_thread->place.file != nullptr) pc = static_cast<uintptr_t>(current_thread->place.line);
  const size_t in_shared = offset_in_shared(address);
  if (in_shared < kSharedBytes) {
    count_access(bytes, access, &counters().shared_bytes_read, &counters().shared_bytes_written);
    check_shared(in_shared, address, bytes, access, pc);
    return;
  }
  const size_t in_arena = offset_in_arena(address);
  if (in_arena < kArenaBytes) {
    count_access(bytes, access, &counters().device_bytes_read, &counters().device_bytes_written);
    if (!arena_holds(in_arena, bytes))
      defect("out of bounds: " + describe(*current_thread) + " " + verb(access) + " " + code_at(pc) + ": " +
             memory_at(address) + ", outside every allocation");
    if (device_of(in_arena) != launch_state().device)
      defect("another device: " + describe(*current_thread) + " of device " + std::to_string(launch_state().device) +
             " " + verb(access) + " " + code_at(pc) + ": " + memory_at(address) + ", which is not its device's");
    if (watching) check_races(address_space.arena_shadow, in_arena, bytes, access, pc, first_of_launch, address);
    return;
  }
  if (in_fiber_stack(address)) return;
  const auto* arguments = static_cast<const unsigned char*>(launch_state().arguments);
  if (static_cast<size_t>(static_cast<const unsigned char*>(address) - arguments) < launch_state().argument_bytes)
    return;
  if (!in_image(address))
    defect("host memory: " + describe(*current_thread) + " " + verb(access) + " " + code_at(pc) +
           " memory that is not the device's");
}

void release_into(Epochs& epochs) {
  if (!watching) return;
  Thread& me = *current_thread;
  if (me.knowledge != nullptr) learn(epochs, *me.knowledge);
  for (unsigned scope = kWarp; scope < kScopes; ++scope)
    if (me.passed[scope] != 0)
      learn(epochs, epoch_key(scope, unit_of(scope, me.block->number, me.number)), me.passed[scope]);
  learn(epochs, epoch_key(kThread, unit_of(kThread, me.block->number, me.number)), ++me.time);
  me.segment = 0;
}

void acquire_from(const Epochs& epochs) {
  if (!watching) return;
  current_thread->knowledge = join(current_thread->knowledge, std::make_shared<const Epochs>(epochs));
}

Knowledge released_knowledge() {
  if (!watching) return nullptr;
  auto epochs = std::make_shared<Epochs>();
  release_into(*epochs);
  return epochs;
}

void acquire_from(const Knowledge& knowledge) {
  if (watching) current_thread->knowledge = join(current_thread->knowledge, knowledge);
}

Epoch begin_async(uint64_t name) {
  if (!watching) return {0, 0};
  const auto number = agent_numbers.emplace(name, static_cast<uint32_t>(agents.size())).first->second;
  if (number == agents.size()) agents.push_back({});
  Agent& agent = agents[number];
  agent = {current_thread->block->number, current_thread->number, agent.operations + 1};
  Segment segment{kAgents, kAgents, number, {}, agent.operations - 1};
  std::fill(segment.arrivals, segment.arrivals + kScopes, ~0u);  // no barrier waits for it
  segments.push_back(segment);
  async_segment = 0;
  return {epoch_key(kThread, unit_of(kThread, kAgents, number)), agent.operations};
}

// The latest operation is the latest segment of an agent, because nothing else runs between begin_async and its
// accesses.
void note_async_access(const void* address, size_t bytes, Access access, uintptr_t pc) {
  if (watching) async_segment = first_of_launch + static_cast<uint32_t>(segments.size()) - 1;
  note_access(address, bytes, access, pc);
  async_segment = 0;
}

void fence_async_proxy(bool shared, bool device) {
  if (!watching) return;
  Thread& me = *current_thread;
  me.segment = 0;
  const uint64_t unit = unit_of(kThread, me.block->number, me.number);
  const uint32_t next = first_of_launch + static_cast<uint32_t>(segments.size());
  if (shared) fenced_before[1][unit] = next;
  if (device) fenced_before[0][unit] = next;
}

void acquire_from(const Epoch& epoch) {
  if (watching && epoch.epoch != 0) acquire_from(Epochs{epoch});
}

void release_async(const Epoch& epoch, Epochs& epochs) {
  if (watching && epoch.epoch != 0) learn(epochs, epoch.key, epoch.epoch);
}

bool races_are_watched() {
  return watching;
}

uint32_t current_segment() {
  return segment_of_thread(*current_thread);
}

bool happened_before(uint32_t segment, const Knowledge& more) {
  if (segment < first_of_launch) return true;
  return ordered(segment, *current_thread) || (more != nullptr && known(*more, segments[segment - first_of_launch]));
}

// This treats the accesses as if they were done after the arrival.
void withhold_from_cluster() {
  for (const uint32_t segment : current_thread->since_release) ++segments[segment - first_of_launch].arrivals[kCluster];
}

void announce(const std::vector<uint32_t>& announced) {
  std::vector<uint32_t>& mine = current_thread->since_release;
  mine.erase(std::remove_if(mine.begin(), mine.end(),
                            [&](uint32_t segment) {
                              return std::find(announced.begin(), announced.end(), segment) != announced.end();
                            }),
             mine.end());
}

uint64_t unit_key(Scope scope, const Thread& thread) {
  return epoch_key(scope, unit_of(scope, thread.block->number, thread.number));
}

void begin_race_launch() {
  const Launch& launch = launch_state();
  first_of_launch += static_cast<uint32_t>(segments.size());
  if (first_of_launch > kSegments - kSegmentsOfLaunch - 1) {
    madvise(address_space.shared_shadow, kSharedBytes * kShadowBytesOfByte, MADV_DONTNEED);
    madvise(address_space.arena_shadow, kArenaBytes * kShadowBytesOfByte, MADV_DONTNEED);
    first_of_launch = 1;
  }
  segments.clear();
  agents.clear();
  agent_numbers.clear();
  async_segment = 0;  // a defect of the launch before may have left it
  for (auto& fenced : fenced_before) fenced.clear();
  reports = 0;
  reported.clear();
  watching = launch.options.races && address_space.shared_shadow != nullptr && address_space.arena_shadow != nullptr;
}

void begin_race_wave() {
  first_of_wave = first_of_launch + static_cast<uint32_t>(segments.size());
}

void note_visit(const void* address, uintptr_t pc) {
  const size_t slot = offset_in_shared(address) / kSharedStride;
  Block* owner = launch_state().blocks[slot];
  if (owner != current_thread->block)
    owner->visitors[current_thread->block->number] = {current_thread->arrivals[kCluster], pc};
}

void check_visitors() {
  const Thread& me = *current_thread;
  if (me.block->live != 1 || !launch_state().options.races) return;  // the memory ends with the last thread
  for (const auto& [block, visit] : me.block->visitors)
    if (visit.cluster_arrivals >= me.passed[kCluster] && me.passed[kGrid] == 0)
      defect("early exit: the last thread of block " + std::to_string(me.block->number) +
             " ends with no cluster barrier after block " + std::to_string(block) + " used its shared memory " +
             code_at(visit.pc));
}

}  // namespace varlstm::simt
