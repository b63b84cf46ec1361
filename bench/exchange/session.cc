// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/session.h"

#include <algorithm>
#include <stdexcept>

#include "bench/exchange/check.h"

namespace varlstm::bench {

void require(cudaError_t error, const char* call) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(error));
}

DeviceMemory::DeviceMemory(size_t bytes) : bytes_(bytes) {
  // Nothing to allocate is still a pointer to give.
  require(cudaMalloc(&data_, std::max<size_t>(bytes, 1)), "cudaMalloc");
}

DeviceMemory::~DeviceMemory() {
  cudaFree(data_);
}

void DeviceMemory::fill_zeros() const {
  require(cudaMemsetAsync(data_, 0, bytes_, nullptr), "cudaMemsetAsync");
}

void DeviceMemory::read(void* to, size_t bytes) const {
  require(cudaMemcpyAsync(to, data_, bytes, cudaMemcpyDeviceToHost, nullptr), "cudaMemcpyAsync");
  require(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

ExchangeSamples run_exchange(const Exchange& exchange, int64_t steps, int warm_ups, int repetitions) {
  const size_t blocks = block_count(exchange);
  const DeviceMemory units(unit_buffer_bytes(exchange));
  const DeviceMemory flags(blocks * kFlagStride * sizeof(uint32_t));
  const DeviceMemory states(blocks * exchange.threads * sizeof(uint64_t));
  const DeviceMemory elapsed(sizeof(Elapsed));
  const ExchangeBuffers buffers{units.get(), static_cast<uint32_t*>(flags.get()), static_cast<uint64_t*>(states.get()),
                                static_cast<Elapsed*>(elapsed.get())};
  const std::vector<uint64_t> expected = expected_states(exchange, steps);
  std::vector<uint64_t> came(blocks * exchange.threads);
  ExchangeSamples samples;
  for (int repetition = -warm_ups; repetition < repetitions && samples.failure.empty(); ++repetition) {
    for (const DeviceMemory* zeroed : {&units, &flags, &states, &elapsed}) zeroed->fill_zeros();
    require(launch_exchange(exchange, steps, buffers, nullptr), "launch_exchange");
    Elapsed seen;
    elapsed.read(&seen, sizeof seen);
    states.read(came.data(), states.bytes());
    samples.failure = find_difference(exchange, expected, came);
    if (seen.gave_up != 0) samples.failure = "a thread waited in vain";
    if (repetition < 0) continue;
    samples.ns.push_back(static_cast<double>(seen.ns) / static_cast<double>(steps));
    samples.ghz.push_back(static_cast<double>(seen.cycles) / static_cast<double>(seen.ns));
  }
  return samples;
}

PieceSamples run_piece(Piece piece, uint32_t rounds, int repetitions) {
  const DeviceMemory words(64 * sizeof(uint32_t));
  const DeviceMemory result(sizeof(PieceResult));
  PieceSamples samples;
  for (int repetition = -1; repetition < repetitions && samples.failure.empty(); ++repetition) {
    words.fill_zeros();
    result.fill_zeros();
    require(launch_piece(piece, rounds, static_cast<uint32_t*>(words.get()), static_cast<PieceResult*>(result.get()),
                         nullptr),
            "launch_piece");
    PieceResult seen;
    result.read(&seen, sizeof seen);
    if (seen.last != rounds) samples.failure = "not every round ended";
    if (repetition >= 0) samples.cycles.push_back(static_cast<double>(seen.cycles) / rounds);
  }
  return samples;
}

PieceSamples run_products(const Product& product, uint32_t groups, int repetitions) {
  const uint32_t count = groups * kProductsOfGroup;
  constexpr float kDepth = 16;
  const DeviceMemory result(sizeof(ProductResult));
  PieceSamples samples;
  for (int repetition = -1; repetition < repetitions && samples.failure.empty(); ++repetition) {
    result.fill_zeros();
    require(launch_products(product, count, static_cast<ProductResult*>(result.get()), nullptr), "launch_products");
    ProductResult seen;
    result.read(&seen, sizeof seen);
    if (seen.sum != kDepth * static_cast<float>(count)) samples.failure = "the sums are wrong";
    if (repetition >= 0) samples.cycles.push_back(static_cast<double>(seen.cycles) / count);
  }
  return samples;
}

uint64_t expected_chain(int64_t count) {
  uint64_t word = 0;
  for (int64_t k = 0; k < count; ++k) word = 3 * word + 1;
  return word;
}

std::string check_chain(int64_t count, unsigned blocks) {
  const DeviceMemory word(sizeof(uint64_t));
  word.fill_zeros();
  require(launch_chain(count, blocks, static_cast<uint64_t*>(word.get()), nullptr), "launch_chain");
  uint64_t came = 0;
  word.read(&came, sizeof came);
  return came == expected_chain(count) ? "" : "the kernels of a stream did not run each once, in turn";
}

}  // namespace varlstm::bench
