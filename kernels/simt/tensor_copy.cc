// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/tensor_copy.h"

#include <string.h>

#include <algorithm>

#include "kernels/simt/address_space.h"
#include "kernels/simt/async_copy.h"
#include "kernels/simt/bulk_copy.h"
#include "kernels/simt/mbarrier.h"
#include "kernels/simt/race.h"
#include "kernels/simt/runtime_call.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

constexpr uint64_t kMagic = 0x70616d726f736e74;
constexpr unsigned kWord = 16, kSwizzledRow = 128;
alignas(kWord) constexpr unsigned char kZeros[kWord] = {};

// What the emulator keeps in a CUtensorMap.
struct Matrix {
  uint64_t magic;
  const CUtensorMap* place;  // of the map
  uint64_t thread_copies;    // how many copies a kernel's thread has made from the host's map to this one
  const unsigned char* address;
  int64_t columns, rows, pitch;  // pitch in bytes
  unsigned element, box_columns, box_rows, swizzles;
};
static_assert(sizeof(Matrix) <= sizeof(CUtensorMap));

// A word of the box, of which the bytes [begin, end) are in the matrix.
void copy_word(unsigned char* to, const unsigned char* from, unsigned begin, unsigned end, uint64_t* mbarrier,
               const Epoch& epoch, Site site, uintptr_t pc) {
  if (begin != end) {
    note_async_access(from + begin, end - begin, Access::kRead, pc);
    start_bulk_store(to + begin, from + begin, end - begin, mbarrier, epoch, site);
  }
  if (begin != 0) start_bulk_store(to, kZeros, begin, mbarrier, epoch, site);
  if (end != kWord) start_bulk_store(to + end, kZeros, kWord - end, mbarrier, epoch, site);
  note_async_access(to, kWord, Access::kWrite, pc);
}

Matrix matrix_of(const CUtensorMap* map) {
  Matrix matrix;
  memcpy(&matrix, map, sizeof matrix);
  return matrix;
}
void keep_in(CUtensorMap* map, const Matrix& matrix) {
  memcpy(map->opaque, &matrix, sizeof matrix);
}

void copy_map(CUtensorMap* to, const CUtensorMap& from) {
  memmove(to->opaque, from.opaque, sizeof from.opaque);
  Matrix matrix = matrix_of(to);
  if (matrix.magic != kMagic) return;
  matrix.place = to;
  matrix.thread_copies = current_thread == nullptr ? 0 : matrix.thread_copies + 1;
  keep_in(to, matrix);
}

// Where a map is that is no argument of the kernel; null if it is one, or was never made. An argument in PTX is where
// the launch keeps it. In C++ it is the thread's own copy of that, the first one.
const char* wrong_place(const CUtensorMap* map) {
  if (offset_in_arena(map) < kArenaBytes) return "in device memory, where it needs a fence.proxy.tensormap";
  if (offset_in_shared(map) < kSharedBytes) return "in shared memory";
  if (in_fiber_stack(map)) {
    const Matrix matrix = matrix_of(map);
    const bool is_argument = matrix.place == map && matrix.thread_copies == 1;
    return is_argument || matrix.magic != kMagic ? nullptr : "in local memory";
  }
  const auto* const arguments = static_cast<const unsigned char*>(launch_state().arguments);
  const auto offset = static_cast<size_t>(reinterpret_cast<const unsigned char*>(map) - arguments);
  return offset < launch_state().argument_bytes ? nullptr : "in memory of the host";
}

Matrix require_map(const CUtensorMap* map, Site site) {
  const auto refuse = [&](const std::string& what) {
    defect("wrong tensor map: " + describe(*current_thread) + " at tensor_load " + describe(site) + ": " + what);
  };
  if (const char* const place = wrong_place(map); place != nullptr)
    refuse(std::string("a tensor map ") + place + ", not a const __grid_constant__ argument of the kernel");
  if (reinterpret_cast<uintptr_t>(map) % alignof(CUtensorMap) != 0) refuse("a tensor map not aligned to 64 bytes");
  const Matrix matrix = matrix_of(map);
  if (matrix.magic != kMagic) refuse("a tensor map that cuTensorMapEncodeTiled has not made");
  if (matrix.swizzles && matrix.box_columns * matrix.element != kSwizzledRow)
    refuse("a swizzled box with rows of fewer than 128 bytes is not emulated");
  return matrix;
}

void copy_box(void* to, const Matrix& matrix, int x, int y, uint64_t* mbarrier, Site site, uintptr_t pc) {
  if (offset_in_shared(to) % (matrix.swizzles ? 1024 : 128) != 0)
    defect("misaligned access: " + describe(*current_thread) + " at tensor_load " + describe(site));
  require_mbarrier(mbarrier, site);
  const Epoch epoch = begin_async(agent_of_bulk_copies(mbarrier));
  const unsigned words = matrix.box_columns * matrix.element / kWord;
  counters().pushes += 1;
  counters().pushed_bytes += uint64_t{words} * kWord * matrix.box_rows;
  for (unsigned r = 0; r < matrix.box_rows; ++r) {
    const int64_t row = int64_t{y} + r;
    for (unsigned w = 0; w < words; ++w) {
      const int64_t byte = int64_t{x} * matrix.element + int64_t{w} * kWord;
      const int64_t left = row < 0 || row >= matrix.rows ? 0 : matrix.columns * matrix.element - byte;
      const auto end = static_cast<unsigned>(std::clamp<int64_t>(left, 0, kWord));
      const auto begin = static_cast<unsigned>(std::clamp<int64_t>(-byte, 0, end));
      const unsigned place = r * words + (matrix.swizzles ? w ^ r % 8 : w);
      copy_word(static_cast<unsigned char*>(to) + size_t{place} * kWord, matrix.address + row * matrix.pitch + byte,
                begin, end, mbarrier, epoch, site, pc);
    }
  }
}

}  // namespace

void tensor_load(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier, Site site) {
  copy_box(to, require_map(map, site), x, y, mbarrier, site, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
}

void tensor_load_multicast(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier, uint16_t blocks,
                           Site site) {
  const auto pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  const Matrix matrix = require_map(map, site);
  for (unsigned rank = 0; rank < 16; ++rank)
    if ((blocks >> rank & 1) != 0)
      copy_box(map_to_peer(to, rank, site), matrix, x, y, static_cast<uint64_t*>(map_to_peer(mbarrier, rank, site)),
               site, pc);
}

}  // namespace varlstm::simt

using namespace varlstm::simt;

CUtensorMap::CUtensorMap(const CUtensorMap& other) {
  copy_map(this, other);
}
CUtensorMap& CUtensorMap::operator=(const CUtensorMap& other) {
  copy_map(this, other);
  return *this;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* address,
                                const cuuint64_t* extents, const cuuint64_t* pitches, const cuuint32_t* box,
                                const cuuint32_t* strides, CUtensorMapInterleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  if (const cudaError_t error = begin_runtime_call("cuTensorMapEncodeTiled"); error != cudaSuccess)
    return static_cast<CUresult>(error);
  const unsigned element = type == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 || type == CU_TENSOR_MAP_DATA_TYPE_UINT32 ? 4 : 2;
  const bool swizzles = swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
  const bool legal = rank == 2 && reinterpret_cast<uintptr_t>(address) % 16 == 0 && extents[0] >= 1 &&
                     extents[1] >= 1 && extents[0] <= uint64_t{1} << 32 && extents[1] <= uint64_t{1} << 32 &&
                     pitches[0] % 16 == 0 && pitches[0] < uint64_t{1} << 40 && pitches[0] >= extents[0] * element &&
                     box[0] >= 1 && box[0] <= 256 && box[1] >= 1 && box[1] <= 256 && box[0] * element % 16 == 0 &&
                     (!swizzles || box[0] * element <= 128) && strides[0] == 1 && strides[1] == 1;
  if (!legal) return CUDA_ERROR_INVALID_VALUE;
  const Matrix matrix{kMagic,
                      map,
                      0,
                      static_cast<const unsigned char*>(address),
                      static_cast<int64_t>(extents[0]),
                      static_cast<int64_t>(extents[1]),
                      static_cast<int64_t>(pitches[0]),
                      element,
                      box[0],
                      box[1],
                      swizzles ? 1u : 0u};
  *map = {};
  keep_in(map, matrix);
  return CUDA_SUCCESS;
}
