// SPDX-License-Identifier: Apache-2.0
#include "bench/host_parts/timed_kernels.h"

#include <cblas.h>

#include <atomic>
#include <chrono>
#ifdef __x86_64__
#include <x86intrin.h>
#endif
#include <utility>

#include "host/gemm/row_product.h"
#include "host/simd/row_kernel.h"

extern "C" const varlstm::host::RowKernels& __real__ZN7varlstm4host11row_kernelsEv();
extern "C" const varlstm::host::RowKernels& __wrap__ZN7varlstm4host11row_kernelsEv();
#define VARLSTM_ROW_PRODUCT(prefix) prefix##_ZN7varlstm4host11row_productIfEEvlRKNS0_10RowProductIT_EE
extern "C" void VARLSTM_ROW_PRODUCT(__real_)(int64_t, const varlstm::host::RowProduct<float>&);
extern "C" void VARLSTM_ROW_PRODUCT(__wrap_)(int64_t, const varlstm::host::RowProduct<float>&);
#define VARLSTM_RUN_PIECE(prefix) prefix##_ZNK7varlstm4host16RowProductPiecesIfE3runEl
extern "C" void VARLSTM_RUN_PIECE(__real_)(const varlstm::host::RowProductPieces<float>*, int64_t);
extern "C" void VARLSTM_RUN_PIECE(__wrap_)(const varlstm::host::RowProductPieces<float>*, int64_t);
extern "C" decltype(cblas_sgemm) __real_cblas_sgemm, __wrap_cblas_sgemm;

namespace varlstm::host_parts {
namespace {

using host::CellBackward;
using host::CellForward;
using host::CellKernel;
using host::PanelProduct;
using host::RowKernels;

// One for each thread, so that no two write to one cache line; in ticks instead of seconds.
struct alignas(64) Times {
  PartTimes parts;
};
constexpr int kMostThreads = 64;
Times all_times[kMostThreads];
std::atomic<int> threads{0};
std::atomic<int> row_products{0};  // that are running

PartTimes& own_times() {
  thread_local const int own = threads.fetch_add(1) % kMostThreads;
  return all_times[own].parts;
}

// A call of steady_clock takes as long as the smallest products; the counter of x86 a third of that.
uint64_t ticks() {
#ifdef __x86_64__
  return __rdtsc();
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

double seconds_per_tick() {
  static const double value = [] {
    const auto start = std::chrono::steady_clock::now();
    const uint64_t first = ticks();
    std::chrono::duration<double> passed(0);
    while (passed.count() < 0.02) passed = std::chrono::steady_clock::now() - start;
    return passed.count() / static_cast<double>(ticks() - first);
  }();
  return value;
}

class Clock {
 public:
  explicit Clock(PartTime& time) : time_(time), start_(ticks()) {}
  ~Clock() { time_.seconds += static_cast<double>(ticks() - start_); }
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

 private:
  PartTime& time_;
  const uint64_t start_;
};

const RowKernels& library() {
  static const RowKernels& kernels = __real__ZN7varlstm4host11row_kernelsEv();
  return kernels;
}

Part part_of(const PanelProduct<float>& p) {
  return p.transposed_a ? kWeights : row_products > 0 ? kInput : kRecurrent;
}

void product(const PanelProduct<float>& p) {
  PartTime& time = own_times()[part_of(p)];
  const Clock clock(time);
  library().f32.product(p);
  time.flops += 2.0 * static_cast<double>(p.rows * p.k * p.vectors * library().f32.lanes);
}

void few_rows(const PanelProduct<float>& p) {
  PartTime& time = own_times()[kRecurrent];
  const Clock clock(time);
  library().f32.few_rows(p);
  time.flops += 2.0 * static_cast<double>(p.rows * p.k * p.panels * p.vectors * library().f32.lanes);
}

void transpose(const float* weight, int64_t ld, int64_t valid, int64_t k, float* out, int64_t step) {
  const Clock clock(own_times()[kTranspose]);
  library().f32.transpose(weight, ld, valid, k, out, step);
}

template <int kCell>
void forward(const CellForward<float>& p) {
  const Clock clock(own_times()[kCells]);
  library().f32.cells.entries[kCell].forward(p);
}

template <int kCell>
void backward(const CellBackward<float>& p) {
  const Clock clock(own_times()[kCells]);
  library().f32.cells.entries[kCell].backward(p);
}

template <int... kCells>
void wrap_cells(RowKernels& kernels, std::integer_sequence<int, kCells...>) {
  ((kernels.f32.cells.entries[kCells].forward = forward<kCells>,
    kernels.f32.cells.entries[kCells].backward = backward<kCells>),
   ...);
}

RowKernels timed() {
  RowKernels kernels = library();
  kernels.f32.product = product;
  kernels.f32.few_rows = few_rows;
  kernels.f32.transpose = transpose;
  constexpr int kCells = sizeof kernels.f32.cells.entries / sizeof *kernels.f32.cells.entries;
  wrap_cells(kernels, std::make_integer_sequence<int, kCells>());
  return kernels;
}

}  // namespace

const char* kernels_name() {
  return library().name;
}

void reset_times() {
  for (Times& times : all_times) times = {};
}

PartTimes times() {
  PartTimes sum{};
  for (const Times& times : all_times)
    for (int part = 0; part < kParts; ++part) {
      sum[part].seconds += times.parts[part].seconds * seconds_per_tick();
      sum[part].flops += times.parts[part].flops;
    }
  return sum;
}

}  // namespace varlstm::host_parts

const varlstm::host::RowKernels& __wrap__ZN7varlstm4host11row_kernelsEv() {
  static const varlstm::host::RowKernels kernels = varlstm::host_parts::timed();
  return kernels;
}

void __wrap_cblas_sgemm(OPENBLAS_CONST enum CBLAS_ORDER order, OPENBLAS_CONST enum CBLAS_TRANSPOSE trans_a,
                        OPENBLAS_CONST enum CBLAS_TRANSPOSE trans_b, OPENBLAS_CONST blasint m, OPENBLAS_CONST blasint n,
                        OPENBLAS_CONST blasint k, OPENBLAS_CONST float alpha, OPENBLAS_CONST float* a,
                        OPENBLAS_CONST blasint lda, OPENBLAS_CONST float* b, OPENBLAS_CONST blasint ldb,
                        OPENBLAS_CONST float beta, float* c, OPENBLAS_CONST blasint ldc) {
  using namespace varlstm::host_parts;
  PartTime& time = own_times()[kWeights];
  const Clock clock(time);
  __real_cblas_sgemm(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  time.flops += 2.0 * static_cast<double>(m) * n * k;
}

void VARLSTM_ROW_PRODUCT(__wrap_)(int64_t threads, const varlstm::host::RowProduct<float>& product) {
  ++varlstm::host_parts::row_products;
  VARLSTM_ROW_PRODUCT(__real_)(threads, product);
  --varlstm::host_parts::row_products;
}

void VARLSTM_RUN_PIECE(__wrap_)(const varlstm::host::RowProductPieces<float>* pieces, int64_t piece) {
  ++varlstm::host_parts::row_products;
  VARLSTM_RUN_PIECE(__real_)(pieces, piece);
  --varlstm::host_parts::row_products;
}
