// What an exchange is made of, one piece at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/runtime.h"

namespace varlstm::bench {

enum class Piece {
  kBlockBarrier,  // the barrier of a block of 256 threads
  kBlockFence,    // a store and a fence of the block
  kDeviceFence,   // a store and a fence of the device
  kPush,          // st.async into the other block of a cluster, and the wait of its mbarrier
  kFlag,          // a released flag in device memory, and the other block's wait that acquires it
  kWord,          // a relaxed word in device memory that is itself the message, and the wait for it
};
constexpr Piece kPieces[] = {Piece::kBlockBarrier, Piece::kBlockFence, Piece::kDeviceFence,
                             Piece::kPush,         Piece::kFlag,       Piece::kWord};
const char* name_of(Piece piece);

// What block 0 saw.
struct PieceResult {
  uint64_t cycles;
  uint32_t last;  // what has come: the number of rounds
};

// Runs the piece `rounds` times, at most 2^31, each after the one before it: messages go to and fro. `words`: 64 words
// of device memory, zeros before.
cudaError_t launch_piece(Piece piece, uint32_t rounds, uint32_t* words, PieceResult* result, cudaStream_t stream);

}  // namespace varlstm::bench
