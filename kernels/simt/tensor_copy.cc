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

void copy_box(void* to, const Matrix& matrix, int x, int y, uint64_t* mbarrier, Site site, uintptr_t pc) {
  if (matrix.magic != kMagic)
    defect("tensor_load " + describe(site) + ": its map was not made by cuTensorMapEncodeTiled");
  if (matrix.swizzles && matrix.box_columns * matrix.element != kSwizzledRow)
    defect("tensor_load " + describe(site) + ": a swizzled box with rows of fewer than 128 bytes is not emulated");
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

Matrix matrix_of(const CUtensorMap* map) {
  Matrix matrix;
  memcpy(&matrix, map, sizeof matrix);
  return matrix;
}

}  // namespace

void tensor_load(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier, Site site) {
  copy_box(to, matrix_of(map), x, y, mbarrier, site, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
}

void tensor_load_multicast(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier, uint16_t blocks,
                           Site site) {
  const auto pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  for (unsigned rank = 0; rank < 16; ++rank)
    if ((blocks >> rank & 1) != 0)
      copy_box(map_to_peer(to, rank, site), matrix_of(map), x, y,
               static_cast<uint64_t*>(map_to_peer(mbarrier, rank, site)), site, pc);
}

}  // namespace varlstm::simt

using namespace varlstm::simt;

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
                      static_cast<const unsigned char*>(address),
                      static_cast<int64_t>(extents[0]),
                      static_cast<int64_t>(extents[1]),
                      static_cast<int64_t>(pitches[0]),
                      element,
                      box[0],
                      box[1],
                      swizzles ? 1u : 0u};
  *map = {};
  memcpy(map, &matrix, sizeof matrix);
  return CUDA_SUCCESS;
}
