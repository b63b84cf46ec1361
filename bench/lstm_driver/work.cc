// Operations and bytes: see work.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/work.h"

namespace varlstm::lstm_driver {

int64_t parameters_of(const Scenario& scenario) {
  const Problem& problem = scenario.problem;
  int64_t count = 0;
  for (int64_t layer = 0; layer < problem.layers; ++layer)
    count +=
        problem.directions * scenario.cell.gates * problem.hidden * (problem.inputs_of(layer) + problem.hidden + 2);
  return count;
}

double flops_of(const Scenario& scenario) {
  const Problem& problem = scenario.problem;
  double forward = 0;
  for (int64_t layer = 0; layer < problem.layers; ++layer)
    forward += 2.0 * static_cast<double>(scenario.cell.gates * problem.outputs()) *
               static_cast<double>(problem.inputs_of(layer) + problem.hidden) * static_cast<double>(scenario.tokens());
  return scenario.pass == Pass::kForward ? forward : scenario.pass == Pass::kBackward ? 2 * forward : 3 * forward;
}

double bytes_of(const Scenario& scenario) {
  const auto parameters = static_cast<double>(parameters_of(scenario));
  const auto tokens = static_cast<double>(scenario.tokens());
  const double x = tokens * static_cast<double>(scenario.problem.input);
  const double y = tokens * static_cast<double>(scenario.problem.outputs());
  const double forward = parameters + x + y;               // read, read, written
  const double backward = 2 * parameters + 2 * x + 2 * y;  // params and dparams, x and dx, y and dy
  const double elements =
      (scenario.pass != Pass::kBackward ? forward : 0) + (scenario.pass != Pass::kForward ? backward : 0);
  return elements * static_cast<double>(bytes_of(scenario.dtype));
}

}  // namespace varlstm::lstm_driver
