// The inner loops that are compiled once per instruction set and chosen at run time: the product of rows and a packed
// panel of weights, and every cell of host/cells on whole vectors.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/cells/cells.h"

namespace varlstm::host {

// A panel has up to this many vectors of output columns. For several gates, vector v is gate v of `lanes` hidden units.
inline constexpr int kPanelVectors = 4;

// The bytes of the widest vector of all instruction sets.
inline constexpr int64_t kMaxVectorBytes = 64;

// Up to this many rows are multiplied by several panels at a time.
inline constexpr int64_t kFewRows = 4;

// Internal buffers pad the hidden units to a multiple of this, for every instruction set.
inline constexpr int64_t kUnitTile = 16;

// Which rows of a tensor a kernel works on: list[0], list[stride], ..., or first, first + stride, ... if there is no
// list.
struct RowIndex {
  const int64_t* list = nullptr;
  int64_t first = 0;
  int64_t stride = 1;
};

static inline int64_t row_at(const RowIndex& rows, int64_t r) {
  return rows.list == nullptr ? rows.first + r * rows.stride : rows.list[r * rows.stride];
}

template <class T>
struct PanelProduct {
  int64_t rows;
  int64_t k;
  const T* a;  // rows of k elements, lda apart
  int64_t lda;
  RowIndex a_rows = {};
  bool transposed_a = false;  // a is [k, rows] instead, without a_rows; neither has c_rows a list then
  const T* panel;             // [k, vectors, lanes]
  int vectors;                // 1 .. kPanelVectors
  const T* init;  // [vectors, lanes]: initial values of the sums; if null, they are read from before, or else from c
  T* c;           // element (r, v, lane) at c[row_at(c_rows, r) * ldc + v * vector_stride + lane]
  int64_t ldc;
  RowIndex c_rows = {};
  int64_t vector_stride;
  // Not read by few_rows, as transposed_a: element (r, v, lane) at before[r * before_ld + v * before_stride + lane]; or
  // null.
  const T* before = nullptr;
  int64_t before_ld = 0;
  int64_t before_stride = 0;
  // Read by few_rows alone: `panels` adjacent panels, which begin panel_stride apart, and their sums c_panel_stride.
  int64_t panels = 1;
  int64_t panel_stride = 0;
  int64_t c_panel_stride = 0;
  bool from_last = false;  // the last panels first
};

// Zoneout of a state: the state before is kept where the mask is 1. Without a mask the step gives the expectation
// p before + (1 - p) after.
template <class T>
struct Zoneout {
  T p = 0;                  // 0: no zoneout
  const T* mask = nullptr;  // [N, mask_ld] of 0 and 1, or null
  int64_t mask_ld = 0;
};

// The options of a cell that its formulas meet.
template <class T>
struct UnitOptions {
  T cell_clip = static_cast<T>(__builtin_inff());  // c is in [-cell_clip, cell_clip]
  const T* candidate = nullptr;                    // [N, candidate_ld] factors of the new values; or null
  int64_t candidate_ld = 0;
  Zoneout<T> h, c;
};

// One step of the cell for `rows` segments and `units` hidden units. `units` is a multiple of lanes, and `valid_units`
// of them are not padding. Pointers point to the first unit of row 0; slot s of a row is s * slot_stride elements
// further. c_prev, c and dc are null if the cell has no c.
template <class T>
struct CellForward {
  int64_t rows;
  int64_t units;
  int64_t valid_units;
  RowIndex now;     // of values
  RowIndex before;  // of h_prev
  RowIndex c_now, c_before;
  RowIndex h_rows;  // of h
  T* values;        // input: sums; output: what backward needs
  int64_t values_ld;
  int64_t slot_stride;
  const T* h_prev;  // valid_units wide, or null for zeros; only if the cell or zoneout reads h
  int64_t h_prev_ld;
  const T* c_prev;  // may be c
  int64_t c_prev_ld;
  T* c;
  int64_t c_ld;
  T* h;
  int64_t h_ld;
  const UnitOptions<T>* options;  // not read by `forward`
  int64_t unit;                   // likewise: the index of the first unit
  // Read by forward_to_c and forward_from_c alone.
  T* c_hat;  // c', or its normalisation
  int64_t c_hat_ld;
  RowIndex c_hat_rows;
  const T* norm_c;  // valid_units wide, as norm_c_bias
  const T* norm_c_bias;
};

template <class T>
struct CellBackward {
  int64_t rows;
  int64_t units;
  int64_t valid_units;
  RowIndex now;       // of values, h_prev, c, dy and gradients
  RowIndex c_before;  // of c_prev
  RowIndex segments;  // of dh and dc
  const T* values;    // from forward
  int64_t values_ld;
  int64_t slot_stride;
  const T* h_prev;  // valid_units wide; only if the cell reads h
  int64_t h_prev_ld;
  const T* c;
  int64_t c_ld;
  const T* c_prev;
  int64_t c_prev_ld;
  T* dh;  // input: from the step that follows in forward, and from h_n; output: what the cell passes, if it does
  int64_t dh_ld;
  const T* dy;  // gradient of the output, valid_units wide; or null
  int64_t dy_ld;
  T* dc;  // input: from the step that follows in forward; output: for the step before
  int64_t dc_ld;
  T* gradients;  // of the sums
  int64_t gradients_ld;
  bool adds_operand;  // for operand_backward alone, whose dh is that of h as products multiply it: adds to it
  const UnitOptions<T>* options;  // not read by `backward`
  int64_t unit;                   // likewise: the index of the first unit
  // Read by backward_to_norm and backward_from_norm alone.
  const T* c_hat;  // the normalisation of c', by token
  int64_t c_hat_ld;
  const T* norm_c;  // valid_units wide, as norm_c_bias
  const T* norm_c_bias;
  T* dnormalised;         // by token, c_hat_ld apart: the gradient of what tanh reads
  const T* dc_of_output;  // as dc: what c' gets of it
};

// The maximum of each column of values [rows, ld], and the first row that has it. A NaN is larger than any number.
template <class T>
struct ColumnMaxima {
  const T* values;
  int64_t rows;  // 1 .. INT32_MAX
  int64_t ld;
  int64_t columns;  // a multiple of lanes
  T* largest;       // [columns]
  int64_t* at;      // [columns]
};

// The gradients of one word of a convolution with maximum: each filter has one window. The elements of a window are
// adjacent, and so are those of a filter's weights.
template <class T>
struct WindowGradients {
  int64_t filters;
  int64_t width;  // rows of a window
  int64_t in;
  int64_t begin, end;      // the word's rows
  const int64_t* windows;  // [filters]: the first row of each filter's window, which may lie before begin
  const T* gradients;      // [filters]: of the window's sum; 0: the filter is left out
  const T* x;              // [rows, in]; or null if dweight is
  const T* weight;         // [filters, width, in]; or null if dx is
  T* dx;                   // [rows, in], added to in the order of the filters; or null
  T* dweight;              // [filters, width, in], added to; or null
};

template <class T>
struct CellKernel {
  void (*forward)(const CellForward<T>&);
  void (*backward)(const CellBackward<T>&);
  void (*forward_with_options)(const CellForward<T>&);
  void (*backward_with_options)(const CellBackward<T>&);  // adds to dh
  void (*operand)(const CellForward<T>&);            // null without second gates; h_prev is h as products multiply it
  void (*operand_backward)(const CellBackward<T>&);  // likewise
  // With options or none, the two parts of a cell with c under layer normalisation; null if it has no such form.
  // Between forward_to_c and forward_from_c c_hat is normalised; between the other two dnormalised is taken back to
  // dc_of_output.
  void (*forward_to_c)(const CellForward<T>&);
  void (*forward_from_c)(const CellForward<T>&);
  void (*backward_to_norm)(const CellBackward<T>&);
  void (*backward_from_norm)(const CellBackward<T>&);
};

inline constexpr double kNormEpsilon = 1e-5;  // added to the variance

// One of the groups of units that are normalised together: a gate.
template <class T>
struct NormGroup {
  int64_t hat;     // elements from a row's first to the group's first, in `hat`
  int64_t sum;     // and in `sums`
  bool adds;       // to what the sum is; else the sum is new
  const T* gain;   // [units]
  const T* bias;   // [units] or null
  const T* bias2;  // likewise
};

// hat <- (hat - mean) / sqrt(variance + epsilon), with mean and variance of the row over all groups, and then
// sums <- bias + bias2 + gain * hat.
template <class T>
struct NormRows {
  int64_t rows;
  int64_t units;  // of each group, without padding; rows have room for whole vectors, and hat and sums get zeros there
  int groups;
  NormGroup<T> group[kMostGates];
  T* hat;
  int64_t hat_ld;
  RowIndex hat_rows;
  T* rstd;  // by the rows of hat: 1 / sqrt(variance + epsilon); or null
  T* sums;  // or null: there is no gain either. It may be hat
  int64_t sums_ld;
  RowIndex sum_rows;
};

template <class T>
struct NormGradientGroup {
  int64_t hat, gradient, out;
  const T* gain;  // [units]
};

// out <- (g - mean(g) - hat * mean(g * hat)) * rstd with g = gain * gradients: the gradient of what was normalised.
template <class T>
struct NormGradientRows {
  int64_t rows;
  int64_t units;
  int groups;
  NormGradientGroup<T> group[kMostGates];
  RowIndex now;  // of hat, rstd and gradients
  const T* hat;
  int64_t hat_ld;
  const T* rstd;
  const T* gradients;
  int64_t gradients_ld;
  T* out;  // may be gradients
  int64_t out_ld;
  RowIndex out_rows;
};

template <class T>
struct RowKernel {
  int64_t lanes;  // elements of a vector
  void (*product)(const PanelProduct<T>&);
  void (*few_rows)(const PanelProduct<T>&);  // the same for at most kFewRows rows, and for several panels
  // out[s * step + lane] <- weight[lane * ld + s] for s < k and lane < lanes; 0 for the lanes from `valid` on.
  void (*transpose)(const T* weight, int64_t ld, int64_t valid, int64_t k, T* out, int64_t step);
  void (*column_maxima)(const ColumnMaxima<T>&);
  void (*window_gradients)(const WindowGradients<T>&);
  void (*tanh)(int64_t count, T* values);  // in place; count is a multiple of lanes
  CellTable<CellKernel<T>> cells;
  void (*normalise)(const NormRows<T>&);
  void (*normalise_backward)(const NormGradientRows<T>&);
};

struct RowKernels {
  const char* name;
  RowKernel<float> f32;
  RowKernel<double> f64;
};

// The kernels of the best instruction set that this machine has. The environment variable VARLSTM_HOST_ISA (baseline,
// avx2, avx512) may name a lesser one.
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
