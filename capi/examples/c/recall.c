/* A training loop in C. It checks one LSTM step against the formulas of varlstm.h, then trains LSTM + linear +
 * cross-entropy to recall each sequence's first token. It ends with status 0 only if both are right.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varlstm.h>

enum { kSequences = 4, kMaxLen = 5, kTokens = 12, kSymbols = 4, kHidden = 8, kSteps = 150 };

static void check(int32_t status, const char* call) {
  if (status == VARLSTM_OK) return;
  fprintf(stderr, "%s: %s: %s\n", call, varlstm_status_name(status), varlstm_last_error());
  exit(1);
}
#define CHECK(call) check(call, #call)

static double sigmoid(double x) {
  return 1.0 / (1.0 + exp(-x));
}

/* One sequence of one token, I = H = 1: h_n and c_n must be what the formulas say. */
static void check_one_step(varlstm_ctx* ctx) {
  const int64_t length = 1;
  /* w_ih, w_hh, b_ih, b_hh of the gates i, f, g, o */
  const double params[16] = {0.5, -0.3, 0.8, 0.2, 0.1, 0.4, -0.6, 0.7, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08};
  const double x = 1.5, h0 = -0.4, c0 = 0.9;
  double gate[4], y, h_n, c_n;
  varlstm_batch* batch = NULL;
  varlstm_rnn* rnn = NULL;
  void* workspace = NULL;
  int64_t elements, workspace_bytes, reserve_bytes;

  CHECK(varlstm_batch_create(ctx, 1, 1, 1, &batch));
  CHECK(varlstm_batch_set_lengths(batch, &length, 1, VARLSTM_SPACE_HOST, NULL));
  CHECK(varlstm_rnn_create(ctx, VARLSTM_CELL_LSTM, 1, 1, 1, &rnn));
  CHECK(varlstm_rnn_set_i64(rnn, VARLSTM_KEY_DTYPE, VARLSTM_DTYPE_F64));
  CHECK(varlstm_rnn_param_count(rnn, NULL, &elements));
  if (elements != 16) exit(1);
  CHECK(varlstm_rnn_sizes(rnn, 1, 1, 1, VARLSTM_MODE_INFER, &workspace_bytes, &reserve_bytes));
  CHECK(varlstm_alloc(ctx, workspace_bytes, &workspace));
  CHECK(varlstm_rnn_forward(rnn, batch, VARLSTM_MODE_INFER, 0, params, &x, &h0, &c0, &y, &h_n, &c_n, workspace,
                            workspace_bytes, NULL, 0, NULL));

  for (int k = 0; k < 4; ++k) gate[k] = params[k] * x + params[4 + k] * h0 + params[8 + k] + params[12 + k];
  const double c = sigmoid(gate[1]) * c0 + sigmoid(gate[0]) * tanh(gate[2]);
  const double h = sigmoid(gate[3]) * tanh(c);
  printf("one step: h %.15f, expected %.15f; c %.15f, expected %.15f\n", h_n, h, c_n, c);
  if (fabs(h_n - h) > 1e-12 || fabs(c_n - c) > 1e-12 || y != h_n) {
    fprintf(stderr, "the LSTM step differs from its formulas\n");
    exit(1);
  }
  CHECK(varlstm_free(ctx, workspace));
  CHECK(varlstm_rnn_destroy(rnn));
  CHECK(varlstm_batch_destroy(batch));
}

static float* zeros(varlstm_ctx* ctx, int64_t elements) {
  void* memory = NULL;
  CHECK(varlstm_alloc(ctx, elements * (int64_t)sizeof(float), &memory));
  memset(memory, 0, (size_t)elements * sizeof(float));
  return memory;
}

/* Trains on four sequences of lengths 5, 1, 4 and 2 over four one-hot symbols. The target of every token is its
 * sequence's first symbol, so the state must carry that symbol. Returns the last loss. */
static float train(varlstm_ctx* ctx) {
  const int64_t lengths[kSequences] = {5, 1, 4, 2};
  const int64_t ragged_ids[kTokens] = {0, 2, 1, 3, 1, 1, 2, 0, 3, 1, 3, 2};
  const int64_t ragged_targets[kTokens] = {0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 3, 3};
  int64_t ids[kTokens], targets[kTokens], step = 0, rnn_elements, rnn_bytes, reserve_bytes, op_bytes, bytes;
  float loss_value = 0.0f, first_loss = 0.0f;
  double norm;
  varlstm_batch* batch = NULL;
  varlstm_rnn* rnn = NULL;
  varlstm_loss* loss = NULL;
  void *workspace = NULL, *reserve = NULL;

  CHECK(varlstm_batch_create(ctx, kSequences, kMaxLen, kTokens, &batch));
  CHECK(varlstm_batch_set_lengths(batch, lengths, kSequences, VARLSTM_SPACE_HOST, NULL));
  CHECK(varlstm_pack(batch, VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_RAGGED, 0, 1, ragged_ids, ids, NULL));
  CHECK(varlstm_pack(batch, VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_RAGGED, 0, 1, ragged_targets, targets, NULL));
  CHECK(varlstm_rnn_create(ctx, VARLSTM_CELL_LSTM, kSymbols, kHidden, 1, &rnn));
  CHECK(varlstm_loss_create(ctx, kSymbols, &loss));
  CHECK(varlstm_rnn_param_count(rnn, NULL, &rnn_elements));
  CHECK(varlstm_rnn_sizes(rnn, kSequences, kMaxLen, kTokens, VARLSTM_MODE_SAVE, &rnn_bytes, &reserve_bytes));
  bytes = rnn_bytes;
  for (int32_t op = VARLSTM_OP_LINEAR_FORWARD; op <= VARLSTM_OP_LINEAR_BACKWARD; ++op) {
    CHECK(varlstm_op_workspace(ctx, op, VARLSTM_DTYPE_F32, kTokens, kHidden, kSymbols, &op_bytes));
    if (op_bytes > bytes) bytes = op_bytes;
  }
  CHECK(varlstm_op_workspace(ctx, VARLSTM_OP_CROSS_ENTROPY, VARLSTM_DTYPE_F32, kTokens, kSymbols, 0, &op_bytes));
  if (op_bytes > bytes) bytes = op_bytes;

  /* One flat buffer: the LSTM's parameters, then the linear layer's weight and bias. */
  const int64_t weight_at = rnn_elements, bias_at = weight_at + kSymbols * kHidden, count = bias_at + kSymbols;
  CHECK(varlstm_op_workspace(ctx, VARLSTM_OP_GRAD_NORM, VARLSTM_DTYPE_F32, count, 0, 0, &op_bytes));
  if (op_bytes > bytes) bytes = op_bytes;
  CHECK(varlstm_alloc(ctx, bytes, &workspace));
  CHECK(varlstm_alloc(ctx, reserve_bytes, &reserve));
  float *params = zeros(ctx, count), *grads = zeros(ctx, count), *m = zeros(ctx, count), *v = zeros(ctx, count);
  float *x = zeros(ctx, kTokens * kSymbols), *y = zeros(ctx, kTokens * kHidden), *dy = zeros(ctx, kTokens * kHidden);
  float* logits = zeros(ctx, kTokens * kSymbols); /* dlogits overwrites it */
  for (int64_t k = 0; k < count; ++k) params[k] = 0.5f * (float)sin(12.9898 * (double)(k + 1));
  for (int n = 0; n < kTokens; ++n) x[n * kSymbols + ids[n]] = 1.0f;

  for (int k = 0; k < kSteps; ++k) {
    CHECK(varlstm_rnn_forward(rnn, batch, VARLSTM_MODE_SAVE, 0, params, x, NULL, NULL, y, NULL, NULL, workspace, bytes,
                              reserve, reserve_bytes, NULL));
    CHECK(varlstm_linear_forward(ctx, VARLSTM_DTYPE_F32, kTokens, kHidden, kSymbols, y, params + weight_at,
                                 params + bias_at, logits, workspace, bytes, NULL));
    CHECK(varlstm_cross_entropy_forward(loss, batch, VARLSTM_DTYPE_F32, kTokens, logits, targets, NULL, &loss_value,
                                        NULL, logits, workspace, bytes, NULL));
    if (k == 0) first_loss = loss_value;
    CHECK(varlstm_zero(ctx, grads, count * (int64_t)sizeof(float), NULL));
    CHECK(varlstm_linear_backward(ctx, VARLSTM_DTYPE_F32, kTokens, kHidden, kSymbols, y, params + weight_at, logits, dy,
                                  grads + weight_at, grads + bias_at, workspace, bytes, NULL));
    CHECK(varlstm_rnn_backward(rnn, batch, params, x, NULL, NULL, y, dy, NULL, NULL, NULL, NULL, NULL, grads, workspace,
                               bytes, reserve, reserve_bytes, NULL));
    CHECK(varlstm_clip_grad_norm(ctx, VARLSTM_DTYPE_F32, count, 1.0, grads, &norm, workspace, bytes, NULL));
    CHECK(varlstm_adam_step(ctx, VARLSTM_DTYPE_F32, count, 0.05, 0.9, 0.999, 1e-8, 0.0, 0, params, grads, m, v, &step,
                            NULL));
  }
  printf("training: loss %.4f -> %.4f in %d steps\n", (double)first_loss, (double)loss_value, (int)step);

  void* buffers[10] = {workspace, reserve, params, grads, m, v, x, y, dy, logits};
  for (int k = 0; k < 10; ++k) CHECK(varlstm_free(ctx, buffers[k]));
  CHECK(varlstm_loss_destroy(loss));
  CHECK(varlstm_rnn_destroy(rnn));
  CHECK(varlstm_batch_destroy(batch));
  return first_loss > 1.0f && step == kSteps ? loss_value : 1.0f / 0.0f;
}

int main(void) {
  const int32_t built = 10000 * VARLSTM_VERSION_MAJOR + 100 * VARLSTM_VERSION_MINOR + VARLSTM_VERSION_PATCH;
  varlstm_ctx* ctx = NULL;
  printf("%s\n", varlstm_build_info());
  if (varlstm_version() != built) {
    fprintf(stderr, "header and library differ in version: %d and %d\n", (int)built, (int)varlstm_version());
    return 1;
  }
  CHECK(varlstm_ctx_create(VARLSTM_BACKEND_HOST, 0, &ctx));
  check_one_step(ctx);
  const float loss = train(ctx);
  CHECK(varlstm_ctx_destroy(ctx));
  if (!(loss < 0.05f)) {
    fprintf(stderr, "training did not converge: loss %f\n", (double)loss);
    return 1;
  }
  return 0;
}
