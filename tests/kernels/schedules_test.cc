// The same bits under every schedule of the emulator: this program runs itself once a schedule and compares what it
// prints.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/linear_loss_case.h"
#include "support/op_workspace.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

constexpr const char* kPrint = "VARLSTM_TEST_PRINT_DIGEST";

// FNV-1a over the bytes.
template <class T>
void add(const std::vector<T>& values, uint64_t* hash) {
  const unsigned char* bytes = reinterpret_cast<const unsigned char*>(values.data());
  for (size_t k = 0; k < values.size() * sizeof(T); ++k) *hash = (*hash ^ bytes[k]) * 1099511628211ULL;
}

// Two layers in both directions with dropout, every gradient; then cross-entropy, alone and with its linear layer, and
// the embedding's gradient.
uint64_t digest() {
  const Context context = make_context();
  Random random(5);
  RnnOptions options;
  options.input = 5;
  options.hidden = 19;
  options.layers = 2;
  options.bidirectional = true;
  options.dropout = 0.3;
  const RnnCase<float> problem = make_rnn_case<float>(options, {3, 0, 5, 5, 1, 2}, true, random);
  const RnnUpstream<float> upstream = make_upstream(problem, random);
  RnnRunner<float> runner(context.get(), problem);
  const RnnOutputs<float> out = runner.forward(VARLSTM_MODE_SAVE, 9);
  const RnnGradients<float> gradients = runner.backward(upstream);
  uint64_t hash = 14695981039346656037ULL;
  for (const auto* part :
       {&out.y, &out.h_n, &out.c_n, &gradients.dparams, &gradients.dx, &gradients.dh0, &gradients.dc0})
    add(*part, &hash);

  const int64_t rows = 70, classes = 33;
  const Loss loss = make_loss(context.get(), classes);
  const Buffer<float> logits(context.get(), random.vector<float>(rows * classes));
  const Buffer<int64_t> targets(context.get(), random.integers(rows, 0, classes - 1));
  Buffer<float> dlogits(context.get(), rows * classes), value(context.get(), 1), table(context.get(), 4 * classes);
  ByteBuffer loss_workspace =
      op_workspace<float>(context.get(), VARLSTM_OP_CROSS_ENTROPY, rows, classes, 0, Fill::kRandomBytes);
  EXPECT_OK(varlstm_cross_entropy_forward(loss.get(), nullptr, VARLSTM_DTYPE_F32, rows, logits.data(), targets.data(),
                                          nullptr, value.data(), nullptr, dlogits.data(), loss_workspace.data(),
                                          loss_workspace.bytes(), nullptr));
  const Buffer<int64_t> ids(context.get(), random.integers(rows, 0, 3));  // runs longer than a piece
  table.set(random.vector<float>(4 * classes));
  ByteBuffer embedding_workspace =
      op_workspace<float>(context.get(), VARLSTM_OP_EMBEDDING_BACKWARD, rows, 4, classes, Fill::kRandomBytes);
  EXPECT_OK(varlstm_embedding_backward(context.get(), nullptr, VARLSTM_DTYPE_F32, rows, 4, classes, -1, ids.data(),
                                       dlogits.data(), table.data(), embedding_workspace.data(),
                                       embedding_workspace.bytes(), nullptr));
  LossCase linear;
  linear.classes = classes;
  linear.targets = random.integers(rows, -1, classes - 1);
  linear.smoothing = 0.1;
  const auto linear_case = random_linear_loss_case<float>(random, linear, 7);
  const ForcedChunk chunk(30);
  const LinearLossResult<float> fused = run_linear_cross_entropy(context.get(), linear_case);
  for (const auto* part : {&fused.out, &fused.lse, &fused.dx, &fused.dweight, &fused.dbias}) add(*part, &hash);
  add(value.get(), &hash);
  add(dlogits.get(), &hash);
  add(table.get(), &hash);
  return hash;
}

std::string run_under(const std::string& program, const std::string& schedule) {
  const std::string command = "VARLSTM_EMULATOR_SCHEDULE=" + schedule + " " + kPrint + "=1 " + program +
                              " --gtest_filter=Schedules.PrintsItsDigest 2>&1";
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[256];
  while (pipe != nullptr && fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  EXPECT_EQ(pclose(pipe), 0) << output;
  const size_t at = output.find("digest ");
  return at == std::string::npos ? "" : output.substr(at, output.find('\n', at) - at);
}

TEST(Schedules, PrintsItsDigest) {
  if (std::getenv(kPrint) == nullptr) GTEST_SKIP() << "for GiveTheSameBits";
  std::printf("digest %016llx\n", static_cast<unsigned long long>(digest()));
}

TEST(Schedules, GiveTheSameBits) {
  if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has no schedules";
  char program[4096] = {};
  ASSERT_GT(readlink("/proc/self/exe", program, sizeof program - 1), 0);
  const std::string expected = run_under(program, "fifo");
  ASSERT_NE(expected, "");
  EXPECT_EQ(run_under(program, "lifo"), expected);
  for (int seed = 1; seed <= 8; ++seed) {
    EXPECT_EQ(run_under(program, "random:" + std::to_string(seed)), expected) << seed;
    EXPECT_EQ(run_under(program, "pct:" + std::to_string(seed)), expected) << seed;
  }
}

}  // namespace
}  // namespace varlstm_test
