// varlstm.hpp refuses a span that is too short before the library is called, and a state that is too long: each span of
// each function once.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <deque>
#include <numeric>
#include <set>
#if __cplusplus >= 202002L
#include <span>
#include <vector>
#endif

#include "support/context.h"
#include "varlstm.hpp"

namespace varlstm_test {
namespace {

#if __cplusplus >= 202002L
static_assert(std::is_convertible_v<std::span<const float>, varlstm::Span<const float>>);
static_assert(!std::is_convertible_v<std::span<const float>, varlstm::Span<float>>);
#endif

// Makes the spans of one call, zeros of the size asked for; the one with the number `changed` has `more` elements more.
class Spans {
 public:
  Spans(const varlstm::Context& ctx, int changed, int64_t more) : ctx_(ctx), changed_(changed), more_(more) {}

  varlstm::Span<float> operator()(const char* name, int64_t size) { return make(name, size, &floats_); }
  varlstm::Span<double> doubles(const char* name, int64_t size) { return make(name, size, &doubles_); }
  varlstm::Span<int64_t> ints(const char* name, int64_t size) { return make(name, size, &ints_); }

  int count() const { return count_; }
  const std::string& changed() const { return name_; }

 private:
  template <class T>
  varlstm::Span<T> make(const char* name, int64_t size, std::deque<varlstm::Buffer<T>>* buffers) {
    const bool changes = count_++ == changed_;
    if (changes) name_ = name;
    buffers->push_back(varlstm::Buffer<T>::zeros(ctx_, changes ? size + more_ : size));
    return buffers->back();
  }

  varlstm::Context ctx_;
  int changed_, count_ = 0;
  int64_t more_;
  std::string name_;
  std::deque<varlstm::Buffer<float>> floats_;
  std::deque<varlstm::Buffer<double>> doubles_;
  std::deque<varlstm::Buffer<int64_t>> ints_;
};

class CapiHppSizes : public ::testing::Test {
 protected:
  static constexpr int64_t kBatch = 4, kRows = 7, kLen = 5, kIn = 3, kOut = 2, kVocab = 6, kHidden = 2;

  // The text of the Error that `call` throws with those spans; "" if it throws none.
  template <class Call>
  static std::string refusal(Call call, Spans& spans) {
    try {
      call(spans);
    } catch (const varlstm::Error& error) {
      EXPECT_EQ(error.status(), VARLSTM_ERROR_INVALID_ARGUMENT);
      return error.what();
    }
    return "";
  }

  // `call` passes with spans of the right size, and with each of the `count` spans in turn too short it names that one.
  template <class Call>
  void expect_each_refused(int count, Call call) {
    Spans full(ctx_, -1, 0);
    call(full);
    EXPECT_EQ(full.count(), count);
    for (int k = 0; k < full.count(); ++k) {
      Spans spans(ctx_, k, -1);
      const std::string text = refusal(call, spans), begin = spans.changed() + " has ";
      EXPECT_EQ(text.substr(0, begin.size()), begin);
      const bool tells = text.find(" elements, fewer than ") != std::string::npos ||
                         text.find(" elements, not the ") != std::string::npos;
      EXPECT_TRUE(tells) << text;
    }
  }

  // `call` passes with each span in turn too long, but for states, of which it tells both counts. Those of h have
  // `of_h` elements, those of c as many or `of_c`.
  template <class Call>
  void expect_longer_states_refused(int64_t of_h, Call call, int64_t of_c = -1) {
    const std::set<std::string> states = {"h0", "c0", "h_n", "c_n", "dh0", "dc0", "dh_n", "dc_n"};
    Spans full(ctx_, -1, 0);
    call(full);
    for (int k = 0; k < full.count(); ++k) {
      Spans spans(ctx_, k, 1);
      const std::string text = refusal(call, spans);
      if (states.count(spans.changed()) == 0) {
        EXPECT_EQ(text, "") << spans.changed() << " may be longer";
        continue;
      }
      const bool is_h = spans.changed().find('h') != std::string::npos;
      const int64_t state = is_h || of_c < 0 ? of_h : of_c;
      const std::string begin = spans.changed() + " has " + std::to_string(state + 1) + " elements, not the " +
                                std::to_string(state) + " of num_layers = ";
      EXPECT_EQ(text.substr(0, begin.size()), begin);
    }
  }

  // A table whose h has `elements`; c has those of five slots.
  void expect_longer_table_refused(const varlstm::Rnn<float>& rnn, int64_t elements, const std::string& begin) {
    Spans spans(ctx_, -1, 0);
    const std::string text = refusal(
        [&](Spans& s) {
          const varlstm::Buffer<int64_t> slots(ctx_, std::vector<int64_t>{1});
          rnn.step(s("params", rnn.param_elements()), s("x", kIn), slots, {s("h", elements), s("c", 2 * 5 * kHidden)},
                   s("y", kHidden), work_);
        },
        spans);
    EXPECT_EQ(text.substr(0, begin.size()), begin);
  }

  varlstm::Context ctx_{test_backend()};
  varlstm::Batch batch_{ctx_, std::vector<int64_t>{2, 4, 0, 1}};
  varlstm::Workspace work_{ctx_}, reserve_{ctx_};
};

TEST_F(CapiHppSizes, TheTextNamesTheSizes) {
  const varlstm::Buffer<float> src(ctx_, 20);
  varlstm::Buffer<float> packed(ctx_, 21);
  try {
    varlstm::pack<float>(batch_, varlstm::ragged(), kIn, src, packed);
    FAIL() << "no exception";
  } catch (const varlstm::Error& error) {
    EXPECT_STREQ(error.what(), "src has 20 elements, fewer than rows = 7 times features = 3");
  }
  try {
    const varlstm::Buffer<float> params(ctx_, 4 * kHidden * (kIn + kHidden + 2)), h0(ctx_, 5 * kHidden);
    varlstm::Buffer<float> y(ctx_, kRows * kHidden);
    varlstm::Rnn<float>(ctx_, kIn, kHidden).forward(batch_, {params, packed, h0}, {y}, work_);
    FAIL() << "no exception";
  } catch (const varlstm::Error& error) {
    EXPECT_STREQ(error.what(),
                 "h0 has 10 elements, not the 8 of num_layers = 1 times directions = 1 times batch = 4 times "
                 "hidden_size = 2");
  }
}

TEST_F(CapiHppSizes, SizesThatOverflowAreRefusedAndNegativeOnesLeftToTheLibrary) {
  const varlstm::Buffer<float> x(ctx_, 8), weight(ctx_, 8);
  varlstm::Buffer<float> y(ctx_, 8);
  const auto text_of = [&](int64_t rows, int64_t in) -> std::string {
    try {
      varlstm::linear_forward<float>(ctx_, rows, in, 1, x, weight, {}, y, work_);
    } catch (const varlstm::Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(text_of(INT64_MAX, 4), "x has 8 elements, fewer than rows = 9223372036854775807 times in = 4");
  EXPECT_NE(text_of(-1, 4).find("rows = -1"), std::string::npos) << text_of(-1, 4);
}

TEST_F(CapiHppSizes, ConvMax) {
  constexpr int64_t kWords = 3, kWidth = 3, kLdy = kOut + 2, kY = (kWords - 1) * kLdy + kOut;
  constexpr int64_t kWeights = kOut * kIn * kWidth;
  const varlstm::ConvMax conv{kIn, kOut, kWidth, VARLSTM_ACTIVATION_NONE, kLdy};
  expect_each_refused(6, [&](Spans& s) {
    varlstm::conv_max_forward<float>(ctx_, conv, kWords, kRows, s.ints("offsets", kWords + 1), s("x", kRows * kIn),
                                     s("weight", kWeights), s("bias", kOut), s("y", kY),
                                     s.ints("argmax", kWords * kOut), work_);
  });
  expect_each_refused(9, [&](Spans& s) {
    varlstm::conv_max_backward<float>(ctx_, conv, kWords, kRows, s.ints("offsets", kWords + 1), s("x", kRows * kIn),
                                      s("weight", kWeights), s("y", kY), s("dy", kY), s.ints("argmax", kWords * kOut),
                                      s("dx", kRows * kIn), s("dweight", kWeights), s("dbias", kOut), work_);
  });
}

TEST_F(CapiHppSizes, Pack) {
  for (const varlstm::Layout& layout : {varlstm::ragged(), varlstm::batch_first(kLen), varlstm::time_major(kLen)}) {
    const int64_t laid_out = (layout.layout == VARLSTM_LAYOUT_RAGGED ? kRows : kBatch * kLen) * kIn;
    expect_each_refused(
        2, [&](Spans& s) { varlstm::pack<float>(batch_, layout, kIn, s("src", laid_out), s("packed", kRows * kIn)); });
    expect_each_refused(2, [&](Spans& s) {
      varlstm::unpack<float>(batch_, layout, kIn, 0.0, s("packed", kRows * kIn), s("dst", laid_out));
    });
    expect_each_refused(2, [&](Spans& s) {
      varlstm::pack_backward<float>(batch_, layout, kIn, s("dpacked", kRows * kIn), s("dsrc", laid_out));
    });
    expect_each_refused(2, [&](Spans& s) {
      varlstm::unpack_backward<float>(batch_, layout, kIn, s("ddst", laid_out), s("dpacked", kRows * kIn));
    });
  }
}

TEST_F(CapiHppSizes, Rnn) {
  varlstm::Rnn<float> rnn(ctx_, kIn, kHidden, 2);
  rnn.set_i64(VARLSTM_KEY_BIDIRECTIONAL, 1);
  const int64_t elements = rnn.param_elements(), state = 2 * 2 * kBatch * kHidden, outputs = kRows * 2 * kHidden;
  const auto input = [&](Spans& s) {
    return varlstm::RnnInput<float>{s("params", elements), s("x", kRows * kIn), s("h0", state), s("c0", state)};
  };
  const auto output = [&](Spans& s) {
    return varlstm::RnnOutput<float>{s("y", outputs), s("h_n", state), s("c_n", state)};
  };
  const auto forward = [&](Spans& s) { rnn.forward(batch_, input(s), output(s), work_); };
  const auto forward_save = [&](Spans& s) { rnn.forward_save(batch_, input(s), output(s), work_, reserve_); };
  const auto backward = [&](Spans& s) {
    const varlstm::RnnInput<float> in = input(s);
    const varlstm::Span<float> y = s("y", outputs);
    rnn.backward(batch_, in, y, {s("dy", outputs), s("dh_n", state), s("dc_n", state)},
                 {s("dparams", elements), s("dx", kRows * kIn), s("dh0", state), s("dc0", state)}, work_, reserve_);
  };
  expect_each_refused(7, forward);
  expect_each_refused(7, forward_save);
  expect_each_refused(12, backward);
  expect_longer_states_refused(state, forward);
  expect_longer_states_refused(state, forward_save);
  expect_longer_states_refused(state, backward);
  expect_each_refused(5, [&](Spans& s) {
    rnn.import_params(VARLSTM_FORMAT_PYTORCH, 1, 0, s("w_ih", 4 * kHidden * 2 * kHidden),
                      s("w_hh", 4 * kHidden * kHidden), s("b_ih", 4 * kHidden), s("b_hh", 4 * kHidden),
                      s("params", elements));
  });
}

TEST_F(CapiHppSizes, RnnWithAProjection) {
  varlstm::Rnn<float> rnn(ctx_, kIn, kHidden, 2);
  rnn.set_i64(VARLSTM_KEY_BIDIRECTIONAL, 1);
  rnn.set_i64(VARLSTM_KEY_PROJ_SIZE, 1);
  rnn.set_i64(VARLSTM_KEY_CELL_STATES, 1);
  const int64_t elements = rnn.param_elements(), of_h = 2 * 2 * kBatch, of_c = of_h * kHidden, outputs = kRows * 2;
  const int64_t units = outputs * kHidden;
  const auto input = [&](Spans& s) {
    return varlstm::RnnInput<float>{s("params", elements), s("x", kRows * kIn), s("h0", of_h), s("c0", of_c)};
  };
  const auto forward_save = [&](Spans& s) {
    rnn.forward_save(batch_, input(s), {s("y", outputs), s("h_n", of_h), s("c_n", of_c), s("c", units)}, work_,
                     reserve_);
  };
  const auto backward = [&](Spans& s) {
    const varlstm::RnnInput<float> in = input(s);
    const varlstm::Span<float> y = s("y", outputs);
    rnn.backward(batch_, in, y, {s("dy", outputs), s("dh_n", of_h), s("dc_n", of_c), s("dc", units)},
                 {s("dparams", elements), s("dx", kRows * kIn), s("dh0", of_h), s("dc0", of_c)}, work_, reserve_);
  };
  expect_each_refused(8, forward_save);
  expect_each_refused(13, backward);
  expect_longer_states_refused(of_h, forward_save, of_c);
  expect_longer_states_refused(of_h, backward, of_c);
}

TEST_F(CapiHppSizes, StepWithAProjection) {
  const varlstm::Buffer<int64_t> slots(ctx_, std::vector<int64_t>{4, 0});
  varlstm::Rnn<float> rnn(ctx_, kIn, kHidden, 2);
  rnn.set_i64(VARLSTM_KEY_PROJ_SIZE, 1);
  expect_each_refused(5, [&](Spans& s) {
    const auto params = s("params", rnn.param_elements()), x = s("x", 2 * kIn), y = s("y", 2);
    rnn.step(params, x, slots, {s("h", 2 * 5), s("c", 2 * 5 * kHidden)}, y, work_);
  });
}

TEST_F(CapiHppSizes, Step) {
  const varlstm::Buffer<int64_t> slots(ctx_, std::vector<int64_t>{4, 0});
  for (const int32_t cell : {VARLSTM_CELL_LSTM, VARLSTM_CELL_GRU}) {
    const varlstm::Rnn<float> rnn(ctx_, kIn, kHidden, 2, cell);
    constexpr int64_t kTable = 2 * 5 * kHidden;
    const bool has_c = cell == VARLSTM_CELL_LSTM;
    expect_each_refused(has_c ? 5 : 4, [&](Spans& s) {
      const auto params = s("params", rnn.param_elements()), x = s("x", 2 * kIn), y = s("y", 2 * kHidden);
      varlstm::RnnTable<float> table = {s("h", kTable)};
      if (has_c) table.c = s("c", kTable);
      rnn.step(params, x, slots, table, y, work_);
    });
    // Elements of h that are no whole slot.
    expect_longer_table_refused(rnn, kTable + 1, "h has 21 elements, not the 20 of num_layers = 2");
    if (has_c) expect_longer_table_refused(rnn, kTable + 4, "c has 20 elements, not the 24 of num_layers = 2");
  }
}

TEST_F(CapiHppSizes, MoreStreamsThanSlots) {
  const varlstm::Rnn<float> rnn(ctx_, kIn, kHidden);
  const varlstm::Buffer<int64_t> slots(ctx_, std::vector<int64_t>{0, 1});
  Spans spans(ctx_, -1, 0);
  const std::string text = refusal(
      [&](Spans& s) {
        rnn.step(s("params", rnn.param_elements()), s("x", 2 * kIn), slots, {s("h", kHidden), s("c", kHidden)},
                 s("y", 2 * kHidden), work_);
      },
      spans);
  EXPECT_EQ(text, "streams = 2 is larger than table_slots = 1");
}

TEST_F(CapiHppSizes, RnnOfACellWithoutC) {
  for (const auto& [cell, gates] : {std::pair<int32_t, int64_t>{VARLSTM_CELL_GRU, 3}, {VARLSTM_CELL_RNN_TANH, 1}}) {
    varlstm::Rnn<float> rnn(ctx_, kIn, kHidden, 1, cell);
    const int64_t rows = gates * kHidden, elements = rnn.param_elements(), state = kBatch * kHidden;
    EXPECT_EQ(elements, rows * (kIn + kHidden + 2));
    expect_each_refused(5, [&](Spans& s) {
      rnn.import_params(VARLSTM_FORMAT_PYTORCH, 0, 0, s("w_ih", rows * kIn), s("w_hh", rows * kHidden), s("b_ih", rows),
                        s("b_hh", rows), s("params", elements));
    });
    const auto forward_save = [&](Spans& s) {
      rnn.forward_save(batch_, {s("params", elements), s("x", kRows * kIn), s("h0", state)},
                       {s("y", kRows * kHidden), s("h_n", state)}, work_, reserve_);
    };
    const auto backward = [&](Spans& s) {
      const varlstm::RnnInput<float> in = {s("params", elements), s("x", kRows * kIn), s("h0", state)};
      const varlstm::Span<float> y = s("y", kRows * kHidden);
      rnn.backward(batch_, in, y, {s("dy", kRows * kHidden), s("dh_n", state)},
                   {s("dparams", elements), s("dx", kRows * kIn), s("dh0", state)}, work_, reserve_);
    };
    expect_each_refused(5, forward_save);
    expect_each_refused(9, backward);
    expect_longer_states_refused(state, forward_save);
    expect_longer_states_refused(state, backward);
  }
}

TEST_F(CapiHppSizes, Operations) {
  expect_each_refused(3, [&](Spans& s) {
    varlstm::embedding_forward<float>(ctx_, &batch_, kRows, kVocab, kIn, s("table", kVocab * kIn), s.ints("ids", kRows),
                                      s("y", kRows * kIn));
  });
  expect_each_refused(3, [&](Spans& s) {
    varlstm::embedding_backward<float>(ctx_, nullptr, kRows, kVocab, kIn, -1, s.ints("ids", kRows),
                                       s("dy", kRows * kIn), s("dtable", kVocab * kIn), work_);
  });
  expect_each_refused(4, [&](Spans& s) {
    varlstm::linear_forward<float>(ctx_, kRows, kIn, kOut, s("x", kRows * kIn), s("weight", kOut * kIn),
                                   s("bias", kOut), s("y", kRows * kOut), work_);
  });
  expect_each_refused(6, [&](Spans& s) {
    varlstm::linear_backward<float>(ctx_, kRows, kIn, kOut, s("x", kRows * kIn), s("weight", kOut * kIn),
                                    s("dy", kRows * kOut), s("dx", kRows * kIn), s("dweight", kOut * kIn),
                                    s("dbias", kOut), work_);
  });
  const varlstm::Buffer<float> given = varlstm::Buffer<float>::zeros(ctx_, kRows);
  expect_each_refused(1, [&](Spans& s) { varlstm::convert<float, double>(ctx_, given, s.doubles("dst", kRows)); });
  expect_each_refused(2, [&](Spans& s) {
    varlstm::copy_columns<float>(ctx_, kRows, kOut, s("src", (kRows - 1) * kIn + kOut), kIn,
                                 s("dst", (kRows - 1) * (kIn + 1) + kOut), kIn + 1);
  });
  expect_each_refused(1, [&](Spans& s) { varlstm::dropout_forward<float>(ctx_, 0.5, 1, given, s("y", kRows)); });
  expect_each_refused(1, [&](Spans& s) { varlstm::dropout_backward<float>(ctx_, 0.5, 1, given, s("dx", kRows)); });
  expect_each_refused(2, [&](Spans& s) {
    varlstm::log_softmax_forward<float>(ctx_, kRows, kOut, s("x", kRows * kOut), s("y", kRows * kOut));
  });
  expect_each_refused(3, [&](Spans& s) {
    varlstm::log_softmax_backward<float>(ctx_, kRows, kOut, s("y", kRows * kOut), s("dy", kRows * kOut),
                                         s("dx", kRows * kOut));
  });
}

TEST_F(CapiHppSizes, Loss) {
  for (const int32_t reduction : {VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_SUM}) {
    varlstm::Loss<float> loss(ctx_, kOut);
    loss.set_i64(VARLSTM_KEY_REDUCTION, reduction);
    const bool row_by_row = reduction == VARLSTM_REDUCTION_NONE;
    const int64_t outs = row_by_row ? kRows : 1;
    const auto logits = [&](Spans& s, const char* name) { return s(name, kRows * kOut); };
    // Of one element, an optional span that is too short is one that is not given.
    const auto dout = [&](Spans& s) { return row_by_row ? s("dout", kRows) : varlstm::Span<float>(); };
    const int douts = row_by_row ? 1 : 0;
    expect_each_refused(4, [&](Spans& s) {
      loss.nll_forward(&batch_, kRows, logits(s, "log_probs"), s.ints("targets", kRows), s("class_weights", kOut),
                       s("out", outs), {}, work_);
    });
    expect_each_refused(3 + douts, [&](Spans& s) {
      loss.nll_backward(&batch_, kRows, s.ints("targets", kRows), s("class_weights", kOut), dout(s),
                        logits(s, "dlog_probs"), work_);
    });
    expect_each_refused(5, [&](Spans& s) {
      loss.cross_entropy_forward(&batch_, kRows, logits(s, "logits"), s.ints("targets", kRows),
                                 s("class_weights", kOut), s("out", outs), {}, logits(s, "dlogits"), work_);
    });
    expect_each_refused(1 + douts,
                        [&](Spans& s) { loss.cross_entropy_backward(kRows, dout(s), logits(s, "dlogits")); });
    expect_each_refused(7, [&](Spans& s) {
      loss.linear_cross_entropy_forward(&batch_, kRows, kIn, s("x", kRows * kIn), s("weight", kOut * kIn),
                                        s("bias", kOut), s.ints("targets", kRows), s("class_weights", kOut),
                                        s("out", outs), {}, s("lse", kRows), work_);
    });
    expect_each_refused(9 + douts, [&](Spans& s) {
      loss.linear_cross_entropy_backward(&batch_, kRows, kIn, s("x", kRows * kIn), s("weight", kOut * kIn),
                                         s("bias", kOut), s.ints("targets", kRows), s("class_weights", kOut),
                                         s("lse", kRows), dout(s), s("dx", kRows * kIn), s("dweight", kOut * kIn),
                                         s("dbias", kOut), work_);
    });
  }
}

TEST_F(CapiHppSizes, Optimizer) {
  const varlstm::Buffer<float> grads = varlstm::Buffer<float>::zeros(ctx_, kRows);
  expect_each_refused(2, [&](Spans& s) {
    varlstm::sgd_step<float>(ctx_, {0.1, 0.9}, s("params", kRows), grads, s("velocity", kRows));
  });
  expect_each_refused(4, [&](Spans& s) {
    varlstm::adam_step<float>(ctx_, {0.1}, s("params", kRows), grads, s("m", kRows), s("v", kRows), s.ints("step", 1));
  });
  expect_each_refused(1, [&](Spans& s) { varlstm::grad_norm<float>(ctx_, grads, s.doubles("norm", 1), work_); });
  varlstm::Buffer<float> clipped = varlstm::Buffer<float>::zeros(ctx_, kRows);
  expect_each_refused(
      1, [&](Spans& s) { varlstm::clip_grad_norm<float>(ctx_, 1.0, clipped, s.doubles("norm", 1), work_); });
}

TEST_F(CapiHppSizes, RowsOfATable) {
  constexpr int64_t kTable = kVocab * kIn;
  std::vector<int64_t> distinct(kRows);
  std::iota(distinct.begin(), distinct.end(), 0);
  varlstm::Buffer<int64_t> ids(ctx_, kRows);
  ids.upload(distinct);
  expect_each_refused(3, [&](Spans& s) {
    varlstm::embedding_backward_rows<float>(ctx_, &batch_, kVocab, kIn, -1, ids, s("dy", kRows * kIn),
                                            s.ints("row_ids", kRows), s("drows", kRows * kIn), work_);
  });
  expect_each_refused(2, [&](Spans& s) {
    varlstm::sgd_rows_step<float>(ctx_, 0.1, kVocab, kIn, ids, s("drows", kRows * kIn), s("table", kTable));
  });
  varlstm::Buffer<float> history = varlstm::Buffer<float>::zeros(ctx_, 12);
  varlstm::Buffer<int64_t> last_steps = varlstm::Buffer<int64_t>::zeros(ctx_, kVocab);  // 1 of a row after its step
  const auto table = [&](Spans& s) -> varlstm::AdamTable<float> {
    return {kIn, s("table", kTable), s("m", kTable), s("v", kTable), last_steps, history, s.ints("step", 1)};
  };
  expect_each_refused(
      5, [&](Spans& s) { varlstm::adam_rows_step<float>(ctx_, {0.1}, ids, s("drows", kRows * kIn), table(s)); });
  last_steps.zero();
  expect_each_refused(4, [&](Spans& s) { varlstm::adam_rows_catch_up<float>(ctx_, {0.1}, ids, table(s)); });
  expect_each_refused(4, [&](Spans& s) { varlstm::adam_rows_catch_up<float>(ctx_, {0.1}, {}, table(s)); });
  expect_each_refused(4, [&](Spans& s) { varlstm::adam_rows_catch_up_all<float>(ctx_, {0.1}, table(s)); });
}

}  // namespace
}  // namespace varlstm_test
