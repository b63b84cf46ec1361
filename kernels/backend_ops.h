// These functions enter the operations of each folder of kernels/ into the table of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/backend.h"

namespace varlstm::cuda {

void set_memory_operations(Backend& table);     // backend_memory.cc: contexts, memory, the status word
void set_batch_operations(Backend& table);      // backend_batch.cc: plans, pack and unpack
void set_embedding_operations(Backend& table);  // backend_embedding.cc
void set_conv_max_operations(Backend& table);   // backend_conv_max.cc
void set_rnn_operations(Backend& table);        // backend_rnn.cc
void set_linear_operations(Backend& table);     // backend_linear.cc
void set_dense_operations(Backend& table);      // backend_dense.cc: conversion, dropout, log-softmax, losses
void set_optimizer_operations(Backend& table);  // backend_optimizer.cc
void set_workspace_sizes(Backend& table);       // backend_workspace.cc

}  // namespace varlstm::cuda
