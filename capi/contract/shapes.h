// Shapes and arguments that the C ABI passes to a back end. There are types only and no arithmetic, so that the host
// and the kernels never share an index formula.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm {

// Values equal varlstm_dtype in varlstm.h.
enum class DType : int32_t { kF32 = 0, kF64 = 1, kBF16 = 2, kF16 = 3, kI64 = 4 };

// Values equal varlstm_cell.
enum class Cell : int32_t { kLstm = 0, kGru = 1, kRnnTanh = 2, kRnnRelu = 3, kGruResetBefore = 4 };

// Values equal varlstm_recurrent_dropout.
enum class RecurrentDropout : int32_t { kWeights = 0, kState = 1, kCandidate = 2 };

// Values equal varlstm_layout.
enum class Layout : int32_t { kBatchFirst = 0, kTimeMajor = 1, kRagged = 2 };

// Values equal varlstm_reduction.
enum class Reduction : int32_t { kNone = 0, kMean = 1, kSum = 2 };

// Values equal varlstm_activation.
enum class Activation : int32_t { kNone = 0, kTanh = 1, kRelu = 2 };

// The order of the rows of a batch. Values equal varlstm_rows.
enum class RowOrder : int32_t { kPacked = 0, kRagged = 1 };

// Values equal varlstm_param_format.
enum class ParamFormat : int32_t { kPyTorch = 0, kKeras = 1, kOnnx = 2, kCudnn = 3, kHaste = 4 };

// Values equal varlstm_op.
enum class Op : int32_t {
  kEmbeddingBackward = 0,
  kLinearForward = 1,
  kLinearBackward = 2,
  kNll = 3,
  kCrossEntropy = 4,
  kGradNorm = 5,
  kLinearCrossEntropyForward = 6,
  kLinearCrossEntropyBackward = 7
};

// The state of one context in its back end. Each back end derives its own.
struct BackendState {};

struct BatchBounds {
  int64_t max_batch;   // B <= max_batch
  int64_t max_len;     // every length <= max_len
  int64_t max_tokens;  // N <= max_tokens
};

// What a recurrence runs over: the segments of a batch, by rank, which is longest first. A segment is a run of tokens
// of one sequence, from its first token or a reset up to the next reset or its end. Without resets the segments are the
// sequences, and the arrays are those of the plan. A sequence without a token is a segment of no token.
//
// A segment's sequence is named by the caller's index; -1 is none. After the last segment the arrays by rank have -1.
struct Segments {
  int64_t count;         // at most so many; on the host exactly
  int64_t steps;         // at most so many tokens has a segment; on the host the longest has exactly so many
  int64_t* sizes;        // [max_len] how many segments are longer than t
  int64_t* offsets;      // [max_len + 1] the sum of sizes before t
  int64_t* packed_rows;  // [max_tokens] at offsets[t] + j: the packed row of token t of the segment of rank j; null if
                         // that is offsets[t] + j itself
  int64_t* ragged_rows;  // [max_tokens] likewise
  int64_t* firsts;       // by rank: the sequence of which the segment is the first, or -1
  int64_t* lasts;        // by rank: the sequence of which it is the last, or -1
  int64_t* begins;       // by rank: the sequence whose forward direction starts there from its initial state, or -1
  int64_t* lengths;      // by rank; null without resets
};

// The plan of one mini-batch. The arrays are in the back end's memory and are named as in varlstm_batch_array.
struct BatchPlan {
  BatchBounds bounds;
  int64_t batch;              // B
  int64_t tokens;             // N, or -1 if only the device knows it
  int64_t steps;              // T, or -1 if only the device knows it
  int64_t* lengths;           // [max_batch] in the caller's order
  int64_t* batch_sizes;       // [max_len]
  int64_t* step_offsets;      // [max_len + 1]
  int64_t* sorted_indices;    // [max_batch]
  int64_t* unsorted_indices;  // [max_batch]
  int64_t* cu_seqlens;        // [max_batch + 1]
  int64_t* packed_to_ragged;  // [max_tokens]
  int64_t* ragged_to_packed;  // [max_tokens]
  int64_t* lengths_hash;      // [1] of the length and the index of every sequence, and of its resets
  Segments segments;
  int64_t* reset_memory;  // the arrays of segments, from the first resets on; or null
};

// What changes a cell's step without changing a shape. 0: no such option.
struct CellOptions {
  double cell_clip = 0;
  double projection_clip = 0;
  double recurrent_dropout = 0;
  RecurrentDropout recurrent_dropout_kind = RecurrentDropout::kWeights;
  double zoneout_h = 0;
  double zoneout_c = 0;
};

struct RnnShape {
  Cell cell;
  DType dtype;
  int64_t input;       // I
  int64_t hidden;      // H
  int64_t layers;      // L
  int64_t directions;  // D
  bool bias;
  double dropout;          // between layers
  int32_t recurrence = 0;  // a varlstm_recurrence
  RowOrder row_order = RowOrder::kPacked;
  bool layers_together = true;  // VARLSTM_KEY_LAYERS_TOGETHER
  int64_t projection = 0;       // P: h is projected to P features; 0: h has H
  bool resets = false;          // batches may have resets
  bool layer_norm = false;      // VARLSTM_KEY_LAYER_NORM
  bool cell_states = false;     // calls give c of every token, or take its gradient
  bool add_dparams = true;      // VARLSTM_KEY_ADD_DPARAMS
  CellOptions options = {};
};

struct RnnSizes {
  int64_t workspace_bytes;
  int64_t reserve_bytes;
};

// The most that the resident recurrence takes for a batch within the bounds (CUDA only).
struct RecurrenceNeeds {
  int64_t slots;
  int64_t area_bytes;
};

// What a back end chooses for an rnn and for batches within these bounds. The C ABI keeps it, and every call gets it.
struct RnnPlan {
  BatchBounds bounds;
  RnnSizes infer;      // with MODE_INFER
  RnnSizes save;       // with MODE_SAVE, forward and backward
  int64_t recurrence;  // the varlstm_recurrence that runs; AUTO if the back end has only one way
  // CUDA only: without dropout forward runs its layers in one launch for batches of up to this many sequences.
  int64_t most_together;
  RecurrenceNeeds one_layer, all_layers;  // for one layer in a launch, and for all of them
  int64_t team_slots;                     // CUDA only: the slots that a team is forced to have, or 0
};

struct RnnForwardArgs {
  RnnShape shape;
  const RnnPlan* plan;
  const BatchPlan* batch;
  bool save;
  uint64_t dropout_seed;  // 0: no dropout in this call
  const void* params;     // the flat buffer, as varlstm_rnn_param_info lists it
  const void* x;          // [N, I]; the rows of x, y, dy and dx are in shape.row_order
  const void* h0;         // [L*D, B, P or H] or null
  const void* c0;         // [L*D, B, H] or null
  void* y;                // [N, D*(P or H)]
  void* h_n;              // as h0, or null
  void* c_n;              // as c0, or null
  void* c;                // [N, D*H] c of every token of the last layer, or null; only with shape.cell_states
  void* workspace;
  int64_t workspace_bytes;
  void* reserve;  // null unless save
  int64_t reserve_bytes;
};

struct RnnBackwardArgs {
  RnnShape shape;
  const RnnPlan* plan;
  const BatchPlan* batch;
  const void* params;
  const void* x;
  const void* h0;  // or null
  const void* c0;  // or null
  const void* y;
  const void* dy;    // or null: zeros
  const void* dh_n;  // or null: zeros
  const void* dc_n;  // or null: zeros
  const void* dc;    // [N, D*H], or null: zeros; only with shape.cell_states
  void* dx;          // or null: not wanted
  void* dh0;         // or null
  void* dc0;         // or null
  void* dparams;     // or null; added to, or only written without shape.add_dparams
  void* workspace;
  int64_t workspace_bytes;
  const void* reserve;
  int64_t reserve_bytes;
};

// One token of each of `streams` streams, whose states are in rows of a table.
struct RnnStepArgs {
  RnnShape shape;
  int64_t streams;      // B <= S
  int64_t table_slots;  // S
  const void* params;
  const void* x;         // [B, I]
  const int64_t* slots;  // [B]: the row of the table of each stream
  void* h;               // [L, S, R] with R = P if h is projected, else H
  void* c;               // [L, S, H] in double for F64, else in float; null if the cell has no c
  void* y;               // [B, R]
  void* workspace;
  int64_t workspace_bytes;
};

struct RnnImportArgs {
  RnnShape shape;
  ParamFormat format;
  int64_t layer;
  int32_t direction;
  const void* w_ih;
  const void* w_hh;
  const void* b_ih;  // or null
  const void* b_hh;  // or null
  void* params;
};

struct ResetArgs {
  Layout layout;
  int64_t padded_len;     // 0 if ragged
  const uint8_t* resets;  // a flag for each row, or null: no resets
  int64_t count;
  int32_t space;  // a varlstm_space
};

struct PackArgs {
  DType dtype;
  Layout layout;
  int64_t padded_len;
  int64_t features;
  const BatchPlan* batch;
};

struct EmbeddingArgs {
  DType dtype;
  int64_t rows;
  int64_t vocab;
  int64_t features;
  const BatchPlan* batch;  // or null: every row counts
  const int64_t* ids;      // [rows]
};

struct ColumnCopy {
  DType dtype;
  int64_t rows;
  int64_t columns;
  const void* src;
  int64_t ld_src;
  void* dst;
  int64_t ld_dst;
};

struct LinearArgs {
  DType dtype;
  int64_t rows;
  int64_t in;
  int64_t out;
  void* workspace;
  int64_t workspace_bytes;
};

struct ConvMaxShape {
  DType dtype;
  int64_t words;
  int64_t rows;
  int64_t in;
  int64_t filters;
  int64_t width;
};

struct ConvMaxForwardArgs {
  ConvMaxShape shape;
  Activation activation;
  const int64_t* offsets;  // [words + 1]
  const void* x;           // [rows, in]
  const void* weight;      // [filters, in, width]
  const void* bias;        // [filters] or null
  void* y;                 // [words, ldy]
  int64_t ldy;
  int64_t* argmax;  // [words, filters] or null
  void* workspace;
  int64_t workspace_bytes;
};

struct ConvMaxBackwardArgs {
  ConvMaxShape shape;
  Activation activation;
  const int64_t* offsets;
  const void* x;       // null only if dweight is null
  const void* weight;  // null only if dx is null
  const void* y;       // [words, ldy]
  const void* dy;      // [words, ldy]
  int64_t ldy;
  const int64_t* argmax;
  void* dx;       // or null
  void* dweight;  // or null; added to
  void* dbias;    // or null; added to
  void* workspace;
  int64_t workspace_bytes;
};

struct LossArgs {
  DType dtype;
  int64_t rows;
  int64_t classes;
  Reduction reduction;
  int64_t ignore_index;
  double label_smoothing;
  bool empty_mean_is_zero;
  const BatchPlan* batch;     // or null: every row counts
  const int64_t* targets;     // [rows]
  const void* class_weights;  // [classes] or null
  void* workspace;
  int64_t workspace_bytes;
};

// Cross-entropy of the logits x weight^T + bias. `loss` has the number of rows, the dtype and the workspace.
struct LinearLossArgs {
  LossArgs loss;
  int64_t in;
  const void* x;       // [rows, in]
  const void* weight;  // [classes, in]
  const void* bias;    // [classes] or null
};

struct SgdArgs {
  DType dtype;
  int64_t count;
  double lr;
  double momentum;
  double weight_decay;
  bool nesterov;
};

struct AdamArgs {
  DType dtype;
  int64_t count;
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  bool decoupled;
};

struct SgdRowsArgs {
  DType dtype;
  int64_t rows;
  int64_t vocab;
  int64_t features;
  double lr;
  const int64_t* row_ids;  // [rows]; an id outside [0, vocab) is no row
  void* table;             // [vocab, features]
};

struct AdamRowsArgs {
  AdamArgs adam;  // its count is not used
  int64_t rows;
  int64_t vocab;
  int64_t features;
  const int64_t* ids;   // [rows], or null: row n is n; an id outside [0, vocab) is no row
  void* table;          // [vocab, features]
  void* m;              // [vocab, features]
  void* v;              // [vocab, features]
  int64_t* last_steps;  // [vocab]
  void* history;        // [history_steps, kAdamFactors]; that of step t, from 1 on, at (t - 1) % history_steps
  int64_t history_steps;
  int64_t* step;  // [1]
};

constexpr int64_t kAdamFactors = 3;  // of a step: the rate, the correction of the root of v, the shrinking of the table

}  // namespace varlstm
