// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/device_figures.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>

#include "bench/exchange/session.h"

namespace varlstm::bench {
namespace {

constexpr unsigned kThreads = 256;
constexpr int64_t kChainLength = 1000;
constexpr size_t kCopyBytes = size_t{1} << 30;  // many times what an L2 holds

int attribute(cudaDeviceAttr which) {
  int device = 0;
  int value = 0;
  require(cudaGetDevice(&device), "cudaGetDevice");
  require(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

class Stream {
 public:
  Stream() { require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

struct Timed {
  double device_ns;
  double host_ns;  // until the last call had returned
};

// What `enqueue` puts on the stream.
Timed time_work(const Stream& stream, const std::function<void()>& enqueue) {
  cudaEvent_t begin, end;
  require(cudaEventCreate(&begin), "cudaEventCreate");
  require(cudaEventCreate(&end), "cudaEventCreate");
  require(cudaEventRecord(begin, stream.get()), "cudaEventRecord");
  const auto start = std::chrono::steady_clock::now();
  enqueue();
  const std::chrono::duration<double, std::nano> host = std::chrono::steady_clock::now() - start;
  require(cudaEventRecord(end, stream.get()), "cudaEventRecord");
  require(cudaEventSynchronize(end), "cudaEventSynchronize");
  float ms = 0;
  require(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return {ms * 1e6, host.count()};
}

// A chain of kernels, captured.
class ChainGraph {
 public:
  ChainGraph(const Stream& stream, unsigned blocks, uint64_t* word) {
    cudaGraph_t graph = nullptr;
    require(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    const cudaError_t error = launch_chain(kChainLength, blocks, word, stream.get());
    require(cudaStreamEndCapture(stream.get(), &graph), "cudaStreamEndCapture");
    require(error, "launch_chain");
    require(cudaGraphInstantiate(&executable_, graph, 0), "cudaGraphInstantiate");
    cudaGraphDestroy(graph);
  }
  ~ChainGraph() { cudaGraphExecDestroy(executable_); }
  ChainGraph(const ChainGraph&) = delete;
  ChainGraph& operator=(const ChainGraph&) = delete;
  void launch(const Stream& stream) const { require(cudaGraphLaunch(executable_, stream.get()), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

// Whether a captured chain ran each of its kernels once and in turn.
std::string check_graph(const Stream& stream, unsigned blocks) {
  const DeviceMemory word(sizeof(uint64_t));
  word.fill_zeros();
  require(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");  // the other stream does not wait for this one
  const ChainGraph graph(stream, blocks, static_cast<uint64_t*>(word.get()));
  graph.launch(stream);
  require(cudaStreamSynchronize(stream.get()), "cudaGraphLaunch");
  uint64_t came = 0;
  word.read(&came, sizeof came);
  return came == expected_chain(kChainLength) ? "" : "the kernels of the graph did not run each once, in turn";
}

}  // namespace

unsigned multiprocessor_count() {
  return static_cast<unsigned>(attribute(cudaDevAttrMultiProcessorCount));
}

bool has_warpgroup_products() {
  return attribute(cudaDevAttrComputeCapabilityMajor) == 9;
}

std::vector<std::pair<std::string, std::string>> describe_device() {
  int device = 0;
  int driver = 0;
  int runtime = 0;
  cudaDeviceProp properties;
  require(cudaGetDevice(&device), "cudaGetDevice");
  require(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  require(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  require(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  std::string kernel_module;
  std::ifstream version("/proc/driver/nvidia/version");
  std::getline(version, kernel_module);
  return {{"name", properties.name},
          {"driver", kernel_module},
          {"driver_cuda_version", std::to_string(driver)},
          {"runtime_cuda_version", std::to_string(runtime)},
          {"compute_capability", std::to_string(properties.major) + "." + std::to_string(properties.minor)},
          {"multiprocessors", std::to_string(properties.multiProcessorCount)},
          {"clock_khz", std::to_string(attribute(cudaDevAttrClockRate))},
          {"memory_clock_khz", std::to_string(attribute(cudaDevAttrMemoryClockRate))},
          {"l2_bytes", std::to_string(properties.l2CacheSize)},
          {"memory_bytes", std::to_string(properties.totalGlobalMem)}};
}

unsigned resident_clusters(unsigned size, size_t shared_bytes) {
  const void* kernel = exchange_kernel(Mechanism::kClusterPush);
  require(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "cudaFuncSetAttribute");
  require(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          "cudaFuncSetAttribute");
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(size * multiprocessor_count());
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = shared_bytes;
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {size, 1, 1};
  config.attrs = &cluster;
  config.numAttrs = 1;
  int count = 0;
  if (cudaOccupancyMaxActiveClusters(&count, kernel, &config) != cudaSuccess) {
    cudaGetLastError();  // an unsupported size is an answer
    return 0;
  }
  return static_cast<unsigned>(count);
}

std::vector<Figure> resident_cluster_figures() {
  std::vector<Figure> figures;
  for (unsigned size : {2u, 4u, 8u, 16u})
    for (size_t kib : {size_t{100}, size_t{160}, size_t{200}})
      figures.push_back({"resident clusters",
                         {{"cluster", size}, {"shared_kib", static_cast<int64_t>(kib)}},
                         "clusters",
                         {static_cast<double>(resident_clusters(size, kib << 10))},
                         ""});
  return figures;
}

std::vector<Figure> launch_figures(int repetitions) {
  std::vector<Figure> figures;
  const Stream stream;
  for (unsigned blocks : {1u, multiprocessor_count()}) {
    const std::vector<std::pair<std::string, int64_t>> where{{"blocks", blocks}};
    Figure in_stream{"kernel after kernel", where, "ns", {}, check_chain(kChainLength, blocks)};
    Figure in_graph{"kernel after kernel, graph", where, "ns", {}, check_graph(stream, blocks)};
    Figure enqueued{"enqueue a kernel, host", where, "ns", {}, ""};
    const ChainGraph graph(stream, blocks, nullptr);
    for (int repetition = -1; repetition < repetitions; ++repetition) {
      const Timed chain = time_work(
          stream, [&] { require(launch_chain(kChainLength, blocks, nullptr, stream.get()), "launch_chain"); });
      const Timed replay = time_work(stream, [&] { graph.launch(stream); });
      if (repetition < 0) continue;  // a warm-up
      in_stream.samples.push_back(chain.device_ns / kChainLength);
      in_graph.samples.push_back(replay.device_ns / kChainLength);
      enqueued.samples.push_back(chain.host_ns / kChainLength);
    }
    for (Figure* figure : {&in_stream, &in_graph, &enqueued}) figures.push_back(std::move(*figure));
  }
  return figures;
}

Figure copy_figure(int repetitions) {
  constexpr int kPattern = 0x5a;
  const Stream stream;
  const DeviceMemory from(kCopyBytes);
  const DeviceMemory to(kCopyBytes);
  require(cudaMemset(from.get(), kPattern, kCopyBytes), "cudaMemset");
  require(cudaMemset(to.get(), 0, kCopyBytes), "cudaMemset");
  require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  Figure figure{"copy, read and written", {{"bytes", static_cast<int64_t>(kCopyBytes)}}, "GB/s", {}, ""};
  for (int repetition = -1; repetition < repetitions; ++repetition) {
    const Timed copy = time_work(stream, [&] {
      require(cudaMemcpyAsync(to.get(), from.get(), kCopyBytes, cudaMemcpyDeviceToDevice, stream.get()),
              "cudaMemcpyAsync");
    });
    if (repetition >= 0) figure.samples.push_back(2.0 * static_cast<double>(kCopyBytes) / copy.device_ns);
  }
  std::vector<unsigned char> came(kCopyBytes);
  to.read(came.data(), came.size());
  const bool arrived = std::all_of(came.begin(), came.end(), [](unsigned char byte) { return byte == kPattern; });
  if (!arrived) figure.failure = "the copy differs from what was copied";
  return figure;
}

}  // namespace varlstm::bench
