// The network of one scenario on one back end: every buffer, and the calls that are checked or timed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/lstm_driver/scenario.h"
#include "bench/lstm_driver/tensor.h"

namespace varlstm::lstm_driver {

enum class States {
  kNone,   // h0, c0, dh_n and dc_n are NULL, and no dh0 and dc0 are wanted: what is timed
  kRandom  // all that the cell has take part: what is checked
};

class NetworkRun {
 public:
  // Inputs are rounded to scenario.dtype, whatever tensors.dtype stores and computes in.
  NetworkRun(const Tensors& tensors, const Scenario& scenario, States states);

  // What must have run once before steps: for kBackward its forward.
  void prepare(void* stream);
  // The pass, ordered on the stream. In a layout other than packed with packing and unpacking, adjoints included.
  void step(void* stream);

  struct Output {
    std::string name;
    const Memory* memory;
    int64_t features;  // of data by tokens in the scenario's layout; 0: a state or parameters
  };
  // What a step writes, and y, h_n and c_n of kBackward's forward.
  std::vector<Output> outputs() const;
  // An output in double; data by tokens in packed order, whatever the layout.
  std::vector<double> read(const Output& output) const;

 private:
  struct DestroyRnn {
    void operator()(varlstm_rnn* rnn) const { varlstm_rnn_destroy(rnn); }
  };
  using Rnn = std::unique_ptr<varlstm_rnn, DestroyRnn>;  // varlstm::Rnn has its dtype from the compiler
  static Rnn make_rnn(const Context& ctx, const Scenario& scenario, int32_t dtype);

  // One tensor by tokens: packed, and in the scenario's layout where that is another.
  struct Data {
    Memory packed, laid_out;
    int64_t features = 0;
  };
  bool packed_layout() const { return scenario_.layout == Layout::kPacked; }
  bool gradients() const { return scenario_.pass != Pass::kForward; }
  int32_t abi_layout() const;
  int64_t laid_out_rows() const;
  int32_t mode() const { return gradients() ? VARLSTM_MODE_SAVE : VARLSTM_MODE_INFER; }
  Data random_data(int64_t features, uint64_t seed) const;
  Data empty_data(int64_t features) const;
  const Memory& interface_of(const Data& data) const { return packed_layout() ? data.packed : data.laid_out; }
  void forward(void* stream);
  void backward(void* stream);

  Tensors tensors_;
  Scenario scenario_;
  Batch batch_;
  Rnn rnn_;
  Data x_, y_, dx_, dy_;
  Memory params_, dparams_, h0_, c0_, h_n_, c_n_, dh_n_, dc_n_, dh0_, dc0_, workspace_, reserve_;
};

}  // namespace varlstm::lstm_driver
