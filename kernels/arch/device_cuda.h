// The vocabulary of kernels on a GPU: inlined wrappers over CUDA's intrinsics and PTX.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include <cstddef>
#include <cstdint>

#include "kernels/arch/fragments.h"
#include "kernels/arch/launch_shape.h"

#define VARLSTM_KERNEL __global__
#define VARLSTM_DEVICE __device__ __forceinline__
#define VARLSTM_HOST_DEVICE __host__ __device__ __forceinline__

namespace varlstm::simt {

template <class T>
VARLSTM_DEVICE T* shared_memory() {
  extern __shared__ __align__(128) unsigned char s_[];
  return reinterpret_cast<T*>(s_);
}
VARLSTM_DEVICE void block_sync() {
  __syncthreads();
}
VARLSTM_DEVICE void warp_sync(unsigned m = 0xffffffffu) {
  __syncwarp(m);
}
template <class T>
VARLSTM_DEVICE T shfl(unsigned m, T v, int src) {
  return __shfl_sync(m, v, src);
}
template <class T>
VARLSTM_DEVICE T shfl_xor(unsigned m, T v, int x) {
  return __shfl_xor_sync(m, v, x);
}
template <class T>
VARLSTM_DEVICE T shfl_down(unsigned m, T v, unsigned d) {
  return __shfl_down_sync(m, v, d);
}
VARLSTM_DEVICE unsigned ballot(unsigned m, int p) {
  return __ballot_sync(m, p);
}
VARLSTM_DEVICE int any(unsigned m, int p) {
  return __any_sync(m, p);
}
VARLSTM_DEVICE int all(unsigned m, int p) {
  return __all_sync(m, p);
}
template <class T>
VARLSTM_DEVICE T atomic_add(T* p, T v) {
  return atomicAdd(p, v);
}
VARLSTM_DEVICE unsigned atomic_or(unsigned* p, unsigned v) {
  return atomicOr(p, v);
}
VARLSTM_DEVICE void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
VARLSTM_DEVICE void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
VARLSTM_DEVICE void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
VARLSTM_DEVICE unsigned cluster_rank() {
  unsigned r;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
  return r;
}
template <class T>
VARLSTM_DEVICE T* cluster_map(T* p, unsigned rank) {
  return cooperative_groups::this_cluster().map_shared_rank(p, rank);
}
VARLSTM_DEVICE void grid_sync() {
  cooperative_groups::this_grid().sync();
}
VARLSTM_DEVICE void cp_async16(void* dst, const void* src) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned)__cvta_generic_to_shared(dst)), "l"(src)
               : "memory");
}
VARLSTM_DEVICE void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N>
VARLSTM_DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
VARLSTM_DEVICE f32x4 mma_bf16_16816(const b32x4& a, const b32x2& b, const f32x4& c) {
  f32x4 d;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
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
VARLSTM_DEVICE uint32_t to_tf32(float f) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(f));
  return r;
}
VARLSTM_HOST_DEVICE uint16_t to_bf16(float f) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(f));
}
VARLSTM_DEVICE float fast_exp(float x) {
  return __expf(x);
}
VARLSTM_DEVICE float fast_tanh(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// a * b + c, rounded once.
VARLSTM_DEVICE float fma(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}
VARLSTM_DEVICE double fma(double a, double b, double c) {
  return __fma_rn(a, b, c);
}
VARLSTM_HOST_DEVICE float from_bf16(uint16_t bits) {
  return __bfloat162float(__ushort_as_bfloat16(bits));
}
VARLSTM_HOST_DEVICE uint16_t to_f16(float f) {
  return __half_as_ushort(__float2half_rn(f));
}
VARLSTM_HOST_DEVICE float from_f16(uint16_t bits) {
  return __half2float(__ushort_as_half(bits));
}
VARLSTM_DEVICE unsigned long long atomic_min(unsigned long long* p, unsigned long long v) {
  return atomicMin(p, v);
}

// Runs kernel(arguments...) in that shape, in the order of `stream`.
template <class... P, class... A>
cudaError_t launch(const LaunchShape& shape, cudaStream_t stream, const char*, void (*kernel)(P...),
                   const A&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  cudaLaunchAttribute attributes[2];
  unsigned count = 0;
  if (shape.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim = {shape.cluster, 1, 1};
    ++count;
  }
  if (shape.cooperative) {
    attributes[count].id = cudaLaunchAttributeCooperative;
    attributes[count].val.cooperative = 1;
    ++count;
  }
  config.attrs = attributes;
  config.numAttrs = count;
  if (shape.shared_bytes > 48 * 1024) {
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared_bytes));
    if (error != cudaSuccess) return error;
  }
  return cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...);
}

}  // namespace varlstm::simt
