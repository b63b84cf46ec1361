// Packing, embedding, the losses, the optimisers and clipping against PyTorch: golden/*.txt.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden/golden.h"
#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"

namespace varlstm_test {
namespace {

// In double PyTorch and the library differ by the order of a few additions alone.
template <class T>
constexpr double kTolerance = sizeof(T) == 8 ? 1e-12 : 1e-5;

template <class T>
std::vector<T> as(const std::vector<double>& values) {
  return std::vector<T>(values.begin(), values.end());
}

template <class T>
class GoldenOps : public ::testing::Test {
 protected:
  Context context_ = make_context();
  varlstm_ctx* ctx() { return context_.get(); }
  Buffer<T> buffer(const std::vector<double>& values) { return Buffer<T>(ctx(), as<T>(values)); }

  ByteBuffer workspace(int32_t op, int64_t rows, int64_t a, int64_t b) {
    int64_t bytes = -1;
    REQUIRE_OK(varlstm_op_workspace(ctx(), op, kDType<T>, rows, a, b, &bytes));
    return ByteBuffer(ctx(), bytes);
  }
  static ::testing::AssertionResult close(const Buffer<T>& actual, const std::vector<double>& expected) {
    return all_close(actual.get(), expected, kTolerance<T>, kTolerance<T>);
  }
};

using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenOps, Scalars);

std::vector<int64_t> batch_array(varlstm_ctx* context, const varlstm_batch* batch, int32_t array) {
  const int64_t* data = nullptr;
  int64_t count = -1;
  REQUIRE_OK(varlstm_batch_get_array(batch, array, &data, &count));
  std::vector<int64_t> values(static_cast<size_t>(count));
  REQUIRE_OK(varlstm_copy(context, values.data(), data, count * 8, VARLSTM_COPY_TO_HOST, nullptr));
  return values;
}

TYPED_TEST(GoldenOps, PackingMatchesPackedSequence) {
  const GoldenFile golden = read_golden("packing.txt");
  ASSERT_EQ(golden.cases.size(), 7u);
  for (const GoldenCase& one : golden.cases) {
    SCOPED_TRACE(one.name);
    const Batch batch = make_batch(this->ctx(), one.ints("lengths"));
    EXPECT_EQ(batch_array(this->ctx(), batch.get(), VARLSTM_BATCH_BATCH_SIZES), one.ints("batch_sizes"));
    EXPECT_EQ(batch_array(this->ctx(), batch.get(), VARLSTM_BATCH_SORTED_INDICES), one.ints("sorted_indices"));
    EXPECT_EQ(batch_array(this->ctx(), batch.get(), VARLSTM_BATCH_UNSORTED_INDICES), one.ints("unsorted_indices"));

    const std::vector<int64_t>& shape = one.tensor("padded").shape;
    const Buffer<TypeParam> padded = this->buffer(one.real("padded"));
    Buffer<TypeParam> packed(this->ctx(), one.real("data").size());
    ASSERT_OK(varlstm_pack(batch.get(), kDType<TypeParam>, VARLSTM_LAYOUT_BATCH_FIRST, shape[1], shape[2],
                           padded.data(), packed.data(), nullptr));
    EXPECT_TRUE(bitwise_equal(packed.get(), as<TypeParam>(one.real("data"))));
    const int32_t layouts[] = {VARLSTM_LAYOUT_BATCH_FIRST, VARLSTM_LAYOUT_TIME_MAJOR};
    const char* const items[] = {"unpacked_batch_first", "unpacked_time_major"};
    for (int k = 0; k < 2; ++k) {
      Buffer<TypeParam> unpacked(this->ctx(), one.real(items[k]).size());
      ASSERT_OK(varlstm_unpack(batch.get(), kDType<TypeParam>, layouts[k], shape[1] + 2, shape[2], -7.5, packed.data(),
                               unpacked.data(), nullptr));
      EXPECT_TRUE(bitwise_equal(unpacked.get(), as<TypeParam>(one.real(items[k]))));
    }
  }
}

TYPED_TEST(GoldenOps, PackedSequenceFieldsMakeTheSameBatch) {
  for (const GoldenCase& one : read_golden("packing.txt").cases) {
    SCOPED_TRACE(one.name);
    const std::vector<int64_t>& sizes = one.ints("batch_sizes");
    const Bounds bounds = exact_bounds(one.ints("lengths"));
    const Batch batch = make_batch(this->ctx(), {}, bounds);
    ASSERT_OK(varlstm_batch_from_batch_sizes(batch.get(), sizes.data(), static_cast<int64_t>(sizes.size()),
                                             one.ints("sorted_indices").data(), nullptr));
    EXPECT_EQ(batch_array(this->ctx(), batch.get(), VARLSTM_BATCH_LENGTHS), one.ints("lengths"));
    EXPECT_EQ(batch_array(this->ctx(), batch.get(), VARLSTM_BATCH_UNSORTED_INDICES), one.ints("unsorted_indices"));
  }
}

TYPED_TEST(GoldenOps, EmbeddingMatchesPaddingIdx) {
  const GoldenFile golden = read_golden("embedding.txt");
  ASSERT_EQ(golden.cases.size(), 3u);
  for (const GoldenCase& one : golden.cases) {
    SCOPED_TRACE(one.name);
    const int64_t vocab = one.tensor("table").shape[0], features = one.tensor("table").shape[1];
    const int64_t rows = static_cast<int64_t>(one.ints("ids").size());
    const Buffer<int64_t> ids(this->ctx(), one.ints("ids"));
    const Buffer<TypeParam> table = this->buffer(one.real("table")), dy = this->buffer(one.real("dy"));
    Buffer<TypeParam> y(this->ctx(), rows * features);
    Buffer<TypeParam> dtable(this->ctx(), std::vector<TypeParam>(vocab * features, TypeParam(0)));
    ASSERT_OK(varlstm_embedding_forward(this->ctx(), nullptr, kDType<TypeParam>, rows, vocab, features, table.data(),
                                        ids.data(), y.data(), nullptr));
    EXPECT_TRUE(bitwise_equal(y.get(), as<TypeParam>(one.real("y"))));
    ByteBuffer work = this->workspace(VARLSTM_OP_EMBEDDING_BACKWARD, rows, vocab, features);
    ASSERT_OK(varlstm_embedding_backward(this->ctx(), nullptr, kDType<TypeParam>, rows, vocab, features,
                                         one.ints("padding_idx")[0], ids.data(), dy.data(), dtable.data(), work.data(),
                                         work.bytes(), nullptr));
    EXPECT_TRUE(this->close(dtable, one.real("dtable")));
  }
}

Loss loss_of(varlstm_ctx* context, const GoldenCase& golden) {
  const std::vector<int64_t>& options = golden.ints("options");
  Loss loss = make_loss(context, options[0]);
  REQUIRE_OK(varlstm_loss_set_i64(loss.get(), VARLSTM_KEY_IGNORE_INDEX, options[1]));
  REQUIRE_OK(varlstm_loss_set_i64(loss.get(), VARLSTM_KEY_REDUCTION, options[2]));
  REQUIRE_OK(varlstm_loss_set_f64(loss.get(), VARLSTM_KEY_LABEL_SMOOTHING, golden.scalar("smoothing")));
  return loss;
}

TYPED_TEST(GoldenOps, CrossEntropyMatches) {
  const GoldenFile golden = read_golden("cross_entropy.txt");
  ASSERT_EQ(golden.cases.size(), 126u);
  for (const GoldenCase& one : golden.cases) {
    SCOPED_TRACE(one.name);
    const Loss loss = loss_of(this->ctx(), one);
    const int64_t classes = one.ints("options")[0], rows = static_cast<int64_t>(one.ints("targets").size());
    const Buffer<int64_t> targets(this->ctx(), one.ints("targets"));
    const Buffer<TypeParam> logits = this->buffer(one.real("logits")), dout = this->buffer(one.real("dout"));
    const Buffer<TypeParam> weight =
        this->buffer(one.has("weight") ? one.real("weight") : std::vector<double>(classes, 1.0));
    const TypeParam* const weights = one.has("weight") ? weight.data() : nullptr;
    Buffer<TypeParam> out(this->ctx(), one.real("loss").size()), dlogits(this->ctx(), rows * classes);
    ByteBuffer work = this->workspace(VARLSTM_OP_CROSS_ENTROPY, rows, classes, 0);
    ASSERT_OK(varlstm_cross_entropy_forward(loss.get(), nullptr, kDType<TypeParam>, rows, logits.data(), targets.data(),
                                            weights, out.data(), nullptr, dlogits.data(), work.data(), work.bytes(),
                                            nullptr));
    EXPECT_TRUE(this->close(out, one.real("loss")));
    ASSERT_OK(
        varlstm_cross_entropy_backward(loss.get(), kDType<TypeParam>, rows, dout.data(), dlogits.data(), nullptr));
    EXPECT_TRUE(this->close(dlogits, one.real("dlogits")));
  }
}

// The same with the last layer in one: weight the identity, so that x are the logits and dx their gradient.
TYPED_TEST(GoldenOps, LinearCrossEntropyMatches) {
  for (const GoldenCase& one : read_golden("cross_entropy.txt").cases) {
    SCOPED_TRACE(one.name);
    const Loss loss = loss_of(this->ctx(), one);
    const int64_t classes = one.ints("options")[0], rows = static_cast<int64_t>(one.ints("targets").size());
    std::vector<double> identity(classes * classes);
    for (int64_t c = 0; c < classes; ++c) identity[c * classes + c] = 1;
    const Buffer<int64_t> targets(this->ctx(), one.ints("targets"));
    const Buffer<TypeParam> logits = this->buffer(one.real("logits")), dout = this->buffer(one.real("dout"));
    const Buffer<TypeParam> layer = this->buffer(identity);
    const Buffer<TypeParam> weight =
        this->buffer(one.has("weight") ? one.real("weight") : std::vector<double>(classes, 1.0));
    const TypeParam* const weights = one.has("weight") ? weight.data() : nullptr;
    Buffer<TypeParam> out(this->ctx(), one.real("loss").size()), lse(this->ctx(), rows);
    Buffer<TypeParam> dlogits(this->ctx(), rows * classes);
    ByteBuffer work = this->workspace(VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, rows, classes, classes);
    ASSERT_OK(varlstm_linear_cross_entropy_forward(loss.get(), nullptr, kDType<TypeParam>, rows, classes, logits.data(),
                                                   layer.data(), nullptr, targets.data(), weights, out.data(), nullptr,
                                                   lse.data(), work.data(), work.bytes(), nullptr));
    EXPECT_TRUE(this->close(out, one.real("loss")));
    ASSERT_OK(varlstm_linear_cross_entropy_backward(
        loss.get(), nullptr, kDType<TypeParam>, rows, classes, logits.data(), layer.data(), nullptr, targets.data(),
        weights, lse.data(), dout.data(), dlogits.data(), nullptr, nullptr, work.data(), work.bytes(), nullptr));
    EXPECT_TRUE(this->close(dlogits, one.real("dlogits")));
  }
}

// The same losses by the unfused way: log-softmax, then NLL.
TYPED_TEST(GoldenOps, LogSoftmaxAndNllMatch) {
  for (const GoldenCase& one : read_golden("cross_entropy.txt").cases) {
    SCOPED_TRACE(one.name);
    const Loss loss = loss_of(this->ctx(), one);
    const int64_t classes = one.ints("options")[0], rows = static_cast<int64_t>(one.ints("targets").size());
    const Buffer<int64_t> targets(this->ctx(), one.ints("targets"));
    const Buffer<TypeParam> logits = this->buffer(one.real("logits")), dout = this->buffer(one.real("dout"));
    const Buffer<TypeParam> weight =
        this->buffer(one.has("weight") ? one.real("weight") : std::vector<double>(classes, 1.0));
    const TypeParam* const weights = one.has("weight") ? weight.data() : nullptr;
    Buffer<TypeParam> out(this->ctx(), one.real("loss").size()), log_probs(this->ctx(), rows * classes);
    Buffer<TypeParam> dlog_probs(this->ctx(), rows * classes), dlogits(this->ctx(), rows * classes);
    ByteBuffer work = this->workspace(VARLSTM_OP_NLL, rows, classes, 0);
    ASSERT_OK(varlstm_log_softmax_forward(this->ctx(), kDType<TypeParam>, rows, classes, logits.data(),
                                          log_probs.data(), nullptr));
    EXPECT_TRUE(this->close(log_probs, one.real("log_probs")));
    ASSERT_OK(varlstm_nll_forward(loss.get(), nullptr, kDType<TypeParam>, rows, log_probs.data(), targets.data(),
                                  weights, out.data(), nullptr, work.data(), work.bytes(), nullptr));
    EXPECT_TRUE(this->close(out, one.real("loss")));
    ASSERT_OK(varlstm_nll_backward(loss.get(), nullptr, kDType<TypeParam>, rows, targets.data(), weights, dout.data(),
                                   dlog_probs.data(), work.data(), work.bytes(), nullptr));
    ASSERT_OK(varlstm_log_softmax_backward(this->ctx(), kDType<TypeParam>, rows, classes, log_probs.data(),
                                           dlog_probs.data(), dlogits.data(), nullptr));
    EXPECT_TRUE(this->close(dlogits, one.real("dlogits")));
  }
}

TYPED_TEST(GoldenOps, OptimizersMatch) {
  const GoldenFile golden = read_golden("optimizers.txt");
  ASSERT_EQ(golden.cases.size(), 12u);
  for (const GoldenCase& one : golden.cases) {
    SCOPED_TRACE(one.name);
    const int64_t steps = one.tensor("grads").shape[0], count = one.tensor("grads").shape[1];
    const double lr = one.scalar("lr"), decay = one.scalar("weight_decay"), momentum = one.scalar("momentum");
    const std::vector<TypeParam> zeros(count, TypeParam(0));
    Buffer<TypeParam> params = this->buffer(one.real("params")), velocity(this->ctx(), zeros);
    Buffer<TypeParam> m(this->ctx(), zeros), v(this->ctx(), zeros);
    Buffer<int64_t> step_count(this->ctx(), std::vector<int64_t>{0});
    for (int64_t step = 0; step < steps; ++step) {
      const auto row = [&](const char* item) {
        const std::vector<double>& all = one.real(item);
        return std::vector<double>(all.begin() + step * count, all.begin() + (step + 1) * count);
      };
      const Buffer<TypeParam> grads = this->buffer(row("grads"));
      if (one.name.rfind("sgd", 0) == 0) {
        ASSERT_OK(varlstm_sgd_step(this->ctx(), kDType<TypeParam>, count, lr, momentum, decay,
                                   static_cast<int32_t>(one.ints("nesterov")[0]), params.data(), grads.data(),
                                   momentum > 0.0 ? velocity.data() : nullptr, nullptr));
      } else {
        ASSERT_OK(varlstm_adam_step(this->ctx(), kDType<TypeParam>, count, lr, one.real("betas")[0],
                                    one.real("betas")[1], one.scalar("eps"), decay,
                                    one.name.rfind("adamw", 0) == 0 ? 1 : 0, params.data(), grads.data(), m.data(),
                                    v.data(), step_count.data(), nullptr));
        EXPECT_EQ(step_count.get()[0], step + 1);
      }
      EXPECT_TRUE(this->close(params, row("trace"))) << "step " << step;
    }
  }
}

TYPED_TEST(GoldenOps, ClippingMatches) {
  const GoldenFile golden = read_golden("clipping.txt");
  ASSERT_EQ(golden.cases.size(), 4u);
  for (const GoldenCase& one : golden.cases) {
    SCOPED_TRACE(one.name);
    Buffer<TypeParam> grads = this->buffer(one.real("grads"));
    Buffer<double> norm(this->ctx(), 1);
    ByteBuffer work = this->workspace(VARLSTM_OP_GRAD_NORM, grads.count(), 0, 0);
    ASSERT_OK(varlstm_grad_norm(this->ctx(), kDType<TypeParam>, grads.count(), grads.data(), norm.data(), work.data(),
                                work.bytes(), nullptr));
    EXPECT_TRUE(all_close(norm.get(), one.real("norm"), kTolerance<TypeParam>, 0.0));
    ASSERT_OK(varlstm_clip_grad_norm(this->ctx(), kDType<TypeParam>, grads.count(), one.scalar("max_norm"),
                                     grads.data(), norm.data(), work.data(), work.bytes(), nullptr));
    EXPECT_TRUE(all_close(norm.get(), one.real("norm"), kTolerance<TypeParam>, 0.0));
    EXPECT_TRUE(this->close(grads, one.real("clipped")));
  }
}

}  // namespace
}  // namespace varlstm_test
