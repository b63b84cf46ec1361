// Threads that share a context, an rnn, a batch and a loss, each with buffers of its own: the same bits as alone, and
// each its own text of the last error.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/buffer.h"
#include "support/context.h"

namespace varlstm_test {
namespace {

constexpr int kThreads = 4;
constexpr int64_t kClasses = 5;

struct Shared {
  Context ctx = make_context(1);
  Batch batch = make_batch(ctx.get(), {3, 0, 7, 1});
  Rnn rnn = make_rnn(ctx.get(), {4, 6, 2, true, true, 0.0}, VARLSTM_DTYPE_F64);
  Loss loss = make_loss(ctx.get(), kClasses);
};

std::vector<double> numbers(int64_t count, uint64_t seed) {
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<double>((seed + k * k) % 23) / 23 - 0.5;
  return values;
}

// Everything that forward and backward of one input give, one after the other.
std::vector<double> train_step(const Shared& shared, uint64_t seed) {
  constexpr int64_t kTokens = 11, kInput = 4, kOut = 12;
  varlstm_ctx* ctx = shared.ctx.get();
  int64_t elements = 0, workspace_bytes = 0, reserve_bytes = 0, loss_bytes = 0;
  REQUIRE_OK(varlstm_rnn_param_count(shared.rnn.get(), nullptr, &elements));
  REQUIRE_OK(varlstm_rnn_sizes(shared.rnn.get(), 4, 7, kTokens, VARLSTM_MODE_SAVE, &workspace_bytes, &reserve_bytes));
  REQUIRE_OK(varlstm_op_workspace(ctx, VARLSTM_OP_CROSS_ENTROPY, VARLSTM_DTYPE_F64, kTokens, kClasses, 0, &loss_bytes));
  Buffer<double> params(ctx, numbers(elements, 3)), dparams(ctx, std::vector<double>(elements, 0.0));
  Buffer<double> x(ctx, numbers(kTokens * kInput, seed)), dx(ctx, kTokens * kInput);
  Buffer<double> y(ctx, kTokens * kOut), dy(ctx, numbers(kTokens * kOut, seed + 1)), out(ctx, 1);
  Buffer<double> logits(ctx, numbers(kTokens * kClasses, seed + 2));
  Buffer<int64_t> targets(ctx, std::vector<int64_t>(kTokens, static_cast<int64_t>(seed) % kClasses));
  ByteBuffer workspace(ctx, workspace_bytes), reserve(ctx, reserve_bytes), loss_workspace(ctx, loss_bytes);
  REQUIRE_OK(varlstm_rnn_forward(shared.rnn.get(), shared.batch.get(), VARLSTM_MODE_SAVE, 0, params.data(), x.data(),
                                 nullptr, nullptr, y.data(), nullptr, nullptr, workspace.data(), workspace_bytes,
                                 reserve.data(), reserve_bytes, nullptr));
  REQUIRE_OK(varlstm_rnn_backward(shared.rnn.get(), shared.batch.get(), params.data(), x.data(), nullptr, nullptr,
                                  y.data(), dy.data(), nullptr, nullptr, dx.data(), nullptr, nullptr, dparams.data(),
                                  workspace.data(), workspace_bytes, reserve.data(), reserve_bytes, nullptr));
  REQUIRE_OK(varlstm_cross_entropy_forward(shared.loss.get(), shared.batch.get(), VARLSTM_DTYPE_F64, kTokens,
                                           logits.data(), targets.data(), nullptr, out.data(), nullptr, nullptr,
                                           loss_workspace.data(), loss_bytes, nullptr));
  std::vector<double> results = y.get();
  for (const Buffer<double>* part : {&dx, &dparams, &out}) {
    const std::vector<double> values = part->get();
    results.insert(results.end(), values.begin(), values.end());
  }
  return results;
}

TEST(Threads, ShareHandlesAndGetTheSameBits) {
  const Shared shared;
  std::vector<std::vector<double>> expected;
  for (int k = 0; k < kThreads; ++k) expected.push_back(train_step(shared, static_cast<uint64_t>(k) * 7 + 1));
  std::atomic<int> different{0};
  std::vector<std::thread> threads;
  for (int k = 0; k < kThreads; ++k) {
    threads.emplace_back([&, k] {
      for (int run = 0; run < 20; ++run) {
        if (train_step(shared, static_cast<uint64_t>(k) * 7 + 1) != expected[static_cast<size_t>(k)]) ++different;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

TEST(Threads, EachHasItsOwnLastError) {
  const Shared shared;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int k = 0; k < kThreads; ++k) {
    threads.emplace_back([&, k] {
      const std::string text = "rows = " + std::to_string(-1 - k) + " ";
      for (int run = 0; run < 500; ++run) {
        int64_t bytes = 0;
        const int32_t status =
            varlstm_op_workspace(shared.ctx.get(), VARLSTM_OP_NLL, VARLSTM_DTYPE_F32, -1 - k, 3, 0, &bytes);
        if (status != VARLSTM_ERROR_INVALID_ARGUMENT) ++wrong;
        if (std::string(varlstm_last_error()).find(text) == std::string::npos) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, MakeAndDestroyHandlesOfOneContext) {
  const Context ctx = make_context();
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int k = 0; k < kThreads; ++k) {
    threads.emplace_back([&] {
      for (int run = 0; run < 300; ++run) {
        varlstm_loss* loss = nullptr;
        varlstm_rnn* rnn = nullptr;
        if (varlstm_loss_create(ctx.get(), 3, &loss) != VARLSTM_OK) ++failed;
        if (varlstm_rnn_create(ctx.get(), VARLSTM_CELL_LSTM, 1, 1, 1, &rnn) != VARLSTM_OK) ++failed;
        if (varlstm_loss_destroy(loss) != VARLSTM_OK) ++failed;
        if (varlstm_rnn_destroy(rnn) != VARLSTM_OK) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
}

// Of many threads that destroy one handle, one does it.
TEST(Threads, HandleIsDestroyedOnce) {
  const Context ctx = make_context();
  for (int run = 0; run < 50; ++run) {
    varlstm_loss* loss = nullptr;
    ASSERT_OK(varlstm_loss_create(ctx.get(), 3, &loss));
    std::atomic<int> destroyed{0}, refused{0};
    std::vector<std::thread> threads;
    for (int k = 0; k < kThreads; ++k) {
      threads.emplace_back([&] {
        const int32_t status = varlstm_loss_destroy(loss);
        if (status == VARLSTM_OK) ++destroyed;
        if (status == VARLSTM_ERROR_INVALID_HANDLE) ++refused;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(destroyed, 1);
    EXPECT_EQ(refused, kThreads - 1);
  }
}

}  // namespace
}  // namespace varlstm_test
