// The cells that the driver knows, once for the command line, the run, the counts of work and the peer: a new cell is a
// line here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <varlstm.h>

#include "bench/lstm_driver/cudnn_api.h"

namespace varlstm::lstm_driver {

constexpr int kNotInCudnn = -1;

struct Cell {
  const char* name;
  int32_t value;  // a varlstm_cell
  int64_t gates;  // W_ih and W_hh have gates * H rows
  bool has_c;     // c0, c_n and their gradients
  bool kinks;     // the derivative of the step jumps
  int cudnn;      // a cudnnRNNMode_t, or kNotInCudnn
};

constexpr Cell kCells[] = {{"lstm", VARLSTM_CELL_LSTM, 4, true, false, cudnn::kLstm},
                           {"gru", VARLSTM_CELL_GRU, 3, false, false, cudnn::kGru},
                           {"rnn_tanh", VARLSTM_CELL_RNN_TANH, 1, false, false, cudnn::kRnnTanh},
                           {"rnn_relu", VARLSTM_CELL_RNN_RELU, 1, false, true, cudnn::kRnnRelu},
                           {"gru_reset_before", VARLSTM_CELL_GRU_RESET_BEFORE, 3, false, false, kNotInCudnn}};

}  // namespace varlstm::lstm_driver
