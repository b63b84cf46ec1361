// Runs exchanges on the current device, each repetition checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bench/exchange/exchange.h"
#include "bench/exchange/piece.h"
#include "bench/exchange/product.h"

namespace varlstm::bench {

// Throws std::runtime_error, which names the call, where it failed.
void require(cudaError_t error, const char* call);

// Device memory, freed with its owner.
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  void* get() const { return data_; }
  size_t bytes() const { return bytes_; }
  void fill_zeros() const;
  void read(void* to, size_t bytes) const;

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

struct ExchangeSamples {
  std::vector<double> ns;   // a step, one for each repetition
  std::vector<double> ghz;  // the multiprocessor's clock meanwhile
  std::string failure;      // what did not arrive; empty where everything did
};

// `warm_ups` launches that do not count and `repetitions` that do; the data of all of them is checked.
ExchangeSamples run_exchange(const Exchange& exchange, int64_t steps, int warm_ups, int repetitions);

struct PieceSamples {
  std::vector<double> cycles;  // of a round or a product, one for each repetition
  std::string failure;         // empty if the result is right
};

// A warm-up that does not count, and `repetitions` that do.
PieceSamples run_piece(Piece piece, uint32_t rounds, int repetitions);
PieceSamples run_products(const Product& product, uint32_t groups, int repetitions);

// What launch_chain makes of a word that is 0 before, and whether it does.
uint64_t expected_chain(int64_t count);
std::string check_chain(int64_t count, unsigned blocks);

}  // namespace varlstm::bench
