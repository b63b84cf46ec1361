// Random tensors: see tensor.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/tensor.h"

#include <algorithm>

#include "bench/lstm_driver/random.h"

namespace varlstm::lstm_driver {

std::vector<char> converted(const Context& host, int32_t from_dtype, int32_t to_dtype, int64_t count,
                            const void* values) {
  std::vector<char> result(static_cast<size_t>(count * bytes_of(to_dtype)));
  check(varlstm_convert(host.get(), from_dtype, to_dtype, count, values, result.data(), nullptr));
  return result;
}

Memory Tensors::empty(int64_t count) const {
  Memory memory = Memory::zeros(ctx, bytes(count));
  ctx.sync();
  return memory;
}

Memory Tensors::random(int64_t count, double scale, uint64_t seed) const {
  constexpr int64_t kChunk = 1 << 20;  // a large tensor never stands on the host as a whole
  Memory memory(ctx, bytes(count));
  Random source(seed);
  std::vector<double> values;
  for (int64_t first = 0; first < count; first += kChunk) {
    const int64_t size = std::min(kChunk, count - first);
    values.resize(static_cast<size_t>(size));
    for (double& value : values) value = scale * (2.0 * source.uniform() - 1.0);
    const std::vector<char> held = converted(host, VARLSTM_DTYPE_F64, rounded, size, values.data());
    const std::vector<char> stored = converted(host, rounded, dtype, size, held.data());
    copy<char>(ctx, memory.span().subspan(bytes(first), bytes(size)), stored, VARLSTM_COPY_TO_BACKEND);
    ctx.sync();
  }
  return memory;
}

std::vector<double> Tensors::read(const Memory& memory) const {
  const int64_t count = memory.bytes() / bytes_of(dtype);
  const std::vector<char> stored = memory.download();
  std::vector<double> values(static_cast<size_t>(count));
  check(varlstm_convert(host.get(), dtype, VARLSTM_DTYPE_F64, count, stored.data(), values.data(), nullptr));
  return values;
}

}  // namespace varlstm::lstm_driver
