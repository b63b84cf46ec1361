// Random tensors in a back end's memory, and their values in double on the host.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <varlstm.hpp>
#include <vector>

#include "bench/lstm_driver/scenario.h"

namespace varlstm::lstm_driver {

// Memory of a context's back end, in bytes: the dtype is known when the program runs.
using Memory = Buffer<char>;

struct Tensors {
  Context ctx;      // where tensors live
  Context host;     // where values are made and read; any of the host back end
  int32_t dtype;    // what they are stored as
  int32_t rounded;  // what their values are rounded to first, so that two dtypes can hold the same values

  int64_t bytes(int64_t count) const { return count * bytes_of(dtype); }
  Memory empty(int64_t count) const;
  // Uniform in [-scale, scale), from the seed alone.
  Memory random(int64_t count, double scale, uint64_t seed) const;
  std::vector<double> read(const Memory& memory) const;
};

// Values [count] of from_dtype, on the host.
std::vector<char> converted(const Context& host, int32_t from_dtype, int32_t to_dtype, int64_t count,
                            const void* values);

}  // namespace varlstm::lstm_driver
