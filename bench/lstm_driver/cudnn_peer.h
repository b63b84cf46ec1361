// cuDNN's network of the same cell on the same problem: packed, padded with lengths, and dense (every sequence as long
// as the longest), with every algorithm it takes. Times alone; its values are not compared.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/lstm_driver/clock.h"
#include "bench/lstm_driver/options.h"

namespace varlstm::lstm_driver {

class CudnnPeer {
 public:
  // Error where cuDNN is not here or cannot start.
  CudnnPeer(const Context& ctx, const Context& host, Clock* clock);
  ~CudnnPeer();

  std::string version() const;

  struct Result {
    std::string name;              // «cudnn packed standard»
    std::optional<Timing> timing;  // none where cuDNN refuses
    std::string refusal;
  };
  // A pass of kBackward repeats itself on the reserve as its first left it: that changes its values, not its time.
  std::vector<Result> run(const Options& options, const Scenario& scenario, const Call& before);

 private:
  Context ctx_, host_;
  Clock* clock_;
  void* handle_ = nullptr;
};

}  // namespace varlstm::lstm_driver
