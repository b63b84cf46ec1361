/* The golden case of every binding (golden/bindings.txt: lengths 5, 3, 3, 1) in plain C, in double.
 * VARLSTM_TEST_BACKEND picks host or cuda. Ends with status 0 only if all values are right.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varlstm.h>

enum { kBatch = 4, kLen = 5, kTokens = 12, kIn = 2, kHidden = 3, kLayers = 2, kDirections = 2 };
enum { kOut = kDirections * kHidden, kState = kLayers * kDirections * kBatch * kHidden, kMaxParams = 1000 };
static const double kTolerance = 1e-12; /* absolute, and relative to the expected value */

static const char* file_text;
static varlstm_ctx* ctx;

static void check(int32_t status, const char* call) {
  if (status == VARLSTM_OK) return;
  fprintf(stderr, "%s: %s: %s\n", call, varlstm_status_name(status), varlstm_last_error());
  exit(1);
}
#define CHECK(call) check(call, #call)

static void fail(const char* text, const char* name) {
  fprintf(stderr, "%s: %s\n", name, text);
  exit(1);
}

static void read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  char* text = malloc(1 << 20);
  if (file == NULL || text == NULL) fail("cannot be opened", path);
  const size_t bytes = fread(text, 1, (1 << 20) - 1, file);
  text[bytes] = '\0';
  if (bytes == 0 || !feof(file)) fail("cannot be read", path);
  fclose(file);
  file_text = text;
}

/* The values of the item «kind name SHAPE values...», which must be `count`. */
static void read_item(const char* kind, const char* name, double* values, int64_t count) {
  char begin[64];
  snprintf(begin, sizeof begin, "\n%s %s ", kind, name);
  const char* at = strstr(file_text, begin);
  if (at == NULL) fail("is not in the file", name);
  at += strlen(begin);
  at += strcspn(at, " \n"); /* the shape */
  for (int64_t k = 0; k < count; ++k) {
    char* end;
    values[k] = strtod(at, &end);
    if (end == at || memchr(at, '\n', (size_t)(end - at)) != NULL) fail("has too few values", name);
    at = end;
  }
  if (*at != '\n') fail("has more values than expected", name);
}

static void* allocate(int64_t count) {
  void* memory = NULL;
  CHECK(varlstm_alloc(ctx, count * (int64_t)sizeof(double), &memory));
  CHECK(varlstm_zero(ctx, memory, count * (int64_t)sizeof(double), NULL));
  return memory;
}

static void* upload(const double* values, int64_t count) {
  void* memory = allocate(count);
  CHECK(varlstm_copy(ctx, memory, values, count * (int64_t)sizeof(double), VARLSTM_COPY_TO_BACKEND, NULL));
  return memory;
}

static void* given(const char* name, int64_t count) {
  double values[kTokens * kOut + kState];
  read_item("real", name, values, count);
  return upload(values, count);
}

static void expect_values(const char* name, const void* memory, const double* expected, int64_t count) {
  double actual[kMaxParams];
  CHECK(varlstm_copy(ctx, actual, memory, count * (int64_t)sizeof(double), VARLSTM_COPY_TO_HOST, NULL));
  for (int64_t k = 0; k < count; ++k) {
    if (fabs(actual[k] - expected[k]) <= kTolerance + kTolerance * fabs(expected[k])) continue;
    fprintf(stderr, "%s[%d] = %.17g, PyTorch has %.17g\n", name, (int)k, actual[k], expected[k]);
    exit(1);
  }
}

static void expect_item(const char* name, const void* memory, int64_t count) {
  double expected[kTokens * kOut + kState];
  read_item("real", name, expected, count);
  expect_values(name, memory, expected, count);
}

/* All tensors of the rnn, each item's name after `prefix`, into the flat buffer `values`; gives its elements. */
static int64_t read_params(const varlstm_rnn* rnn, const char* prefix, double* values) {
  int64_t tensors, elements;
  CHECK(varlstm_rnn_param_count(rnn, &tensors, &elements));
  if (elements > kMaxParams) fail("more than kMaxParams", "elements");
  for (int64_t index = 0; index < tensors; ++index) {
    const char* name;
    int64_t offset, rows, cols;
    char item[64];
    CHECK(varlstm_rnn_param_info(rnn, index, &name, &offset, &rows, &cols));
    snprintf(item, sizeof item, "%s%s", prefix, name);
    read_item("real", item, values + offset, rows * cols);
  }
  return elements;
}

int main(void) {
  const char* tests = getenv("VARLSTM_TEST_DIR");
  char path[4096];
  snprintf(path, sizeof path, "%s/golden/bindings.txt", tests != NULL ? tests : VARLSTM_TEST_DIR);
  read_file(path);
  const char* backend = getenv("VARLSTM_TEST_BACKEND");
  const int cuda = backend != NULL && strcmp(backend, "cuda") == 0;
  const double shape[5] = {kIn, kHidden, kLayers, kDirections - 1, 1};
  double values[kMaxParams], lengths_read[kBatch];
  int64_t lengths[kBatch];
  read_item("int", "shape", values, 5);
  if (memcmp(values, shape, sizeof shape) != 0) fail("is not the one that this program is for", "shape");
  read_item("int", "lengths", lengths_read, kBatch);
  for (int b = 0; b < kBatch; ++b) lengths[b] = (int64_t)lengths_read[b];

  varlstm_batch* batch = NULL;
  varlstm_rnn* rnn = NULL;
  void *workspace = NULL, *reserve = NULL;
  int64_t workspace_bytes, reserve_bytes;
  CHECK(varlstm_ctx_create(cuda ? VARLSTM_BACKEND_CUDA : VARLSTM_BACKEND_HOST, 0, &ctx));
  CHECK(varlstm_batch_create(ctx, kBatch, kLen, kTokens, &batch));
  CHECK(varlstm_batch_set_lengths(batch, lengths, kBatch, VARLSTM_SPACE_HOST, NULL));
  CHECK(varlstm_rnn_create(ctx, VARLSTM_CELL_LSTM, kIn, kHidden, kLayers, &rnn));
  CHECK(varlstm_rnn_set_i64(rnn, VARLSTM_KEY_DTYPE, VARLSTM_DTYPE_F64));
  CHECK(varlstm_rnn_set_i64(rnn, VARLSTM_KEY_BIDIRECTIONAL, kDirections - 1));
  CHECK(varlstm_rnn_sizes(rnn, kBatch, kLen, kTokens, VARLSTM_MODE_SAVE, &workspace_bytes, &reserve_bytes));
  CHECK(varlstm_alloc(ctx, workspace_bytes, &workspace));
  CHECK(varlstm_alloc(ctx, reserve_bytes, &reserve));

  const int64_t elements = read_params(rnn, "", values);
  void *params = upload(values, elements), *dparams = allocate(elements);
  void *x = given("x", kTokens * kIn), *h0 = given("h0", kState), *c0 = given("c0", kState);
  void *dy = given("dy", kTokens * kOut), *dh_n = given("dh_n", kState), *dc_n = given("dc_n", kState);
  void *y = allocate(kTokens * kOut), *h_n = allocate(kState), *c_n = allocate(kState);
  void *dx = allocate(kTokens * kIn), *dh0 = allocate(kState), *dc0 = allocate(kState);
  CHECK(varlstm_rnn_forward(rnn, batch, VARLSTM_MODE_SAVE, 0, params, x, h0, c0, y, h_n, c_n, workspace,
                            workspace_bytes, reserve, reserve_bytes, NULL));
  CHECK(varlstm_rnn_backward(rnn, batch, params, x, h0, c0, y, dy, dh_n, dc_n, dx, dh0, dc0, dparams, workspace,
                             workspace_bytes, reserve, reserve_bytes, NULL));
  expect_item("y", y, kTokens * kOut);
  expect_item("h_n", h_n, kState);
  expect_item("c_n", c_n, kState);
  expect_item("dx", dx, kTokens * kIn);
  expect_item("dh0", dh0, kState);
  expect_item("dc0", dc0, kState);
  read_params(rnn, "d", values);
  expect_values("dparams", dparams, values, elements);

  void* memory[] = {params, dparams, x, h0, c0, dy, dh_n, dc_n, y, h_n, c_n, dx, dh0, dc0, workspace, reserve};
  for (size_t k = 0; k < sizeof memory / sizeof memory[0]; ++k) CHECK(varlstm_free(ctx, memory[k]));
  CHECK(varlstm_rnn_destroy(rnn));
  CHECK(varlstm_batch_destroy(batch));
  CHECK(varlstm_ctx_destroy(ctx));
  free((void*)file_text);
  printf("outputs and gradients equal PyTorch's on %s\n", cuda ? "cuda" : "the host");
  return 0;
}
