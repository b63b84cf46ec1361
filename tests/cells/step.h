// What the formulas of a cell are written with: the parameters of one layer and direction, and one unit's part of a
// step.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

namespace varlstm_test {

constexpr int64_t kMostGates = 4;   // of any cell
constexpr int64_t kMostValues = 5;  // that any cell's backward needs of a unit

// W, U, b and b' of one layer and direction, or their gradients; the biases are null if the rnn has none.
template <class T>
struct RnnWeights {
  int64_t in, hidden, state;
  T* w_ih;  // W [G*H, in]
  T* w_hh;  // U [G*H, R], with R = P with a projection, else H
  T* b_ih;  // b [G*H]
  T* b_hh;  // b' [G*H]
  T* w_hr;  // [P, H], or null
  // Gains of layer normalisation, and a bias; null without it, and those of c if the cell has none.
  T* norm_ih = nullptr;      // [G*H]
  T* norm_hh = nullptr;      // [G*H]
  T* norm_c = nullptr;       // [H]
  T* norm_c_bias = nullptr;  // [H]
};

// The products that gate `gate` of unit `u` adds.
template <class T>
struct Layer {
  RnnWeights<const T> w;
  // The products of this step if they are normalised: LN(W x) and LN(U h) times their gains; else null.
  const T* input = nullptr;
  const T* state = nullptr;

  // W x + b
  T of_input(int64_t gate, int64_t u, const T* x) const {
    const int64_t row = gate * w.hidden + u;
    return add_input(w.b_ih == nullptr ? T(0) : w.b_ih[row], row, x);
  }
  // U h + b'
  T of_state(int64_t gate, int64_t u, const T* h) const {
    const int64_t row = gate * w.hidden + u;
    return add_state(w.b_hh == nullptr ? T(0) : w.b_hh[row], row, h);
  }
  // W x + b + U h + b'
  T of_both(int64_t gate, int64_t u, const T* x, const T* h) const {
    const int64_t row = gate * w.hidden + u;
    const T biases = w.b_ih == nullptr ? T(0) : w.b_ih[row] + w.b_hh[row];
    return add_state(add_input(biases, row, x), row, h);
  }

  T add_input(T sum, int64_t row, const T* x) const {
    return input != nullptr ? sum + input[row] : add(sum, w.w_ih + row * w.in, x, w.in);
  }
  T add_state(T sum, int64_t row, const T* h) const {
    return state != nullptr ? sum + state[row] : add(sum, w.w_hh + row * w.state, h, w.state);
  }

 private:
  static T add(T sum, const T* row, const T* values, int64_t count) {
    for (int64_t k = 0; k < count; ++k) sum += row[k] * values[k];
    return sum;
  }
};

// h and c of one unit, or their gradients; c is 0 in a cell without.
template <class T>
struct UnitState {
  T h, c;
};

// The options of a cell at one unit of one step.
template <class T>
struct UnitOptions {
  T candidate = 1;  // a factor of g or n
  T cell_clip = std::numeric_limits<T>::infinity();
};

template <class T>
struct UnitStep {
  UnitState<T> state;                 // after the step
  std::array<T, kMostValues> values;  // what backward needs beside it, each cell in its own order
};

// The gradient of what a gate adds from the input (W x + b) may differ from that of what it adds from the state
// (U h + b').
template <class T>
struct UnitGradients {
  std::array<T, kMostGates> of_input, of_state;
  UnitState<T> before;  // of the state before, without what goes through U
};

// What a unit's operand of a second product gives back.
template <class T>
struct SecondGradients {
  int64_t gate;  // of the first product, one that the operand was made of,
  T of_gate;     // and its gradient
  T of_h;        // of h as it enters the first product
};

// What h is made of, if not of c' itself: o, and of the normalised c'.
template <class T>
struct OutputGradients {
  T c;        // of the normalised c'
  T of_gate;  // of the sum of gate kOutputGate
};

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

}  // namespace varlstm_test
