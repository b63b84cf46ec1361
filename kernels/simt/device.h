// simt_emu.h - host back end: one fiber per CUDA thread, one OS thread per launch.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <cstddef>
#include <cstring>
#include <cmath>
#include "kernels/arch/fragments.h"
#include "kernels/arch/launch_shape.h"
#include "kernels/simt/stream_queue.h"

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>
#define VARLSTM_KERNEL
#define VARLSTM_DEVICE inline
#define VARLSTM_HOST_DEVICE inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#if defined(SIMT_REAL_TSAN)
#define SIMT_ATOMIC                       /* libtsan must see the atomics */
#else
#define SIMT_ATOMIC __attribute__((no_sanitize("thread"), noinline))
#endif
#define SIMT_NO_TSAN __attribute__((no_sanitize("thread")))
#define SIMT_HERE const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()

namespace varlstm::simt {
struct launch_config {
  dim3 grid{1}, block{1};
  unsigned cluster = 1;
  std::size_t smem = 0;
  bool cooperative = false;
};
using bf16_raw = std::uint16_t;
struct emu_error : std::runtime_error { using runtime_error::runtime_error; };
namespace emu {
enum class policy { fifo, lifo, random, pct };
enum class mma_round { exact, sequential, truncate };
struct options {
  policy sched = policy::fifo;
  std::uint64_t seed = 1;
  unsigned preempt = 0;          // with -DSIMT_TSAN_HOOKS: yield at 1/N of memory accesses
  bool race = false;             // shadow-memory happens-before check (needs hooks)
  bool strict_exit = true;       // a thread that exits while its block waits at a barrier is an error
  unsigned max_blocks = 132 * 2; // co-residency limit for cooperative launches
  mma_round round = mma_round::exact;
  int async_late = 2;            // cp.async completes: 0 at issue, 1 at wait, 2 randomly either
};
struct stats { std::uint64_t switches = 0, barriers = 0, collectives = 0, mma = 0, accesses = 0, races = 0, threads = 0; };
extern options opt;
extern stats st;

struct ctx { uint3 tid, bid; dim3 bdim, gdim; unsigned lane, rank; unsigned char* smem; };  // what kernels read
extern ctx* cur;                                                                             // the running fiber

enum class scope { warp, block, cluster, grid };
void barrier(scope s, unsigned mask, const char* f, int l);
void arrive_cluster(const char* f, int l);
void wait_cluster(const char* f, int l);
using coll_fn = void (*)(void* const in[32], void* const out[32], unsigned mask, const void* arg);
void collective(const char* op, unsigned mask, void* in, void* out, coll_fn fn, const void* arg, const char* f, int l);
void* map_rank(void* p, unsigned rank, const char* f, int l);
void cp16(void* d, const void* s, const char* f, int l);
void cp_commit();
void cp_wait(int n);
void touch_atomic(void* p, unsigned n);
void run(const launch_config& c, const std::function<void()>& body);
void* device_alloc(std::size_t n);   // global memory with shadow; freed by device_reset()
void device_reset();
void mma_bf16(void* const*, void* const*, unsigned, const void*);
void mma_tf32(void* const*, void* const*, unsigned, const void*);
struct mma_in { b32x4 a; b32x2 b; f32x4 c; };

enum class sh { idx, xr, down };
template <class T> struct shfl_in { T v; int s; };
template <class T, sh K> SIMT_NO_TSAN void shfl_fn(void* const in[32], void* const out[32], unsigned m, const void*) {
  using S = shfl_in<T>;
  for (int l = 0; l < 32; ++l) if (m >> l & 1) {
    int x = ((S*)in[l])->s, src = K == sh::idx ? (x & 31) : K == sh::xr ? (l ^ x) : l + x;
    if (src > 31) src = l;
    if (m >> src & 1) *(T*)out[l] = ((S*)in[src])->v; else std::memset(out[l], 0xDB, sizeof(T));  // undefined on hardware
  }
}
template <class T, sh K> T do_shfl(const char* n, unsigned m, T v, int s, const char* f, int l) {
  shfl_in<T> in{v, s}; T o; collective(n, m, &in, &o, &shfl_fn<T, K>, nullptr, f, l); return o;
}
unsigned vote(unsigned m, int p, const char* f, int l);
}  // namespace emu

template <class T> T* shared_memory() { return reinterpret_cast<T*>(emu::cur->smem); }
inline void block_sync(SIMT_HERE) { emu::barrier(emu::scope::block, ~0u, file_, line_); }
inline void warp_sync(unsigned m = ~0u, SIMT_HERE) { emu::barrier(emu::scope::warp, m, file_, line_); }
template <class T> T shfl(unsigned m, T v, int s, SIMT_HERE) { return emu::do_shfl<T, emu::sh::idx>("shfl", m, v, s, file_, line_); }
template <class T> T shfl_xor(unsigned m, T v, int s, SIMT_HERE) { return emu::do_shfl<T, emu::sh::xr>("shfl_xor", m, v, s, file_, line_); }
template <class T> T shfl_down(unsigned m, T v, unsigned s, SIMT_HERE) { return emu::do_shfl<T, emu::sh::down>("shfl_down", m, v, (int)s, file_, line_); }
inline unsigned ballot(unsigned m, int p, SIMT_HERE) { return emu::vote(m, p, file_, line_); }
inline int any(unsigned m, int p, SIMT_HERE) { return emu::vote(m, p, file_, line_) != 0; }
inline int all(unsigned m, int p, SIMT_HERE) { return emu::vote(m, p, file_, line_) == m; }
template <class T> SIMT_ATOMIC T atomic_add(T* p, T v) { emu::touch_atomic(p, sizeof(T)); T o; __atomic_load(p, &o, __ATOMIC_RELAXED); T n = o + v; __atomic_store(p, &n, __ATOMIC_RELAXED); return o; }
SIMT_ATOMIC inline unsigned atomic_or(unsigned* p, unsigned v) { emu::touch_atomic(p, 4); return __atomic_fetch_or(p, v, __ATOMIC_RELAXED); }
inline void cluster_arrive(SIMT_HERE) { emu::arrive_cluster(file_, line_); }
inline void cluster_wait(SIMT_HERE) { emu::wait_cluster(file_, line_); }
inline void cluster_sync(SIMT_HERE) { emu::arrive_cluster(file_, line_); emu::wait_cluster(file_, line_); }
inline unsigned cluster_rank() { return emu::cur->rank; }
template <class T> T* cluster_map(T* p, unsigned rank, SIMT_HERE) { return (T*)emu::map_rank((void*)p, rank, file_, line_); }
inline void grid_sync(SIMT_HERE) { emu::barrier(emu::scope::grid, ~0u, file_, line_); }
inline void cp_async16(void* d, const void* s, SIMT_HERE) { emu::cp16(d, s, file_, line_); }
inline void cp_async_commit() { emu::cp_commit(); }
template <int N> void cp_async_wait() { emu::cp_wait(N); }
inline f32x4 mma_bf16_16816(const b32x4& a, const b32x2& b, const f32x4& c, SIMT_HERE) {
  emu::mma_in in{a, b, c}; f32x4 d; emu::collective("mma.bf16.m16n8k16", ~0u, &in, &d, &emu::mma_bf16, nullptr, file_, line_); return d;
}
inline f32x4 mma_tf32_1688(const b32x4& a, const b32x2& b, const f32x4& c, SIMT_HERE) {
  emu::mma_in in{a, b, c}; f32x4 d; emu::collective("mma.tf32.m16n8k8", ~0u, &in, &d, &emu::mma_tf32, nullptr, file_, line_); return d;
}
inline std::uint32_t to_tf32(float f) {          // cvt.rna: nearest, ties away
  std::uint32_t u; std::memcpy(&u, &f, 4);
  if ((u & 0x7f800000u) == 0x7f800000u) return u & 0x007fffffu ? 0x7fffffffu : u;
  return (u + 0x1000u) & ~0x1fffu;
}
inline bf16_raw to_bf16(float f) {
  std::uint32_t u; std::memcpy(&u, &f, 4);
  if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (bf16_raw)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}
inline float fast_exp(float x) { return std::exp(x); }
inline float fast_tanh(float x) { return std::tanh(x); }

inline float fma(float a, float b, float c) { return std::fma(a, b, c); }
inline double fma(double a, double b, double c) { return std::fma(a, b, c); }
inline float from_bf16(uint16_t b) { std::uint32_t u = (std::uint32_t)b << 16; float f; std::memcpy(&f, &u, 4); return f; }
inline uint16_t to_f16(float f) { _Float16 h = (_Float16)f; uint16_t b; std::memcpy(&b, &h, 2); return b; }
inline float from_f16(uint16_t b) { _Float16 h; std::memcpy(&h, &b, 2); return (float)h; }
SIMT_ATOMIC inline unsigned long long atomic_min(unsigned long long* p, unsigned long long v) { emu::touch_atomic(p, 8); auto o = *p; if (v < o) *p = v; return o; }

template <class... P, class... A>
cudaError_t launch(const LaunchShape& shape, cudaStream_t, const char*, void (*kernel)(P...), const A&... arguments) {
  launch_config c;
  c.grid = shape.grid; c.block = shape.block; c.cluster = shape.cluster; c.smem = shape.shared_bytes; c.cooperative = shape.cooperative;
  emu::run(c, [&] { kernel(static_cast<P>(arguments)...); });
  return cudaSuccess;
}
}  // namespace varlstm::simt
#define threadIdx (::varlstm::simt::emu::cur->tid)
#define blockIdx (::varlstm::simt::emu::cur->bid)
#define blockDim (::varlstm::simt::emu::cur->bdim)
#define gridDim (::varlstm::simt::emu::cur->gdim)
