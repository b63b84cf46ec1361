// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/memory.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "kernels/simt/address_sanitizer.h"
#include "kernels/simt/address_space.h"

namespace varlstm::simt {
namespace {

constexpr size_t kRedZone = 256;                  // between two allocations
constexpr size_t kFillLimit = size_t{1} << 26;    // more bytes are neither filled nor poisoned, to save memory
constexpr size_t kReturnLimit = size_t{1} << 20;  // freed pieces of this size are returned to the system

// The taken parts of the arena, as offset and requested bytes, and its holes, as offset and bytes.
struct Arena {
  std::mutex mutex;
  std::map<size_t, size_t> taken;
  std::map<size_t, size_t> holes;

  // No hole reaches from one device to the next.
  Arena() {
    holes[0] = kFirstDeviceBytes - kArenaUnit;
    holes[kFirstDeviceBytes] = kArenaBytes - kFirstDeviceBytes;
  }
};

// It is never destroyed, because other static objects may free device memory later.
Arena& arena() {
  static Arena* const instance = new Arena;
  return *instance;
}

size_t footprint(size_t bytes) {
  return (std::max<size_t>(bytes, 1) + kArenaUnit - 1) / kArenaUnit * kArenaUnit + kRedZone;
}

// Marks all bytes of a unit or none, except in the last unit of an allocation.
void set_valid(size_t offset, size_t bytes, bool valid) {
  uint16_t* part = address_space.valid_bytes + offset / kArenaUnit;
  for (; bytes >= kArenaUnit; bytes -= kArenaUnit) *part++ = valid ? kArenaUnit : 0;
  *part = static_cast<uint16_t>(valid ? bytes : 0);
}

}  // namespace

void* device_allocate(size_t bytes, int device) {
  if (address_space.arena == nullptr || address_space.valid_bytes == nullptr || bytes > kArenaBytes / 2) return nullptr;
  Arena& memory = arena();
  const std::lock_guard<std::mutex> guard(memory.mutex);
  const size_t wanted = footprint(bytes);
  for (auto hole = memory.holes.begin(); hole != memory.holes.end(); ++hole) {
    if (hole->second < wanted || device_of(hole->first) != device) continue;
    const size_t offset = hole->first;
    const size_t rest = hole->second - wanted;
    memory.holes.erase(hole);
    if (rest != 0) memory.holes[offset + wanted] = rest;
    memory.taken[offset] = bytes;
    unsigned char* pointer = address_space.arena + offset;
    VARLSTM_UNPOISON(pointer, std::min(bytes, kFillLimit));
    VARLSTM_POISON(pointer + bytes, wanted - bytes);
    set_valid(offset, bytes, true);
    if (bytes <= kFillLimit) memset(pointer, 0xff, bytes);
    return pointer;
  }
  return nullptr;
}

void device_free(void* pointer) {
  if (pointer == nullptr) return;
  Arena& memory = arena();
  const std::lock_guard<std::mutex> guard(memory.mutex);
  const auto found = memory.taken.find(static_cast<size_t>(static_cast<unsigned char*>(pointer) - address_space.arena));
  if (found == memory.taken.end()) return;
  size_t offset = found->first;
  const size_t bytes = found->second;
  size_t length = footprint(bytes);
  set_valid(offset, bytes, false);
  memory.taken.erase(found);
  VARLSTM_POISON(pointer, std::min(bytes, kFillLimit));
  if (length >= kReturnLimit) {
    const size_t page = 4096;
    const size_t begin = (offset + page - 1) / page * page;
    const size_t end = (offset + length) / page * page;
    madvise(address_space.arena + begin, end - begin, MADV_DONTNEED);
  }
  auto next = memory.holes.lower_bound(offset);
  if (next != memory.holes.end() && next->first == offset + length) {
    length += next->second;
    next = memory.holes.erase(next);
  }
  if (next != memory.holes.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      length += before->second;
      memory.holes.erase(before);
    }
  }
  memory.holes[offset] = length;
}

int64_t device_allocations() {
  Arena& memory = arena();
  const std::lock_guard<std::mutex> guard(memory.mutex);
  return static_cast<int64_t>(memory.taken.size());
}

bool is_device_memory(const void* pointer, size_t bytes) {
  const uintptr_t offset = reinterpret_cast<uintptr_t>(pointer) - reinterpret_cast<uintptr_t>(address_space.arena);
  if (offset >= kArenaBytes) return false;
  Arena& memory = arena();
  const std::lock_guard<std::mutex> guard(memory.mutex);
  auto after = memory.taken.upper_bound(offset);
  if (after == memory.taken.begin()) return false;
  --after;
  return bytes <= after->second && offset - after->first <= after->second - bytes;
}

}  // namespace varlstm::simt
