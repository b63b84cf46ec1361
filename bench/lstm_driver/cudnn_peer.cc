// cuDNN's LSTM: see cudnn_peer.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/cudnn_peer.h"

#include <algorithm>

#include "bench/lstm_driver/cudnn_api.h"
#include "bench/lstm_driver/error.h"
#include "bench/lstm_driver/tensor.h"

namespace varlstm::lstm_driver {
namespace {

using cudnn::api;
using cudnn::Descriptor;

// A call that cuDNN refused.
class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void accept(int status, const char* call) {
  if (status != cudnn::kSuccess) throw Refusal(fmt::format("{}: {}", call, api().error_string(status)));
}

class Owner {
 public:
  Owner(int (*create)(Descriptor*), int (*destroy)(Descriptor)) : destroy_(destroy) {
    accept(create(&descriptor_), "create descriptor");
  }
  ~Owner() { destroy_(descriptor_); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  Descriptor get() const { return descriptor_; }

 private:
  int (*destroy_)(Descriptor);
  Descriptor descriptor_ = nullptr;
};

enum class Form { kPacked, kPadded, kDense };
constexpr Name<Form> kForms[] = {
    {"packed", Form::kPacked}, {"padded with lengths", Form::kPadded}, {"dense", Form::kDense}};
constexpr Name<int> kAlgorithms[] = {{"standard", cudnn::kStandard},
                                     {"persist static", cudnn::kPersistStatic},
                                     {"persist dynamic", cudnn::kPersistDynamic},
                                     {"persist static small H", cudnn::kPersistStaticSmallH}};

int data_type(int32_t dtype) {
  return dtype == VARLSTM_DTYPE_F64    ? cudnn::kDouble
         : dtype == VARLSTM_DTYPE_F32  ? cudnn::kFloat
         : dtype == VARLSTM_DTYPE_BF16 ? cudnn::kBfloat16
                                       : cudnn::kHalf;
}

// Default math takes TF32 for float where the GPU has it.
int math_type(int32_t dtype, Math math) {
  if (bytes_of(dtype) == 2) return cudnn::kTensorOpMath;
  return dtype == VARLSTM_DTYPE_F32 && math == Math::kTf32 ? cudnn::kDefaultMath : cudnn::kFmaMath;
}

// One problem, form and algorithm: descriptors, buffers and the pass.
class CudnnRnn {
 public:
  CudnnRnn(cudnn::Handle handle, const Tensors& tensors, const Scenario& scenario, Math math, Form form, int algorithm);
  void prepare() {
    if (pass_ == Pass::kBackward) forward();
  }
  void step() {
    if (pass_ != Pass::kBackward) forward();
    if (pass_ != Pass::kForward) backward();
  }
  void* stream = nullptr;  // where dweights are zeroed

 private:
  void describe_rnn(const Scenario& scenario, Math math, Form form, int algorithm);
  void describe_data(const Scenario& scenario, Form form);
  void allocate(const Tensors& tensors, const Scenario& scenario, Form form);
  int mode() const { return pass_ == Pass::kForward ? cudnn::kInference : cudnn::kTraining; }
  const int32_t* lengths() const { return device_lengths_.data(); }
  void forward();
  void backward();

  cudnn::Handle handle_;
  Pass pass_;
  std::vector<int32_t> host_lengths_;
  Owner dropout_{api().create_dropout, api().destroy_dropout}, rnn_{api().create_rnn, api().destroy_rnn};
  Owner x_desc_{api().create_data, api().destroy_data}, y_desc_{api().create_data, api().destroy_data};
  Owner state_desc_{api().create_tensor, api().destroy_tensor};
  Buffer<int32_t> device_lengths_;
  Memory x_, y_, dx_, dy_, h_n_, c_n_, weights_, dweights_, workspace_, reserve_;
};

CudnnRnn::CudnnRnn(cudnn::Handle handle, const Tensors& tensors, const Scenario& scenario, Math math, Form form,
                   int algorithm)
    : handle_(handle), pass_(scenario.pass), host_lengths_(scenario.lengths.begin(), scenario.lengths.end()) {
  std::sort(host_lengths_.rbegin(), host_lengths_.rend());  // packed data wants the longest first
  if (form == Form::kDense) std::fill(host_lengths_.begin(), host_lengths_.end(), host_lengths_[0]);
  describe_rnn(scenario, math, form, algorithm);
  describe_data(scenario, form);
  allocate(tensors, scenario, form);
}

void CudnnRnn::describe_rnn(const Scenario& scenario, Math math, Form form, int algorithm) {
  if (scenario.cell.cudnn == kNotInCudnn) throw std::runtime_error(fmt::format("cuDNN has no {}", scenario.cell.name));
  const Problem& problem = scenario.problem;
  const int type = data_type(scenario.dtype), sums = bytes_of(scenario.dtype) == 2 ? cudnn::kFloat : type;
  accept(api().set_dropout(dropout_.get(), handle_, 0.0F, nullptr, 0, 0), "cudnnSetDropoutDescriptor");
  accept(
      api().set_rnn(rnn_.get(), algorithm, scenario.cell.cudnn, cudnn::kDoubleBias,
                    problem.directions == 2 ? cudnn::kBidirectional : cudnn::kUnidirectional, cudnn::kLinearInput, type,
                    sums, math_type(scenario.dtype, math), static_cast<int32_t>(problem.input),
                    static_cast<int32_t>(problem.hidden), static_cast<int32_t>(problem.hidden),
                    static_cast<int32_t>(problem.layers), dropout_.get(), form == Form::kPadded ? cudnn::kPaddedIo : 0),
      "cudnnSetRNNDescriptor_v8");
  if (algorithm == cudnn::kPersistDynamic)
    accept(api().build_dynamic(handle_, rnn_.get(), static_cast<int>(problem.batch)), "cudnnBuildRNNDynamic");
}

void CudnnRnn::describe_data(const Scenario& scenario, Form form) {
  const Problem& problem = scenario.problem;
  const int type = data_type(scenario.dtype), batch = static_cast<int>(problem.batch);
  double zero = 0;  // of any dtype
  const int layout = form == Form::kPadded ? cudnn::kSeqMajorUnpacked : cudnn::kSeqMajorPacked;
  for (const auto& [data, features] : {std::pair(&x_desc_, problem.input), std::pair(&y_desc_, problem.outputs())})
    accept(api().set_data(data->get(), type, layout, host_lengths_[0], batch, static_cast<int>(features),
                          host_lengths_.data(), &zero),
           "cudnnSetRNNDataDescriptor");
  const int hidden = static_cast<int>(problem.hidden);
  const int dims[3] = {static_cast<int>(problem.layers * problem.directions), batch, hidden};
  const int strides[3] = {batch * hidden, hidden, 1};
  accept(api().set_tensor(state_desc_.get(), type, 3, dims, strides), "cudnnSetTensorNdDescriptor");
}

void CudnnRnn::allocate(const Tensors& tensors, const Scenario& scenario, Form form) {
  const Problem& problem = scenario.problem;
  const int64_t rows = form == Form::kPacked ? scenario.tokens() : scenario.padded_tokens();
  const int64_t state = problem.layers * problem.directions * problem.batch * problem.hidden;
  size_t weights = 0, workspace = 0, reserve = 0;
  accept(api().weight_bytes(handle_, rnn_.get(), &weights), "cudnnGetRNNWeightSpaceSize");
  accept(api().space_bytes(handle_, rnn_.get(), mode(), x_desc_.get(), &workspace, &reserve),
         "cudnnGetRNNTempSpaceSizes");
  device_lengths_ = Buffer<int32_t>(tensors.ctx, host_lengths_);
  tensors.ctx.sync();
  x_ = tensors.random(rows * problem.input, 1.0, 1);
  y_ = tensors.empty(rows * problem.outputs());
  h_n_ = tensors.empty(state);
  if (scenario.cell.has_c) c_n_ = tensors.empty(state);
  weights_ = tensors.random(static_cast<int64_t>(weights) / bytes_of(tensors.dtype), 0.05, 2);
  workspace_ = Memory(tensors.ctx, static_cast<int64_t>(workspace));
  reserve_ = Memory(tensors.ctx, static_cast<int64_t>(reserve));
  if (pass_ == Pass::kForward) return;
  dx_ = tensors.empty(rows * problem.input);
  dy_ = tensors.random(rows * problem.outputs(), 1.0, 3);
  dweights_ = Memory(tensors.ctx, weights_.bytes());
}

void CudnnRnn::forward() {
  accept(api().forward(handle_, rnn_.get(), mode(), lengths(), x_desc_.get(), x_.data(), y_desc_.get(), y_.data(),
                       state_desc_.get(), nullptr, h_n_.data(), state_desc_.get(), nullptr, c_n_.data(),
                       static_cast<size_t>(weights_.bytes()), weights_.data(), static_cast<size_t>(workspace_.bytes()),
                       workspace_.data(), static_cast<size_t>(reserve_.bytes()), reserve_.data()),
         "cudnnRNNForward");
}

void CudnnRnn::backward() {
  const auto weight_bytes = static_cast<size_t>(weights_.bytes());
  const auto workspace_bytes = static_cast<size_t>(workspace_.bytes());
  const auto reserve_bytes = static_cast<size_t>(reserve_.bytes());
  dweights_.zero(stream);
  accept(api().backward_data(handle_, rnn_.get(), lengths(), y_desc_.get(), y_.data(), dy_.data(), x_desc_.get(),
                             dx_.data(), state_desc_.get(), nullptr, nullptr, nullptr, state_desc_.get(), nullptr,
                             nullptr, nullptr, weight_bytes, weights_.data(), workspace_bytes, workspace_.data(),
                             reserve_bytes, reserve_.data()),
         "cudnnRNNBackwardData_v8");
  accept(api().backward_weights(handle_, rnn_.get(), cudnn::kAddGradients, lengths(), x_desc_.get(), x_.data(),
                                state_desc_.get(), nullptr, y_desc_.get(), y_.data(), weight_bytes, dweights_.data(),
                                workspace_bytes, workspace_.data(), reserve_bytes, reserve_.data()),
         "cudnnRNNBackwardWeights_v8");
}

}  // namespace

CudnnPeer::CudnnPeer(const Context& ctx, const Context& host, Clock* clock) : ctx_(ctx), host_(host), clock_(clock) {
  if (const int status = api().create(&handle_); status != cudnn::kSuccess)
    fail("cudnnCreate: {}", api().error_string(status));
  if (const int status = api().set_stream(handle_, clock->stream()); status != cudnn::kSuccess)
    fail("cudnnSetStream: {}", api().error_string(status));
}

CudnnPeer::~CudnnPeer() {
  api().destroy(handle_);
}

std::string CudnnPeer::version() const {
  return fmt::format("cudnn: version {}", api().version());
}

std::vector<CudnnPeer::Result> CudnnPeer::run(const Options& options, const Scenario& scenario, const Call& before) {
  std::vector<Result> results;
  const std::vector<int64_t>& lengths = scenario.lengths;
  if (*std::min_element(lengths.begin(), lengths.end()) < 1)
    return {{"cudnn", std::nullopt, "skipped, it takes no sequence of length 0"}};
  const Tensors tensors{ctx_, host_, scenario.dtype, scenario.dtype};
  for (const Name<Form>& form : kForms) {
    for (const Name<int>& algorithm : kAlgorithms) {
      Result result{fmt::format("cudnn {} {}", form.name, algorithm.name), std::nullopt, ""};
      try {
        CudnnRnn network(handle_, tensors, scenario, options.math, form.value, algorithm.value);
        network.stream = clock_->stream();
        network.prepare();
        result.timing = measure(
            clock_, [&](void*) { network.step(); }, before, options.graph, options.seconds);
      } catch (const std::runtime_error& error) {  // cuDNN's refusal, or a capture that it does not take
        result.refusal = text_of(error);
      }
      results.push_back(std::move(result));
    }
  }
  return results;
}

}  // namespace varlstm::lstm_driver
