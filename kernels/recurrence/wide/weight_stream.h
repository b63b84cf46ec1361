// The weights of a block of a wide team of which shared memory holds a part: the others are streamed in every step. For
// kernel files only.
//
// A launch before arranges W_hh in the order in which blocks use it, in the math's type (arrange_stages_kernel):
//
//   arranged [directions][kBlocks][kStages][64 lines][128 bytes of k, swizzled as wgmma reads it (wide_tile.h)]
//
// Of kEvery stages the first is kept in shared memory, from load_kept() on. The others come through a ring
// (stage_ring.h), which a warp of its own fills, stage after stage, step after step: it does not wait for the values of
// a step, so that weights flow while the blocks exchange them. Example: TF32, H = 2048, forward. A block has 64
// stages of 8 KB, keeps 16 of them, 128 KB, and 48 flow through six places of the ring in each step, 384 KB. Bytes from
// L2 of a step: G H H e (kEvery - 1) / kEvery. Arranging reads and writes G H H e once a pass.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>

#include "kernels/core/launch.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/wide/wide_tile.h"

namespace varlstm::cuda {

constexpr int kStageLines = 64, kStreamedStageBytes = kStageLines * kLineBytes;  // of weights

// Where the arranged stages of a block are.
template <class Tile>
VARLSTM_DEVICE const unsigned char* stages_of_block(const unsigned char* arranged, int64_t direction, int rank) {
  return arranged + (direction * Tile::kBlocks + rank) * Tile::kStages * int64_t{kStreamedStageBytes};
}

// kept <- the stages that stay. A barrier of the block must follow.
template <class Tile>
VARLSTM_DEVICE void load_kept(const unsigned char* stages, unsigned char* kept) {
  constexpr int kWords = kStreamedStageBytes / 16;
  for (int at = static_cast<int>(threadIdx.x); at < Tile::kKeptStages * kWords; at += Tile::kThreads) {
    const int64_t from = int64_t{at / kWords * Tile::kEvery} * kWords + at % kWords;
    reinterpret_cast<simt::b32x4*>(kept)[at] = reinterpret_cast<const simt::b32x4*>(stages)[from];
  }
}

// Starts the copies of the streamed stages of a step.
template <class Tile>
VARLSTM_DEVICE void stream_stages(const unsigned char* stages, StageFiller<typename Tile::WeightRing>& filler) {
#pragma unroll 1
  for (int stage = 0; stage < Tile::kStages; ++stage)
    if (stage % Tile::kEvery != 0) filler.fill(stages + int64_t{stage} * kStreamedStageBytes);
}

// The weights as a warpgroup multiplies them, stage after stage.
template <class Tile>
class StreamedWeights {
 public:
  // next: the number of the first stage of the ring.
  VARLSTM_DEVICE StreamedWeights(const unsigned char* kept, typename Tile::WeightRing& ring, uint32_t next = 0)
      : kept_(kept), reader_(ring, next) {}

  // Returns a stage when it is there; first: of its chain, the number of whose stages is a multiple of kEvery.
  VARLSTM_DEVICE const unsigned char* wait(int first, int stage) {
    return stage % Tile::kEvery == 0 ? kept_ + (first + stage) / Tile::kEvery * kStreamedStageBytes : reader_.wait();
  }
  // The warp has read that stage. Stages are released in their order.
  VARLSTM_DEVICE void release(int stage) {
    if (stage % Tile::kEvery != 0) reader_.release();
  }

 private:
  const unsigned char* const kept_;
  StageReader<typename Tile::WeightRing> reader_;
};

// W_hh [GH, H] of each direction that a launch arranges.
template <class Scalar>
struct StreamedMatrices {
  const Scalar* of[2];
};
static_assert(kMaxDirections == 2, "a kernel that has them in an array of its arguments would copy it");

// Place::at(block, line, k): where the weight of a line of a block is in W_hh. Place::kAlongK: whether those of
// neighbouring k are neighbours there; otherwise those of lines are, or nearly so. A thread writes words of 16 bytes.
template <class Tile, class Place>
VARLSTM_KERNEL void arrange_stages_kernel(StreamedMatrices<typename Tile::Scalar> matrices, unsigned char* arranged) {
  using Value = typename Tile::Value;
  constexpr int kWord = 16 / sizeof(Value), kLineWords = kLineBytes / 16;
  constexpr int64_t kWords = int64_t{Tile::kBlocks} * Tile::kStages * kStageLines * kLineWords;
  const typename Tile::Scalar* const w_hh = blockIdx.y == 0 ? matrices.of[0] : matrices.of[1];
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < kWords; at += stride) {
    const int64_t stage = at / (kStageLines * kLineWords);  // of all blocks
    const int in_stage = static_cast<int>(at % (kStageLines * kLineWords));
    const int line = Place::kAlongK ? in_stage / kLineWords : in_stage % kStageLines;
    const int word = Place::kAlongK ? in_stage % kLineWords : in_stage / kStageLines;
    const int k = static_cast<int>(stage % Tile::kStages) * Tile::kDepthOfStage + word * kWord;
    struct alignas(16) Word {
      Value of[kWord];
    } values;
    for (int e = 0; e < kWord; ++e)
      values.of[e] = Tile::Math::value_of(w_hh[Place::at(static_cast<int>(stage / Tile::kStages), line, k + e)]);
    unsigned char* const to =
        arranged + (blockIdx.y * kWords / (kStageLines * kLineWords) + stage) * kStreamedStageBytes;
    *reinterpret_cast<Word*>(to + place_in_stage<Value>(line, word * kWord)) = values;
  }
}

// Launches it for the directions of a layer.
template <class Tile, class Place, class Layer>
int32_t arrange_stages(Stream stream, const Layer& layer, unsigned char* arranged) {
  StreamedMatrices<typename Tile::Scalar> matrices = {};
  for (int64_t d = 0; d < layer.directions; ++d) matrices.of[d] = layer.direction[d].w_hh;
  LaunchShape shape = elementwise_shape(stream, int64_t{Tile::kBlocks} * Tile::kStages * kStreamedStageBytes / 16);
  shape.grid.y = static_cast<unsigned>(layer.directions);
  return launch<arrange_stages_kernel<Tile, Place>>(stream, "arrange_stages", shape, matrices, arranged);
}

}  // namespace varlstm::cuda
