// The vocabulary of kernels on a GPU, continued: products of a warpgroup, which need sm_90a, and bulk copies, which
// need sm_90. If an architecture lacks them, a kernel that uses them must not be launched on it. simt/wgmma.h and
// simt/bulk_copy.h say what each does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/cluster_cuda.h"

namespace varlstm::simt {

VARLSTM_DEVICE uint64_t matrix_descriptor(const void* start, unsigned leading_bytes, unsigned stride_bytes,
                                          MatrixSwizzle swizzle) {
  const uint32_t low = (shared_window(start) & 0x3ffff) >> 4 | leading_bytes >> 4 << 16;
  const uint32_t high = stride_bytes >> 4 | static_cast<uint32_t>(swizzle) << 30;
  return static_cast<uint64_t>(high) << 32 | low;
}
VARLSTM_DEVICE uint64_t advance_descriptor(uint64_t descriptor, unsigned bytes) {
  return descriptor + (bytes >> 4);
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

VARLSTM_DEVICE void async_proxy_fence() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
VARLSTM_DEVICE void async_proxy_fence_device() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}

VARLSTM_DEVICE void bulk_load(void* to, const void* from, unsigned bytes, uint64_t* mbarrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_window(to)),
               "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(shared_window(mbarrier))
               : "memory");
}
VARLSTM_DEVICE void bulk_load_multicast(void* to, const void* from, unsigned bytes, uint64_t* mbarrier,
                                        uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], "
      "%4;" ::"r"(shared_window(to)),
      "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(shared_window(mbarrier)), "h"(blocks)
      : "memory");
}
VARLSTM_DEVICE void bulk_push(ClusterAddress to, const void* from, unsigned bytes, ClusterAddress mbarrier) {
  asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "r"(shared_window(from)), "r"(bytes), "r"(mbarrier)
               : "memory");
}

#else

VARLSTM_DEVICE void async_proxy_fence() {
  __trap();
}
VARLSTM_DEVICE void async_proxy_fence_device() {
  __trap();
}
VARLSTM_DEVICE void bulk_load(void*, const void*, unsigned, uint64_t*) {
  __trap();
}
VARLSTM_DEVICE void bulk_load_multicast(void*, const void*, unsigned, uint64_t*, uint16_t) {
  __trap();
}
VARLSTM_DEVICE void bulk_push(ClusterAddress, const void*, unsigned, ClusterAddress) {
  __trap();
}

#endif

// The instructions of sm_90a alone. A kernel of them may leave its body out if VARLSTM_HAS_WGMMA is 0.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define VARLSTM_HAS_WGMMA 1
#define VARLSTM_WGMMA_ASM(...) asm volatile(__VA_ARGS__)
#else
#define VARLSTM_HAS_WGMMA 0
#define VARLSTM_WGMMA_ASM(...) __trap()
#endif

VARLSTM_DEVICE void wgmma_fence() {
  VARLSTM_WGMMA_ASM("wgmma.fence.sync.aligned;" ::: "memory");
}
VARLSTM_DEVICE void wgmma_commit() {
  VARLSTM_WGMMA_ASM("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
VARLSTM_DEVICE void wgmma_wait() {
  VARLSTM_WGMMA_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
// Without naming the sums as results of the wait, the compiler may read them before it.
template <int kPending, int kSums>
VARLSTM_DEVICE void wgmma_wait(float (&sums)[kSums]) {
  wgmma_wait<kPending>();
#pragma unroll
  for (int i = 0; i < kSums; ++i) VARLSTM_WGMMA_ASM("" : "+f"(sums[i])::"memory");
}

// Operands of an asm statement: 4, 8, 16, ... sums from `i` on, and their names in its text.
#define VARLSTM_SUMS4(i) "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3])
#define VARLSTM_SUMS8(i) VARLSTM_SUMS4(i), VARLSTM_SUMS4(i + 4)
#define VARLSTM_SUMS16(i) VARLSTM_SUMS8(i), VARLSTM_SUMS8(i + 8)
#define VARLSTM_SUMS24(i) VARLSTM_SUMS16(i), VARLSTM_SUMS8(i + 16)
#define VARLSTM_SUMS32(i) VARLSTM_SUMS16(i), VARLSTM_SUMS16(i + 16)
#define VARLSTM_SUMS64(i) VARLSTM_SUMS32(i), VARLSTM_SUMS32(i + 32)
#define VARLSTM_SUMS128(i) VARLSTM_SUMS64(i), VARLSTM_SUMS64(i + 64)
#define VARLSTM_NAMES4 "%0,%1,%2,%3"
#define VARLSTM_NAMES8 VARLSTM_NAMES4 ",%4,%5,%6,%7"
#define VARLSTM_NAMES16 VARLSTM_NAMES8 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define VARLSTM_NAMES24 VARLSTM_NAMES16 ",%16,%17,%18,%19,%20,%21,%22,%23"
#define VARLSTM_NAMES32 VARLSTM_NAMES16 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define VARLSTM_NAMES64                                              \
  VARLSTM_NAMES32                                                    \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47" \
  ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define VARLSTM_NAMES128                                                         \
  VARLSTM_NAMES64                                                                \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"             \
  ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"             \
  ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111" \
  ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"

// One product: type is the end of the mnemonic; the operands after the sums are the descriptors (or registers) and
// whether to accumulate, as `behind` names them; tail holds the scales and transpositions.
#define VARLSTM_WGMMA(sums_count, columns, type, behind, accumulates, tail, ...)                    \
  VARLSTM_WGMMA_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, " accumulates                                 \
                    ", 0;\n"                                                                        \
                    "wgmma.mma_async.sync.aligned.m64n" columns type " {" VARLSTM_NAMES##sums_count \
                    "}, " behind ", p, 1, 1" tail ";\n}\n"                                          \
                    : VARLSTM_SUMS##sums_count(0)                                                   \
                    : __VA_ARGS__                                                                   \
                    : "memory")

// wgmma() with columns / 2 sums. The numbers are the names of the operands behind the sums.
#define VARLSTM_WGMMA_OF(count, columns, n0, n1, n2, n3, n4, n5, n6)                                                   \
  template <MatrixType kType, bool kTransposeA = false, bool kTransposeB = false>                                      \
  VARLSTM_DEVICE void wgmma(float(&sums)[count], uint64_t a, uint64_t b, bool accumulate) {                            \
    static_assert(kType != MatrixType::kTf32 || (!kTransposeA && !kTransposeB), "TF32 is not transposed");             \
    [[maybe_unused]] const uint32_t add = accumulate ? 1 : 0;                                                          \
    if constexpr (kType == MatrixType::kTf32)                                                                          \
      VARLSTM_WGMMA(count, columns, "k8.f32.tf32.tf32", n0 ", " n1, n2, "", "l"(a), "l"(b), "r"(add));                 \
    else if constexpr (kType == MatrixType::kBf16)                                                                     \
      VARLSTM_WGMMA(count, columns, "k16.f32.bf16.bf16", n0 ", " n1, n2, ", " n3 ", " n4, "l"(a), "l"(b), "r"(add),    \
                    "n"(kTransposeA ? 1 : 0), "n"(kTransposeB ? 1 : 0));                                               \
    else                                                                                                               \
      VARLSTM_WGMMA(count, columns, "k16.f32.f16.f16", n0 ", " n1, n2, ", " n3 ", " n4, "l"(a), "l"(b), "r"(add),      \
                    "n"(kTransposeA ? 1 : 0), "n"(kTransposeB ? 1 : 0));                                               \
  }                                                                                                                    \
  template <MatrixType kType, bool kTransposeB = false>                                                                \
  VARLSTM_DEVICE void wgmma(float(&sums)[count], const b32x4& a, uint64_t b, bool accumulate) {                        \
    static_assert(kType != MatrixType::kTf32 || !kTransposeB, "TF32 is not transposed");                               \
    [[maybe_unused]] const uint32_t add = accumulate ? 1 : 0;                                                          \
    if constexpr (kType == MatrixType::kTf32)                                                                          \
      VARLSTM_WGMMA(count, columns, "k8.f32.tf32.tf32", "{" n0 "," n1 "," n2 "," n3 "}, " n4, n5, "", "r"(a.r[0]),     \
                    "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "r"(add));                                          \
    else if constexpr (kType == MatrixType::kBf16)                                                                     \
      VARLSTM_WGMMA(count, columns, "k16.f32.bf16.bf16", "{" n0 "," n1 "," n2 "," n3 "}, " n4, n5, ", " n6,            \
                    "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "r"(add), "n"(kTransposeB ? 1 : 0));   \
    else                                                                                                               \
      VARLSTM_WGMMA(count, columns, "k16.f32.f16.f16", "{" n0 "," n1 "," n2 "," n3 "}, " n4, n5, ", " n6, "r"(a.r[0]), \
                    "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "r"(add), "n"(kTransposeB ? 1 : 0));                \
  }

VARLSTM_WGMMA_OF(4, "8", "%4", "%5", "%6", "%7", "%8", "%9", "%10")
VARLSTM_WGMMA_OF(8, "16", "%8", "%9", "%10", "%11", "%12", "%13", "%14")
VARLSTM_WGMMA_OF(16, "32", "%16", "%17", "%18", "%19", "%20", "%21", "%22")
VARLSTM_WGMMA_OF(24, "48", "%24", "%25", "%26", "%27", "%28", "%29", "%30")
VARLSTM_WGMMA_OF(32, "64", "%32", "%33", "%34", "%35", "%36", "%37", "%38")
VARLSTM_WGMMA_OF(64, "128", "%64", "%65", "%66", "%67", "%68", "%69", "%70")
VARLSTM_WGMMA_OF(128, "256", "%128", "%129", "%130", "%131", "%132", "%133", "%134")

#undef VARLSTM_WGMMA_OF
#undef VARLSTM_WGMMA
#undef VARLSTM_WGMMA_ASM
#undef VARLSTM_NAMES128
#undef VARLSTM_NAMES64
#undef VARLSTM_NAMES32
#undef VARLSTM_NAMES24
#undef VARLSTM_NAMES16
#undef VARLSTM_NAMES8
#undef VARLSTM_NAMES4
#undef VARLSTM_SUMS128
#undef VARLSTM_SUMS64
#undef VARLSTM_SUMS32
#undef VARLSTM_SUMS24
#undef VARLSTM_SUMS16
#undef VARLSTM_SUMS8
#undef VARLSTM_SUMS4

}  // namespace varlstm::simt
