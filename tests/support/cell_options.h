// The options of a cell, one by one and together, for tests that go through them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/context.h"

namespace varlstm_test {

// One option, or several. It changes nothing and returns false if the cell does not have it.
struct Option {
  const char* name;
  bool (*set)(RnnOptions& options);
};

inline bool set_dropout(RnnOptions& options, int32_t kind) {
  const bool has_candidate = options.cell != VARLSTM_CELL_RNN_TANH && options.cell != VARLSTM_CELL_RNN_RELU;
  if (kind == VARLSTM_RECURRENT_DROPOUT_CANDIDATE && !has_candidate) return false;
  options.recurrent_dropout = 0.35;
  options.recurrent_dropout_kind = kind;
  return true;
}
inline bool set_cell_clip(RnnOptions& options) {
  if (options.cell == VARLSTM_CELL_LSTM) options.cell_clip = 0.15;
  return options.cell_clip > 0;
}
inline bool set_projection_clip(RnnOptions& options) {
  if (options.projects) options.projection_clip = 0.05;
  return options.projection_clip > 0;
}
inline bool set_zoneout_h(RnnOptions& options) {
  options.zoneout_h = 0.3;
  return true;
}
inline bool set_zoneout_c(RnnOptions& options) {
  if (options.cell == VARLSTM_CELL_LSTM) options.zoneout_c = 0.45;
  return options.zoneout_c > 0;
}
inline bool set_all(RnnOptions& options, int32_t kind) {
  if (!set_dropout(options, kind)) return false;
  set_cell_clip(options);
  set_projection_clip(options);
  set_zoneout_c(options);
  return set_zoneout_h(options);
}

constexpr Option kOptions[] = {
    {"cell clip", set_cell_clip},
    {"projection clip", set_projection_clip},
    {"dropout of weights", [](RnnOptions& o) { return set_dropout(o, VARLSTM_RECURRENT_DROPOUT_WEIGHTS); }},
    {"dropout of the state", [](RnnOptions& o) { return set_dropout(o, VARLSTM_RECURRENT_DROPOUT_STATE); }},
    {"dropout of the candidate", [](RnnOptions& o) { return set_dropout(o, VARLSTM_RECURRENT_DROPOUT_CANDIDATE); }},
    {"zoneout of h", set_zoneout_h},
    {"zoneout of c", set_zoneout_c},
    {"all with weights", [](RnnOptions& o) { return set_all(o, VARLSTM_RECURRENT_DROPOUT_WEIGHTS); }},
    {"all with the state", [](RnnOptions& o) { return set_all(o, VARLSTM_RECURRENT_DROPOUT_STATE); }},
    {"all with the candidate", [](RnnOptions& o) { return set_all(o, VARLSTM_RECURRENT_DROPOUT_CANDIDATE); }},
};

}  // namespace varlstm_test
