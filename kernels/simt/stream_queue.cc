// The streams of the emulated runtime: their order, their captures, and graphs.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/stream_queue.h"

#include <string.h>

#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "capi/contract/environment.h"
#include "kernels/simt/context.h"
#include "kernels/simt/kernel_loading.h"
#include "kernels/simt/runtime_call.h"
#include "kernels/simt/runtime_control.h"

namespace varlstm::simt {
namespace {

struct Item {
  const char* name;
  cudaStream_t stream;
  Work work;
};

}  // namespace
}  // namespace varlstm::simt

struct CUgraph_st {
  std::vector<varlstm::simt::Item> items;
};
struct CUgraphExec_st {
  std::vector<varlstm::simt::Item> items;
};
struct CUstream_st {
  bool non_blocking = false;
  int device = 0;
  bool capturing = false;
  bool capture_is_valid = false;
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
  std::thread::id captured_by;
  CUgraph_st captured;
};

namespace varlstm::simt {
namespace {

StreamOrder order_of_environment() {
  const char* order = emulator_environment({"VARLSTM_EMULATOR_STREAMS", "eager late"});
  return order != nullptr && strcmp(order, "late") == 0 ? StreamOrder::kLate : StreamOrder::kEager;
}

thread_local cudaStreamCaptureMode mode_of_thread = cudaStreamCaptureModeGlobal;

struct Queue {
  std::mutex mutex;      // protects the members below
  std::mutex run_mutex;  // held while late work runs, so that another thread that needs it waits for its end
  StreamOrder order = order_of_environment();
  std::deque<Item> pending;  // of all streams, in the order of enqueueing
  std::set<cudaStream_t> capturing;
  bool recording = false;
  std::vector<EnqueuedWork> recorded;
};

// It is never destroyed, because other static objects may still free device memory.
Queue& queue() {
  static Queue* const instance = new Queue;
  return *instance;
}

bool waits_for_legacy_stream(cudaStream_t stream) {
  return stream != nullptr && !stream->non_blocking;
}

// Takes from the queue, in order, what must run before `stream` is done: its own work and, through the legacy stream,
// the work of blocking streams.
std::vector<Item> take_pending(cudaStream_t stream) {
  std::deque<Item>& pending = queue().pending;
  std::set<cudaStream_t> needed = {stream};
  bool legacy_needs_blocking = stream == nullptr;
  bool blocking_needs_legacy = waits_for_legacy_stream(stream);
  std::vector<bool> taken(pending.size());
  for (size_t k = pending.size(); k-- > 0;) {
    const cudaStream_t of = pending[k].stream;
    const bool wanted = needed.count(of) > 0 || (of == nullptr && blocking_needs_legacy) ||
                        (waits_for_legacy_stream(of) && legacy_needs_blocking);
    if (!wanted) continue;
    taken[k] = true;
    needed.insert(of);
    legacy_needs_blocking |= of == nullptr;
    blocking_needs_legacy |= waits_for_legacy_stream(of);
  }
  std::vector<Item> items;
  std::deque<Item> left;
  for (size_t k = 0; k < pending.size(); ++k) {
    if (taken[k])
      items.push_back(std::move(pending[k]));
    else
      left.push_back(std::move(pending[k]));
  }
  pending.swap(left);
  return items;
}

cudaError_t run_all(const std::vector<Item>& items) {
  for (const Item& item : items) {
    const cudaError_t error = item.work();
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

void invalidate_captures() {
  for (cudaStream_t stream : queue().capturing) stream->capture_is_valid = false;
}

// Returns whether the capture of `stream` forbids to this thread what captures may forbid.
bool forbids_this_thread(cudaStream_t stream) {
  if (mode_of_thread == cudaStreamCaptureModeRelaxed || stream->capture_mode == cudaStreamCaptureModeRelaxed)
    return false;
  if (stream->captured_by == std::this_thread::get_id()) return true;
  return mode_of_thread == cudaStreamCaptureModeGlobal && stream->capture_mode == cudaStreamCaptureModeGlobal;
}

// Returns the error that captures give to work in `stream`. The queue's mutex must be held.
cudaError_t check_captures(cudaStream_t stream) {
  if (stream == nullptr && !queue().capturing.empty()) {
    invalidate_captures();
    return cudaErrorStreamCaptureImplicit;
  }
  if (stream != nullptr && stream->capturing && !stream->capture_is_valid) return cudaErrorStreamCaptureInvalidated;
  return cudaSuccess;
}

// Like enqueue_work(), but it does not count as a call of the runtime.
cudaError_t place_work(cudaStream_t stream, const char* name, Work work) {
  Queue& all = queue();
  std::unique_lock<std::mutex> lock(all.mutex);
  const cudaError_t error = check_captures(stream);
  if (error != cudaSuccess) return error;
  if (all.recording) all.recorded.push_back({name, stream});
  if (stream != nullptr && stream->capturing) {
    stream->captured.items.push_back({name, stream, std::move(work)});
    return cudaSuccess;
  }
  if (all.order == StreamOrder::kLate) {
    all.pending.push_back({name, stream, std::move(work)});
    return cudaSuccess;
  }
  lock.unlock();
  return work();
}

}  // namespace

cudaError_t enqueue_work(cudaStream_t stream, const char* name, Work work) {
  const cudaError_t error = begin_device_call(name);
  return remember_error(error != cudaSuccess ? error : place_work(stream, name, std::move(work)));
}

namespace {

bool is_of_current_device(cudaStream_t stream) {
  return stream == nullptr || stream->device == current_device();
}

Work as_work(const std::function<void()>& work) {
  return [work] {
    work();
    return cudaSuccess;
  };
}

}  // namespace

cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, const char* name, Work work) {
  if (!is_of_current_device(stream)) return remember_error(cudaErrorInvalidResourceHandle);
  const cudaError_t error = load_kernel(kernel, name);
  return error != cudaSuccess ? remember_error(error) : enqueue_work(stream, name, std::move(work));
}

cudaError_t enqueue_host_work(cudaStream_t stream, const char* name, const std::function<void()>& work) {
  if (!is_of_current_device(stream)) return remember_error(cudaErrorInvalidResourceHandle);
  return enqueue_work(stream, name, as_work(work));
}

cudaError_t enqueue_cub_work(cudaStream_t stream, const void* kernel, const char* name,
                             const std::function<void()>& work) {
  const cudaError_t error = enqueue_kernel(stream, kernel, name, as_work(work));
  const cudaError_t seen = cudaGetLastError();
  return error != cudaSuccess ? error : seen;
}

cudaError_t finish_stream(cudaStream_t stream) {
  const std::lock_guard<std::mutex> running(queue().run_mutex);
  std::vector<Item> items;
  {
    const std::lock_guard<std::mutex> guard(queue().mutex);
    items = take_pending(stream);
  }
  return run_all(items);
}

cudaError_t finish_all_streams() {
  const std::lock_guard<std::mutex> running(queue().run_mutex);
  std::deque<Item> items;
  {
    const std::lock_guard<std::mutex> guard(queue().mutex);
    items.swap(queue().pending);
  }
  return run_all({items.begin(), items.end()});
}

cudaError_t forbid_in_capture() {
  const std::lock_guard<std::mutex> guard(queue().mutex);
  cudaError_t error = cudaSuccess;
  for (cudaStream_t stream : queue().capturing) {
    if (!forbids_this_thread(stream)) continue;
    stream->capture_is_valid = false;
    error = cudaErrorStreamCaptureUnsupported;
  }
  return error;
}

cudaError_t invalidate_capture(cudaStream_t stream) {
  const std::lock_guard<std::mutex> guard(queue().mutex);
  stream->capture_is_valid = false;
  return cudaErrorStreamCaptureUnsupported;
}

bool is_capturing(cudaStream_t stream) {
  const std::lock_guard<std::mutex> guard(queue().mutex);
  return stream != nullptr && stream->capturing;
}

void set_stream_order(StreamOrder order) {
  finish_all_streams();
  const std::lock_guard<std::mutex> guard(queue().mutex);
  queue().order = order;
}

void record_enqueued_work(bool on) {
  const std::lock_guard<std::mutex> guard(queue().mutex);
  queue().recording = on;
  queue().recorded.clear();
}

std::vector<EnqueuedWork> enqueued_work() {
  const std::lock_guard<std::mutex> guard(queue().mutex);
  return queue().recorded;
}

}  // namespace varlstm::simt

using namespace varlstm::simt;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const cudaError_t error = begin_device_call("cudaStreamCreateWithFlags");
  if (error != cudaSuccess) return remember_error(error);
  *stream = new CUstream_st;
  (*stream)->non_blocking = flags == cudaStreamNonBlocking;
  (*stream)->device = current_device();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return remember_error(cudaErrorInvalidValue);
  const cudaError_t error = finish_stream(stream);
  {
    const std::lock_guard<std::mutex> guard(queue().mutex);
    queue().capturing.erase(stream);
  }
  delete stream;
  return remember_error(error);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const cudaError_t error = begin_device_call("cudaStreamBeginCapture");
  if (error != cudaSuccess) return remember_error(error);
  if (stream == nullptr) return remember_error(cudaErrorStreamCaptureUnsupported);
  const std::lock_guard<std::mutex> guard(queue().mutex);
  if (stream->capturing) return remember_error(cudaErrorInvalidValue);
  stream->capturing = stream->capture_is_valid = true;
  stream->capture_mode = mode;
  stream->captured_by = std::this_thread::get_id();
  stream->captured.items.clear();
  queue().capturing.insert(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  const cudaError_t error = begin_device_call("cudaStreamEndCapture");
  if (error != cudaSuccess) return remember_error(error);
  const std::lock_guard<std::mutex> guard(queue().mutex);
  if (stream == nullptr || !stream->capturing) return remember_error(cudaErrorInvalidValue);
  stream->capturing = false;
  queue().capturing.erase(stream);
  if (!stream->capture_is_valid) return remember_error(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st(std::move(stream->captured));
  stream->captured.items.clear();
  return cudaSuccess;
}

CUresult cuCtxSynchronize() {
  const cudaError_t error = begin_device_call("cuCtxSynchronize");
  if (error != cudaSuccess) return static_cast<CUresult>(error);
  std::unique_lock<std::mutex> lock(queue().mutex);
  if (!queue().capturing.empty()) {
    invalidate_captures();
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  lock.unlock();
  return static_cast<CUresult>(finish_all_streams());
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(mode_of_thread, *mode);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  const cudaError_t error = begin_device_call("cudaGraphInstantiate");
  if (error != cudaSuccess) return remember_error(error);
  *exec = new CUgraphExec_st{graph->items};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  cudaError_t error = begin_device_call("cudaGraphLaunch");
  for (size_t k = 0; k < exec->items.size() && error == cudaSuccess; ++k)
    error = place_work(stream, exec->items[k].name, exec->items[k].work);
  return remember_error(error);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
