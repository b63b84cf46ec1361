// CUDA events and graphs: see clock.h. libvarlstm has a CUDA runtime of its own; both use the device's primary context,
// so streams and memory are the same.
// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include <algorithm>

#include "bench/lstm_driver/clock.h"
#include "bench/lstm_driver/error.h"

namespace varlstm::lstm_driver {
namespace {

void check_cuda(cudaError_t error, const char* call) {
  if (error != cudaSuccess) fail("{}: {}", call, cudaGetErrorString(error));
}

struct Graph {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;

  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    if (exec != nullptr) cudaGraphExecDestroy(exec);
    if (graph != nullptr) cudaGraphDestroy(graph);
  }
};

int64_t kernels_of(cudaGraph_t graph) {
  size_t count = 0;
  check_cuda(cudaGraphGetNodes(graph, nullptr, &count), "cudaGraphGetNodes");
  std::vector<cudaGraphNode_t> nodes(count);
  check_cuda(cudaGraphGetNodes(graph, nodes.data(), &count), "cudaGraphGetNodes");
  return std::count_if(nodes.begin(), nodes.end(), [](cudaGraphNode_t node) {
    cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
    check_cuda(cudaGraphNodeGetType(node, &type), "cudaGraphNodeGetType");
    return type == cudaGraphNodeTypeKernel;
  });
}

class EventClock : public Clock {
 public:
  explicit EventClock(int device) : device_(device) {
    check_cuda(cudaSetDevice(device), "cudaSetDevice");
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check_cuda(cudaEventCreate(&start_), "cudaEventCreate");
    check_cuda(cudaEventCreate(&stop_), "cudaEventCreate");
  }
  ~EventClock() override {
    cudaEventDestroy(stop_);
    cudaEventDestroy(start_);
    cudaStreamDestroy(stream_);
  }

  std::string name() const override { return "CUDA events"; }
  std::string device() const override {
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, device_), "cudaGetDeviceProperties");
    return properties.name;
  }
  void* stream() const override { return stream_; }
  void start() override { check_cuda(cudaEventRecord(start_, stream_), "cudaEventRecord"); }
  double stop() override {
    check_cuda(cudaEventRecord(stop_, stream_), "cudaEventRecord");
    check_cuda(cudaEventSynchronize(stop_), "cudaEventSynchronize");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  }

  // A capture counts the launches even where calls are timed; what cannot be captured then is timed all the same.
  Prepared prepare(const Call& call, bool graph) override {
    try {
      const std::shared_ptr<Graph> captured = capture(call);
      const int64_t launches = kernels_of(captured->graph);
      if (!graph) return {call, launches};
      check_cuda(cudaGraphInstantiate(&captured->exec, captured->graph, 0), "cudaGraphInstantiate");
      const auto replay = [captured](void* stream) {
        check_cuda(cudaGraphLaunch(captured->exec, static_cast<cudaStream_t>(stream)), "cudaGraphLaunch");
      };
      replay(stream_);
      return {replay, launches};
    } catch (const std::runtime_error&) {
      if (graph) throw;
      cudaGetLastError();
      return {call, -1};
    }
  }

 private:
  std::shared_ptr<Graph> capture(const Call& call) {
    check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    auto captured = std::make_shared<Graph>();
    check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      call(stream_);
    } catch (...) {  // the stream must leave capture, or everything after fails too
      cudaStreamEndCapture(stream_, &captured->graph);
      throw;
    }
    check_cuda(cudaStreamEndCapture(stream_, &captured->graph), "cudaStreamEndCapture");
    return captured;
  }

  int device_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

}  // namespace

std::unique_ptr<Clock> make_event_clock(const Context& ctx) {
  return std::make_unique<EventClock>(static_cast<int>(ctx.get_i64(VARLSTM_KEY_DEVICE)));
}

}  // namespace varlstm::lstm_driver
