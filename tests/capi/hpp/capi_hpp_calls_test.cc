// varlstm.hpp's operations, each against the function of varlstm.h that it calls: the same bits.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "support/context.h"
#include "support/random.h"
#include "varlstm.hpp"

namespace varlstm_test {
namespace {

using varlstm::check;

constexpr int64_t kRows = 7, kIn = 3, kOut = 5, kVocab = 6;

template <class T>
class CapiHppCalls : public ::testing::Test {
 protected:
  static constexpr int32_t kType = varlstm::dtype_of<T>();

  CapiHppCalls() { work_.grow(1 << 20); }

  template <class U = T>
  varlstm::Buffer<U> random(int64_t count) {
    return varlstm::Buffer<U>(ctx_, random_.template vector<U>(count));
  }
  varlstm::Buffer<int64_t> ids(int64_t below) {
    std::vector<int64_t> values;
    for (int64_t k = 0; k < kRows; ++k) values.push_back((3 * k + 1) % below);
    return varlstm::Buffer<int64_t>(ctx_, values);
  }

  // `ours` and `theirs` write to a buffer of `count` elements that holds the same before, for what is added to.
  template <class U, class Ours, class Theirs>
  void expect_same(int64_t count, Ours ours, Theirs theirs) {
    const std::vector<U> before = random_.template vector<U>(count);
    varlstm::Buffer<U> a(ctx_, before), b(ctx_, before);
    ours(a);
    check(theirs(b.data()));
    EXPECT_EQ(a.download(), b.download());
    EXPECT_NE(a.download(), before) << "nothing was written";
  }

  varlstm::Context ctx_{test_backend()};
  varlstm::Workspace work_{ctx_};
  Random random_{17};
  varlstm::Batch batch_{ctx_, std::vector<int64_t>{2, 4, 0, 1}};
};

using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CapiHppCalls, Scalars);

TYPED_TEST(CapiHppCalls, Pack) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  const Buffer padded = this->random(4 * 5 * kIn), packed = this->random(kRows * kIn);
  const varlstm::Layout layouts[] = {varlstm::ragged(), varlstm::batch_first(5), varlstm::time_major(5)};
  for (const varlstm::Layout& layout : layouts) {
    const bool ragged = layout.layout == VARLSTM_LAYOUT_RAGGED;
    const int64_t count = ragged ? kRows * kIn : 4 * 5 * kIn;
    const auto& batch = this->batch_;
    this->template expect_same<T>(
        kRows * kIn, [&](Buffer& out) { varlstm::pack<T>(batch, layout, kIn, padded, out); },
        [&](T* out) {
          return varlstm_pack(batch.get(), this->kType, layout.layout, 5, kIn, padded.data(), out, nullptr);
        });
    this->template expect_same<T>(
        count, [&](Buffer& out) { varlstm::unpack<T>(batch, layout, kIn, -2.5, packed, out); },
        [&](T* out) {
          return varlstm_unpack(batch.get(), this->kType, layout.layout, 5, kIn, -2.5, packed.data(), out, nullptr);
        });
    this->template expect_same<T>(
        count, [&](Buffer& out) { varlstm::pack_backward<T>(batch, layout, kIn, packed, out); },
        [&](T* out) {
          return varlstm_pack_backward(batch.get(), this->kType, layout.layout, 5, kIn, packed.data(), out, nullptr);
        });
    this->template expect_same<T>(
        kRows * kIn, [&](Buffer& out) { varlstm::unpack_backward<T>(batch, layout, kIn, padded, out); },
        [&](T* out) {
          return varlstm_unpack_backward(batch.get(), this->kType, layout.layout, 5, kIn, padded.data(), out, nullptr);
        });
  }
}

TYPED_TEST(CapiHppCalls, Embedding) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  const Buffer table = this->random(kVocab * kIn), dy = this->random(kRows * kIn);
  const varlstm::Buffer<int64_t> ids = this->ids(kVocab);
  for (const varlstm::Batch* batch : {static_cast<const varlstm::Batch*>(nullptr), &std::as_const(this->batch_)}) {
    const varlstm_batch* handle = batch == nullptr ? nullptr : batch->get();
    this->template expect_same<T>(
        kRows * kIn,
        [&](Buffer& y) { varlstm::embedding_forward<T>(this->ctx_, batch, kRows, kVocab, kIn, table, ids, y); },
        [&](T* y) {
          return varlstm_embedding_forward(this->ctx_.get(), handle, this->kType, kRows, kVocab, kIn, table.data(),
                                           ids.data(), y, nullptr);
        });
    this->template expect_same<T>(
        kVocab * kIn,
        [&](Buffer& dtable) {
          varlstm::embedding_backward<T>(this->ctx_, batch, kRows, kVocab, kIn, 1, ids, dy, dtable, this->work_);
        },
        [&](T* dtable) {
          return varlstm_embedding_backward(this->ctx_.get(), handle, this->kType, kRows, kVocab, kIn, 1, ids.data(),
                                            dy.data(), dtable, this->work_.data(), this->work_.bytes(), nullptr);
        });
  }
}

TYPED_TEST(CapiHppCalls, Linear) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  const Buffer x = this->random(kRows * kIn), weight = this->random(kOut * kIn), bias = this->random(kOut);
  const Buffer dy = this->random(kRows * kOut);
  this->template expect_same<T>(
      kRows * kOut,
      [&](Buffer& y) { varlstm::linear_forward<T>(this->ctx_, kRows, kIn, kOut, x, weight, bias, y, this->work_); },
      [&](T* y) {
        return varlstm_linear_forward(this->ctx_.get(), this->kType, kRows, kIn, kOut, x.data(), weight.data(),
                                      bias.data(), y, this->work_.data(), this->work_.bytes(), nullptr);
      });
  // dx, dweight and dbias one after the other in one buffer.
  constexpr int64_t kDWeight = kRows * kIn, kDBias = kDWeight + kOut * kIn;
  this->template expect_same<T>(
      kDBias + kOut,
      [&](Buffer& d) {
        varlstm::linear_backward<T>(this->ctx_, kRows, kIn, kOut, x, weight, dy, d.span().subspan(0, kDWeight),
                                    d.span().subspan(kDWeight, kOut * kIn), d.span().subspan(kDBias, kOut),
                                    this->work_);
      },
      [&](T* d) {
        return varlstm_linear_backward(this->ctx_.get(), this->kType, kRows, kIn, kOut, x.data(), weight.data(),
                                       dy.data(), d, d + kDWeight, d + kDBias, this->work_.data(), this->work_.bytes(),
                                       nullptr);
      });
}

TYPED_TEST(CapiHppCalls, ConvMax) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  constexpr int64_t kWords = 3, kWidth = 2, kLdy = kOut + 1, kY = (kWords - 1) * kLdy + kOut;
  constexpr int64_t kWeights = kOut * kIn * kWidth, kRelu = VARLSTM_ACTIVATION_RELU;
  const varlstm::ConvMax conv{kIn, kOut, kWidth, kRelu, kLdy};
  const varlstm::Buffer<int64_t> offsets(this->ctx_, std::vector<int64_t>{0, 4, 5, kRows});
  const Buffer x = this->random(kRows * kIn), weight = this->random(kWeights), bias = this->random(kOut);
  varlstm::Buffer<int64_t> argmax(this->ctx_, kWords * kOut), theirs(this->ctx_, kWords * kOut);
  this->template expect_same<T>(
      kY,
      [&](Buffer& y) {
        varlstm::conv_max_forward<T>(this->ctx_, conv, kWords, kRows, offsets, x, weight, bias, y, argmax, this->work_);
      },
      [&](T* y) {
        return varlstm_conv_max_forward(this->ctx_.get(), this->kType, kWords, kRows, kIn, kOut, kWidth, kRelu,
                                        offsets.data(), x.data(), weight.data(), bias.data(), y, kLdy, theirs.data(),
                                        this->work_.data(), this->work_.bytes(), nullptr);
      });
  EXPECT_EQ(argmax.download(), theirs.download());
  const Buffer y = this->random(kY), dy = this->random(kY);
  // dx, dweight and dbias one after the other in one buffer.
  constexpr int64_t kDWeight = kRows * kIn, kDBias = kDWeight + kWeights;
  this->template expect_same<T>(
      kDBias + kOut,
      [&](Buffer& d) {
        varlstm::conv_max_backward<T>(this->ctx_, conv, kWords, kRows, offsets, x, weight, y, dy, argmax,
                                      d.span().subspan(0, kDWeight), d.span().subspan(kDWeight, kWeights),
                                      d.span().subspan(kDBias, kOut), this->work_);
      },
      [&](T* d) {
        return varlstm_conv_max_backward(this->ctx_.get(), this->kType, kWords, kRows, kIn, kOut, kWidth, kRelu,
                                         offsets.data(), x.data(), weight.data(), y.data(), dy.data(), kLdy,
                                         argmax.data(), d, d + kDWeight, d + kDBias, this->work_.data(),
                                         this->work_.bytes(), nullptr);
      });
}

TYPED_TEST(CapiHppCalls, DropoutAndLogSoftmax) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  constexpr int64_t kCount = kRows * kOut;
  const Buffer x = this->random(kCount), dy = this->random(kCount);
  varlstm_ctx* ctx = this->ctx_.get();
  this->template expect_same<T>(
      kCount, [&](Buffer& y) { varlstm::dropout_forward<T>(this->ctx_, 0.25, 9, x, y); },
      [&](T* y) { return varlstm_dropout_forward(ctx, this->kType, kCount, 0.25, 9, x.data(), y, nullptr); });
  this->template expect_same<T>(
      kCount, [&](Buffer& dx) { varlstm::dropout_backward<T>(this->ctx_, 0.25, 9, dy, dx); },
      [&](T* dx) { return varlstm_dropout_backward(ctx, this->kType, kCount, 0.25, 9, dy.data(), dx, nullptr); });
  this->template expect_same<T>(
      kCount, [&](Buffer& y) { varlstm::log_softmax_forward<T>(this->ctx_, kRows, kOut, x, y); },
      [&](T* y) { return varlstm_log_softmax_forward(ctx, this->kType, kRows, kOut, x.data(), y, nullptr); });
  this->template expect_same<T>(
      kCount, [&](Buffer& dx) { varlstm::log_softmax_backward<T>(this->ctx_, kRows, kOut, x, dy, dx); },
      [&](T* dx) {
        return varlstm_log_softmax_backward(ctx, this->kType, kRows, kOut, x.data(), dy.data(), dx, nullptr);
      });
}

TYPED_TEST(CapiHppCalls, Convert) {
  using T = TypeParam;
  const varlstm::Buffer<T> x = this->random(kRows);
  varlstm::Buffer<varlstm::Bf16> bf16(this->ctx_, kRows);
  varlstm::Buffer<varlstm::F16> f16(this->ctx_, kRows);
  varlstm::convert<T, varlstm::Bf16>(this->ctx_, x, bf16);
  varlstm::convert<T, varlstm::F16>(this->ctx_, x, f16);
  varlstm::Buffer<double> from_bf16(this->ctx_, kRows), from_f16(this->ctx_, kRows);
  varlstm::convert<varlstm::Bf16, double>(this->ctx_, bf16, from_bf16);
  varlstm::convert<varlstm::F16, double>(this->ctx_, f16, from_f16);
  const std::vector<T> expected = x.download();
  for (size_t k = 0; k < expected.size(); ++k) {
    EXPECT_NEAR(from_bf16.download()[k], expected[k], 1.0 / 256);  // half a unit of 8 bits
    EXPECT_NEAR(from_f16.download()[k], expected[k], 1.0 / 2048);  // of 11
  }
}

TYPED_TEST(CapiHppCalls, Loss) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  const Buffer logits = this->random(kRows * kOut), x = this->random(kRows * kIn), weight = this->random(kOut * kIn);
  const Buffer bias = this->random(kOut), class_weights = this->random(kOut), lse = this->random(kRows);
  const varlstm::Buffer<int64_t> targets = this->ids(kOut);
  const varlstm::Batch* batch = &this->batch_;
  varlstm_batch* b = batch->get();
  auto& work = this->work_;
  for (const int32_t reduction : {VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_MEAN}) {
    varlstm::Loss<T> loss(this->ctx_, kOut);
    loss.set_i64(VARLSTM_KEY_REDUCTION, reduction);
    const int64_t outs = reduction == VARLSTM_REDUCTION_NONE ? kRows : 1;
    const Buffer dout = this->random(outs);
    varlstm_loss* l = loss.get();
    // In one buffer: out, weight_sum, then dlogits or lse.
    const auto out = [&](Buffer& d) { return d.span().subspan(0, outs); };
    const auto sum = [&](Buffer& d) { return d.span().subspan(outs, 1); };
    const auto rest = [&](Buffer& d) { return d.span().subspan(outs + 1, d.size() - outs - 1); };
    this->template expect_same<T>(
        outs + 1,
        [&](Buffer& d) { loss.nll_forward(batch, kRows, logits, targets, class_weights, out(d), sum(d), work); },
        [&](T* d) {
          return varlstm_nll_forward(l, b, this->kType, kRows, logits.data(), targets.data(), class_weights.data(), d,
                                     d + outs, work.data(), work.bytes(), nullptr);
        });
    this->template expect_same<T>(
        kRows * kOut, [&](Buffer& d) { loss.nll_backward(batch, kRows, targets, class_weights, dout, d, work); },
        [&](T* d) {
          return varlstm_nll_backward(l, b, this->kType, kRows, targets.data(), class_weights.data(), dout.data(), d,
                                      work.data(), work.bytes(), nullptr);
        });
    this->template expect_same<T>(
        outs + 1 + kRows * kOut,
        [&](Buffer& d) {
          loss.cross_entropy_forward(batch, kRows, logits, targets, class_weights, out(d), sum(d), rest(d), work);
        },
        [&](T* d) {
          return varlstm_cross_entropy_forward(l, b, this->kType, kRows, logits.data(), targets.data(),
                                               class_weights.data(), d, d + outs, d + outs + 1, work.data(),
                                               work.bytes(), nullptr);
        });
    this->template expect_same<T>(
        kRows * kOut, [&](Buffer& d) { loss.cross_entropy_backward(kRows, dout, d); },
        [&](T* d) { return varlstm_cross_entropy_backward(l, this->kType, kRows, dout.data(), d, nullptr); });
    this->template expect_same<T>(
        outs + 1 + kRows,
        [&](Buffer& d) {
          loss.linear_cross_entropy_forward(batch, kRows, kIn, x, weight, bias, targets, class_weights, out(d), sum(d),
                                            rest(d), work);
        },
        [&](T* d) {
          return varlstm_linear_cross_entropy_forward(l, b, this->kType, kRows, kIn, x.data(), weight.data(),
                                                      bias.data(), targets.data(), class_weights.data(), d, d + outs,
                                                      d + outs + 1, work.data(), work.bytes(), nullptr);
        });
    constexpr int64_t kDWeight = kRows * kIn, kDBias = kDWeight + kOut * kIn;
    this->template expect_same<T>(
        kDBias + kOut,
        [&](Buffer& d) {
          loss.linear_cross_entropy_backward(batch, kRows, kIn, x, weight, bias, targets, class_weights, lse, dout,
                                             d.span().subspan(0, kDWeight), d.span().subspan(kDWeight, kOut * kIn),
                                             d.span().subspan(kDBias, kOut), work);
        },
        [&](T* d) {
          return varlstm_linear_cross_entropy_backward(
              l, b, this->kType, kRows, kIn, x.data(), weight.data(), bias.data(), targets.data(), class_weights.data(),
              lse.data(), dout.data(), d, d + kDWeight, d + kDBias, work.data(), work.bytes(), nullptr);
        });
  }
}

TYPED_TEST(CapiHppCalls, Optimizer) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  constexpr int64_t kCount = 11;
  const Buffer grads = this->random(kCount);
  varlstm_ctx* ctx = this->ctx_.get();
  // params and velocity in one buffer.
  this->template expect_same<T>(
      2 * kCount,
      [&](Buffer& p) {
        varlstm::sgd_step<T>(this->ctx_, {0.1, 0.9, 0.01, true}, p.span().subspan(0, kCount), grads,
                             p.span().subspan(kCount, kCount));
      },
      [&](T* p) {
        return varlstm_sgd_step(ctx, this->kType, kCount, 0.1, 0.9, 0.01, 1, p, grads.data(), p + kCount, nullptr);
      });
  Buffer m = Buffer::zeros(this->ctx_, kCount), v = Buffer::zeros(this->ctx_, kCount);
  varlstm::Buffer<int64_t> step = varlstm::Buffer<int64_t>::zeros(this->ctx_, 1);
  this->template expect_same<T>(
      kCount,
      [&](Buffer& p) {
        varlstm::adam_step<T>(this->ctx_, {0.1, 0.8, 0.95, 1e-6, 0.01, true}, p, grads, m, v, step);
        EXPECT_EQ(step.download(), std::vector<int64_t>{1});
        m.zero(), v.zero(), step.zero();
      },
      [&](T* p) {
        return varlstm_adam_step(ctx, this->kType, kCount, 0.1, 0.8, 0.95, 1e-6, 0.01, 1, p, grads.data(), m.data(),
                                 v.data(), step.data(), nullptr);
      });
  auto& work = this->work_;
  this->template expect_same<double>(
      1, [&](varlstm::Buffer<double>& norm) { varlstm::grad_norm<T>(this->ctx_, grads, norm, work); },
      [&](double* norm) {
        return varlstm_grad_norm(ctx, this->kType, kCount, grads.data(), norm, work.data(), work.bytes(), nullptr);
      });
  varlstm::Buffer<double> norm(this->ctx_, 1);
  this->template expect_same<T>(
      kCount, [&](Buffer& g) { varlstm::clip_grad_norm<T>(this->ctx_, 0.5, g, norm, work); },
      [&](T* g) {
        return varlstm_clip_grad_norm(ctx, this->kType, kCount, 0.5, g, norm.data(), work.data(), work.bytes(),
                                      nullptr);
      });
}

TYPED_TEST(CapiHppCalls, RowsOfATable) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  constexpr int64_t kTable = kVocab * kIn;
  const varlstm::Buffer<int64_t> ids(this->ctx_, std::vector<int64_t>{3, 1, 3, 0});
  const int64_t rows = ids.size();
  const Buffer dy = this->random(rows * kIn);
  varlstm_ctx* ctx = this->ctx_.get();
  auto& work = this->work_;
  varlstm::Buffer<int64_t> row_ids(this->ctx_, rows);
  this->template expect_same<T>(
      rows * kIn,
      [&](Buffer& drows) {
        varlstm::embedding_backward_rows<T>(this->ctx_, nullptr, kVocab, kIn, 1, ids, dy, row_ids, drows, work);
        EXPECT_EQ(row_ids.download(), (std::vector<int64_t>{3, -1, -1, 0}));
      },
      [&](T* drows) {
        return varlstm_embedding_backward_rows(ctx, nullptr, this->kType, rows, kVocab, kIn, 1, ids.data(), dy.data(),
                                               row_ids.data(), drows, work.data(), work.bytes(), nullptr);
      });
  this->template expect_same<T>(
      kTable, [&](Buffer& p) { varlstm::sgd_rows_step<T>(this->ctx_, 0.3, kVocab, kIn, row_ids, dy, p); },
      [&](T* p) {
        return varlstm_sgd_rows_step(ctx, this->kType, rows, kVocab, kIn, 0.3, row_ids.data(), dy.data(), p, nullptr);
      });
  // Two steps, the second without rows, and a catching up: of one row, then of all.
  Buffer m = Buffer::zeros(this->ctx_, kTable), v = Buffer::zeros(this->ctx_, kTable), history(this->ctx_, 4 * 3);
  varlstm::Buffer<int64_t> last = varlstm::Buffer<int64_t>::zeros(this->ctx_, kVocab);
  varlstm::Buffer<int64_t> step = varlstm::Buffer<int64_t>::zeros(this->ctx_, 1);
  const varlstm::Adam adam{0.1, 0.8, 0.95, 1e-6, 0.01, true};
  this->template expect_same<T>(
      kTable,
      [&](Buffer& p) {
        const varlstm::AdamTable<T> table{kIn, p, m, v, last, history, step};
        varlstm::adam_rows_step<T>(this->ctx_, adam, row_ids, dy, table);
        varlstm::adam_rows_step<T>(this->ctx_, adam, {}, {}, table);
        varlstm::adam_rows_catch_up<T>(this->ctx_, adam, row_ids.span().subspan(0, 1), table);
        EXPECT_EQ(last.download(), (std::vector<int64_t>{1, 0, 0, 2, 0, 0}));
        varlstm::adam_rows_catch_up<T>(this->ctx_, adam, {}, table);
        varlstm::adam_rows_catch_up<T>(this->ctx_, adam, std::vector<int64_t>(), table);
        EXPECT_EQ(last.download(), (std::vector<int64_t>{1, 0, 0, 2, 0, 0})) << "no ids are not every id";
        varlstm::adam_rows_catch_up_all<T>(this->ctx_, adam, table);
        EXPECT_EQ(last.download(), std::vector<int64_t>(kVocab, 2));
        m.zero(), v.zero(), last.zero(), step.zero();
      },
      [&](T* p) {
        for (const int64_t count : {rows, int64_t{0}}) {
          const int32_t status = varlstm_adam_rows_step(ctx, this->kType, count, kVocab, kIn, 0.1, 0.8, 0.95, 1e-6,
                                                        0.01, 1, row_ids.data(), dy.data(), p, m.data(), v.data(),
                                                        last.data(), history.data(), 4, step.data(), nullptr);
          if (status != VARLSTM_OK) return status;
        }
        return varlstm_adam_rows_catch_up(ctx, this->kType, 0, kVocab, kIn, 0.8, 0.95, 1e-6, 0.01, 1, nullptr, p,
                                          m.data(), v.data(), last.data(), history.data(), 4, step.data(), nullptr);
      });
}

TYPED_TEST(CapiHppCalls, ImportParams) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  varlstm::Rnn<T> rnn(this->ctx_, kIn, kOut, 2);
  rnn.set_i64(VARLSTM_KEY_BIDIRECTIONAL, 1);
  const Buffer w_ih = this->random(4 * kOut * 2 * kOut), w_hh = this->random(4 * kOut * kOut);
  const Buffer b_ih = this->random(4 * kOut), b_hh = this->random(4 * kOut);
  this->template expect_same<T>(
      rnn.param_elements(), [&](Buffer& p) { rnn.import_params(VARLSTM_FORMAT_ONNX, 1, 1, w_ih, w_hh, b_ih, b_hh, p); },
      [&](T* p) {
        return varlstm_rnn_import(rnn.get(), VARLSTM_FORMAT_ONNX, 1, 1, w_ih.data(), w_hh.data(), b_ih.data(),
                                  b_hh.data(), p, nullptr);
      });
}

TYPED_TEST(CapiHppCalls, ImportParamsOfAGru) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  const varlstm::Rnn<T> gru(this->ctx_, kIn, kOut, 1, VARLSTM_CELL_GRU);
  const Buffer kernel = this->random(3 * kOut * kIn), recurrent = this->random(3 * kOut * kOut);
  const Buffer bias = this->random(2 * 3 * kOut);  // [2, 3H]
  const varlstm::Span<const T> all = bias;
  this->template expect_same<T>(
      gru.param_elements(),
      [&](Buffer& p) {
        gru.import_params(VARLSTM_FORMAT_KERAS, 0, 0, kernel, recurrent, all.subspan(0, 3 * kOut),
                          all.subspan(3 * kOut, 3 * kOut), p);
      },
      [&](T* p) {
        return varlstm_rnn_import(gru.get(), VARLSTM_FORMAT_KERAS, 0, 0, kernel.data(), recurrent.data(), bias.data(),
                                  bias.data() + 3 * kOut, p, nullptr);
      });
}

TYPED_TEST(CapiHppCalls, RnnOfACellWithoutC) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  constexpr int64_t kState = 4 * kOut, kOutputs = kRows * kOut;
  for (const int32_t cell :
       {VARLSTM_CELL_GRU, VARLSTM_CELL_RNN_TANH, VARLSTM_CELL_RNN_RELU, VARLSTM_CELL_GRU_RESET_BEFORE}) {
    const varlstm::Rnn<T> rnn(this->ctx_, kIn, kOut, 1, cell);
    const int64_t elements = rnn.param_elements(), dx = elements, dh0 = dx + kRows * kIn;
    const auto& batch = this->batch_;
    const Buffer params = this->random(elements), x = this->random(kRows * kIn), h0 = this->random(kState);
    const Buffer dy = this->random(kOutputs), dh_n = this->random(kState);
    const varlstm::RnnInput<T> in = {params, x, h0};
    auto& work = this->work_;
    varlstm::Workspace reserve(this->ctx_), c_reserve(this->ctx_);
    c_reserve.grow(rnn.sizes(batch, VARLSTM_MODE_SAVE).reserve_bytes);
    Buffer y(this->ctx_, kOutputs);
    const auto part = [](Buffer& data, int64_t first, int64_t count) { return data.span().subspan(first, count); };
    this->template expect_same<T>(
        kOutputs + kState,
        [&](Buffer& out) {
          rnn.forward_save(batch, in, {part(out, 0, kOutputs), part(out, kOutputs, kState)}, work, reserve);
          varlstm::copy<T>(this->ctx_, y, part(out, 0, kOutputs), VARLSTM_COPY_WITHIN_BACKEND);
        },
        [&](T* out) {
          return varlstm_rnn_forward(rnn.get(), batch.get(), VARLSTM_MODE_SAVE, 0, params.data(), x.data(), h0.data(),
                                     nullptr, out, out + kOutputs, nullptr, work.data(), work.bytes(), c_reserve.data(),
                                     c_reserve.bytes(), nullptr);
        });
    this->template expect_same<T>(
        dh0 + kState,
        [&](Buffer& d) {
          rnn.backward(batch, in, y, {dy, dh_n}, {part(d, 0, elements), part(d, dx, kRows * kIn), part(d, dh0, kState)},
                       work, reserve);
        },
        [&](T* d) {
          return varlstm_rnn_backward(rnn.get(), batch.get(), params.data(), x.data(), h0.data(), nullptr, y.data(),
                                      dy.data(), dh_n.data(), nullptr, d + dx, d + dh0, nullptr, d, work.data(),
                                      work.bytes(), c_reserve.data(), c_reserve.bytes(), nullptr);
        });
  }
}

// Every span of forward, forward_save and backward has numbers of its own, so that none may stand in another's place.
TYPED_TEST(CapiHppCalls, Rnn) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  constexpr int64_t kState = 2 * 4 * kOut, kOutputs = kRows * kOut;  // two layers, four sequences
  constexpr uint64_t kSeed = 9;
  varlstm::Rnn<T> rnn(this->ctx_, kIn, kOut, 2);
  rnn.set_f64(VARLSTM_KEY_DROPOUT, 0.25);
  rnn.set_i64(VARLSTM_KEY_CELL_STATES, 1);
  const auto& batch = this->batch_;
  const Buffer params = this->random(rnn.param_elements()), x = this->random(kRows * kIn);
  const Buffer h0 = this->random(kState), c0 = this->random(kState);
  const Buffer dy = this->random(kOutputs), dh_n = this->random(kState), dc_n = this->random(kState);
  const Buffer dc = this->random(kOutputs);
  const varlstm::RnnInput<T> in = {params, x, h0, c0};
  auto& work = this->work_;
  const auto part = [](Buffer& data, int64_t first, int64_t count) { return data.span().subspan(first, count); };
  const auto outputs = [&](Buffer& out) -> varlstm::RnnOutput<T> {
    return {part(out, 0, kOutputs), part(out, kOutputs, kState), part(out, kOutputs + kState, kState),
            part(out, kOutputs + 2 * kState, kOutputs)};
  };
  const auto c_forward = [&](int32_t mode, uint64_t seed, T* out, varlstm::Workspace& reserve) {
    return varlstm_rnn_forward_with_c(rnn.get(), batch.get(), mode, seed, params.data(), x.data(), h0.data(), c0.data(),
                                      out, out + kOutputs, out + kOutputs + kState, out + kOutputs + 2 * kState,
                                      work.data(), work.bytes(), reserve.data(), reserve.bytes(), nullptr);
  };
  varlstm::Workspace nothing(this->ctx_), reserve(this->ctx_), c_reserve(this->ctx_);
  this->template expect_same<T>(
      2 * kOutputs + 2 * kState, [&](Buffer& out) { rnn.forward(batch, in, outputs(out), work); },
      [&](T* out) { return c_forward(VARLSTM_MODE_INFER, 0, out, nothing); });
  c_reserve.grow(rnn.sizes(batch, VARLSTM_MODE_SAVE).reserve_bytes);
  Buffer y(this->ctx_, kOutputs);
  this->template expect_same<T>(
      2 * kOutputs + 2 * kState,
      [&](Buffer& out) {
        rnn.forward_save(batch, in, outputs(out), work, reserve, kSeed);
        varlstm::copy<T>(this->ctx_, y, part(out, 0, kOutputs), VARLSTM_COPY_WITHIN_BACKEND);
      },
      [&](T* out) { return c_forward(VARLSTM_MODE_SAVE, kSeed, out, c_reserve); });

  const int64_t elements = rnn.param_elements(), dx = elements, dh0 = dx + kRows * kIn, dc0 = dh0 + kState;
  this->template expect_same<T>(
      dc0 + kState,
      [&](Buffer& d) {
        rnn.backward(batch, in, y, {dy, dh_n, dc_n, dc},
                     {part(d, 0, elements), part(d, dx, kRows * kIn), part(d, dh0, kState), part(d, dc0, kState)}, work,
                     reserve);
      },
      [&](T* d) {
        return varlstm_rnn_backward_with_c(rnn.get(), batch.get(), params.data(), x.data(), h0.data(), c0.data(),
                                           y.data(), dy.data(), dh_n.data(), dc_n.data(), dc.data(), d + dx, d + dh0,
                                           d + dc0, d, work.data(), work.bytes(), c_reserve.data(), c_reserve.bytes(),
                                           nullptr);
      });
}

// With VARLSTM_KEY_ADD_DPARAMS 0 what was in dparams has no effect, and with 1 it is added to.
TYPED_TEST(CapiHppCalls, RnnThatWritesItsGradients) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  const Buffer x = this->random(kRows * kIn), dy = this->random(kRows * kOut);
  varlstm::Rnn<T> adds(this->ctx_, kIn, kOut), writes(this->ctx_, kIn, kOut);
  writes.set_i64(VARLSTM_KEY_ADD_DPARAMS, 0);
  const Buffer params = this->random(adds.param_elements());
  const auto gradient = [&](const varlstm::Rnn<T>& rnn, T before) {
    Buffer y(this->ctx_, kRows * kOut);
    Buffer dparams(this->ctx_, std::vector<T>(static_cast<size_t>(params.size()), before));
    varlstm::Workspace reserve(this->ctx_);
    rnn.forward_save(this->batch_, {params, x}, {y}, this->work_, reserve);
    rnn.backward(this->batch_, {params, x}, y, {dy}, {dparams}, this->work_, reserve);
    return dparams.download();
  };
  const std::vector<T> expected = gradient(adds, 0);
  EXPECT_NE(expected, std::vector<T>(expected.size(), 0));
  EXPECT_EQ(gradient(writes, std::numeric_limits<T>::quiet_NaN()), expected);
  EXPECT_NE(gradient(adds, 1), expected);
}

// Three streams at slots of a table of five; the states before are those of the buffer.
TYPED_TEST(CapiHppCalls, Step) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  constexpr int64_t kStreams = 3, kSlots = 5, kTable = 2 * kSlots * kOut;
  for (const int32_t cell : {VARLSTM_CELL_LSTM, VARLSTM_CELL_GRU}) {
    const varlstm::Rnn<T> rnn(this->ctx_, kIn, kOut, 2, cell);
    const Buffer params = this->random(rnn.param_elements()), x = this->random(kStreams * kIn);
    const varlstm::Buffer<int64_t> slots(this->ctx_, std::vector<int64_t>{4, 0, 3});
    const bool has_c = cell == VARLSTM_CELL_LSTM;
    auto& work = this->work_;
    this->template expect_same<T>(
        2 * kTable + kStreams * kOut,
        [&](Buffer& b) {
          const auto part = [&](int64_t first, int64_t count) { return b.span().subspan(first, count); };
          varlstm::RnnTable<T> table = {part(0, kTable), part(kTable, kTable)};
          if (!has_c) table.c = {};
          rnn.step(params, x, slots, table, part(2 * kTable, kStreams * kOut), work);
        },
        [&](T* b) {
          return varlstm_rnn_step(rnn.get(), kStreams, params.data(), x.data(), slots.data(), kSlots, b,
                                  has_c ? b + kTable : nullptr, b + 2 * kTable, work.data(), work.bytes(), nullptr);
        });
  }
}

TYPED_TEST(CapiHppCalls, PreparedRnn) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  const varlstm::Rnn<T> rnn(this->ctx_, kIn, kOut, 2, VARLSTM_CELL_GRU);
  const Buffer params = this->random(rnn.param_elements()), x = this->random(kRows * kIn);
  varlstm::Workspace weights(this->ctx_);
  const varlstm::Rnn<T> prepared = rnn.prepare(VARLSTM_MODE_INFER, params, weights);
  const auto output = [&](const varlstm::Rnn<T>& used) {
    Buffer y(this->ctx_, kRows * kOut);
    used.forward(this->batch_, {params, x}, {y}, this->work_);
    return y.download();
  };
  EXPECT_EQ(output(prepared), output(rnn));
  const Buffer others = this->random(rnn.param_elements());
  Buffer y(this->ctx_, kRows * kOut);
  EXPECT_THROW(prepared.forward(this->batch_, {others, x}, {y}, this->work_), varlstm::Error);
}

// The batch has 2, 4, 0 and 1 tokens.
TYPED_TEST(CapiHppCalls, Resets) {
  using T = TypeParam;
  using Buffer = varlstm::Buffer<T>;
  varlstm::Batch& batch = this->batch_;
  varlstm::Rnn<T> rnn(this->ctx_, kIn, kOut, 1, VARLSTM_CELL_GRU);
  rnn.set_i64(VARLSTM_KEY_RESETS, 1);
  EXPECT_EQ(rnn.get_i64(VARLSTM_KEY_RESETS), 1);
  const Buffer params = this->random(rnn.param_elements()), x = this->random(kRows * kIn);
  const auto output = [&] {
    Buffer y(this->ctx_, kRows * kOut);
    rnn.forward(batch, {params, x}, {y}, this->work_);
    return y.download();
  };
  const std::vector<T> without = output();
  const auto flags = [](int64_t count) {
    std::vector<uint8_t> values;
    for (int64_t k = 0; k < count; ++k) values.push_back(k % 3 == 1);
    return values;
  };
  const varlstm::Layout layouts[] = {varlstm::ragged(), varlstm::batch_first(5), varlstm::time_major(5)};
  for (const varlstm::Layout& layout : layouts) {
    const int64_t count = layout.layout == VARLSTM_LAYOUT_RAGGED ? kRows : 4 * 5;
    const varlstm::Buffer<uint8_t> in_backend(this->ctx_, flags(count));
    check(varlstm_batch_set_resets(batch.get(), in_backend.data(), count, layout.layout, layout.padded_len,
                                   VARLSTM_SPACE_BACKEND, nullptr));
    const std::vector<T> expected = output();
    EXPECT_NE(expected, without);
    batch.clear_resets();
    EXPECT_EQ(output(), without);
    batch.set_resets(layout, flags(count));
    EXPECT_EQ(output(), expected);
    batch.clear_resets();
    batch.set_resets(layout, in_backend, VARLSTM_SPACE_BACKEND);
    EXPECT_EQ(output(), expected);
  }
  EXPECT_THROW(batch.set_resets(varlstm::ragged(), std::vector<uint8_t>()), varlstm::Error) << "clear_resets does that";
  EXPECT_EQ(varlstm_last_error(), std::string("count = 0 is not the number of rows, 7"));
  EXPECT_THROW(batch.set_resets(varlstm::batch_first(5), flags(19)), varlstm::Error);
  EXPECT_EQ(varlstm_last_error(), std::string("count = 19 is not batch = 4 times padded_len = 5"));
  EXPECT_THROW(batch.set_resets(varlstm::ragged(), std::vector<uint8_t>{0, 0, 0, 0, 0, 2, 0}), varlstm::Error);
  EXPECT_EQ(varlstm_last_error(), std::string("resets[5] = 2 is neither 0 nor 1"));
}

}  // namespace
}  // namespace varlstm_test
