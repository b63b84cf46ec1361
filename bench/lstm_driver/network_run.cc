// The network of one scenario: see network_run.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/network_run.h"

#include <cmath>
#include <limits>

#include "bench/lstm_driver/work.h"

namespace varlstm::lstm_driver {
namespace {

// One stream of random numbers for each tensor.
enum Stream : uint64_t { kParams = 1, kX, kH0, kC0, kDy, kDhN, kDcN };

}  // namespace

NetworkRun::Rnn NetworkRun::make_rnn(const Context& ctx, const Scenario& scenario, int32_t dtype) {
  const Problem& problem = scenario.problem;
  varlstm_rnn* raw = nullptr;
  check(varlstm_rnn_create(ctx.get(), scenario.cell.value, problem.input, problem.hidden, problem.layers, &raw));
  Rnn rnn(raw);
  check(varlstm_rnn_set_i64(raw, VARLSTM_KEY_DTYPE, dtype));
  check(varlstm_rnn_set_i64(raw, VARLSTM_KEY_BIDIRECTIONAL, problem.directions == 2 ? 1 : 0));
  check(varlstm_rnn_set_i64(raw, VARLSTM_KEY_LAYERS_TOGETHER, scenario.layers_together ? 1 : 0));
  return rnn;
}

NetworkRun::NetworkRun(const Tensors& tensors, const Scenario& scenario, States states)
    : tensors_(tensors),
      scenario_(scenario),
      batch_(tensors.ctx, scenario.lengths),
      rnn_(make_rnn(tensors.ctx, scenario, tensors.dtype)) {
  const Problem& problem = scenario_.problem;
  const int64_t parameters = parameters_of(scenario_);
  const int64_t state = problem.layers * problem.directions * problem.batch * problem.hidden;
  const auto seeded = [&](Stream stream) { return scenario_.seed * 0x100 + stream; };
  // PyTorch's initialisation: the gates stay away from saturation whatever the sizes.
  params_ = tensors_.random(parameters, 1.0 / std::sqrt(static_cast<double>(problem.hidden)), seeded(kParams));
  x_ = random_data(problem.input, seeded(kX));
  y_ = empty_data(problem.outputs());
  h_n_ = tensors_.empty(state);
  const bool has_c = scenario_.cell.has_c;
  if (has_c) c_n_ = tensors_.empty(state);
  if (gradients()) {
    dparams_ = tensors_.empty(parameters);
    dx_ = empty_data(problem.input);
    dy_ = random_data(problem.outputs(), seeded(kDy));
  }
  if (states == States::kRandom) {
    h0_ = tensors_.random(state, 1.0, seeded(kH0));
    if (has_c) c0_ = tensors_.random(state, 1.0, seeded(kC0));
  }
  if (states == States::kRandom && gradients()) {
    dh_n_ = tensors_.random(state, 1.0, seeded(kDhN));
    if (has_c) dc_n_ = tensors_.random(state, 1.0, seeded(kDcN));
    dh0_ = tensors_.empty(state);
    if (has_c) dc0_ = tensors_.empty(state);
  }
  int64_t workspace = 0, reserve = 0;
  check(varlstm_rnn_sizes(rnn_.get(), problem.batch, scenario_.steps(), scenario_.tokens(), mode(), &workspace,
                          &reserve));
  workspace_ = Memory(tensors_.ctx, workspace);
  reserve_ = Memory(tensors_.ctx, reserve);
}

int32_t NetworkRun::abi_layout() const {
  return scenario_.layout == Layout::kBatchFirst  ? VARLSTM_LAYOUT_BATCH_FIRST
         : scenario_.layout == Layout::kTimeMajor ? VARLSTM_LAYOUT_TIME_MAJOR
                                                  : VARLSTM_LAYOUT_RAGGED;
}

int64_t NetworkRun::laid_out_rows() const {
  return scenario_.layout == Layout::kRagged ? scenario_.tokens() : scenario_.padded_tokens();
}

NetworkRun::Data NetworkRun::empty_data(int64_t features) const {
  Data data;
  data.features = features;
  data.packed = tensors_.empty(scenario_.tokens() * features);
  if (!packed_layout()) data.laid_out = tensors_.empty(laid_out_rows() * features);
  return data;
}

// The packed values do not depend on the layout; the host lays them out, with NaN where there is padding.
NetworkRun::Data NetworkRun::random_data(int64_t features, uint64_t seed) const {
  Data data;
  data.features = features;
  data.packed = tensors_.random(scenario_.tokens() * features, 1.0, seed);
  if (packed_layout()) return data;
  const Batch plan(tensors_.host, scenario_.lengths);
  const std::vector<char> packed = data.packed.download();
  std::vector<char> laid_out(static_cast<size_t>(tensors_.bytes(laid_out_rows() * features)));
  check(varlstm_unpack(plan.get(), tensors_.dtype, abi_layout(), scenario_.steps(), features,
                       std::numeric_limits<double>::quiet_NaN(), packed.data(), laid_out.data(), nullptr));
  data.laid_out = Memory(tensors_.ctx, laid_out);
  data.packed.zero();
  tensors_.ctx.sync();
  return data;
}

void NetworkRun::forward(void* stream) {
  const auto convert = [&](auto function, const Data& data, auto... more) {
    if (!packed_layout())
      check(function(batch_.get(), tensors_.dtype, abi_layout(), scenario_.steps(), data.features, more..., stream));
  };
  convert(varlstm_pack, x_, x_.laid_out.data(), x_.packed.data());
  check(varlstm_rnn_forward(rnn_.get(), batch_.get(), mode(), 0, params_.data(), x_.packed.data(), h0_.data(),
                            c0_.data(), y_.packed.data(), h_n_.data(), c_n_.data(), workspace_.data(),
                            workspace_.bytes(), reserve_.data(), reserve_.bytes(), stream));
  convert(varlstm_unpack, y_, 0.0, y_.packed.data(), y_.laid_out.data());
}

void NetworkRun::backward(void* stream) {
  const auto convert = [&](auto function, const Data& data, const Memory& from, Memory& to) {
    if (!packed_layout())
      check(function(batch_.get(), tensors_.dtype, abi_layout(), scenario_.steps(), data.features, from.data(),
                     to.data(), stream));
  };
  dparams_.zero(stream);
  convert(varlstm_unpack_backward, dy_, dy_.laid_out, dy_.packed);
  check(varlstm_rnn_backward(rnn_.get(), batch_.get(), params_.data(), x_.packed.data(), h0_.data(), c0_.data(),
                             y_.packed.data(), dy_.packed.data(), dh_n_.data(), dc_n_.data(), dx_.packed.data(),
                             dh0_.data(), dc0_.data(), dparams_.data(), workspace_.data(), workspace_.bytes(),
                             reserve_.data(), reserve_.bytes(), stream));
  convert(varlstm_pack_backward, dx_, dx_.packed, dx_.laid_out);
}

void NetworkRun::prepare(void* stream) {
  if (scenario_.pass == Pass::kBackward) forward(stream);
}

void NetworkRun::step(void* stream) {
  if (scenario_.pass != Pass::kBackward) forward(stream);
  if (gradients()) backward(stream);
}

std::vector<NetworkRun::Output> NetworkRun::outputs() const {
  std::vector<Output> list{{"y", &interface_of(y_), y_.features}, {"h_n", &h_n_, 0}};
  if (c_n_.data() != nullptr) list.push_back({"c_n", &c_n_, 0});
  if (!gradients()) return list;
  list.push_back({"dx", &interface_of(dx_), dx_.features});
  list.push_back({"dparams", &dparams_, 0});
  if (dh0_.data() != nullptr) list.push_back({"dh0", &dh0_, 0});
  if (dc0_.data() != nullptr) list.push_back({"dc0", &dc0_, 0});
  return list;
}

std::vector<double> NetworkRun::read(const Output& output) const {
  std::vector<double> values = tensors_.read(*output.memory);
  if (output.features == 0 || packed_layout()) return values;
  const Batch plan(tensors_.host, scenario_.lengths);
  std::vector<double> packed(static_cast<size_t>(scenario_.tokens() * output.features));
  check(varlstm_pack(plan.get(), VARLSTM_DTYPE_F64, abi_layout(), scenario_.steps(), output.features, values.data(),
                     packed.data(), nullptr));
  return packed;
}

}  // namespace varlstm::lstm_driver
