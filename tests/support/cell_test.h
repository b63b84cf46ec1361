// Tests of every cell. CELL_TEST(Suite, Name) { ... } is one test for each cell of cells/cells.h: LstmSuite.Name,
// GruSuite.Name, and so on. Suite is CellTest or a fixture derived from it. CELL_SCALAR_TEST makes each of them for
// float and for double, which the test sees as TypeParam: LstmSuite/f32.Name, LstmSuite/f64.Name; Suite is then a
// template. COMBINED_CELL_TEST is CELL_TEST for kCombinedCells too. If the back end under test does not have a cell,
// that cell's tests are skipped. If it is emulated, cells beside the LSTM run in float alone there; lstm_gradient_test
// and lstm_reference_test test their step in double.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cells/cells.h"
#include "support/context.h"

namespace varlstm_test {

class CellTest : public ::testing::Test {
 public:
  void set(const TestedCell& cell, bool in_double) {
    cell_ = &cell;
    in_double_ = in_double;
  }

 protected:
  void SetUp() override {
    if (!cell_->on(test_backend())) GTEST_SKIP() << "this back end does not have the cell";
    if (in_double_ && few_cases()) GTEST_SKIP() << "emulated, this cell runs in float";
    const char* policy = std::getenv("VARLSTM_RECURRENCE_POLICY");
    if (policy == nullptr || !few_cases()) return;
    if (cell_->on_cuda == OnCuda::kStepwise) GTEST_SKIP() << "this cell runs stepwise in any case";
    if (policy == std::string("grid")) GTEST_SKIP() << "tests/kernels/resident has this cell's grid";
  }

  const TestedCell& cell() const { return *cell_; }
  RnnOptions cell_options() const {
    RnnOptions options;
    options.cell = cell_->cell;
    options.projects = cell_->projects;
    options.layer_norm = cell_->layer_norm;
    return options;
  }
  // The LSTM takes every case of a test. The other cells share all of the library but the step with it, and take fewer.
  bool every_case() const { return cell_ == &kCells[0]; }
  int64_t share(int64_t every, int64_t fewer) const { return every_case() ? every : fewer; }
  // Yet fewer, `few`, if each of a kernel's threads is emulated.
  bool few_cases() const { return !every_case() && emulated(); }
  int64_t share(int64_t every, int64_t fewer, int64_t few) const { return few_cases() ? few : share(every, fewer); }

 private:
  const TestedCell* cell_ = nullptr;
  bool in_double_ = false;  // the test has a twin in float
};

// Registers the test `Test` of fixture `Suite` for every cell.
template <class Suite, class Test>
bool register_for_cells(const std::string& suite, const char* name, const char* file, int line, bool in_double = false,
                        bool combined = false) {
  std::vector<const TestedCell*> cells;
  for (const TestedCell& cell : kCells) cells.push_back(&cell);
  for (const TestedCell& cell : kCellsWithOptions) cells.push_back(&cell);
  if (combined)
    for (const TestedCell& cell : kCombinedCells) cells.push_back(&cell);
  for (const TestedCell* cell : cells) {
    ::testing::RegisterTest((cell->name + suite).c_str(), name, nullptr, nullptr, file, line,
                            [cell, in_double]() -> Suite* {
                              Test* test = new Test;
                              test->set(*cell, in_double);
                              return test;
                            });
  }
  return true;
}

}  // namespace varlstm_test

#define CELL_TEST(Suite, Name)                                                                      \
  class Suite##_##Name : public Suite {                                                             \
    void TestBody() override;                                                                       \
  };                                                                                                \
  [[maybe_unused]] const bool Suite##_##Name##_registered =                                         \
      ::varlstm_test::register_for_cells<Suite, Suite##_##Name>(#Suite, #Name, __FILE__, __LINE__); \
  void Suite##_##Name::TestBody()

#define COMBINED_CELL_TEST(Suite, Name)                                                                          \
  class Suite##_##Name : public Suite {                                                                          \
    void TestBody() override;                                                                                    \
  };                                                                                                             \
  [[maybe_unused]] const bool Suite##_##Name##_registered =                                                      \
      ::varlstm_test::register_for_cells<Suite, Suite##_##Name>(#Suite, #Name, __FILE__, __LINE__, false, true); \
  void Suite##_##Name::TestBody()

#define CELL_SCALAR_TEST(Suite, Name)                                                                           \
  template <class TypeParam>                                                                                    \
  class Suite##_##Name : public Suite<TypeParam> {                                                              \
    void TestBody() override;                                                                                   \
  };                                                                                                            \
  [[maybe_unused]] const bool Suite##_##Name##_registered =                                                     \
      ::varlstm_test::register_for_cells<Suite<float>, Suite##_##Name<float>>(#Suite "/f32", #Name, __FILE__,   \
                                                                              __LINE__) &&                      \
      ::varlstm_test::register_for_cells<Suite<double>, Suite##_##Name<double>>(#Suite "/f64", #Name, __FILE__, \
                                                                                __LINE__, true);                \
  template <class TypeParam>                                                                                    \
  void Suite##_##Name<TypeParam>::TestBody()
