// The list of the cells under test, from which the tests of recurrent networks are made. A new cell is a file beside
// this one and a line in kCells.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>

#include "cells/gru.h"
#include "cells/gru_reset_before.h"
#include "cells/lstm.h"
#include "cells/rnn_relu.h"
#include "cells/rnn_tanh.h"
#include "cells/step.h"

namespace varlstm_test {

// One unit of a cell in numbers T. x and h are what products multiply, `before` is the exact state. In some cells U of
// the last gate multiplies something else, whose values of all units are `second`; `second_of` gives that of one unit.
// It and its gradients are null for the other cells.
template <class T>
struct CellRules {
  UnitStep<T> (*forward)(const Layer<T>& layer, int64_t u, const T* x, const T* h, const T* second, UnitState<T> before,
                         const UnitOptions<T>& options);
  UnitGradients<T> (*backward)(const UnitStep<T>& step, UnitState<T> before, UnitState<T> gradient,
                               const UnitOptions<T>& options);
  T (*second_of)(const Layer<T>& layer, int64_t u, const T* x, const T* h) = nullptr;
  SecondGradients<T> (*second_backward)(const UnitStep<T>& step, T second, T gradient) = nullptr;
  // Of a cell whose c may be normalised.
  T (*output)(const UnitStep<T>& step, T c) = nullptr;
  OutputGradients<T> (*output_gradients)(const UnitStep<T>& step, T c, T dh) = nullptr;
  int64_t output_gate = -1;
};

// Whether U of a gate multiplies `second`.
template <class T>
bool takes_second(const CellRules<T>& rules, int64_t gate, int64_t gates) {
  return rules.second_of != nullptr && gate == gates - 1;
}

template <class Cell, class T>
constexpr CellRules<T> rules_of() {
  CellRules<T> rules{&Cell::template forward<T>, &Cell::template backward<T>};
  if constexpr (std::is_same_v<Cell, GruResetBefore>) {
    rules.second_of = &Cell::template second<T>;
    rules.second_backward = &Cell::template second_backward<T>;
  }
  if constexpr (Cell::kHasC) {
    rules.output = &Cell::template output<T>;
    rules.output_gradients = &Cell::template output_gradients<T>;
    rules.output_gate = Cell::kOutputGate;
  }
  return rules;
}

enum class OnCuda { kNo, kStepwise, kResident };  // the ways of running the recurrence that the cell has there

struct TestedCell {
  const char* name;  // of its tests: LstmGradient, GruGradient, ...
  int32_t cell;      // varlstm_cell
  int64_t gates;
  bool has_c;
  bool projects;  // h has fewer features than there are units
  bool layer_norm;
  bool on_host;
  OnCuda on_cuda;
  CellRules<float> f32;
  CellRules<double> f64;

  template <class T>
  const CellRules<T>& rules() const {
    if constexpr (std::is_same_v<T, float>)
      return f32;
    else
      return f64;
  }
  bool on(int32_t backend) const { return backend == VARLSTM_BACKEND_HOST ? on_host : on_cuda != OnCuda::kNo; }
};

template <class Cell>
constexpr TestedCell tested(bool on_host, OnCuda on_cuda) {
  return {Cell::kName,
          Cell::kCell,
          Cell::kGates,
          Cell::kHasC,
          false,
          false,
          on_host,
          on_cuda,
          rules_of<Cell, float>(),
          rules_of<Cell, double>()};
}

// Tests of a cell are skipped on a back end that does not have it. cells_test checks that the library has a cell where
// the list says so, and nowhere else.
constexpr TestedCell kCells[] = {
    tested<Lstm>(/*on_host=*/true, OnCuda::kResident),           tested<Gru>(/*on_host=*/true, OnCuda::kResident),
    tested<RnnTanh>(/*on_host=*/true, OnCuda::kResident),        tested<RnnRelu>(/*on_host=*/true, OnCuda::kResident),
    tested<GruResetBefore>(/*on_host=*/true, OnCuda::kStepwise),
};

constexpr TestedCell projected(const char* name, TestedCell cell, OnCuda on_cuda) {
  cell.name = name;
  cell.projects = true;
  cell.on_cuda = on_cuda;
  return cell;
}

constexpr TestedCell with_layer_norm(const char* name, TestedCell cell, OnCuda on_cuda) {
  cell.name = name;
  cell.layer_norm = true;
  cell.on_cuda = on_cuda;
  return cell;
}

// Cells with an option that changes their parameters. They run the tests of kCells too.
constexpr TestedCell kCellsWithOptions[] = {
    projected("ProjectedLstm", kCells[0], OnCuda::kStepwise),
    with_layer_norm("LayerNormLstm", kCells[0], OnCuda::kStepwise),
    with_layer_norm("LayerNormGru", kCells[1], OnCuda::kStepwise),
};

// Cells with two such options, for COMBINED_CELL_TEST.
constexpr TestedCell kCombinedCells[] = {
    with_layer_norm("LayerNormProjectedLstm", kCellsWithOptions[0], OnCuda::kStepwise)};

inline const TestedCell& tested_cell(int32_t cell) {
  for (const TestedCell& one : kCells)
    if (one.cell == cell) return one;
  throw std::runtime_error("cell " + std::to_string(cell) + " is not in tests/cells/cells.h");
}

}  // namespace varlstm_test
