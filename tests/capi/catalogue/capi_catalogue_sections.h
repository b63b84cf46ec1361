// The sections of the catalogue, each in a file of its own, and the wrong numbers that they share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <string>

#include "capi_catalogue.h"

namespace varlstm_test {

// capi_catalogue.cc: contexts, memory, batches, pack and unpack
void add_contexts_and_memory(std::vector<Entry>& list);
void add_batches(std::vector<Entry>& list);
void add_packs(std::vector<Entry>& list);
// capi_catalogue_rnn.cc
void add_rnn_description(std::vector<Entry>& list);
void add_rnn_runs(std::vector<Entry>& list);
void add_prepared_rnns(std::vector<Entry>& list);
void add_rnn_steps(std::vector<Entry>& list);
// capi_catalogue_ops.cc
void add_operations(std::vector<Entry>& list);
void add_conv_max(std::vector<Entry>& list);
void add_optimizers(std::vector<Entry>& list);
// capi_catalogue_rows.cc
void add_rows(std::vector<Entry>& list);
// capi_catalogue_loss.cc
void add_losses(std::vector<Entry>& list);

inline constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr int32_t kF32 = VARLSTM_DTYPE_F32;

using W = World;

inline Call& bad_dtype(Call& call, const char* name = "dtype", bool allow_i64 = false) {
  call.bad(name, -1).bad(name, 5);
  return allow_i64 ? call : call.bad(name, VARLSTM_DTYPE_I64);
}

// Of what is trained: no 16 bits.
inline Call& bad_master_dtype(Call& call) {
  call.bad("dtype", VARLSTM_DTYPE_BF16, VARLSTM_ERROR_UNSUPPORTED);
  return bad_dtype(call.bad("dtype", VARLSTM_DTYPE_F16, VARLSTM_ERROR_UNSUPPORTED));
}

inline Call& bad_sizes(Call& call, std::initializer_list<const char*> names, int64_t smallest) {
  for (const char* name : names) call.bad(name, smallest - 1).bad(name, -kHuge).bad(name, kHuge);
  return call;
}

// What must be finite and not negative.
inline Call& bad_rates(Call& call, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const std::string named = std::string(name) + " = ";
    call.bad_real(name, -0.5, named + "-0.5").bad_real(name, kNan, named + "nan").bad_real(name, kInf, named + "inf");
  }
  return call;
}

// A batch of 7 tokens needs 7 rows; without one, any number >= 0 will do.
inline Call& bad_rows_with_batch(Call& call) {
  return bad_sizes(call, {"rows"}, 0).bad("rows", W::kTokens - 1);
}

}  // namespace varlstm_test
