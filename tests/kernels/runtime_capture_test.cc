// Captured streams: the first call of a process, finalisers that run meanwhile, and copies of the host's memory. For
// the emulated build, which forgets on demand what is loaded, and runs work late.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <stdlib.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/core/runtime.h"
#include "kernels/gemm/blas_handles.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/runtime_control.h"
#include "support/buffer.h"
#include "support/cell_options.h"
#include "support/random.h"
#include "support/rnn_case.h"
#include "support/rnn_runner.h"
#include "support/tagger_step.h"

namespace varlstm_test {
namespace {

// A stream; what is captured in it.
class Capture {
 public:
  Capture() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() {
    if (exec_ != nullptr) {
      EXPECT_EQ(cudaGraphExecDestroy(exec_), cudaSuccess);
    }
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
  }

  cudaStream_t stream() const { return stream_; }
  void begin() { EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess); }
  cudaError_t end() {
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream_, &graph);
    if (error != cudaSuccess) return error;
    EXPECT_EQ(cudaGraphInstantiate(&exec_, graph, 0), cudaSuccess);
    return cudaGraphDestroy(graph);
  }
  void replay() { EXPECT_EQ(cudaGraphLaunch(exec_, stream_), cudaSuccess); }

 private:
  cudaStream_t stream_ = nullptr;
  cudaGraphExec_t exec_ = nullptr;
};

// A process in which no kernel was used yet.
class FirstCall : public ::testing::TestWithParam<int32_t> {
 protected:
  FirstCall() { varlstm::simt::set_lazy_loading(true); }
};

TEST_P(FirstCall, OfATaggersStepMayBeCaptured) {
  const Context ctx = make_context();
  TaggerStep step(ctx.get(), {4, 6, 16}, GetParam());
  step.set_input({3, 1, 2, 6}, 1);
  Capture capture;
  capture.begin();
  step.enqueue(capture.stream());
  ASSERT_EQ(capture.end(), cudaSuccess);
  capture.replay();
  EXPECT_OK(varlstm_sync(ctx.get(), capture.stream()));
  EXPECT_TRUE(std::isfinite(step.loss()));
}

std::string label(const ::testing::TestParamInfo<int32_t>& tested) {
  return tested.param == VARLSTM_RECURRENCE_STEPWISE  ? "stepwise"
         : tested.param == VARLSTM_RECURRENCE_CLUSTER ? "cluster"
                                                      : "grid";
}
INSTANTIATE_TEST_SUITE_P(Recurrences, FirstCall,
                         ::testing::Values(VARLSTM_RECURRENCE_STEPWISE, VARLSTM_RECURRENCE_CLUSTER,
                                           VARLSTM_RECURRENCE_GRID),
                         label);

// The operations that a tagger's step has not, each the first call after a context and a batch are made.
class FirstOperation : public ::testing::TestWithParam<int32_t> {
 protected:
  static constexpr int64_t kRows = 7, kClasses = 3, kBytes = 128 << 10;

  FirstOperation() { varlstm::simt::set_lazy_loading(true); }

  // `call` gets four pieces of memory, kBytes of zeros each.
  static void capture(int32_t dtype, int64_t max_batch,
                      const std::function<int32_t(varlstm_ctx*, varlstm_batch*, char* const*, void*)>& call) {
    varlstm::simt::set_lazy_loading(true);
    const Context ctx = make_context();
    const Batch batch = make_batch(ctx.get(), std::vector<int64_t>(static_cast<size_t>(max_batch), 1));
    ByteBuffer first(ctx.get(), kBytes), second(ctx.get(), kBytes), third(ctx.get(), kBytes), fourth(ctx.get(), kBytes);
    for (ByteBuffer* buffer : {&first, &second, &third, &fourth})
      ASSERT_OK(varlstm_zero(ctx.get(), buffer->data(), kBytes, nullptr));
    char* const memory[4] = {bytes_of(first), bytes_of(second), bytes_of(third), bytes_of(fourth)};
    Capture capture;
    capture.begin();
    EXPECT_OK(call(ctx.get(), batch.get(), memory, capture.stream())) << "dtype " << dtype;
    EXPECT_EQ(capture.end(), cudaSuccess) << "dtype " << dtype;
  }

  static char* bytes_of(ByteBuffer& buffer) { return reinterpret_cast<char*>(buffer.data()); }
};

TEST_P(FirstOperation, MayBeCaptured) {
  const int32_t dtype = GetParam();
  using Call = std::function<int32_t(varlstm_ctx*, varlstm_batch*, char* const*, void*)>;
  const int32_t dtype_of_params = dtype == VARLSTM_DTYPE_F64 ? dtype : VARLSTM_DTYPE_F32;
  const Call calls[] = {
      [=](varlstm_ctx* ctx, varlstm_batch*, char* const* m, void* stream) {
        return varlstm_sgd_step(ctx, dtype_of_params, kRows, 0.1, 0.9, 0.0, 0, m[0], m[1], m[2], stream);
      },
      [=](varlstm_ctx* ctx, varlstm_batch*, char* const* m, void* stream) {
        return varlstm_dropout_forward(ctx, dtype, kRows, 0.5, 3, m[0], m[1], stream);
      },
      [=](varlstm_ctx* ctx, varlstm_batch*, char* const* m, void* stream) {
        return varlstm_log_softmax_forward(ctx, dtype, kRows, kClasses, m[0], m[1], stream);
      },
      [=](varlstm_ctx* ctx, varlstm_batch*, char* const* m, void* stream) {
        return varlstm_log_softmax_backward(ctx, dtype, kRows, kClasses, m[0], m[1], m[2], stream);
      },
      [=](varlstm_ctx* ctx, varlstm_batch*, char* const* m, void* stream) {
        return varlstm_linear_backward(ctx, dtype, 3, 3, kClasses, m[0], m[1], m[2], nullptr, m[3], nullptr, m[3] + 512,
                                       kBytes - 512, stream);
      },
      [=](varlstm_ctx*, varlstm_batch* batch, char* const* m, void* stream) {
        return varlstm_unpack(batch, dtype, VARLSTM_LAYOUT_TIME_MAJOR, 1, 1, 0.0, m[0], m[1], stream);
      },
      [=](varlstm_ctx*, varlstm_batch* batch, char* const* m, void* stream) {
        return varlstm_pack_backward(batch, dtype, VARLSTM_LAYOUT_RAGGED, 0, 1, m[0], m[1], stream);
      },
      [=](varlstm_ctx* ctx, varlstm_batch*, char* const* m, void* stream) {
        return varlstm_convert(ctx, dtype, VARLSTM_DTYPE_F64, kRows, m[0], m[1], stream);
      },
  };
  for (const Call& call : calls) capture(dtype, kRows, call);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, FirstOperation,
                         ::testing::Values(VARLSTM_DTYPE_F32, VARLSTM_DTYPE_F64, VARLSTM_DTYPE_BF16,
                                           VARLSTM_DTYPE_F16));

// More sequences than CUB sorts in one block: by other kernels.
TEST(FirstSort, OfManySequencesMayBeCaptured) {
  constexpr int64_t kMany = 5000;
  varlstm::simt::set_lazy_loading(true);
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {}, {kMany, 2, 2 * kMany});
  Buffer<int64_t> lengths(ctx.get(), std::vector<int64_t>(kMany, 1));
  for (const int64_t count : {int64_t{3}, kMany}) {
    Capture capture;
    capture.begin();
    EXPECT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), count, VARLSTM_SPACE_BACKEND, capture.stream()));
    EXPECT_EQ(capture.end(), cudaSuccess) << count;
  }
}

// A backward that is replayed draws the masks of the forward before it, whose seed is in the reserve.
TEST(CapturedBackward, TakesTheSeedOfTheForwardBefore) {
  const Context ctx = make_context();
  Random random(5);
  RnnOptions options;
  options.input = 3, options.hidden = 5, options.bidirectional = true;
  options.projects = true;
  set_all(options, VARLSTM_RECURRENT_DROPOUT_STATE);
  RnnRunner<float> runner(ctx.get(), make_rnn_case<float>(options, {4, 0, 2}, false, random));
  const std::vector<float> upstream = random.vector<float>(runner.y().count());
  Buffer<float> dy(ctx.get(), upstream), dx(ctx.get(), runner.x().count());
  const auto backward = [&](void* stream) {
    return varlstm_rnn_backward(runner.rnn(), runner.batch(), runner.params().data(), runner.x().data(), nullptr,
                                nullptr, runner.y().data(), dy.data(), nullptr, nullptr, dx.data(), nullptr, nullptr,
                                nullptr, runner.workspace().data(), runner.workspace().bytes(), runner.reserve().data(),
                                runner.reserve().bytes(), stream);
  };
  std::vector<std::vector<float>> expected;
  for (const uint64_t seed : {0, 7, 8}) {
    runner.forward(VARLSTM_MODE_SAVE, seed);
    EXPECT_OK(backward(nullptr));
    expected.push_back(dx.get());
    EXPECT_NE(expected[0] == expected.back(), seed != 0);
  }
  Capture capture;
  capture.begin();
  EXPECT_OK(backward(capture.stream()));
  ASSERT_EQ(capture.end(), cudaSuccess);
  for (const uint64_t seed : {8, 7}) {
    runner.forward(VARLSTM_MODE_SAVE, seed);
    dx.fill_nan();
    capture.replay();
    EXPECT_OK(varlstm_sync(ctx.get(), capture.stream()));
    EXPECT_EQ(dx.get(), expected[static_cast<size_t>(seed - 6)]);
  }
}

// Everything that a finaliser may give back, while a stream of `ctx` is captured.
class Finalisers : public ::testing::Test {
 protected:
  Finalisers() {
    other_ = make_context();
    batch_ = make_batch(ctx_.get(), {2, 1});
    RnnOptions options;
    options.input = 2, options.hidden = 3;
    rnn_ = make_rnn(ctx_.get(), options, VARLSTM_DTYPE_F32);
    loss_ = make_loss(ctx_.get(), 3);
    REQUIRE_OK(varlstm_alloc(ctx_.get(), 64, &memory_));
    allocations_ = varlstm::simt::device_allocations();
  }

  void run() {
    batch_.reset();
    rnn_.reset();
    loss_.reset();
    EXPECT_OK(varlstm_free(ctx_.get(), memory_));
    other_.reset();
  }

  // The batch's arrays, the memory, and the other context's status word.
  int64_t freed() const { return allocations_ - varlstm::simt::device_allocations(); }

  Context ctx_ = make_context(), other_;
  Batch batch_;
  Rnn rnn_;
  Loss loss_;
  void* memory_ = nullptr;
  int64_t allocations_ = 0;
};

TEST_F(Finalisers, OfTheThreadThatCapturesLeaveTheCaptureValid) {
  Buffer<float> values(ctx_.get(), std::vector<float>{1, 2});
  const int64_t with_values = varlstm::simt::device_allocations() - allocations_;
  Capture capture;
  capture.begin();
  EXPECT_OK(varlstm_zero(ctx_.get(), values.data(), values.bytes(), capture.stream()));
  run();
  ASSERT_EQ(capture.end(), cudaSuccess);
  EXPECT_EQ(freed() + with_values, 3);
  capture.replay();
  EXPECT_OK(varlstm_sync(ctx_.get(), capture.stream()));
  EXPECT_EQ(values.get(), (std::vector<float>{0, 0}));
}

TEST_F(Finalisers, OfAnotherThreadLeaveTheCaptureValid) {
  Capture capture;
  capture.begin();
  std::thread([this] { run(); }).join();
  EXPECT_EQ(capture.end(), cudaSuccess);
  EXPECT_EQ(freed(), 3);
}

// What is forbidden in a capture still is, for the thread that has freed.
TEST_F(Finalisers, LeaveTheThreadsModeAsItWas) {
  run();
  Capture capture;
  capture.begin();
  EXPECT_EQ(cudaFree(nullptr), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(capture.end(), cudaErrorStreamCaptureInvalidated);
  (void)cudaGetLastError();
}

// A graph of setting resets, which the device alone knows, and of a forward: each launch runs with the flags that are
// in the device's memory then. The first call with flags allocates, so it is before the capture.
TEST(CapturedResets, AreThoseOfEachLaunch) {
  constexpr int64_t kTokens = 10, kInput = 2, kHidden = 5;
  const Context ctx = make_context();
  Random random(11);
  RnnOptions options;
  options.input = kInput;
  options.hidden = kHidden;
  options.bidirectional = true;
  options.resets = true;
  options.recurrence = VARLSTM_RECURRENCE_STEPWISE;
  const Rnn rnn = make_rnn(ctx.get(), options, VARLSTM_DTYPE_F32);
  const Batch captured = make_batch(ctx.get(), {4, 1, 5}), eager = make_batch(ctx.get(), {4, 1, 5});
  const Buffer<float> params(ctx.get(), random.vector<float>(rnn_param_count(options)));
  const Buffer<float> x(ctx.get(), random.vector<float>(kTokens * kInput));
  Buffer<float> y(ctx.get(), kTokens * 2 * kHidden), expected(ctx.get(), y.count());
  int64_t bytes = 0, reserve = 0;
  ASSERT_OK(varlstm_rnn_sizes(rnn.get(), 3, 5, kTokens, VARLSTM_MODE_INFER, &bytes, &reserve));
  ByteBuffer workspace(ctx.get(), bytes), flags(ctx.get(), kTokens);
  const auto in_backend = [&] { return static_cast<const uint8_t*>(flags.data()); };
  const auto run = [&](const varlstm_batch* batch, Buffer<float>& out, void* stream) {
    return varlstm_rnn_forward(rnn.get(), batch, VARLSTM_MODE_INFER, 0, params.data(), x.data(), nullptr, nullptr,
                               out.data(), nullptr, nullptr, workspace.data(), bytes, nullptr, 0, stream);
  };
  flags.set(std::vector<uint8_t>(kTokens, 0));
  ASSERT_OK(varlstm_batch_set_resets(captured.get(), in_backend(), kTokens, VARLSTM_LAYOUT_RAGGED, 0,
                                     VARLSTM_SPACE_BACKEND, nullptr));
  Capture capture;
  capture.begin();
  EXPECT_OK(varlstm_batch_set_resets(captured.get(), in_backend(), kTokens, VARLSTM_LAYOUT_RAGGED, 0,
                                     VARLSTM_SPACE_BACKEND, capture.stream()));
  EXPECT_OK(run(captured.get(), y, capture.stream()));
  ASSERT_EQ(capture.end(), cudaSuccess);
  std::vector<float> before;
  for (const std::vector<uint8_t>& given :
       {std::vector<uint8_t>{0, 0, 1, 0, 1, 1, 0, 0, 0, 1}, std::vector<uint8_t>(kTokens, 0),
        std::vector<uint8_t>{0, 1, 0, 0, 0, 0, 1, 1, 0, 0}, std::vector<uint8_t>(kTokens, 1)}) {
    flags.set(given);
    capture.replay();
    ASSERT_OK(varlstm_sync(ctx.get(), capture.stream()));
    ASSERT_OK(varlstm_batch_set_resets(eager.get(), given.data(), kTokens, VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_HOST,
                                       nullptr));
    ASSERT_OK(run(eager.get(), expected, nullptr));
    EXPECT_EQ(y.get(), expected.get());
    EXPECT_NE(y.get(), before) << "the flags make no difference";
    before = y.get();
  }
}

// A handle of cuBLAS may have one context at a time, and one that was opened is kept.
TEST(BlasHandles, StayForTheNextContextOfTheirDevice) {
  using varlstm::cuda::BlasHandle;
  using varlstm::cuda::give_back_blas;
  using varlstm::cuda::take_blas;
  BlasHandle* const first = take_blas(0);
  BlasHandle* const second = take_blas(0);
  EXPECT_NE(first, second);
  give_back_blas(first);
  setenv("VARLSTM_EMULATOR_DEVICES", "2", 1);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  BlasHandle* const of_another = take_blas(1);
  EXPECT_NE(of_another, first);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  unsetenv("VARLSTM_EMULATOR_DEVICES");
  BlasHandle* const again = take_blas(0);
  EXPECT_EQ(again, first);
  for (BlasHandle* handle : {again, second, of_another}) give_back_blas(handle);
}

TEST(BlasHandles, WithoutTheLibraryAreNotKept) {
  using varlstm::cuda::blas_problem;
  using varlstm::cuda::BlasHandle;
  std::vector<BlasHandle*> taken;
  setenv("VARLSTM_EMULATOR_CUBLAS", "missing", 1);
  do {
    ASSERT_LT(taken.size(), 100u);
    taken.push_back(varlstm::cuda::take_blas(0));
  } while (*blas_problem(taken.back()) == 0);
  unsetenv("VARLSTM_EMULATOR_CUBLAS");
  varlstm::cuda::give_back_blas(taken.back());
  taken.back() = varlstm::cuda::take_blas(0);
  EXPECT_STREQ(blas_problem(taken.back()), "");
  for (BlasHandle* handle : taken) varlstm::cuda::give_back_blas(handle);
}

TEST(BlasHandles, AreTakenByOneThreadEach) {
  std::atomic<int> users[64] = {};
  std::map<varlstm::cuda::BlasHandle*, std::atomic<int>*> of_handle;
  std::mutex mutex;
  const auto take_and_give_back = [&] {
    for (int k = 0; k < 1000; ++k) {
      varlstm::cuda::BlasHandle* const handle = varlstm::cuda::take_blas(0);
      std::unique_lock<std::mutex> lock(mutex);
      std::atomic<int>*& mine = of_handle[handle];
      if (mine == nullptr) mine = &users[of_handle.size() - 1];
      std::atomic<int>& count = *mine;
      lock.unlock();
      EXPECT_EQ(++count, 1);
      std::this_thread::yield();
      --count;
      varlstm::cuda::give_back_blas(handle);
    }
  };
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) threads.emplace_back(take_and_give_back);
  for (std::thread& thread : threads) thread.join();
}

// What varlstm.h says of varlstm_copy.
class HostCopies : public ::testing::Test {
 protected:
  HostCopies() {
    EXPECT_EQ(cudaMallocHost(reinterpret_cast<void**>(&locked_), sizeof *locked_), cudaSuccess);
    varlstm::simt::set_stream_order(varlstm::simt::StreamOrder::kLate);
  }
  ~HostCopies() override {
    varlstm::simt::set_stream_order(varlstm::simt::StreamOrder::kEager);
    EXPECT_EQ(cudaFreeHost(locked_), cudaSuccess);
  }
  int32_t copy(const int64_t* from, cudaStream_t stream) {
    return varlstm_copy(ctx_.get(), to_.data(), from, sizeof *from, VARLSTM_COPY_TO_BACKEND, stream);
  }

  Context ctx_ = make_context();
  Buffer<int64_t> to_{ctx_.get(), 1};
  int64_t* locked_ = nullptr;
};

TEST_F(HostCopies, PageableMemoryIsReadAtOnceAndPageLockedMemoryInStreamOrder) {
  Capture streams;
  int64_t pageable = 1;
  EXPECT_OK(copy(&pageable, streams.stream()));
  pageable = 2;
  EXPECT_OK(varlstm_sync(ctx_.get(), streams.stream()));
  EXPECT_EQ(to_.get()[0], 1);
  *locked_ = 3;
  EXPECT_OK(copy(locked_, streams.stream()));
  *locked_ = 4;
  EXPECT_OK(varlstm_sync(ctx_.get(), streams.stream()));
  EXPECT_EQ(to_.get()[0], 4);
}

TEST_F(HostCopies, AGraphReadsPageLockedMemoryAtEachLaunch) {
  Capture capture;
  capture.begin();
  EXPECT_OK(copy(locked_, capture.stream()));
  EXPECT_EQ(capture.end(), cudaSuccess);
  for (const int64_t value : {5, 6}) {
    *locked_ = value;
    capture.replay();
    EXPECT_OK(varlstm_sync(ctx_.get(), capture.stream()));
    EXPECT_EQ(to_.get()[0], value);
  }
}

TEST_F(HostCopies, ToTheHostAreAnErrorInACapture) {
  Capture capture;
  capture.begin();
  EXPECT_ERROR(VARLSTM_ERROR_BACKEND, "cudaErrorStreamCapture",
               varlstm_copy(ctx_.get(), locked_, to_.data(), sizeof *locked_, VARLSTM_COPY_TO_HOST, capture.stream()));
  EXPECT_EQ(capture.end(), cudaErrorStreamCaptureInvalidated);
  (void)cudaGetLastError();
}

// Page-locked lengths need not stay as they are: a plan takes them as arguments of kernels.
TEST_F(HostCopies, LengthsAreReadAtOnceFromEitherMemory) {
  Capture streams;
  const Batch batch = make_batch(ctx_.get(), {}, {1, 9, 9});
  *locked_ = 7;
  EXPECT_OK(varlstm_batch_set_lengths(batch.get(), locked_, 1, VARLSTM_SPACE_HOST, streams.stream()));
  *locked_ = 2;
  EXPECT_OK(varlstm_sync(ctx_.get(), streams.stream()));
  const int64_t* data = nullptr;
  EXPECT_OK(varlstm_batch_get_array(batch.get(), VARLSTM_BATCH_LENGTHS, &data, nullptr));
  int64_t seen = 0;
  EXPECT_OK(varlstm_copy(ctx_.get(), &seen, data, sizeof seen, VARLSTM_COPY_TO_HOST, streams.stream()));
  EXPECT_EQ(seen, 7);
}

}  // namespace
}  // namespace varlstm_test
