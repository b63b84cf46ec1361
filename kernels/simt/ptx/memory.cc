// PTX's conversions between address spaces, loads, stores and atomics. Addresses of parameters, local and global memory
// are those of the host; shared memory starts at 0.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/atomic.h"
#include "kernels/simt/coordinates.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/race.h"

namespace varlstm::simt::ptx {
namespace {

enum class Space { kPrivate, kGlobal, kShared };  // kPrivate: parameters and local memory

uintptr_t place(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

template <Space kSpace, class Address>
unsigned char* address_of(const Frame& f, const Instruction& i, int operand_index) {
  const uint64_t base = kSpace == Space::kShared ? place(shared_bytes_begin()) : 0;
  const uint64_t address = operand<Address>(f, i, operand_index) + static_cast<uint64_t>(i.offset);
  return reinterpret_cast<unsigned char*>(base + address);
}

// What is loaded of a signed type extends its sign: registers are as wide as the widest that may read them.
template <class T>
void set_loaded(Frame& f, uint32_t slot, T value) {
  set<T>(f, slot, value);
}
template <>
void set_loaded<int8_t>(Frame& f, uint32_t slot, int8_t value) {
  set<int64_t>(f, slot, value);
}

template <class T, Space kSpace, class Address>
void load(Frame& f, const Instruction& i) {
  const int count = i.destinations;
  const unsigned char* from = address_of<kSpace, Address>(f, i, count);
  if (kSpace != Space::kPrivate)
    note_access(from, sizeof(T) * static_cast<size_t>(count), Access::kRead, reinterpret_cast<uintptr_t>(i.run));
  for (int k = 0; k < count; ++k) {
    T value;
    memcpy(&value, from + sizeof(T) * static_cast<size_t>(k), sizeof value);
    set_loaded<T>(f, i.operands[k], value);
  }
}

// The address is the first operand.
template <class T, Space kSpace, class Address>
void store(Frame& f, const Instruction& i) {
  const int count = i.operand_count - 1;
  unsigned char* to = address_of<kSpace, Address>(f, i, 0);
  if (kSpace != Space::kPrivate)
    note_access(to, sizeof(T) * static_cast<size_t>(count), Access::kWrite, reinterpret_cast<uintptr_t>(i.run));
  for (int k = 0; k < count; ++k) {
    const T value = operand<T>(f, i, k + 1);
    memcpy(to + sizeof(T) * static_cast<size_t>(k), &value, sizeof value);
  }
}

void copy_address(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], operand<uint64_t>(f, i, 1));
}

template <AtomicKind kKind, class T>
void atomic(Frame& f, const Instruction& i) {
  auto* address = reinterpret_cast<T*>(address_of<Space::kGlobal, uint64_t>(f, i, 1));
  set<T>(f, i.operands[0], run_atomic(kKind, address, operand<T>(f, i, 2), T(), i.site));
}

template <class T>
void add_type(Handlers& h, const std::string& type) {
  h["ld.global." + type] = h["ld.global.nc." + type] = load<T, Space::kGlobal, uint64_t>;
  h["st.global." + type] = store<T, Space::kGlobal, uint64_t>;
  h["ld.shared." + type] = load<T, Space::kShared, uint32_t>;
  h["st.shared." + type] = store<T, Space::kShared, uint32_t>;
  h["ld.local." + type] = h["ld.param." + type] = load<T, Space::kPrivate, uint64_t>;
  h["st.local." + type] = store<T, Space::kPrivate, uint64_t>;
}

}  // namespace

void add_memory(Handlers& h) {
  add_type<uint8_t>(h, "u8");
  add_type<uint8_t>(h, "b8");
  add_type<int8_t>(h, "s8");
  add_type<uint16_t>(h, "u16");
  add_type<uint16_t>(h, "b16");
  add_type<uint32_t>(h, "u32");
  add_type<uint32_t>(h, "s32");
  add_type<uint32_t>(h, "b32");
  add_type<uint32_t>(h, "f32");
  add_type<uint64_t>(h, "u64");
  add_type<uint64_t>(h, "s64");
  add_type<uint64_t>(h, "b64");
  add_type<uint64_t>(h, "f64");
  for (const char* space : {"global", "local"})
    h["cvta." + std::string(space) + ".u64"] = h["cvta.to." + std::string(space) + ".u64"] = copy_address;
  h["atom.global.min.u64"] = atomic<AtomicKind::kMin, uint64_t>;
}

}  // namespace varlstm::simt::ptx
