// The share of the weights that a warp keeps for the whole sequence, and its product with the vectors of a step.
//
//   sums[n][r] [16, 8] += weights of row tile r [16, kDepth] * vectors [kDepth, 8 slots of tile n]
//
// A row tile has 16 rows, as in mma.sync. With g = lane / 4 and q = lane % 4, the four sums of a thread are rows g and
// g + 8 of slots 2 q and 2 q + 1: r[0] and r[1] are row g, r[2] and r[3] are row g + 8. The depth is worked through in
// order, with one sum for each element, so an element's bits depend only on its row and its slot. The first
// kRegisterTiles tiles of the depth are in registers. The others are in shared memory as the warp's own fragments (each
// is one 16-byte load, without bank conflicts). Vectors are in shared memory, one slot after the other, `pitch` values
// apart (slots on different banks: see ResidentTile). The vectors of two tiles of the depth are loaded at once; if the
// number of tiles is odd, the last load goes on into the padding between the slots, and what it finds there is not
// used.
//
// Example: lane 9 has g = 2 and q = 1. Its sums[0][1] are, in order, row 2 of slots 2 and 3 and row 10 of slots 2 and
// 3, all of row tile 1. In 16-bit math its fragment of the depth tile that begins at k = 32 has the weights (row 2, k =
// 34 and 35), (row 10, k = 34 and 35), (row 2, k = 42 and 43) and (row 10, k = 42 and 43).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_math.h"

namespace varlstm::cuda {

struct alignas(16) Fragment {
  simt::b32x4 words;
};
struct alignas(16) Float4 {
  float v[4];
};
struct alignas(8) Float2 {
  float v[2];
};

VARLSTM_DEVICE int lane_row() {
  return static_cast<int>(threadIdx.x % 32) / 4;
}
VARLSTM_DEVICE int lane_column() {
  return static_cast<int>(threadIdx.x % 32) % 4;
}

template <class Math, int kRowTiles, int kDepth, int kRegisterTiles>
class WeightTiles {
  using Value = typename Math::Value;
  static constexpr int kTiles = kDepth / Math::kTileDepth;
  static constexpr int kSharedTiles = kTiles - kRegisterTiles;
  static_assert(kDepth % Math::kTileDepth == 0 && kSharedTiles >= 0, "whole tiles");

 public:
  static constexpr size_t kSharedBytes = sizeof(Fragment) * 32 * kRowTiles * kSharedTiles;  // of a warp

  static constexpr int kFragments = kTiles * kRowTiles;  // of a lane, one tile of the depth after the other
  static constexpr int kLanes = 32;

  static constexpr bool kMostInRegisters = kRegisterTiles > kSharedTiles;

  // Returns one lane's fragment. weight(r, row, k) is the rounded weight of row tile r.
  template <class Weight>
  VARLSTM_DEVICE static Fragment arrange(int number, int lane, const Weight& weight) {
    const int r = number % kRowTiles, k = number / kRowTiles * Math::kTileDepth, g = lane / 4, q = lane % 4;
    if constexpr (sizeof(Value) == 2) {
      const auto pair = [&](int row, int at) {
        return static_cast<uint32_t>(weight(r, row, at)) | static_cast<uint32_t>(weight(r, row, at + 1)) << 16;
      };
      return {{{pair(g, k + 2 * q), pair(g + 8, k + 2 * q), pair(g, k + 2 * q + 8), pair(g + 8, k + 2 * q + 8)}}};
    } else {
      return {{{weight(r, g, k + q), weight(r, g + 8, k + q), weight(r, g, k + q + 4), weight(r, g + 8, k + q + 4)}}};
    }
  }

  // `from`: the warp's fragments, [kFragments][kLanes]. `shared`: the warp's own bytes, which only this warp reads.
  VARLSTM_DEVICE void load(const Fragment* from, void* shared) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    shared_ = static_cast<Fragment*>(shared) + lane;
    lane_ = static_cast<uint32_t>(lane);
    simt::keep(lane_);
#pragma unroll
    for (int number = 0; number < kFragments; ++number) {
      const int tile = number / kRowTiles, r = number % kRowTiles;
      if (tile < kRegisterTiles) {
        registers_[tile < kRegisterTiles ? tile : 0][r] = from[number * kLanes + lane].words;
      } else {
        shared_[(number - kRegisterTiles * kRowTiles) * kLanes] = from[number * kLanes + lane];
      }
    }
    simt::warp_sync();
  }

  // The place, counted from the vectors, of the first values that the calling lane loads.
  VARLSTM_DEVICE static int place_of_lane(int pitch) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    return sizeof(Value) == 2 ? lane % 8 * pitch + lane / 8 * 8 : lane_row() * pitch + lane_column();
  }

  // Adds the product of the row tiles first, first + 1, ... to the sums.
  template <int kSlotTiles, int kRows>
  VARLSTM_DEVICE void product(const Value* vectors, int pitch, simt::f32x4 (&sums)[kSlotTiles][kRows],
                              int first = 0) const {
    product_from(vectors + place_of_lane(pitch), pitch, sums, first);
  }
  // The same with the vectors from the lane's place. kChains: the tiles of the depth are added in so many chains in
  // turn, and the sums of the second chain to those of the first at the end.
  template <int kChains = 1, int kSlotTiles, int kRows>
  VARLSTM_DEVICE void product_from(const Value* lane_vectors, int pitch, simt::f32x4 (&sums)[kSlotTiles][kRows],
                                   int first = 0) const {
    const auto load = [&](int n, int tile) {
      return load_vectors(lane_vectors + n * 8 * pitch + tile * Math::kTileDepth);
    };
    add_tiles<kChains>(load, sums, first);
  }

  // The same for vectors that stand unit by unit: those of each slot tile are [.][8 slots], and `distance` values
  // apart. There are two chains.
  template <int kSlotTiles, int kRows>
  VARLSTM_DEVICE void product_by_unit(const Value* vectors, int distance,
                                      simt::f32x4 (&sums)[kSlotTiles][kRows]) const {
    static_assert(kTiles % 2 == 0, "as many odd tiles as even ones");
    add_tiles<2>([&](int n, int tile) { return load_units(vectors + n * distance, tile); }, sums, 0);
  }

  // The same for one slot tile.
  template <int kRows>
  VARLSTM_DEVICE void product_by_unit(const Value* vectors, simt::f32x4 (&sums)[kRows]) const {
    simt::f32x4 of_tile[1][kRows];
    for (int r = 0; r < kRows; ++r) of_tile[0][r] = sums[r];
    product_by_unit(vectors, 0, of_tile);
    for (int r = 0; r < kRows; ++r) sums[r] = of_tile[0][r];
  }

 private:
  // Adds the products of all tiles of the depth. load(n, tile): the vectors of slot tile n for that tile and the next.
  template <int kChains, class Load, int kSlotTiles, int kRows>
  VARLSTM_DEVICE void add_tiles(const Load& load, simt::f32x4 (&sums)[kSlotTiles][kRows], int first) const {
    static_assert(kChains == 1 || kChains == 2, "tiles are loaded in pairs");
    simt::f32x4 second[kSlotTiles][kRows] = {};
#pragma unroll
    for (int tile = 0; tile < kTiles; tile += 2) {
      simt::b32x4 both[kSlotTiles];
#pragma unroll
      for (int n = 0; n < kSlotTiles; ++n) both[n] = load(n, tile);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (tile + half == kTiles) break;
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const simt::b32x4 a = weights(tile + half, first + r);
#pragma unroll
          for (int n = 0; n < kSlotTiles; ++n) {
            simt::f32x4& sum = kChains == 2 && half == 1 ? second[n][r] : sums[n][r];
            sum = Math::multiply(a, simt::b32x2{{both[n].r[2 * half], both[n].r[2 * half + 1]}}, sum);
          }
        }
      }
    }
    if constexpr (kChains == 2) {
#pragma unroll
      for (int n = 0; n < kSlotTiles; ++n) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          for (int k = 0; k < 4; ++k) sums[n][r].r[k] += second[n][r].r[k];
        }
      }
    }
  }

  VARLSTM_DEVICE simt::b32x4 load_units(const Value* vectors, int tile) const {
    const Value* unit = vectors + tile * Math::kTileDepth * 8;
    if constexpr (sizeof(Value) == 2) {
      return simt::load_matrix_x4_transposed(unit + lane_ * 8);
    } else {
      const Value* value = unit + lane_column() * 8 + lane_row();
      return {{value[0], value[4 * 8], value[8 * 8], value[12 * 8]}};
    }
  }
  VARLSTM_DEVICE static simt::b32x4 load_vectors(const Value* from) {
    if constexpr (sizeof(Value) == 2) {
      return simt::load_matrix_x4(from);
    } else {
      return {{from[0], from[4], from[8], from[12]}};
    }
  }

  VARLSTM_DEVICE simt::b32x4 weights(int tile, int r) const {
    if (tile < kRegisterTiles) return registers_[tile < kRegisterTiles ? tile : 0][r];
    return shared_[((tile - kRegisterTiles) * kRowTiles + r) * kLanes].words;
  }

  simt::b32x4 registers_[kRegisterTiles > 0 ? kRegisterTiles : 1][kRowTiles];
  Fragment* shared_;
  uint32_t lane_;
};

// The version for the CUDA cores: four values of k at a time. All weights are in shared memory, in groups of four, as
// [kDepth / 4][kRowTiles][16 rows].
template <int kRowTiles, int kDepth>
class WeightTiles<F32Math, kRowTiles, kDepth, 0> {
  static constexpr int kTiles = kDepth / 4;

 public:
  static constexpr size_t kSharedBytes = sizeof(Float4) * 16 * kRowTiles * kTiles;

  static constexpr bool kMostInRegisters = false;
  static constexpr int kFragments = kTiles * kRowTiles;  // of a row
  static constexpr int kLanes = 16;                      // rows

  template <class Weight>
  VARLSTM_DEVICE static Fragment arrange(int number, int row, const Weight& weight) {
    const int r = number % kRowTiles, k = number / kRowTiles * 4;
    const Float4 four{{weight(r, row, k), weight(r, row, k + 1), weight(r, row, k + 2), weight(r, row, k + 3)}};
    Fragment fragment;
    memcpy(&fragment, &four, sizeof four);
    return fragment;
  }

  VARLSTM_DEVICE void load(const Fragment* from, void* shared) {
    shared_ = static_cast<Float4*>(shared);
    Fragment* to = static_cast<Fragment*>(shared);
#pragma unroll 4
    for (int at = static_cast<int>(threadIdx.x % 32); at < kFragments * kLanes; at += 32) to[at] = from[at];
    simt::warp_sync();
  }

  VARLSTM_DEVICE static int place_of_lane(int pitch) {
    return 2 * lane_column() * pitch;
  }

  template <int kSlotTiles, int kRows>
  VARLSTM_DEVICE void product(const float* vectors, int pitch, simt::f32x4 (&sums)[kSlotTiles][kRows],
                              int first = 0) const {
    product_from(vectors + place_of_lane(pitch), pitch, sums, first);
  }
  template <int kChains = 1, int kSlotTiles, int kRows>
  VARLSTM_DEVICE void product_from(const float* lane_vectors, int pitch, simt::f32x4 (&sums)[kSlotTiles][kRows],
                                   int first = 0) const {
#pragma unroll 2
    for (int tile = 0; tile < kTiles; ++tile) {
      Float4 h[kSlotTiles][2];
#pragma unroll
      for (int n = 0; n < kSlotTiles; ++n) {
#pragma unroll
        for (int s = 0; s < 2; ++s)
          h[n][s] = *reinterpret_cast<const Float4*>(lane_vectors + (n * 8 + s) * pitch + tile * 4);
      }
      multiply(tile, first, h, sums);
    }
  }

  // The same for vectors that stand unit by unit, as in the version above; the chain over k is that of product.
  template <int kSlotTiles, int kRows>
  VARLSTM_DEVICE void product_by_unit(const float* vectors, int distance,
                                      simt::f32x4 (&sums)[kSlotTiles][kRows]) const {
#pragma unroll 2
    for (int tile = 0; tile < kTiles; ++tile) {
      Float4 h[kSlotTiles][2];
#pragma unroll
      for (int n = 0; n < kSlotTiles; ++n) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const auto* slots =
              reinterpret_cast<const Float2*>(vectors + n * distance + (tile * 4 + k) * 8 + 2 * lane_column());
          for (int s = 0; s < 2; ++s) h[n][s].v[k] = slots->v[s];
        }
      }
      multiply(tile, 0, h, sums);
    }
  }

 private:
  // Adds the products of a tile of the depth. h[n][s]: its four values of slot s of the thread's two.
  template <int kSlotTiles, int kRows>
  VARLSTM_DEVICE void multiply(int tile, int first, const Float4 (&h)[kSlotTiles][2],
                               simt::f32x4 (&sums)[kSlotTiles][kRows]) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const Float4* row = shared_ + (tile * kRowTiles + first + r) * 16 + lane_row();
      const Float4 upper = row[0], lower = row[8];
#pragma unroll
      for (int n = 0; n < kSlotTiles; ++n) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
#pragma unroll
          for (int s = 0; s < 2; ++s) {
            sums[n][r].r[s] = simt::fma(h[n][s].v[k], upper.v[k], sums[n][r].r[s]);
            sums[n][r].r[2 + s] = simt::fma(h[n][s].v[k], lower.v[k], sums[n][r].r[2 + s]);
          }
        }
      }
    }
  }

  Float4* shared_;
};

}  // namespace varlstm::cuda
