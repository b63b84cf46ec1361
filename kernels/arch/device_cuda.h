// The vocabulary of kernels on a GPU: inlined wrappers of CUDA's intrinsics and of PTX.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/arch/fragments.h"
#include "kernels/arch/launch_shape.h"

#define VARLSTM_KERNEL __global__
#define VARLSTM_DEVICE __device__ __forceinline__
#define VARLSTM_HOST_DEVICE __host__ __device__ __forceinline__

namespace varlstm::simt {

template <class T>
VARLSTM_DEVICE T* shared_memory() {
  extern __shared__ __align__(1024) unsigned char s_[];
  return reinterpret_cast<T*>(s_);
}
// Makes the compiler forget where a value of 4 or 8 bytes came from, so that it stays in a register. Otherwise what was
// read from a kernel's arguments at a place that is not constant is read again at every use. In a loop, what is
// computed from the value stays in the loop: it takes no registers outside.
template <class T>
VARLSTM_DEVICE void keep(T& value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a register or two");
  if constexpr (std::is_same<T, float>::value)
    asm volatile("" : "+f"(value));
  else if constexpr (sizeof(T) == 4)
    asm volatile("" : "+r"(value));
  else
    asm volatile("" : "+l"(value));
}
// The same for a pointer to global memory, which the compiler still knows to be one.
template <class T>
VARLSTM_DEVICE void keep_global(T*& pointer) {
  size_t address = __cvta_generic_to_global(pointer);
  asm("" : "+l"(address));
  pointer = static_cast<T*>(__cvta_global_to_generic(address));
}
// Returns a * b in 64 bits: one instruction together with an addition.
VARLSTM_DEVICE uint64_t multiply_wide(uint32_t a, uint32_t b) {
  uint64_t product;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(a), "r"(b));
  return product;
}
// Called by every thread of the block at one place of the program. No thread of the block may have ended.
VARLSTM_DEVICE void block_sync() {
  __syncthreads();
}
// Barrier `id` from 1 to 15, for `threads` threads of the block, which is a multiple of 32.
VARLSTM_DEVICE void named_barrier_sync(unsigned id, unsigned threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Called by the lanes of the mask, all of which pass the same mask.
VARLSTM_DEVICE void warp_sync(unsigned mask = 0xffffffffu) {
  __syncwarp(mask);
}
// Order memory between threads that communicate through relaxed atomics, in the block or on the device.
VARLSTM_DEVICE void block_fence() {
  __threadfence_block();
}
VARLSTM_DEVICE void device_fence() {
  __threadfence();
}
// Shuffles. They read from lane `source` % 32, from lane ^ `lanes`, or from lane + `lanes` (the lane's own value if
// that is beyond the last lane).
template <class T>
VARLSTM_DEVICE T shfl(unsigned mask, T value, int source) {
  return __shfl_sync(mask, value, source);
}
template <class T>
VARLSTM_DEVICE T shfl_xor(unsigned mask, T value, int lanes) {
  return __shfl_xor_sync(mask, value, lanes);
}
template <class T>
VARLSTM_DEVICE T shfl_down(unsigned mask, T value, unsigned lanes) {
  return __shfl_down_sync(mask, value, lanes);
}
// Votes. They return one bit for each lane of the mask whose predicate is not 0; whether there is such a lane; whether
// all are such.
VARLSTM_DEVICE unsigned ballot(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate);
}
VARLSTM_DEVICE int any(unsigned mask, int predicate) {
  return __any_sync(mask, predicate);
}
VARLSTM_DEVICE int all(unsigned mask, int predicate) {
  return __all_sync(mask, predicate);
}
// Atomics on int, unsigned and unsigned long long: relaxed, device-wide. Each returns the old value.
template <class T>
VARLSTM_DEVICE T atomic_add(T* address, T value) {
  static_assert(!std::is_floating_point<T>::value, "a sum of atomics on floating-point numbers depends on the order");
  return atomicAdd(address, value);
}
template <class T>
VARLSTM_DEVICE T atomic_or(T* address, T value) {
  return atomicOr(address, value);
}
template <class T>
VARLSTM_DEVICE T atomic_and(T* address, T value) {
  return atomicAnd(address, value);
}
template <class T>
VARLSTM_DEVICE T atomic_min(T* address, T value) {
  return atomicMin(address, value);
}
template <class T>
VARLSTM_DEVICE T atomic_max(T* address, T value) {
  return atomicMax(address, value);
}
template <class T>
VARLSTM_DEVICE T atomic_exchange(T* address, T value) {
  return atomicExch(address, value);
}
template <class T>
VARLSTM_DEVICE T atomic_cas(T* address, T expected, T value) {
  return atomicCAS(address, expected, value);
}

// A thread that loads the stored value with load_acquire sees what the other thread did before its store_release (or
// add_release).
VARLSTM_DEVICE uint32_t load_acquire(const uint32_t* address) {
  uint32_t value;
  asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}
VARLSTM_DEVICE void store_release(uint32_t* address, uint32_t value) {
  asm volatile("st.release.gpu.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}
VARLSTM_DEVICE uint32_t add_release(uint32_t* address, uint32_t value) {
  uint32_t old;
  asm volatile("atom.release.gpu.add.u32 %0, [%1], %2;" : "=r"(old) : "l"(address), "r"(value) : "memory");
  return old;
}

// Words of 4, 8 and 16 bytes, aligned to their size. Each piece of 32 bits is read and written whole, but a word is
// not: ptxas may split it, and drops pieces that are not used. The accesses are relaxed and device-wide: a piece orders
// no other memory, not even its neighbour. So a piece must itself contain all that its reader has to know about it.
VARLSTM_DEVICE void store_relaxed4(uint32_t* address, uint32_t word) {
  asm volatile("st.relaxed.gpu.b32 [%0], %1;" ::"l"(address), "r"(word) : "memory");
}
VARLSTM_DEVICE b32x2 load_relaxed8(const b32x2* address) {
  b32x2 word;
  asm volatile("ld.relaxed.gpu.v2.b32 {%0,%1}, [%2];" : "=r"(word.r[0]), "=r"(word.r[1]) : "l"(address) : "memory");
  return word;
}
VARLSTM_DEVICE void store_relaxed8(b32x2* address, const b32x2& word) {
  asm volatile("st.relaxed.gpu.v2.b32 [%0], {%1,%2};" ::"l"(address), "r"(word.r[0]), "r"(word.r[1]) : "memory");
}
VARLSTM_DEVICE b32x4 load_relaxed16(const b32x4* address) {
  b32x4 word;
  asm volatile("ld.relaxed.gpu.v4.b32 {%0,%1,%2,%3}, [%4];"
               : "=r"(word.r[0]), "=r"(word.r[1]), "=r"(word.r[2]), "=r"(word.r[3])
               : "l"(address)
               : "memory");
  return word;
}
VARLSTM_DEVICE void store_relaxed16(b32x4* address, const b32x4& word) {
  asm volatile("st.relaxed.gpu.v4.b32 [%0], {%1,%2,%3,%4};" ::"l"(address), "r"(word.r[0]), "r"(word.r[1]),
               "r"(word.r[2]), "r"(word.r[3])
               : "memory");
}

// The clock of the thread's multiprocessor in cycles, and the device's time in nanoseconds, which may advance in steps
// of a microsecond.
VARLSTM_DEVICE uint64_t clock_cycles() {
  uint64_t cycles;
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(cycles)::"memory");
  return cycles;
}
VARLSTM_DEVICE uint64_t time_ns() {
  uint64_t ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
  return ns;
}

// Returns a shared-memory address in the form that instructions of the shared window use. The address of a peer stays
// an address of the peer.
VARLSTM_DEVICE uint32_t shared_window(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// cp.async from device memory to shared memory, both aligned to the number of bytes. This thread sees the bytes after a
// cp_async_wait, other threads after a barrier as well. Until then neither side may be touched.
VARLSTM_DEVICE void cp_async4(void* to, const void* from) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_window(to)), "l"(from) : "memory");
#else
  *static_cast<uint32_t*>(to) = *static_cast<const uint32_t*>(from);
#endif
}
VARLSTM_DEVICE void cp_async8(void* to, const void* from) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(shared_window(to)), "l"(from) : "memory");
#else
  *static_cast<uint2*>(to) = *static_cast<const uint2*>(from);
#endif
}
VARLSTM_DEVICE void cp_async16(void* to, const void* from) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_window(to)), "l"(from) : "memory");
#else
  *static_cast<uint4*>(to) = *static_cast<const uint4*>(from);
#endif
}
// The same with the first `source_bytes` of the 16; the rest becomes zeros.
VARLSTM_DEVICE void cp_async16_filled(void* to, const void* from, unsigned source_bytes) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_window(to)), "l"(from), "r"(source_bytes)
               : "memory");
#else
  for (unsigned byte = 0; byte < 16; ++byte)
    static_cast<unsigned char*>(to)[byte] = byte < source_bytes ? static_cast<const unsigned char*>(from)[byte] : 0;
#endif
}
// Ends this thread's group of copies; waits until at most the kPending newest groups are still under way.
VARLSTM_DEVICE void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int kPending>
VARLSTM_DEVICE void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

// ldmatrix: row r of the 8 x 8 matrix m of 16-bit elements is at the address that lane 8 m + r passes, aligned to 16
// bytes. Lane 4 r + q gets elements 2 q and 2 q + 1 of row r, or of column r if transposed.
VARLSTM_DEVICE uint32_t load_matrix_x1(const void* row) {
  uint32_t word;
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
               : "=r"(word)
               : "r"(shared_window(row))
               : "memory");
  return word;
}
#define VARLSTM_LOAD_MATRIX_X2(name, variant)                                         \
  VARLSTM_DEVICE b32x2 name(const void* row) {                                        \
    b32x2 words;                                                                      \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" variant ".shared.b16 {%0,%1}, [%2];" \
                 : "=r"(words.r[0]), "=r"(words.r[1])                                 \
                 : "r"(shared_window(row))                                            \
                 : "memory");                                                         \
    return words;                                                                     \
  }
#define VARLSTM_LOAD_MATRIX_X4(name, variant)                                               \
  VARLSTM_DEVICE b32x4 name(const void* row) {                                              \
    b32x4 words;                                                                            \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" variant ".shared.b16 {%0,%1,%2,%3}, [%4];" \
                 : "=r"(words.r[0]), "=r"(words.r[1]), "=r"(words.r[2]), "=r"(words.r[3])   \
                 : "r"(shared_window(row))                                                  \
                 : "memory");                                                               \
    return words;                                                                           \
  }
VARLSTM_LOAD_MATRIX_X2(load_matrix_x2, "")
VARLSTM_LOAD_MATRIX_X2(load_matrix_x2_transposed, ".trans")
VARLSTM_LOAD_MATRIX_X4(load_matrix_x4, "")
VARLSTM_LOAD_MATRIX_X4(load_matrix_x4_transposed, ".trans")
#undef VARLSTM_LOAD_MATRIX_X2
#undef VARLSTM_LOAD_MATRIX_X4

// Called by every thread of a cooperative launch.
VARLSTM_DEVICE void grid_sync() {
  cooperative_groups::this_grid().sync();
}

// Matrix products of a warp: a [16, 16] * b [16, 8] + c [16, 8] in bfloat16 or binary16, a [16, 8] * b [8, 8] + c [16,
// 8] in TF32. They do not exist before sm_80; a kernel that uses them must not be launched there.
#if __CUDA_ARCH__ >= 800
VARLSTM_DEVICE f32x4 mma_bf16_16816(const b32x4& a, const b32x2& b, const f32x4& c) {
  f32x4 d;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
      : "=f"(d.r[0]), "=f"(d.r[1]), "=f"(d.r[2]), "=f"(d.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]), "f"(c.r[0]), "f"(c.r[1]),
        "f"(c.r[2]), "f"(c.r[3]));
  return d;
}
VARLSTM_DEVICE f32x4 mma_f16_16816(const b32x4& a, const b32x2& b, const f32x4& c) {
  f32x4 d;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
      : "=f"(d.r[0]), "=f"(d.r[1]), "=f"(d.r[2]), "=f"(d.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]), "f"(c.r[0]), "f"(c.r[1]),
        "f"(c.r[2]), "f"(c.r[3]));
  return d;
}
VARLSTM_DEVICE f32x4 mma_tf32_1688(const b32x4& a, const b32x2& b, const f32x4& c) {
  f32x4 d;
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
      : "=f"(d.r[0]), "=f"(d.r[1]), "=f"(d.r[2]), "=f"(d.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]), "f"(c.r[0]), "f"(c.r[1]),
        "f"(c.r[2]), "f"(c.r[3]));
  return d;
}
#else
VARLSTM_DEVICE f32x4 mma_bf16_16816(const b32x4&, const b32x2&, const f32x4& c) {
  __trap();
  return c;
}
VARLSTM_DEVICE f32x4 mma_f16_16816(const b32x4&, const b32x2&, const f32x4& c) {
  __trap();
  return c;
}
VARLSTM_DEVICE f32x4 mma_tf32_1688(const b32x4&, const b32x2&, const f32x4& c) {
  __trap();
  return c;
}
#endif

VARLSTM_DEVICE uint32_t to_tf32(float f) {
#if __CUDA_ARCH__ >= 800
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(f));
  return r;
#else
  const uint32_t bits = __float_as_uint(f);
  return (bits + 0x1000u) & ~0x1fffu;
#endif
}
VARLSTM_HOST_DEVICE uint16_t to_bf16(float f) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(f));
}
// The bits of a pair of values. Taken apart and put together again, they would be copied.
template <class Pair>
VARLSTM_DEVICE uint32_t word_of(const Pair& pair) {
  uint32_t word;
  memcpy(&word, &pair, sizeof word);
  return word;
}
// Two conversions at once: the first value is in the lower half.
VARLSTM_DEVICE uint32_t to_bf16x2(float low, float high) {
  return word_of(__floats2bfloat162_rn(low, high));
}
VARLSTM_DEVICE uint32_t to_f16x2(float low, float high) {
  return word_of(__floats2half2_rn(low, high));
}
VARLSTM_DEVICE float fast_exp(float x) {
  return __expf(x);
}
// 2^x; what is subnormal counts as 0.
VARLSTM_DEVICE float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
VARLSTM_DEVICE float fast_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
VARLSTM_DEVICE float fast_tanh(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Returns a * b + c, rounded once.
VARLSTM_DEVICE float fma(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}
VARLSTM_DEVICE double fma(double a, double b, double c) {
  return __fma_rn(a, b, c);
}
VARLSTM_HOST_DEVICE float from_bf16(uint16_t bits) {
  const uint32_t word = uint32_t{bits} << 16;  // a mask of a pair's word, if the value is the upper one of a pair
  float value;
  memcpy(&value, &word, sizeof value);
  return value;
}
VARLSTM_HOST_DEVICE uint16_t to_f16(float f) {
  return __half_as_ushort(__float2half_rn(f));
}
VARLSTM_HOST_DEVICE float from_f16(uint16_t bits) {
  return __half2float(__ushort_as_half(bits));
}

// A launch shape in the form of the runtime. set() also raises the kernel's limits if the shape has more than 48 KB of
// shared memory or more than 8 blocks in a cluster.
struct LaunchConfig {
  cudaLaunchConfig_t config{};
  cudaLaunchAttribute attributes[2];

  template <class... P>
  cudaError_t set(const LaunchShape& shape, cudaStream_t stream, void (*kernel)(P...)) {
    config.gridDim = shape.grid;
    config.blockDim = shape.block;
    config.dynamicSmemBytes = shape.shared_bytes;
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = 0;
    if (shape.cluster > 1) {
      cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
      attribute.id = cudaLaunchAttributeClusterDimension;
      attribute.val.clusterDim = {shape.cluster, 1, 1};
    }
    if (shape.cooperative) {
      cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
      attribute.id = cudaLaunchAttributeCooperative;
      attribute.val.cooperative = 1;
    }
    constexpr unsigned kPortableCluster = 8;
    if (shape.cluster > kPortableCluster) {
      const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
      if (error != cudaSuccess) return error;
    }
    if (shape.shared_bytes <= 48 * 1024) return cudaSuccess;
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                static_cast<int>(shape.shared_bytes));
  }
};

// Runs kernel(arguments...) in that shape, in the order of `stream`.
template <class... P, class... A>
cudaError_t launch(const LaunchShape& shape, cudaStream_t stream, const char*, void (*kernel)(P...),
                   const A&... arguments) {
  LaunchConfig launch_config;
  const cudaError_t error = launch_config.set(shape, stream, kernel);
  if (error != cudaSuccess) return error;
  return cudaLaunchKernelEx(&launch_config.config, kernel, static_cast<P>(arguments)...);
}

// Loads the kernel to the current device, for launches with up to that much shared memory and in clusters of blocks.
inline cudaError_t load(const void* kernel, int64_t shared_bytes, bool clusters) {
  cudaFuncAttributes attributes;
  cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
  if (error != cudaSuccess) return error;
  const int dynamic = static_cast<int>(shared_bytes) - static_cast<int>(attributes.sharedSizeBytes);
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, dynamic);
  if (error != cudaSuccess || !clusters) return error;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
}

// Returns how many blocks of that shape and kernel one multiprocessor holds at a time.
template <class... P>
cudaError_t blocks_of_multiprocessor(const LaunchShape& shape, void (*kernel)(P...), int* blocks) {
  LaunchConfig launch_config;
  const cudaError_t error = launch_config.set(shape, nullptr, kernel);
  if (error != cudaSuccess) return error;
  const int threads = static_cast<int>(shape.block.x * shape.block.y * shape.block.z);
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, shape.shared_bytes);
}

// Returns how many clusters of that shape and kernel are resident on the device at a time.
template <class... P>
cudaError_t resident_clusters(const LaunchShape& shape, void (*kernel)(P...), int* clusters) {
  LaunchConfig launch_config;
  const cudaError_t error = launch_config.set(shape, nullptr, kernel);
  if (error != cudaSuccess) return error;
  return cudaOccupancyMaxActiveClusters(clusters, kernel, &launch_config.config);
}

}  // namespace varlstm::simt

#include "kernels/arch/cluster_cuda.h"
#include "kernels/arch/spin_cuda.h"
#include "kernels/arch/tensor_copy_cuda.h"
#include "kernels/arch/wgmma_cuda.h"
