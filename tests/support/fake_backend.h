// A back end that computes nothing: it notes what it is called with, and fails when told to.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capi/contract/backend.h"
#include "varlstm.h"

namespace varlstm_test {

struct FakeBackend {
  int64_t calls = 0;      // of functions that do work; queries of sizes do not count
  int64_t plans = 0;      // how often it was asked for the plan of an rnn
  std::string last_call;  // name of the last such function

  // The next function of this name returns `status`, or throws where the status is kThrowBadAlloc or kThrowOther.
  std::string fail_in;
  int32_t fail_with = VARLSTM_OK;
  static constexpr int32_t kThrowBadAlloc = -1;
  static constexpr int32_t kThrowOther = -2;

  int32_t devices = 1;
  int64_t live = 0;  // states, plans and memory not freed yet

  // Arguments of the last call that had such.
  std::optional<varlstm::PackArgs> pack;
  std::optional<varlstm::RnnImportArgs> rnn_import;
  std::optional<varlstm::RnnForwardArgs> rnn_forward;
  std::optional<varlstm::RnnBackwardArgs> rnn_backward;
  std::optional<varlstm::RnnStepArgs> rnn_step;
  int64_t bad_stream = -1;  // what rnn_step says of its slots
  std::optional<varlstm::EmbeddingArgs> embedding;
  std::optional<varlstm::LinearArgs> linear;
  std::optional<varlstm::ConvMaxForwardArgs> conv_max_forward;
  std::optional<varlstm::ConvMaxBackwardArgs> conv_max_backward;
  int64_t bad_offset = -1;  // what the two say of their offsets
  std::optional<varlstm::LossArgs> loss;
  std::optional<varlstm::LinearLossArgs> linear_loss;
  std::optional<varlstm::SgdArgs> sgd;
  std::optional<varlstm::AdamArgs> adam;
  std::optional<varlstm::SgdRowsArgs> sgd_rows;
  std::optional<varlstm::AdamRowsArgs> adam_rows;
  double max_norm = 0;
  double pad_value = 0;
  int64_t padding_idx = 0;
};

FakeBackend& fake_backend();

}  // namespace varlstm_test
