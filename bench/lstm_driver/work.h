// What a scenario has to do at least: the numerators of every rate.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/lstm_driver/scenario.h"

namespace varlstm::lstm_driver {

int64_t parameters_of(const Scenario& scenario);

// Operations of the matrix products, 2 * GH * (in + H) a token, layer and direction forward and twice that backward;
// the gates' own are not counted.
double flops_of(const Scenario& scenario);

// Bytes that cannot be avoided: parameters, x and y once each way they go, and so their gradients. Layers between, the
// reserve and what a kernel reads again are not counted.
double bytes_of(const Scenario& scenario);

}  // namespace varlstm::lstm_driver
