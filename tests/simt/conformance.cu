// Each primitive of kernels/arch/device.h in a kernel of its own: emulated, as nvcc's PTX has it, and on a GPU.
// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/conformance.h"

#include <stdio.h>

#include "tests/simt/conformance_case.h"

namespace varlstm::test {

VARLSTM_KERNEL void shuffle_kernel(uint32_t* words) {
  const unsigned lane = threadIdx.x % 32;
  const uint32_t by_index = shfl(~0u, lane * 3, static_cast<int>(lane * 5));
  const uint32_t by_xor = shfl_xor(~0u, lane * 3, 9);
  const uint32_t down = shfl_down(~0u, lane * 3, 7);
  words[word_of_thread()] = by_index | by_xor << 8 | down << 16;
}
uint32_t shuffle_expected(unsigned word) {
  const unsigned lane = word % 32;
  return lane * 5 % 32 * 3 | (lane ^ 9) * 3 << 8 | (lane + 7 < 32 ? lane + 7 : lane) * 3 << 16;
}

VARLSTM_KERNEL void wide_shuffle_kernel(uint32_t* words) {
  const double sum = shfl_xor(~0u, 0.5 + threadIdx.x, 1);
  words[word_of_thread()] = static_cast<uint32_t>(2 * sum);
}
uint32_t wide_shuffle_expected(unsigned word) {
  return 2 * (word % kThreads ^ 1) + 1;
}

VARLSTM_KERNEL void vote_kernel(uint32_t* words) {
  const unsigned lane = threadIdx.x % 32;
  const uint32_t votes = ballot(~0u, lane % 3 == 0);
  const int some = any(~0u, threadIdx.x == 40);
  const int every = all(~0u, threadIdx.x < 32);
  words[word_of_thread()] = votes ^ (some != 0 ? 2u : 0u) ^ (every != 0 ? 4u : 0u);
}
uint32_t vote_expected(unsigned word) {
  return 0x49249249u ^ (word % kThreads >= 32 ? 2u : 4u);
}

VARLSTM_KERNEL void partial_vote_kernel(uint32_t* words) {
  const unsigned lane = threadIdx.x % 32;
  uint32_t votes = 0;
  if (lane < 12) {
    votes = ballot(0x00000fffu, lane % 2);
  } else {
    votes = ballot(0xfffff000u, lane % 2);
  }
  words[word_of_thread()] = votes;
}
uint32_t partial_vote_expected(unsigned word) {
  return word % 32 < 12 ? 0x00000aaau : 0xaaaaa000u;
}

VARLSTM_KERNEL void block_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  shared[threadIdx.x] = threadIdx.x * 7;
  block_sync();
  const uint32_t other = shared[kThreads - 1 - threadIdx.x];
  named_barrier_sync(3, kThreads);
  shared[threadIdx.x] = other + 1;
  named_barrier_sync(3, kThreads);
  words[word_of_thread()] = shared[threadIdx.x ^ 32];
}
uint32_t block_expected(unsigned word) {
  return (kThreads - 1 - (word % kThreads ^ 32)) * 7 + 1;
}

VARLSTM_KERNEL void cluster_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  shared[threadIdx.x] = word_of_thread();
  cluster_sync();
  words[word_of_thread()] = cluster_map(shared, cluster_rank() ^ 1)[threadIdx.x] + 1000 * cluster_rank();
  cluster_sync();
}
uint32_t cluster_expected(unsigned word) {
  return (word ^ kThreads) + word / kThreads % 2 * 1000;
}

VARLSTM_KERNEL void grid_kernel(uint32_t* words) {
  words[512 + word_of_thread()] = word_of_thread();
  grid_sync();
  words[word_of_thread()] = words[512 + (word_of_thread() ^ 255)];
}
uint32_t grid_expected(unsigned word) {
  return word ^ 255;
}

// words[512..] are 0 before.
VARLSTM_KERNEL void atomic_kernel(uint32_t* words) {
  atomic_add(words + 512, threadIdx.x);
  atomic_or(words + 513, 1u << threadIdx.x % 32);
  atomic_max(reinterpret_cast<int*>(words + 514), static_cast<int>(threadIdx.x) - 5);
  atomic_min(reinterpret_cast<int*>(words + 515), static_cast<int>(threadIdx.x) - 5);
  atomic_and(words + 516, 3u);
  atomic_add(reinterpret_cast<unsigned long long*>(words + 518), 1ull << 31);
  if (atomic_cas(words + 520, 0u, 77u) == 0) atomic_exchange(words + 521, 78u);
  grid_sync();
  if (threadIdx.x < 10) words[word_of_thread()] = words[512 + threadIdx.x];
}
uint32_t atomic_expected(unsigned word) {
  const uint32_t results[10] = {
      kBlocks * kThreads * (kThreads - 1) / 2, ~0u, 58, static_cast<uint32_t>(-5), 0, 0, 0, 128, 77, 78};
  return word % kThreads < 10 ? results[word % kThreads] : 0;
}

// A chain through the blocks: each waits for the flag of the one before.
VARLSTM_KERNEL void flag_kernel(uint32_t* words) {
  uint32_t* data = words + 512;
  uint32_t* flags = words + 600;
  if (threadIdx.x == 0) {
    if (blockIdx.x != 0)
      spin_until("the flag of the block before", [&] { return load_acquire(flags + blockIdx.x - 1) != 0; });
    data[blockIdx.x] = blockIdx.x == 0 ? 5 : 2 * data[blockIdx.x - 1];
    store_release(flags + blockIdx.x, 1u);
    words[word_of_thread()] = data[blockIdx.x];
  }
}
uint32_t flag_expected(unsigned word) {
  return word % kThreads == 0 ? 5u << word / kThreads : 0;
}

// A word of pieces that each carry the round below their value.
VARLSTM_DEVICE b32x4 tagged_word(uint32_t sum, uint32_t round) {
  return {{sum << 2 | round, sum << 5 | round, sum << 8 | round, sum << 11 | round}};
}
VARLSTM_DEVICE bool is_of_round(const b32x4& word, uint32_t round) {
  return word.r[0] % 4 == round && word.r[1] % 4 == round && word.r[2] % 4 == round && word.r[3] % 4 == round;
}

// Words of 16 bytes whose pieces carry their own tag, in a ring of the blocks: each thread polls for the round, adds
// its number to what came and hands it on. words[512..] are 0 before. Each thread has a word that no other one stores
// to.
VARLSTM_KERNEL void tagged_word_kernel(uint32_t* words) {
  constexpr unsigned kTagged = 32;
  b32x4* tagged = reinterpret_cast<b32x4*>(words + 512);
  if (threadIdx.x < kTagged) {
    const unsigned before = (blockIdx.x + kBlocks - 1) % kBlocks;
    b32x4* out = tagged + blockIdx.x * kTagged + threadIdx.x;
    uint32_t sum = threadIdx.x;
    for (uint32_t round = 1; round <= 3; ++round) {
      if (blockIdx.x == 0) store_relaxed16(out, tagged_word(sum, round));
      b32x4 word;
      spin_until("the word of the block before", [&] {
        word = load_relaxed16(tagged + before * kTagged + threadIdx.x);
        return is_of_round(word, round);
      });
      const uint32_t came = word.r[0] >> 2;
      const bool right = word.r[1] >> 5 == came && word.r[2] >> 8 == came && word.r[3] >> 11 == came;
      sum = right ? came + blockIdx.x + 1 : 0;
      if (blockIdx.x != 0) store_relaxed16(out, tagged_word(sum, round));
    }
    words[word_of_thread()] = sum;
  }
}
uint32_t tagged_word_expected(unsigned word) {
  const unsigned thread = word % kThreads;
  const unsigned block = word / kThreads;
  // A round adds 2 + 3 + 4 on the way from block 0 back to it, and 1 there.
  const uint32_t passed = block == 0 ? 0 : block * (block + 3) / 2;
  return thread < 32 ? thread + (block == 0 ? 30 : 20 + passed) : 0;
}

// Words of 8 bytes whose pieces say themselves that they have come: they are 0 before, and what is sent is not. Along
// the blocks, each of which adds 1 to one piece and 2 to the other. Odd threads send each piece by itself.
VARLSTM_KERNEL void self_checking_word_kernel(uint32_t* words) {
  constexpr unsigned kSent = 32;
  b32x2* sent = reinterpret_cast<b32x2*>(words + 512);
  if (threadIdx.x < kSent) {
    b32x2 word = {{threadIdx.x + 1, threadIdx.x + 2}};
    if (blockIdx.x != 0) {
      spin_until("the word of the block before", [&] {
        word = load_relaxed8(sent + (blockIdx.x - 1) * kSent + threadIdx.x);
        return word.r[0] != 0 && word.r[1] != 0;
      });
      word = {{word.r[0] + 1, word.r[1] + 2}};
    }
    b32x2* to = sent + blockIdx.x * kSent + threadIdx.x;
    if (threadIdx.x % 2 == 0) {
      store_relaxed8(to, word);
    } else {
      store_relaxed4(&to->r[1], word.r[1]);
      store_relaxed4(&to->r[0], word.r[0]);
    }
    words[word_of_thread()] = word.r[0] | word.r[1] << 16;
  }
}
uint32_t self_checking_word_expected(unsigned word) {
  const unsigned thread = word % kThreads, block = word / kThreads;
  return thread < 32 ? (thread + 1 + block) | (thread + 2 + 2 * block) << 16 : 0;
}

VARLSTM_KERNEL void clock_kernel(uint32_t* words) {
  const uint64_t cycles = clock_cycles();
  const uint64_t ns = time_ns();
  words[512 + word_of_thread()] = 1;
  block_sync();
  const bool cycles_passed = clock_cycles() > cycles;
  const bool time_does_not_go_back = time_ns() >= ns;
  words[word_of_thread()] = (cycles_passed ? 1u : 0u) | (time_does_not_go_back ? 2u : 0u);
}
uint32_t clock_expected(unsigned) {
  return 3;
}

VARLSTM_KERNEL void copy_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  if (blockIdx.x == 0)
    for (unsigned i = threadIdx.x; i < 256; i += kThreads) words[512 + i] = i;
  grid_sync();
  const uint32_t* from = words + 512;
  cp_async16(shared + 4 * threadIdx.x, from + 4 * threadIdx.x);
  cp_async_commit();
  cp_async8(shared + 256 + 2 * threadIdx.x, from + 2 * threadIdx.x);
  cp_async4(shared + 384 + threadIdx.x, from + threadIdx.x);
  cp_async_commit();
  cp_async_wait<1>();
  block_sync();
  const uint32_t first = shared[threadIdx.x ^ 32];
  cp_async_wait<0>();
  block_sync();
  words[word_of_thread()] = first + (shared[256 + (threadIdx.x ^ 33)] << 8) + (shared[384 + (threadIdx.x ^ 3)] << 16);
}
uint32_t copy_expected(unsigned word) {
  const unsigned thread = word % kThreads;
  return (thread ^ 32) + ((thread ^ 33) << 8) + ((thread ^ 3) << 16);
}

VARLSTM_KERNEL void mbarrier_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  uint64_t* mbarrier = shared_memory<uint64_t>() + 256;
  if (threadIdx.x == 0) {
    mbarrier_init(mbarrier, kThreads);
    mbarrier_init(mbarrier + 1, 1);
  }
  cluster_sync();
  const unsigned peer = cluster_rank() ^ 1;
  uint32_t sum = 0;
  for (unsigned phase = 0; phase < 3; ++phase) {
    uint32_t* buffer = shared + phase * 128;
    buffer[threadIdx.x] = threadIdx.x + phase;
    mbarrier_arrive(mbarrier);
    mbarrier_wait(mbarrier, phase % 2);
    sum += buffer[threadIdx.x ^ 32];
    if (threadIdx.x == 0 && phase == 1) mbarrier_announce(mbarrier + 1, 4 * kThreads);
    if (threadIdx.x == 0 && phase != 1) mbarrier_arrive_expect_tx(mbarrier + 1, 4 * kThreads);
    if (phase == 2) {
      ClusterAddress to = cluster_address(buffer, peer);
      keep(to);
      st_async(to + 4 * (64 + threadIdx.x), word_of_thread(), cluster_address(mbarrier, peer) + 8);
      mbarrier_wait_bytes(mbarrier + 1, phase % 2);
    } else {
      st_async(cluster_map(buffer, peer) + 64 + threadIdx.x, word_of_thread(), cluster_map(mbarrier + 1, peer));
      mbarrier_wait(mbarrier + 1, phase % 2);
    }
    sum += buffer[64 + (threadIdx.x ^ 1)] << 8;
  }
  cluster_sync();
  words[word_of_thread()] = sum;
}
uint32_t mbarrier_expected(unsigned word) {
  return 3 * (word % kThreads ^ 32) + 3 + (3 * (word ^ kThreads ^ 1) << 8);
}

// The elements of an 8 x 8 matrix m are 64 m + 8 row + column.
VARLSTM_KERNEL void load_matrix_kernel(uint32_t* words) {
  uint16_t* shared = shared_memory<uint16_t>();
  for (unsigned i = threadIdx.x; i < 256; i += kThreads) shared[i] = static_cast<uint16_t>(i);
  block_sync();
  const unsigned lane = threadIdx.x % 32;
  const b32x4 four = load_matrix_x4(shared + 8 * lane);
  const b32x4 turned = load_matrix_x4_transposed(shared + 8 * lane);
  const b32x2 two = load_matrix_x2(shared + 8 * (lane % 16));
  const b32x2 two_turned = load_matrix_x2_transposed(shared + 8 * (lane % 16));
  const uint32_t one = load_matrix_x1(shared + 8 * (lane % 8));
  uint32_t mixed = one;
  for (int i = 0; i < 4; ++i) mixed = mixed * 31 + four.r[i] * 7 + turned.r[i];
  for (int i = 0; i < 2; ++i) mixed = mixed * 31 + two.r[i] * 7 + two_turned.r[i];
  words[word_of_thread()] = mixed;
}
uint32_t load_matrix_expected(unsigned word) {
  const unsigned row = word % 32 / 4;
  const unsigned column = word % 4 * 2;
  const auto plain = [=](unsigned m) { return (64 * m + 8 * row + column) | (64 * m + 8 * row + column + 1) << 16; };
  const auto turned = [=](unsigned m) { return (64 * m + 8 * column + row) | (64 * m + 8 * (column + 1) + row) << 16; };
  uint32_t mixed = plain(0);
  for (unsigned m = 0; m < 4; ++m) mixed = mixed * 31 + plain(m) * 7 + turned(m);
  for (unsigned m = 0; m < 2; ++m) mixed = mixed * 31 + plain(m) * 7 + turned(m);
  return mixed;
}

// c = r - n
uint32_t product_expected(unsigned word, int depth) {
  const int lane = static_cast<int>(word % 32);
  uint32_t mixed = 0;
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8;
    const int column = lane % 4 * 2 + i % 2;
    float sum = static_cast<float>(row - column);
    for (int k = 0; k < depth; ++k) sum += element_a(row, k) * element_b(k, column);
    mixed = mixed * 1000 + static_cast<uint32_t>(static_cast<int>(sum) + 500);
  }
  return mixed;
}

VARLSTM_DEVICE f32x4 start_c(int lane) {
  f32x4 c;
  for (int i = 0; i < 4; ++i) c.r[i] = static_cast<float>(lane / 4 + i / 2 * 8 - (lane % 4 * 2 + i % 2));
  return c;
}
VARLSTM_DEVICE uint32_t mix(const f32x4& d) {
  uint32_t mixed = 0;
  for (int i = 0; i < 4; ++i) mixed = mixed * 1000 + static_cast<uint32_t>(static_cast<int>(d.r[i]) + 500);
  return mixed;
}

template <uint16_t (*kNarrow)(float), f32x4 (*kProduct)(const b32x4&, const b32x2&, const f32x4&)>
VARLSTM_DEVICE uint32_t product_16bit() {
  const int lane = static_cast<int>(threadIdx.x % 32);
  b32x4 a;
  b32x2 b;
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i % 2 * 8;
    const int k = lane % 4 * 2 + i / 2 * 8;
    a.r[i] = kNarrow(element_a(row, k)) | static_cast<uint32_t>(kNarrow(element_a(row, k + 1))) << 16;
  }
  for (int i = 0; i < 2; ++i) {
    const int k = lane % 4 * 2 + i * 8;
    b.r[i] = kNarrow(element_b(k, lane / 4)) | static_cast<uint32_t>(kNarrow(element_b(k + 1, lane / 4))) << 16;
  }
  return mix(kProduct(a, b, start_c(lane)));
}

VARLSTM_DEVICE f32x4 bf16_product(const b32x4& a, const b32x2& b, const f32x4& c) {
  return mma_bf16_16816(a, b, c);
}
VARLSTM_DEVICE f32x4 f16_product(const b32x4& a, const b32x2& b, const f32x4& c) {
  return mma_f16_16816(a, b, c);
}

VARLSTM_KERNEL void bf16_kernel(uint32_t* words) {
  words[word_of_thread()] = product_16bit<to_bf16, bf16_product>();
}
VARLSTM_KERNEL void f16_kernel(uint32_t* words) {
  words[word_of_thread()] = product_16bit<to_f16, f16_product>();
}
uint32_t product_16_expected(unsigned word) {
  return product_expected(word, 16);
}

VARLSTM_KERNEL void tf32_kernel(uint32_t* words) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  b32x4 a;
  b32x2 b;
  for (int i = 0; i < 4; ++i) a.r[i] = to_tf32(element_a(lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4));
  for (int i = 0; i < 2; ++i) b.r[i] = to_tf32(element_b(lane % 4 + i * 4, lane / 4));
  words[word_of_thread()] = mix(mma_tf32_1688(a, b, start_c(lane)));
}
uint32_t tf32_expected(unsigned word) {
  return product_expected(word, 8);
}

// Blocks and grids of three dimensions: each thread once.
VARLSTM_KERNEL void coordinates_kernel(uint32_t* words) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  words[block * kThreads + thread] = blockIdx.x | blockIdx.y << 4 | blockIdx.z << 8 | threadIdx.x << 12 |
                                     threadIdx.y << 16 | threadIdx.z << 20 | (threadIdx.y * 8 + threadIdx.x) << 24;
}
uint32_t coordinates_expected(unsigned word) {
  const unsigned block = word / kThreads;
  const unsigned thread = word % kThreads;
  return (block % 2) | (block / 2) << 8 | thread % 8 << 12 | thread / 8 % 4 << 16 | thread / 32 << 20 |
         thread % 32 << 24;
}

std::vector<ConformanceCase> basic_cases() {
  return {{"shuffles", shuffle_kernel, shuffle_expected, false},
          {"shuffles of 8 bytes", wide_shuffle_kernel, wide_shuffle_expected, false},
          {"votes", vote_kernel, vote_expected, false},
          {"votes of a part of a warp", partial_vote_kernel, partial_vote_expected, false},
          {"barriers of a block", block_kernel, block_expected, false},
          {"clusters", cluster_kernel, cluster_expected, false},
          {"barrier of the grid", grid_kernel, grid_expected, false},
          {"atomics", atomic_kernel, atomic_expected, false},
          {"release and acquire", flag_kernel, flag_expected, false},
          {"words of 16 bytes", tagged_word_kernel, tagged_word_expected, false},
          {"words of 8 bytes", self_checking_word_kernel, self_checking_word_expected, false},
          {"clocks", clock_kernel, clock_expected, false},
          {"cp.async", copy_kernel, copy_expected, false},
          {"mbarriers and st.async", mbarrier_kernel, mbarrier_expected, false},
          {"ldmatrix", load_matrix_kernel, load_matrix_expected, false},
          {"products of bfloat16", bf16_kernel, product_16_expected, false},
          {"products of binary16", f16_kernel, product_16_expected, false},
          {"products of TF32", tf32_kernel, tf32_expected, false},
          {"coordinates", coordinates_kernel, coordinates_expected, true}};
}

std::string compare(const ConformanceCase& subject, uint32_t* words) {
  LaunchShape shape;
  shape.grid = subject.three_dimensions ? dim3(2, 1, 2) : dim3(kBlocks);
  shape.block = subject.three_dimensions ? dim3(8, 4, 2) : dim3(kThreads);
  shape.cluster = 2;
  shape.shared_bytes = 4096;
  if (subject.warpgroup) {
    shape.grid = dim3(kBlocks * kThreads / kWarpgroup);
    shape.block = dim3(kWarpgroup);
    shape.shared_bytes = kWarpgroupBytes;
  }
  shape.cooperative = true;
  uint32_t seen[kWords];
  cudaError_t error = cudaMemsetAsync(words, 0, sizeof seen, nullptr);
  if (error == cudaSuccess && subject.mapped == nullptr)
    error = launch(shape, nullptr, subject.name, subject.kernel, words);
  if (error == cudaSuccess && subject.mapped != nullptr) {
    TensorMaps maps = {};
    if (make_tensor_maps(words + 512, &maps) != CUDA_SUCCESS) return "no tensor maps can be made";
    error = launch(shape, nullptr, subject.name, subject.mapped, words, maps);
  }
  if (error == cudaSuccess) error = cudaMemcpyAsync(seen, words, sizeof seen, cudaMemcpyDeviceToHost, nullptr);
  if (error == cudaSuccess) error = cudaStreamSynchronize(nullptr);
  if (error != cudaSuccess) return cudaGetErrorName(error);
  for (unsigned word = 0; word < kBlocks * kThreads; ++word) {
    const uint32_t expected = subject.expected(word);
    if (seen[word] == expected) continue;
    char text[96];
    snprintf(text, sizeof text, "thread %u gives 0x%08x, expected 0x%08x", word, seen[word], expected);
    return text;
  }
  return "";
}

std::vector<ConformanceResult> run_conformance() {
  std::vector<ConformanceResult> results;
  void* words = nullptr;
  const cudaError_t error = cudaMalloc(&words, kWords * sizeof(uint32_t));
  if (error != cudaSuccess)
    return {{"device", std::string("none that can be used: cudaMalloc gives ") + cudaGetErrorName(error) + ", " +
                           cudaGetErrorString(error)}};
  for (const auto& cases : {basic_cases(), memory_cases(), number_cases(), warpgroup_cases(), tensor_cases()})
    for (const ConformanceCase& subject : cases)
      results.push_back({subject.name, compare(subject, static_cast<uint32_t*>(words))});
  cudaFree(words);
  return results;
}

}  // namespace varlstm::test
