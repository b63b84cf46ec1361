// The pieces of an exchange, each in a chain: a round begins when the one before it has ended, so a round's cycles are
// the latency of the piece, with the loop around it.
//
// Messages are from thread 0 of block r % 2 to that of the other block in round r, and carry r + 1. So both blocks take
// turns, and each message answers the one before it. One way takes the cycles of a round.
//
// Grid: one block, or two; as a cluster for kPush, else resident together. Deterministic but for the cycles.
// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/piece.h"

#include "kernels/arch/device.h"

namespace varlstm::bench {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

constexpr unsigned kBarrierThreads = 256;
constexpr int kOther = 32;  // the word of block 1's messages, in another line than that of block 0's

// Shared memory of a block for kPush.
struct Mailbox {
  uint64_t message;
  uint64_t full;  // phase k completes with the block's k-th message
};

// The ways in which thread 0 of a block sends a message to the other, and waits for one.
struct Push {
  Mailbox* box = shared_memory<Mailbox>();
  unsigned received = 0;

  VARLSTM_DEVICE explicit Push(uint32_t*) {
    if (threadIdx.x == 0) {
      mbarrier_init(&box->full, 1);
      mbarrier_announce(&box->full, sizeof box->message);
    }
    cluster_sync();  // both mbarriers are armed
  }
  VARLSTM_DEVICE void send(unsigned to, uint32_t message) {
    st_async(cluster_map(&box->message, to), uint64_t{message}, cluster_map(&box->full, to));
  }
  VARLSTM_DEVICE uint32_t receive(unsigned, uint32_t) {
    mbarrier_wait_bytes(&box->full, received++ % 2, "the other block's push");
    const auto message = static_cast<uint32_t>(box->message);
    mbarrier_announce(&box->full, sizeof box->message);  // the next one comes after this block's answer
    return message;
  }
  VARLSTM_DEVICE void close() { cluster_sync(); }  // no block ends before the other's last push
};

struct Flag {
  uint32_t* words;

  VARLSTM_DEVICE explicit Flag(uint32_t* w) : words(w) { grid_sync(); }
  VARLSTM_DEVICE void send(unsigned to, uint32_t message) { store_release(words + to * kOther, message); }
  VARLSTM_DEVICE uint32_t receive(unsigned rank, uint32_t expected) {
    uint32_t came = 0;
    spin_until("the other block's flag", [&] {
      came = load_acquire(words + rank * kOther);
      return came >= expected;
    });
    return came;
  }
  VARLSTM_DEVICE void close() {}
};

struct Word {
  uint32_t* words;

  VARLSTM_DEVICE explicit Word(uint32_t* w) : words(w) { grid_sync(); }
  VARLSTM_DEVICE b32x2* of(unsigned block) const { return reinterpret_cast<b32x2*>(words + block * kOther); }
  VARLSTM_DEVICE void send(unsigned to, uint32_t message) { store_relaxed8(of(to), {{message, message}}); }
  VARLSTM_DEVICE uint32_t receive(unsigned rank, uint32_t expected) {
    b32x2 came{};
    spin_until("the other block's word", [&] {
      came = load_relaxed8(of(rank));
      return came.r[0] == expected && came.r[1] == expected;  // each half may come by itself
    });
    return came.r[0];
  }
  VARLSTM_DEVICE void close() {}
};

template <class Way>
VARLSTM_KERNEL void message_rounds(uint32_t rounds, uint32_t* words, PieceResult* result) {
  Way way(words);
  if (threadIdx.x == 0) {
    const unsigned rank = blockIdx.x;
    uint32_t last = 0;
    const uint64_t begin = clock_cycles();
    for (uint32_t round = 0; round < rounds; ++round) {
      if (round % 2 == rank)
        way.send(1 - rank, round + 1);
      else
        last = way.receive(rank, round + 1);
    }
    // Block 0 has seen the last message of block 1, and perhaps sent one more.
    if (rank == 0) *result = {clock_cycles() - begin, rounds % 2 == 0 ? last : last + 1};
  }
  way.close();
}

template <Piece kPiece>
VARLSTM_KERNEL void local_rounds(uint32_t rounds, uint32_t* words, PieceResult* result) {
  uint32_t last = 0;
  const uint64_t begin = clock_cycles();
  for (uint32_t round = 0; round < rounds; ++round) {
    if (kPiece == Piece::kBlockBarrier) {
      block_sync();
      ++last;
    } else {
      words[0] = round + 1;
      if (kPiece == Piece::kBlockFence)
        block_fence();
      else
        device_fence();
    }
  }
  if (threadIdx.x == 0) *result = {clock_cycles() - begin, kPiece == Piece::kBlockBarrier ? last : words[0]};
}

const char* name_of(Piece piece) {
  switch (piece) {
    case Piece::kBlockBarrier:
      return "block barrier";
    case Piece::kBlockFence:
      return "store, block fence";
    case Piece::kDeviceFence:
      return "store, device fence";
    case Piece::kPush:
      return "st.async one way";
    case Piece::kFlag:
      return "L2 flag one way";
    case Piece::kWord:
      return "L2 word one way";
  }
  return "";
}

cudaError_t launch_piece(Piece piece, uint32_t rounds, uint32_t* words, PieceResult* result, cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(1);
  shape.block = dim3(piece == Piece::kBlockBarrier ? kBarrierThreads : 1);
  if (piece == Piece::kBlockBarrier)
    return launch(shape, stream, "local_rounds", local_rounds<Piece::kBlockBarrier>, rounds, words, result);
  if (piece == Piece::kBlockFence)
    return launch(shape, stream, "local_rounds", local_rounds<Piece::kBlockFence>, rounds, words, result);
  if (piece == Piece::kDeviceFence)
    return launch(shape, stream, "local_rounds", local_rounds<Piece::kDeviceFence>, rounds, words, result);
  shape.grid = dim3(2);
  shape.block = dim3(32);
  if (piece == Piece::kPush) {
    shape.cluster = 2;
    shape.shared_bytes = sizeof(Mailbox);
    return launch(shape, stream, "message_rounds", message_rounds<Push>, rounds, words, result);
  }
  shape.cooperative = true;
  if (piece == Piece::kFlag)
    return launch(shape, stream, "message_rounds", message_rounds<Flag>, rounds, words, result);
  return launch(shape, stream, "message_rounds", message_rounds<Word>, rounds, words, result);
}

}  // namespace varlstm::bench
