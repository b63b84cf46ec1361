// The description of a recurrent network: its options, and the place of each parameter in the flat buffer.
// SPDX-License-Identifier: Apache-2.0
#include "capi/rnn.h"

#include <stdio.h>

#include <limits>

#include "capi/cells.h"

using namespace varlstm;

namespace {

constexpr int64_t kMaxLayers = 4096;  // also bounds the memory of the tensors' names

// The tensors that a layer and direction may have, in the order of the flat buffer. Those without elements are left out
// there.
constexpr const char* kTensorNames[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh",    "weight_hr",
                                        "norm_ih",   "norm_hh",   "norm_c",  "norm_c_bias"};
constexpr int64_t kTensorsPerCell = sizeof kTensorNames / sizeof kTensorNames[0];

struct Matrix {
  int64_t rows, cols;
};
struct CellTensors {
  Matrix of[kTensorsPerCell];  // by kind
};

CellTensors cell_tensors(const RnnShape& shape, int64_t layer) {
  const int64_t gates = gate_rows(shape), of_bias = shape.bias ? gates : 0, of_norm = shape.layer_norm ? gates : 0;
  const int64_t of_c = shape.layer_norm && cell_facts(shape.cell).has_c ? shape.hidden : 0;
  return {{{gates, layer_input(shape, layer)},
           {gates, state_size(shape)},
           {of_bias, 1},
           {of_bias, 1},
           {shape.projection, shape.hidden},
           {of_norm, 1},
           {of_norm, 1},
           {of_c, 1},
           {of_c, 1}}};
}

// The elements of the parameters of one layer and direction.
int64_t cell_elements(const RnnShape& shape, int64_t layer) {
  int64_t elements = 0;
  for (const Matrix& tensor : cell_tensors(shape, layer).of) elements += tensor.rows * tensor.cols;
  return elements;
}

// Checks that the bytes of the largest parameters can be counted in 64 bits: those of the cell with the most gates,
// with two directions, biases, layer normalisation and F64.
int32_t check_sizes(int64_t input, int64_t hidden, int64_t layers) {
  VARLSTM_TRY(check_at_least("input_size", input, 1));
  VARLSTM_TRY(check_at_least("hidden_size", hidden, 1));
  VARLSTM_TRY(check_between("num_layers", layers, 1, kMaxLayers));
  VARLSTM_TRY(
      check_bytes("weight_ih_l0", {{"input_size", input}, {"hidden_size", hidden}}, 2 * kMostGates * 8, nullptr));
  return check_bytes("params", {{"hidden_size", hidden}, {"hidden_size + 1", hidden + 1}, {"num_layers", layers}},
                     8 * kMostGates * 8, nullptr);
}

void write_names(int64_t layers, char* names) {
  for (int64_t slot = 0; slot < layers * 2 * kTensorsPerCell; ++slot) {
    const int64_t cell = slot / kTensorsPerCell;
    snprintf(names + slot * varlstm_rnn::kNameBytes, varlstm_rnn::kNameBytes, "%s_l%d%s",
             kTensorNames[slot % kTensorsPerCell], static_cast<int>(cell / 2), cell % 2 == 1 ? "_reverse" : "");
  }
}

bool is_i64_key(int32_t key) {
  if (key == VARLSTM_KEY_RECURRENT_DROPOUT_KIND) return true;
  if (key >= VARLSTM_KEY_LAYER_NORM && key <= VARLSTM_KEY_ADD_DPARAMS) return true;
  if (key >= VARLSTM_KEY_ROWS && key <= VARLSTM_KEY_RESETS) return true;
  return key >= VARLSTM_KEY_CELL && key <= VARLSTM_KEY_RECURRENCE_USED && key != VARLSTM_KEY_DROPOUT;
}

int32_t check_projection(const RnnShape& shape, int64_t value) {
  if (value != 0 && shape.cell != Cell::kLstm) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %lld must be 0: %s has no %s",
                     static_cast<long long>(value), cell_facts(shape.cell).name, key_name(VARLSTM_KEY_PROJ_SIZE));
  }
  if (value >= 0 && value < shape.hidden) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %lld is outside [0, hidden_size), hidden_size = %lld",
                   static_cast<long long>(value), static_cast<long long>(shape.hidden));
}

// Where an f64 key is kept; null if the key is another one.
double* option_of(RnnShape* shape, int32_t key) {
  switch (key) {
    case VARLSTM_KEY_DROPOUT:
      return &shape->dropout;
    case VARLSTM_KEY_CELL_CLIP:
      return &shape->options.cell_clip;
    case VARLSTM_KEY_PROJECTION_CLIP:
      return &shape->options.projection_clip;
    case VARLSTM_KEY_RECURRENT_DROPOUT:
      return &shape->options.recurrent_dropout;
    case VARLSTM_KEY_ZONEOUT_H:
      return &shape->options.zoneout_h;
    case VARLSTM_KEY_ZONEOUT_C:
      return &shape->options.zoneout_c;
    default:
      return nullptr;
  }
}

int32_t check_option(const RnnShape& shape, int32_t key, double value) {
  const bool clips = key == VARLSTM_KEY_CELL_CLIP || key == VARLSTM_KEY_PROJECTION_CLIP;
  if (!clips) VARLSTM_TRY(check_probability("value", value));
  if (clips && !(value >= 0 && value <= std::numeric_limits<double>::max())) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %g must be positive and finite, or 0: no clip", value);
  }
  const bool of_c = key == VARLSTM_KEY_CELL_CLIP || key == VARLSTM_KEY_ZONEOUT_C;
  if (of_c && value != 0 && !cell_facts(shape.cell).has_c) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %g must be 0: %s has no %s", value,
                     cell_facts(shape.cell).name, key_name(key));
  }
  if (key == VARLSTM_KEY_PROJECTION_CLIP && value != 0 && shape.projection == 0) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %g must be 0: %s is 0, so that there is no %s", value,
                     key_name(VARLSTM_KEY_PROJ_SIZE), key_name(key));
  }
  return VARLSTM_OK;
}

int32_t check_dropout_kind(const RnnShape& shape, int64_t value) {
  VARLSTM_TRY(check_enum("value", "varlstm_recurrent_dropout", value, VARLSTM_RECURRENT_DROPOUT_CANDIDATE));
  const CellFacts facts = cell_facts(shape.cell);
  if (value != VARLSTM_RECURRENT_DROPOUT_CANDIDATE || facts.has_candidate) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %lld must be 0 or 1: %s has no candidate",
                   static_cast<long long>(value), facts.name);
}

int32_t check_layer_norm(const RnnShape& shape, int64_t value) {
  VARLSTM_TRY(check_flag("value", value));
  const CellFacts facts = cell_facts(shape.cell);
  if (value == 0 || facts.can_normalise) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %lld must be 0: %s has no %s",
                   static_cast<long long>(value), facts.name, key_name(VARLSTM_KEY_LAYER_NORM));
}

// A key of cell states may be 1 only if the cell has them.
int32_t check_cell_states(const RnnShape& shape, int64_t value) {
  VARLSTM_TRY(check_flag("value", value));
  if (value == 0 || cell_facts(shape.cell).has_c) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %lld must be 0: %s has no %s",
                   static_cast<long long>(value), cell_facts(shape.cell).name, key_name(VARLSTM_KEY_CELL_STATES));
}

int64_t tensors_per_cell(const RnnShape& shape) {
  int64_t tensors = 0;
  for (const Matrix& tensor : cell_tensors(shape, 0).of) tensors += tensor.rows > 0 ? 1 : 0;
  return tensors;
}

// If the options may change, the plan is forgotten.
int32_t check_not_frozen(const varlstm_rnn* rnn, int32_t key) {
  if (!rnn->frozen.load()) {
    rnn->has_plan = false;
    return VARLSTM_OK;
  }
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "key = %d (%s) cannot change any more: the rnn is in use", key,
                   key_name(key));
}

}  // namespace

namespace varlstm {

int64_t state_size(const RnnShape& shape) {
  return shape.projection > 0 ? shape.projection : shape.hidden;
}

Dim state_dim(const RnnShape& shape) {
  return {shape.projection > 0 ? "proj_size" : "hidden_size", state_size(shape)};
}

int64_t layer_input(const RnnShape& shape, int64_t layer) {
  return layer == 0 ? shape.input : shape.directions * state_size(shape);
}

int64_t gate_rows(const RnnShape& shape) {
  return cell_facts(shape.cell).gates * shape.hidden;
}

int64_t rnn_name_bytes(int64_t layers) {
  return layers * 2 * kTensorsPerCell * varlstm_rnn::kNameBytes;
}

int64_t param_elements(const RnnShape& shape) {
  return shape.directions * (cell_elements(shape, 0) + (shape.layers - 1) * cell_elements(shape, 1));
}

int32_t check_no_c(const RnnShape& shape, const char* name, const void* tensor) {
  if (tensor == nullptr || cell_facts(shape.cell).has_c) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %p must be NULL: %s has no cell state", name, tensor,
                   cell_facts(shape.cell).name);
}

int32_t check_cell_states_key(const RnnShape& shape, const char* name, const void* tensor) {
  VARLSTM_TRY(check_no_c(shape, name, tensor));
  if (tensor == nullptr || shape.cell_states) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s = %p must be NULL, or set %s of the rnn to 1", name, tensor,
                   key_name(VARLSTM_KEY_CELL_STATES));
}

}  // namespace varlstm

int32_t varlstm_rnn_create(varlstm_ctx* ctx, int32_t cell, int64_t input_size, int64_t hidden_size, int64_t num_layers,
                           varlstm_rnn** rnn) {
  VARLSTM_TRY(check_usable("ctx", ctx));
  VARLSTM_TRY(check_enum("cell", "varlstm_cell", cell, static_cast<int32_t>(kLastCell)));
  VARLSTM_TRY(check_sizes(input_size, hidden_size, num_layers));
  BufferCheck buffers(sizeof(varlstm_rnn*));
  buffers.write("rnn", rnn, {});
  VARLSTM_TRY(buffers.finish());

  std::unique_ptr<varlstm_rnn> made(new (std::nothrow) varlstm_rnn);
  const auto name_bytes = static_cast<size_t>(rnn_name_bytes(num_layers));
  if (made) made->names.reset(new (std::nothrow) char[name_bytes]);
  if (!made || !made->names) return set_error(VARLSTM_ERROR_OUT_OF_MEMORY, "no memory for a varlstm_rnn");
  write_names(num_layers, made->names.get());
  made->ctx = ctx;
  made->shape = RnnShape{static_cast<Cell>(cell), DType::kF32, input_size, hidden_size, num_layers, 1, true, 0.0};
  ctx->children.fetch_add(1);
  *rnn = made.release();
  return VARLSTM_OK;
}

int32_t varlstm_rnn_set_i64(varlstm_rnn* rnn, int32_t key, int64_t value) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  switch (key) {
    case VARLSTM_KEY_CELL:
    case VARLSTM_KEY_INPUT_SIZE:
    case VARLSTM_KEY_HIDDEN_SIZE:
    case VARLSTM_KEY_NUM_LAYERS:
    case VARLSTM_KEY_RECURRENCE_USED:
      return read_only_key(key);
    case VARLSTM_KEY_DTYPE:
      VARLSTM_TRY(check_dtype("value", value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.dtype = static_cast<DType>(value);
      return VARLSTM_OK;
    case VARLSTM_KEY_BIDIRECTIONAL:
      VARLSTM_TRY(check_flag("value", value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.directions = 1 + value;
      return VARLSTM_OK;
    case VARLSTM_KEY_BIAS:
      VARLSTM_TRY(check_flag("value", value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.bias = value == 1;
      return VARLSTM_OK;
    case VARLSTM_KEY_RECURRENCE:
      VARLSTM_TRY(check_enum("value", "varlstm_recurrence", value, VARLSTM_RECURRENCE_GRID));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.recurrence = static_cast<int32_t>(value);
      return VARLSTM_OK;
    case VARLSTM_KEY_ROWS:
      VARLSTM_TRY(check_enum("value", "varlstm_rows", value, VARLSTM_ROWS_RAGGED));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.row_order = static_cast<RowOrder>(value);
      return VARLSTM_OK;
    case VARLSTM_KEY_LAYERS_TOGETHER:
      VARLSTM_TRY(check_flag("value", value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.layers_together = value == 1;
      return VARLSTM_OK;
    case VARLSTM_KEY_PROJ_SIZE:
      VARLSTM_TRY(check_projection(rnn->shape, value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.projection = value;
      if (value == 0) rnn->shape.options.projection_clip = 0;
      return VARLSTM_OK;
    case VARLSTM_KEY_RECURRENT_DROPOUT_KIND:
      VARLSTM_TRY(check_dropout_kind(rnn->shape, value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.options.recurrent_dropout_kind = static_cast<RecurrentDropout>(value);
      return VARLSTM_OK;
    case VARLSTM_KEY_RESETS:
      VARLSTM_TRY(check_flag("value", value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.resets = value == 1;
      return VARLSTM_OK;
    case VARLSTM_KEY_LAYER_NORM:
      VARLSTM_TRY(check_layer_norm(rnn->shape, value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.layer_norm = value == 1;
      return VARLSTM_OK;
    case VARLSTM_KEY_CELL_STATES:
      VARLSTM_TRY(check_cell_states(rnn->shape, value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.cell_states = value == 1;
      return VARLSTM_OK;
    case VARLSTM_KEY_ADD_DPARAMS:
      VARLSTM_TRY(check_flag("value", value));
      VARLSTM_TRY(check_not_frozen(rnn, key));
      rnn->shape.add_dparams = value == 1;
      return VARLSTM_OK;
    default:
      return bad_key(varlstm_rnn::kTypeName, "an int64", key);
  }
}

int32_t varlstm_rnn_set_f64(varlstm_rnn* rnn, int32_t key, double value) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  double* const option = option_of(&rnn->shape, key);
  if (option == nullptr) return bad_key(varlstm_rnn::kTypeName, "an f64", key);
  VARLSTM_TRY(check_option(rnn->shape, key, value));
  VARLSTM_TRY(check_not_frozen(rnn, key));
  *option = value;
  return VARLSTM_OK;
}

int32_t varlstm_rnn_get_i64(const varlstm_rnn* rnn, int32_t key, int64_t* value) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  if (!is_i64_key(key)) return bad_key(varlstm_rnn::kTypeName, "an int64", key);
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("value", value, {});
  VARLSTM_TRY(buffers.finish());
  const RnnShape& shape = rnn->shape;
  switch (key) {
    case VARLSTM_KEY_CELL:
      *value = static_cast<int64_t>(shape.cell);
      break;
    case VARLSTM_KEY_INPUT_SIZE:
      *value = shape.input;
      break;
    case VARLSTM_KEY_HIDDEN_SIZE:
      *value = shape.hidden;
      break;
    case VARLSTM_KEY_NUM_LAYERS:
      *value = shape.layers;
      break;
    case VARLSTM_KEY_DTYPE:
      *value = static_cast<int64_t>(shape.dtype);
      break;
    case VARLSTM_KEY_BIDIRECTIONAL:
      *value = shape.directions - 1;
      break;
    case VARLSTM_KEY_BIAS:
      *value = shape.bias ? 1 : 0;
      break;
    case VARLSTM_KEY_RECURRENCE:
      *value = shape.recurrence;
      break;
    case VARLSTM_KEY_ROWS:
      *value = static_cast<int64_t>(shape.row_order);
      break;
    case VARLSTM_KEY_LAYERS_TOGETHER:
      *value = shape.layers_together ? 1 : 0;
      break;
    case VARLSTM_KEY_PROJ_SIZE:
      *value = shape.projection;
      break;
    case VARLSTM_KEY_RESETS:
      *value = shape.resets ? 1 : 0;
      break;
    case VARLSTM_KEY_LAYER_NORM:
      *value = shape.layer_norm ? 1 : 0;
      break;
    case VARLSTM_KEY_CELL_STATES:
      *value = shape.cell_states ? 1 : 0;
      break;
    case VARLSTM_KEY_ADD_DPARAMS:
      *value = shape.add_dparams ? 1 : 0;
      break;
    case VARLSTM_KEY_RECURRENT_DROPOUT_KIND:
      *value = static_cast<int64_t>(shape.options.recurrent_dropout_kind);
      break;
    default: {  // VARLSTM_KEY_RECURRENCE_USED
      RnnPlan plan = {};
      VARLSTM_TRY(make_rnn_plan(rnn, {0, 0, 0}, &plan));
      *value = plan.recurrence;
    }
  }
  return VARLSTM_OK;
}

int32_t varlstm_rnn_get_f64(const varlstm_rnn* rnn, int32_t key, double* value) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  RnnShape shape = rnn->shape;
  const double* const option = option_of(&shape, key);
  if (option == nullptr) return bad_key(varlstm_rnn::kTypeName, "an f64", key);
  BufferCheck buffers(sizeof(double));
  buffers.write("value", value, {});
  VARLSTM_TRY(buffers.finish());
  *value = *option;
  return VARLSTM_OK;
}

int32_t varlstm_rnn_param_count(const varlstm_rnn* rnn, int64_t* tensors, int64_t* elements) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write_or_null("tensors", tensors, {});
  buffers.write_or_null("elements", elements, {});
  VARLSTM_TRY(buffers.finish());
  rnn->frozen.store(true);
  if (tensors != nullptr) *tensors = rnn->shape.layers * rnn->shape.directions * tensors_per_cell(rnn->shape);
  if (elements != nullptr) *elements = param_elements(rnn->shape);
  return VARLSTM_OK;
}

int32_t varlstm_rnn_param_info(const varlstm_rnn* rnn, int64_t index, const char** name, int64_t* offset, int64_t* rows,
                               int64_t* cols) {
  VARLSTM_TRY(check_usable("rnn", rnn));
  const RnnShape& shape = rnn->shape;
  const int64_t per_cell = tensors_per_cell(shape);
  VARLSTM_TRY(check_between("index", index, 0, shape.layers * shape.directions * per_cell - 1));
  BufferCheck buffers(sizeof(int64_t));
  buffers.write_or_null("name", name, {}, sizeof(char*));
  buffers.write_or_null("offset", offset, {});
  buffers.write_or_null("rows", rows, {});
  buffers.write_or_null("cols", cols, {});
  VARLSTM_TRY(buffers.finish());
  rnn->frozen.store(true);

  const int64_t layer = index / per_cell / shape.directions;
  const int64_t direction = index / per_cell % shape.directions;
  const CellTensors tensors = cell_tensors(shape, layer);
  int64_t kind = 0, before = direction * cell_elements(shape, layer);
  if (layer > 0) before += shape.directions * (cell_elements(shape, 0) + (layer - 1) * cell_elements(shape, 1));
  for (int64_t left = index % per_cell; left > 0 || tensors.of[kind].rows == 0; ++kind) {
    left -= tensors.of[kind].rows > 0 ? 1 : 0;
    before += tensors.of[kind].rows * tensors.of[kind].cols;
  }
  const int64_t slot = (layer * 2 + direction) * kTensorsPerCell + kind;
  if (name != nullptr) *name = rnn->names.get() + slot * varlstm_rnn::kNameBytes;
  if (offset != nullptr) *offset = before;
  if (rows != nullptr) *rows = tensors.of[kind].rows;
  if (cols != nullptr) *cols = tensors.of[kind].cols;
  return VARLSTM_OK;
}

int32_t varlstm_rnn_destroy(varlstm_rnn* rnn) {
  if (rnn == nullptr) return VARLSTM_OK;
  VARLSTM_TRY(check_handle("rnn", rnn));
  if (!retire(rnn, varlstm_rnn::kMagic)) return check_handle("rnn", rnn);
  rnn->names.reset();
  rnn->ctx->children.fetch_sub(1);
  bury(rnn);
  return VARLSTM_OK;
}
