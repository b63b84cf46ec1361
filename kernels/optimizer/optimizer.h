// Optimiser steps and the gradients' norm on the device, for F32 and F64 only. See optimizer.cu, adam_rows.cu and
// grad_norm.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/status.h"
#include "kernels/core/stream.h"
#include "varlstm.h"

namespace varlstm::cuda {

int32_t sgd_step(Stream stream, const SgdArgs& args, void* params, const void* grads, void* velocity);
int32_t adam_step(Stream stream, const AdamArgs& args, void* params, const void* grads, void* m, void* v,
                  int64_t* step);

// The same for the rows of a table that have a gradient.
int32_t sgd_rows_step(Stream stream, const SgdRowsArgs& args, const void* drows);
int32_t adam_rows_step(Stream stream, const AdamRowsArgs& args, const void* drows);
int32_t adam_rows_catch_up(Stream stream, const AdamRowsArgs& args);

// *bytes <- workspace of grad_norm.
int32_t grad_norm_workspace(int64_t count, int64_t* bytes);

// max_norm < 0: only the norm is computed; otherwise grads are clipped as well.
int32_t grad_norm(Stream stream, DType dtype, int64_t count, double max_norm, void* grads, double* norm,
                  void* workspace);

// Calls body(T()) for F32 and F64. The 16-bit types give UNSUPPORTED, with a text.
template <class Body>
int32_t with_master_scalar(DType dtype, const Body& body) {
  if (dtype == DType::kF32) return body(float());
  if (dtype == DType::kF64) return body(double());
  return fail(VARLSTM_ERROR_UNSUPPORTED, "optimisers take F32 and F64: keep master weights for 16-bit training");
}

}  // namespace varlstm::cuda
