// The emulated CUDA runtime: order of streams, captures and graphs, faults.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <thread>
#include <vector>

#include "kernels/simt/memory.h"
#include "kernels/simt/options.h"
#include "kernels/simt/runtime_control.h"
#include "kernels/simt/stream_queue.h"
#include "tests/simt/launch_kernels.h"

namespace varlstm::test {
namespace {

using namespace varlstm::simt;

// A stream, and a word of device memory that starts as 0.
class Runtime : public ::testing::Test {
 protected:
  Runtime() {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&word_), sizeof *word_), cudaSuccess);
    *word_ = 0;
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cudaStreamCreateWithFlags(&blocking_, cudaStreamDefault), cudaSuccess);
  }
  ~Runtime() override {
    set_runtime_fault({});
    (void)cudaGetLastError();
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(blocking_), cudaSuccess);
    EXPECT_EQ(cudaFree(word_), cudaSuccess);
    set_stream_order(StreamOrder::kEager);
    record_enqueued_work(false);
  }

  cudaError_t add(cudaStream_t stream, uint32_t value) {
    return enqueue_host_work(stream, "add", [=] { *word_ = *word_ * 10 + value; });
  }

  uint32_t* word_ = nullptr;
  cudaStream_t stream_ = nullptr, blocking_ = nullptr;
};

TEST_F(Runtime, EagerWorkRunsAtOnce) {
  EXPECT_EQ(add(stream_, 1), cudaSuccess);
  EXPECT_EQ(*word_, 1u);
}

TEST_F(Runtime, LateWorkRunsWhenItsStreamIsWaitedFor) {
  set_stream_order(StreamOrder::kLate);
  EXPECT_EQ(add(stream_, 1), cudaSuccess);
  EXPECT_EQ(add(blocking_, 2), cudaSuccess);
  EXPECT_EQ(add(stream_, 3), cudaSuccess);
  EXPECT_EQ(*word_, 0u);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(*word_, 13u);
  EXPECT_EQ(cudaStreamSynchronize(blocking_), cudaSuccess);
  EXPECT_EQ(*word_, 132u);
}

TEST_F(Runtime, LegacyStreamWaitsForBlockingStreamsAndTheyForIt) {
  set_stream_order(StreamOrder::kLate);
  EXPECT_EQ(add(blocking_, 1), cudaSuccess);
  EXPECT_EQ(add(nullptr, 2), cudaSuccess);
  EXPECT_EQ(add(stream_, 3), cudaSuccess);
  EXPECT_EQ(add(blocking_, 4), cudaSuccess);
  EXPECT_EQ(add(nullptr, 5), cudaSuccess);
  EXPECT_EQ(add(blocking_, 6), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(blocking_), cudaSuccess);
  EXPECT_EQ(*word_, 12456u);
}

TEST_F(Runtime, CopiesFromTheHostAreStagedAndCopiesToItAreWaitedFor) {
  set_stream_order(StreamOrder::kLate);
  uint32_t value = 7;
  EXPECT_EQ(cudaMemcpyAsync(word_, &value, sizeof value, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  value = 8;
  EXPECT_EQ(*word_, 0u);
  EXPECT_EQ(cudaMemcpyAsync(&value, word_, sizeof value, cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  EXPECT_EQ(value, 7u);
  EXPECT_EQ(cudaMemcpyAsync(&value, &value, sizeof value, cudaMemcpyDeviceToHost, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(&value, 0, sizeof value, stream_), cudaErrorInvalidValue);
}

TEST_F(Runtime, FreeWaitsForWorkThatUsesTheMemory) {
  set_stream_order(StreamOrder::kLate);
  void* other = nullptr;
  ASSERT_EQ(cudaMalloc(&other, 64), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(other, 1, 64, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(word_, other, 4, cudaMemcpyDeviceToDevice, stream_), cudaSuccess);
  EXPECT_EQ(cudaFree(other), cudaSuccess);
  EXPECT_EQ(*word_, 0x01010101u);
}

TEST_F(Runtime, LateDefectIsTheErrorOfTheWait) {
  set_stream_order(StreamOrder::kLate);
  EXPECT_EQ(enqueue_work(stream_, "defective", [] { return cudaErrorLaunchFailure; }), cudaSuccess);
  EXPECT_EQ(add(stream_, 1), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorLaunchFailure);
  EXPECT_EQ(*word_, 0u) << "work ran behind a defect";
}

TEST_F(Runtime, GraphRepeatsWhatWasCaptured) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(add(stream_, 1), cudaSuccess);
  EXPECT_EQ(add(stream_, 2), cudaSuccess);
  EXPECT_EQ(*word_, 0u) << "captured work ran";
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, blocking_), cudaSuccess);
  EXPECT_EQ(*word_, 1212u);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
}

// Each of these ends the capture with an error.
TEST_F(Runtime, CaptureForbidsAllocationsWaitsAndTheLegacyStream) {
  uint32_t value = 0;
  const std::vector<std::function<cudaError_t()>> forbidden = {
      [&] {
        void* memory = nullptr;
        return cudaMalloc(&memory, 8);
      },
      [&] { return cudaFree(nullptr); },
      [&] { return cudaStreamSynchronize(stream_); },
      [&] { return cudaMemcpyAsync(&value, word_, sizeof value, cudaMemcpyDeviceToHost, stream_); },
      [&] { return cudaMemcpyAsync(word_, &value, sizeof value, cudaMemcpyHostToDevice, stream_); },
      [&] { return add(nullptr, 1); },
  };
  for (size_t k = 0; k < forbidden.size(); ++k) {
    SCOPED_TRACE(k);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(add(stream_, 1), cudaSuccess);
    const cudaError_t error = forbidden[k]();
    EXPECT_EQ(error, k + 1 < forbidden.size() ? cudaErrorStreamCaptureUnsupported : cudaErrorStreamCaptureImplicit);
    EXPECT_EQ(add(stream_, 1), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(*word_, 0u);
  }
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
}

TEST_F(Runtime, TheCallThatATestNamesFails) {
  set_runtime_fault({2, cudaErrorUnknown, false});
  EXPECT_EQ(add(stream_, 1), cudaSuccess);
  EXPECT_STREQ(failed_runtime_call(), "");
  EXPECT_EQ(add(stream_, 2), cudaErrorUnknown);
  EXPECT_STREQ(failed_runtime_call(), "add");
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(*word_, 1u);
  set_runtime_fault({1, cudaErrorIllegalAddress, true});
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  EXPECT_EQ(add(stream_, 2), cudaErrorIllegalAddress);
  EXPECT_STREQ(failed_runtime_call(), "cudaStreamSynchronize");
}

TEST_F(Runtime, LastErrorOfAThreadStaysUntilItIsRead) {
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, size_t{1} << 60), cudaErrorMemoryAllocation);
  EXPECT_EQ(add(stream_, 1), cudaSuccess);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorMemoryAllocation) << "a call that succeeds took it away";
  std::thread([] { EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess); }).join();
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  LaunchShape nothing;
  nothing.grid = dim3(0);
  EXPECT_EQ(launch_add(nothing, word_, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
}

// CUB looks at the last error behind its launches, whoever left it there.
TEST_F(Runtime, CubReturnsAnErrorThatNobodyRead) {
  static const char kKernel = 0;
  const auto sort = [&] { return enqueue_cub_work(stream_, &kKernel, "sort", [this] { ++*word_; }); };
  EXPECT_EQ(cudaSetDevice(7), cudaErrorInvalidDevice);
  EXPECT_EQ(sort(), cudaErrorInvalidDevice);
  EXPECT_EQ(sort(), cudaSuccess);
  EXPECT_EQ(*word_, 2u);
}

TEST_F(Runtime, ADeadDevicesErrorIsNeverReadAway) {
  set_runtime_fault({1, cudaErrorIllegalAddress, true});
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "no call has failed yet";
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
}

// Two devices, and this thread back on the first at the end.
class TwoDevices : public Runtime {
 protected:
  TwoDevices() { setenv("VARLSTM_EMULATOR_DEVICES", "2", 1); }
  ~TwoDevices() override {
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
    unsetenv("VARLSTM_EMULATOR_DEVICES");
  }
};

TEST_F(TwoDevices, TheirNumberIsRead) {
  int count = -1;
  for (const int devices : {1, 2}) {
    setenv("VARLSTM_EMULATOR_DEVICES", std::to_string(devices).c_str(), 1);
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
    EXPECT_EQ(count, devices);
  }
  for (const char* wrong : {"3", "-1", "two", "2x", ""}) {
    setenv("VARLSTM_EMULATOR_DEVICES", wrong, 1);
    EXPECT_DEATH(cudaGetDeviceCount(&count), "VARLSTM_EMULATOR_DEVICES = .* is no number in 0 ... 2") << wrong;
  }
  setenv("VARLSTM_EMULATOR_DEVICES", "2", 1);
}

TEST_F(TwoDevices, EachThreadHasACurrentOne) {
  int device = -1;
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 1);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 1);
  std::thread([] {
    int other = -1;
    EXPECT_EQ(cudaGetDevice(&other), cudaSuccess);
    EXPECT_EQ(other, 0);
  }).join();
}

bool is_used(CUdevice device) {
  unsigned flags = 1;
  int active = -1;
  EXPECT_EQ(cuDevicePrimaryCtxGetState(device, &flags, &active), CUDA_SUCCESS);
  EXPECT_EQ(flags, 0u);
  return active == 1;
}

TEST_F(TwoDevices, OneGetsAContextWhenItIsChosenOrByTheFirstCallThatNeedsIt) {
  forget_contexts();
  int device = -1;
  CUcontext context = nullptr;
  EXPECT_EQ(cudaGetDeviceCount(&device), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 0);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_FALSE(is_used(0));
  EXPECT_EQ(cuCtxGetCurrent(&context), CUDA_SUCCESS);
  EXPECT_EQ(context, nullptr);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_TRUE(is_used(1));
  EXPECT_FALSE(is_used(0));
  EXPECT_EQ(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
  std::thread([] { EXPECT_EQ(cudaFree(nullptr), cudaSuccess); }).join();
  EXPECT_TRUE(is_used(0));
  unsigned flags = 0;
  int active = 0;
  EXPECT_EQ(cuDevicePrimaryCtxGetState(2, &flags, &active), CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(TwoDevices, TheRuntimeWorksInTheContextThatIsCurrent) {
  int device = -1;
  CUcontext context = nullptr;
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(cuCtxGetCurrent(&context), CUDA_SUCCESS);
  EXPECT_EQ(cuCtxSetCurrent(context_beside_the_primary(1)), CUDA_SUCCESS);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 1);
  EXPECT_EQ(cuCtxSetCurrent(context), CUDA_SUCCESS);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 0);
}

TEST_F(TwoDevices, AKernelRunsOnTheCurrentOneAndInItsStreamsAlone) {
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(add(stream_, 1), cudaErrorInvalidResourceHandle);
  cudaStream_t own = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), cudaSuccess);
  EXPECT_EQ(add(own, 1), cudaSuccess);
  EXPECT_EQ(add(nullptr, 2), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(word_, 0, sizeof *word_, stream_), cudaSuccess) << "a fill reaches every device";
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(add(own, 1), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamSynchronize(own), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(own), cudaSuccess);
}

#if !defined(__SANITIZE_ADDRESS__)  // there the kernels' accesses are not looked at one by one
TEST_F(TwoDevices, AKernelThatReachesMemoryOfTheOtherIsADefect) {
  LaunchShape shape;
  uint32_t* other = nullptr;
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&other), sizeof *other), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(other, 0, sizeof *other, nullptr), cudaSuccess);
  EXPECT_EQ(launch_add(shape, other, 1), cudaSuccess);
  EXPECT_EQ(*other, 1u);
  EXPECT_EQ(launch_add(shape, word_, 1), cudaErrorLaunchFailure);
  EXPECT_NE(last_report().find("another device: "), std::string::npos) << last_report();
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(launch_add(shape, other, 1), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaFree(other), cudaSuccess);
}
#endif

// A capture of this thread's, which something forbidden makes invalid.
class CaptureModes : public Runtime {
 protected:
  ~CaptureModes() override { set_lazy_loading(false); }

  void begin(cudaStreamCaptureMode mode) { ASSERT_EQ(cudaStreamBeginCapture(stream_, mode), cudaSuccess); }
  bool end() {
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream_, &graph);
    if (error != cudaSuccess) return false;
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    return true;
  }
  static cudaError_t in_another_thread(cudaStreamCaptureMode mode) {
    cudaError_t error = cudaSuccess;
    std::thread([&] {
      EXPECT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
      error = cudaFree(nullptr);
    }).join();
    return error;
  }
};

TEST_F(CaptureModes, AGlobalCaptureForbidsFreesInEveryThreadThatDoesNotAskForMore) {
  begin(cudaStreamCaptureModeGlobal);
  EXPECT_EQ(in_another_thread(cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(in_another_thread(cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_TRUE(end());
  begin(cudaStreamCaptureModeGlobal);
  EXPECT_EQ(in_another_thread(cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
  EXPECT_FALSE(end());
  begin(cudaStreamCaptureModeThreadLocal);
  EXPECT_EQ(in_another_thread(cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_TRUE(end());
  begin(cudaStreamCaptureModeThreadLocal);
  EXPECT_EQ(cudaFree(nullptr), cudaErrorStreamCaptureUnsupported);
  EXPECT_FALSE(end());
}

TEST_F(CaptureModes, AThreadThatIsRelaxedMayFreeInItsOwnCapture) {
  begin(cudaStreamCaptureModeGlobal);
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  EXPECT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
  EXPECT_EQ(mode, cudaStreamCaptureModeGlobal);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), cudaSuccess);
  EXPECT_EQ(mode, cudaStreamCaptureModeRelaxed);
  EXPECT_TRUE(end());
}

TEST_F(CaptureModes, NoCaptureAllowsToWaitForTheDevice) {
  EXPECT_EQ(cuCtxSynchronize(), CUDA_SUCCESS);
  for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeRelaxed}) {
    begin(mode);
    std::thread([] {
      cudaStreamCaptureMode relaxed = cudaStreamCaptureModeRelaxed;
      EXPECT_EQ(cudaThreadExchangeStreamCaptureMode(&relaxed), cudaSuccess);
      EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }).join();
    EXPECT_FALSE(end());
  }
  set_stream_order(StreamOrder::kLate);
  EXPECT_EQ(add(stream_, 1), cudaSuccess);
  EXPECT_EQ(add(blocking_, 2), cudaSuccess);
  EXPECT_EQ(*word_, 0u);
  EXPECT_EQ(cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(*word_, 12u);
}

TEST_F(CaptureModes, AKernelIsLoadedAtItsFirstUseWhichACaptureForbids) {
  LaunchShape shape;
  set_lazy_loading(true);
  begin(cudaStreamCaptureModeGlobal);
  EXPECT_EQ(launch_add(shape, word_, 1, stream_), cudaErrorStreamCaptureUnsupported);
  EXPECT_FALSE(end());
  EXPECT_EQ(launch_add(shape, word_, 1), cudaSuccess);
  begin(cudaStreamCaptureModeGlobal);
  EXPECT_EQ(launch_add(shape, word_, 1, stream_), cudaSuccess) << "it is loaded";
  EXPECT_TRUE(end());
  set_lazy_loading(true);
  begin(cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(launch_add(shape, word_, 1, stream_), cudaSuccess);
  EXPECT_TRUE(end());
  set_lazy_loading(false);
  begin(cudaStreamCaptureModeGlobal);
  EXPECT_EQ(launch_add(shape, word_, 1, stream_), cudaSuccess);
  EXPECT_TRUE(end());
}

TEST_F(Runtime, PageLockedMemoryIsReadWhenTheStreamComesToIt) {
  uint32_t* host = nullptr;
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&host), 2 * sizeof *host), cudaSuccess);
  set_stream_order(StreamOrder::kLate);
  host[0] = 7;
  EXPECT_EQ(cudaMemcpyAsync(word_, host, sizeof *host, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(host + 1, word_, sizeof *host, cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  host[0] = 8;
  host[1] = 0;
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(*word_, 8u);
  EXPECT_EQ(host[1], 8u);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(word_, host, sizeof *host, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (const uint32_t value : {1u, 2u}) {
    host[0] = value;
    EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    EXPECT_EQ(*word_, value);
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(host), cudaSuccess);
}

TEST_F(Runtime, TellsWhatWasEnqueued) {
  record_enqueued_work(true);
  LaunchShape shape;
  EXPECT_EQ(launch_add(shape, word_, 1), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(word_, 0, sizeof *word_, stream_), cudaSuccess);
  const std::vector<EnqueuedWork> work = enqueued_work();
  ASSERT_EQ(work.size(), 2u);
  EXPECT_EQ(work[0].name, "add");
  EXPECT_EQ(work[0].stream, nullptr);
  EXPECT_EQ(work[1].name, "cudaMemsetAsync");
  EXPECT_EQ(work[1].stream, stream_);
}

}  // namespace
}  // namespace varlstm::test
