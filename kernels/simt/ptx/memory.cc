// PTX's address spaces, loads and stores. Addresses of parameters, local and global memory are those of the host.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/address_space.h"
#include "kernels/simt/coordinates.h"
#include "kernels/simt/order.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

// A loaded value of a signed type is sign-extended, because registers are as wide as the widest type that may read
// them.
template <class T>
void set_loaded(Frame& f, uint32_t slot, T value) {
  if constexpr (std::is_signed<T>::value)
    set<int64_t>(f, slot, value);
  else
    set<T>(f, slot, value);
}

constexpr int kMostElements = 8;  // of a vector

// Accesses are reported to the race detector without a pc: the runner says which line of PTX runs.
void require_alignment(const void* address, size_t bytes, const Instruction& i) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0)
    defect("misaligned access: " + describe(*current_thread) + " at " + describe(i.site));
}

// Moves the `count` values of an access between memory and `values`. The values of a vector are accesses of their own.
void load_bytes(const Instruction& i, const unsigned char* from, void* values, unsigned bytes, unsigned count) {
  const size_t all = size_t{bytes} * count;
  if (i.space != Space::kPrivate) {
    require_alignment(from, all, i);
    if (i.order != Order::kWeak) {
      load_pieces(from, values, bytes, count, ordering_of(i), i.site, 0);
      return;
    }
    note_access(from, all, Access::kRead, 0);
  }
  memcpy(values, from, all);
}
void store_bytes(const Instruction& i, unsigned char* to, const void* values, unsigned bytes, unsigned count) {
  const size_t all = size_t{bytes} * count;
  if (i.space != Space::kPrivate) {
    require_alignment(to, all, i);
    if (i.order != Order::kWeak) {
      store_pieces(to, values, bytes, count, ordering_of(i), i.site, 0);
      return;
    }
    note_access(to, all, Access::kWrite, 0);
  }
  memcpy(to, values, all);
}

template <class T>
void load(Frame& f, const Instruction& i) {
  const int count = i.destinations;
  T values[kMostElements];
  load_bytes(i, address_of(f, i, count), values, sizeof(T), static_cast<unsigned>(count));
  for (int k = 0; k < count; ++k) set_loaded<T>(f, i.operands[k], values[k]);
}

// The address is the first operand.
template <class T>
void store(Frame& f, const Instruction& i) {
  const int count = i.operand_count - 1;
  T values[kMostElements];
  for (int k = 0; k < count; ++k) values[k] = operand<T>(f, i, k + 1);
  store_bytes(i, address_of(f, i, 0), values, sizeof(T), static_cast<unsigned>(count));
}

// Moves 16 bytes between memory and the two slots of a register of 128 bits. ptxas narrows such an access to the words
// that are used, so only each word of 32 bits is certain to be accessed as a whole.
constexpr unsigned kWordsOfPair = 4;
void load_pair(Frame& f, const Instruction& i) {
  load_bytes(i, address_of(f, i, 1), f.registers + i.operands[0], sizeof(uint32_t), kWordsOfPair);
}
void store_pair(Frame& f, const Instruction& i) {
  store_bytes(i, address_of(f, i, 0), f.registers + i.operands[1], sizeof(uint32_t), kWordsOfPair);
}
// mov.b128 {low, high}, pair and mov.b128 pair, {low, high}.
void move_pair(Frame& f, const Instruction& i) {
  const bool unpacks = i.destinations == 2;
  for (uint32_t k = 0; k < 2; ++k) {
    const uint32_t to = unpacks ? i.operands[k] : i.operands[0] + k;
    set(f, to, get<uint64_t>(f, unpacks ? i.operands[2] + k : i.operands[1 + k]));
  }
}

void copy_address(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], operand<uint64_t>(f, i, 1));
}
void shared_to_generic(Frame& f, const Instruction& i) {
  set(f, i.operands[0], reinterpret_cast<uint64_t>(shared_pointer(operand<uint32_t>(f, i, 1))));
}
void generic_to_shared(Frame& f, const Instruction& i) {
  const auto* pointer = reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1));
  set<uint64_t>(f, i.operands[0], shared_address(pointer, i.site));
}

// Whether an address is in the shared memory of any block of the cluster, or in global memory.
template <bool kShared>
void is_in_space(Frame& f, const Instruction& i) {
  const auto* pointer = reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1));
  set<uint64_t>(f, i.operands[0], (offset_in_shared(pointer) < kSharedBytes) == kShared);
}

// getctarank d, address: the rank, in its cluster, of the block that owns this shared memory.
uint32_t rank_of(uint32_t address, const Instruction& i) {
  const auto& blocks = launch_state().blocks;
  const size_t slot = address / kSharedStride;
  if (slot >= blocks.size()) defect("getctarank " + describe(i.site) + ": no block of the cluster has that address");
  return blocks[slot]->rank;
}
void rank_of_generic(Frame& f, const Instruction& i) {
  const auto* pointer = reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1));
  set<uint32_t>(f, i.operands[0], rank_of(shared_address(pointer, i.site), i));
}
void rank_of_shared(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], rank_of(operand<uint32_t>(f, i, 1), i));
}

// mapa d, address, rank, for a generic address or one of shared memory.
void map_generic(Frame& f, const Instruction& i) {
  auto* pointer = reinterpret_cast<void*>(operand<uint64_t>(f, i, 1));
  set(f, i.operands[0], reinterpret_cast<uint64_t>(map_to_peer(pointer, operand<uint32_t>(f, i, 2), i.site)));
}
void map_shared(Frame& f, const Instruction& i) {
  void* pointer = shared_pointer(operand<uint32_t>(f, i, 1));
  set(f, i.operands[0], shared_address(map_to_peer(pointer, operand<uint32_t>(f, i, 2), i.site), i.site));
}

template <class T>
void add_type(Handlers& h, const std::string& type) {
  h["ld." + type] = load<T>;
  h["st." + type] = store<T>;
}

}  // namespace

unsigned char* shared_pointer(uint32_t address) {
  return address_space.shared + address;
}

uint32_t shared_address(const void* pointer, Site site) {
  const size_t address = offset_in_shared(pointer);
  if (address >= kSharedBytes)
    defect("not shared memory: " + describe(*current_thread) + " at " + describe(site) +
           " takes another address for one of shared memory");
  return static_cast<uint32_t>(address);
}

unsigned char* address_of(const Frame& f, const Instruction& i, int index) {
  if (i.space == Space::kGeneric || i.space == Space::kPrivate)
    return reinterpret_cast<unsigned char*>(operand<uint64_t>(f, i, index) + static_cast<uint64_t>(i.offset));
  unsigned char* pointer = shared_pointer(operand<uint32_t>(f, i, index) + static_cast<uint32_t>(i.offset));
  const auto* own = static_cast<const unsigned char*>(shared_bytes_begin());
  if (i.space == Space::kShared && static_cast<size_t>(pointer - own) >= kSharedStride)
    defect("not its own shared memory: " + describe(*current_thread) + " at " + describe(i.site) +
           " needs an address of its block's shared memory and has another one");
  return pointer;
}

void add_memory(Handlers& h) {
  add_type<uint8_t>(h, "u8");
  add_type<uint8_t>(h, "b8");
  add_type<int8_t>(h, "s8");
  add_type<uint16_t>(h, "u16");
  add_type<uint16_t>(h, "b16");
  add_type<int16_t>(h, "s16");
  add_type<uint32_t>(h, "u32");
  add_type<int32_t>(h, "s32");
  add_type<uint32_t>(h, "b32");
  add_type<uint32_t>(h, "f32");
  add_type<uint64_t>(h, "u64");
  add_type<uint64_t>(h, "s64");
  add_type<uint64_t>(h, "b64");
  add_type<uint64_t>(h, "f64");
  for (const std::string space : {"global", "local", "param"})
    h["cvta." + space + ".u64"] = h["cvta.to." + space + ".u64"] = copy_address;
  h["ld.b128"] = load_pair;
  h["st.b128"] = store_pair;
  h["mov.b128"] = move_pair;
  h["cvta.shared.u64"] = shared_to_generic;
  h["cvta.to.shared.u64"] = generic_to_shared;
  for (const char* space : {"shared", "shared::cta", "shared::cluster"})
    h["isspacep." + std::string(space)] = is_in_space<true>;
  h["isspacep.global"] = is_in_space<false>;
  h["getctarank.u64"] = rank_of_generic;
  h["getctarank.shared::cluster.u32"] = rank_of_shared;
  h["mapa.u64"] = map_generic;
  h["mapa.shared::cluster.u32"] = map_shared;
}

}  // namespace varlstm::simt::ptx
