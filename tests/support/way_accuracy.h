// How far the results of a way of the recurrence (recurrence_way.h) may be from the naive cell in double: twice as far
// as a model that rounds where the math says so and nowhere else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/compare.h"
#include "support/recurrence_way.h"
#include "support/rnn_reference.h"

namespace varlstm_test {

// A result's tensors, named.
struct Named {
  const char* name;
  const std::vector<double>* values;
};
inline std::vector<Named> tensors(const RnnResults& results) {
  return {{"y", &results.out.y},
          {"h_n", &results.out.h_n},
          {"c_n", &results.out.c_n},
          {"dx", &results.gradients.dx},
          {"dh0", &results.gradients.dh0},
          {"dc0", &results.gradients.dc0},
          {"dparams", &results.gradients.dparams}};
}

inline RnnResults widened(const RnnOutputs<float>& out, const RnnGradients<float>& gradients) {
  return {{convert<double>(out.y), convert<double>(out.h_n), convert<double>(out.c_n)},
          {convert<double>(gradients.dx), convert<double>(gradients.dh0), convert<double>(gradients.dc0),
           convert<double>(gradients.dparams)}};
}

// The model: for F32 the naive cell in float; for the others in double, with what is stored and what is multiplied
// rounded.
inline RnnResults run_model(const Precision& precision, const WayCase& given) {
  if (precision.operand.significant_bits == kF32Format.significant_bits) {
    const RnnCase<float> problem = convert<float>(given.problem);
    RnnReference<float> naive(problem);
    const RnnOutputs<float> out = naive.forward();
    return widened(out, naive.backward(convert<float>(given.upstream)));
  }
  const Format16 stored = precision.stored, operand = precision.operand;
  RnnReference<double> reference(
      given.problem, [=](double value) { return stored.round(value); },
      [=](double value) { return operand.round(value); });
  RnnResults results;
  results.out = reference.forward();
  results.gradients = reference.backward(given.upstream);
  RnnGradients<double>& g = results.gradients;
  for (auto* part : {&results.out.y, &results.out.h_n, &results.out.c_n, &g.dx, &g.dh0, &g.dc0, &g.dparams})
    *part = stored.round(*part);
  return results;
}

inline RnnResults run_exact(const WayCase& given) {
  RnnReference<double> reference(given.problem);
  RnnResults results;
  results.out = reference.forward();
  results.gradients = reference.backward(given.upstream);
  return results;
}

inline double largest_error(const std::vector<double>& actual, const std::vector<double>& expected) {
  double most = 0;
  for (size_t k = 0; k < expected.size(); ++k) {
    const double error = std::fabs(actual[k] - expected[k]);
    most = error <= most ? most : error;  // a NaN gets through
  }
  return most;
}

// The floor, of the tensor's largest element: where the chain is so short that the model is exact by luck, the sums in
// f32 and the activations (3e-7) still round, and a stored value may fall to the other side of a tie.
inline double floor_of(const Precision& precision, double largest_element) {
  const double sums = 8 * std::ldexp(1.0, -23) * largest_element;
  return precision.stored.dtype == VARLSTM_DTYPE_F32 ? sums : precision.stored.ulp(largest_element);
}

inline void expect_accurate(const Precision& precision, const RnnResults& actual, const RnnResults& model,
                            const RnnResults& exact) {
  const std::vector<Named> actual_of = tensors(actual), model_of = tensors(model), exact_of = tensors(exact);
  for (size_t k = 0; k < exact_of.size(); ++k) {
    SCOPED_TRACE(exact_of[k].name);
    ASSERT_EQ(actual_of[k].values->size(), exact_of[k].values->size());
    const double of_model = largest_error(*model_of[k].values, *exact_of[k].values);
    const double floor = floor_of(precision, largest(*exact_of[k].values));
    EXPECT_LE(largest_error(*actual_of[k].values, *exact_of[k].values), 2 * of_model + floor)
        << "the model's " << of_model << ", floor " << floor;
  }
}

inline void expect_accurate(const RecurrenceWay& way, const WayCase& given) {
  SCOPED_TRACE(describe(given.problem));
  expect_accurate(way.precision, run_way(way, given), run_model(way.precision, given), run_exact(given));
}

}  // namespace varlstm_test
