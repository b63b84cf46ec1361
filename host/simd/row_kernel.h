// The inner loops that are compiled once per instruction set and chosen at run time: rows times a packed panel of
// weights, and the LSTM cell on whole vectors.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

// A panel holds up to this many vectors of output columns. For gates, vector v holds gate v of `lanes` hidden units.
inline constexpr int kPanelVectors = 4;

// The widest vector of any instruction set.
inline constexpr int64_t kMaxVectorBytes = 64;

// Hidden units are padded to a multiple of this in internal buffers, on every instruction set alike.
inline constexpr int64_t kUnitTile = 16;

template <class T>
struct PanelProduct {
  int64_t rows;
  int64_t k;
  const T* a;  // [rows, k], leading dimension lda
  int64_t lda;
  const T* panel;  // [k, vectors, lanes]
  int vectors;     // 1 .. kPanelVectors
  const T* init;   // [vectors, lanes]: the sums start from it; null: from what c holds
  T* c;            // element (r, v, lane) at c[r * ldc + v * vector_stride + lane]
  int64_t ldc;
  int64_t vector_stride;
};

// One step of the cell for `rows` sequences and `units` hidden units (a multiple of lanes; `valid_units` of them real).
// Pointers start at the first unit; gate g of a row lies g * gate_stride further.
template <class T>
struct CellForward {
  int64_t rows;
  int64_t units;
  int64_t valid_units;
  T* gates;  // in: sums; out: activations i, f, g, o
  int64_t gates_ld;
  int64_t gate_stride;
  const T* c_prev;  // may be c
  int64_t c_prev_ld;
  T* c;
  int64_t c_ld;
  T* h;
  int64_t h_ld;
};

template <class T>
struct CellBackward {
  int64_t rows;
  int64_t units;
  int64_t valid_units;
  const T* gates;  // activations from forward
  int64_t gates_ld;
  int64_t gate_stride;
  const T* c;
  int64_t c_ld;
  const T* c_prev;
  int64_t c_prev_ld;
  const T* dh;  // from the step that forward did next, and from h_n
  int64_t dh_ld;
  const T* dy;  // from the output, valid_units wide; or null
  int64_t dy_ld;
  T* dc;  // in: from the step that forward did next; out: for the step before
  int64_t dc_ld;
  T* dgates;  // gradients of the sums, in the layout of gates
  int64_t dgates_ld;
};

template <class T>
struct RowKernel {
  int64_t lanes;  // elements of a vector
  void (*product)(const PanelProduct<T>&);
  void (*cell_forward)(const CellForward<T>&);
  void (*cell_backward)(const CellBackward<T>&);
};

struct RowKernels {
  const char* name;
  RowKernel<float> f32;
  RowKernel<double> f64;
};

// The best set this machine runs; the environment variable VARLSTM_HOST_ISA (baseline, avx2, avx512) may name a lesser
// one.
const RowKernels& row_kernels();

template <class T>
const RowKernel<T>& row_kernel();
template <>
inline const RowKernel<float>& row_kernel<float>() {
  return row_kernels().f32;
}
template <>
inline const RowKernel<double>& row_kernel<double>() {
  return row_kernels().f64;
}

// Defined by row_kernel_<name>.cc.
extern const RowKernels kRowKernelsBaseline;
#ifdef __x86_64__
extern const RowKernels kRowKernelsAvx2;
extern const RowKernels kRowKernelsAvx512;
#endif

}  // namespace varlstm::host
