/* varlstm.h - recurrent networks over sequences of different lengths.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * libvarlstm trains and runs LSTMs on mini-batches whose sequences have different lengths. It covers the whole step:
 * embedding, packing sorted by length, LSTM, linear layer, log-softmax, masked loss, every gradient, and the
 * optimiser's step. No padded position is ever computed.
 *
 * EXAMPLE
 *
 * A whole program in five calls: a context, a batch and its lengths, a network, and forward. The batch has three
 * sequences of lengths 2, 4 and 1, with 3 features; the LSTM has 5 hidden units. The rows of x and y are ragged:
 * sequence after sequence. Forward also needs a workspace, whose size varlstm_rnn_sizes tells.
 *
 *   #include <stdio.h>
 *   #include <stdlib.h>
 *   #include <varlstm.h>
 *
 *   static void ok(int32_t status) {
 *     if (status == VARLSTM_OK) return;
 *     fprintf(stderr, "%s: %s\n", varlstm_status_name(status), varlstm_last_error());
 *     exit(1);
 *   }
 *
 *   int main(void) {
 *     const int64_t lengths[3] = {2, 4, 1};
 *     float x[7 * 3], y[7 * 5], params[4 * 5 * (3 + 5 + 2)];
 *     int64_t workspace_bytes, reserve_bytes, row = 0;
 *     varlstm_ctx* ctx;
 *     varlstm_batch* batch;
 *     varlstm_rnn* rnn;
 *     void* workspace;
 *     for (int k = 0; k < 200; ++k) params[k] = 0.01f * (float)(k % 7 - 3);
 *     for (int b = 0; b < 3; ++b) {
 *       for (int t = 0; t < lengths[b]; ++t, ++row) {
 *         for (int i = 0; i < 3; ++i) x[row * 3 + i] = 0.1f * (float)(b * 12 + t * 3 + i);
 *       }
 *     }
 *
 *     ok(varlstm_ctx_create(VARLSTM_BACKEND_HOST, 0, &ctx));
 *     ok(varlstm_batch_create(ctx, 3, 4, 7, &batch));
 *     ok(varlstm_batch_set_lengths(batch, lengths, 3, VARLSTM_SPACE_HOST, NULL));
 *     ok(varlstm_rnn_create(ctx, VARLSTM_CELL_LSTM, 3, 5, 1, &rnn));
 *     ok(varlstm_rnn_set_i64(rnn, VARLSTM_KEY_ROWS, VARLSTM_ROWS_RAGGED));
 *     ok(varlstm_rnn_sizes(rnn, 3, 4, 7, VARLSTM_MODE_INFER, &workspace_bytes, &reserve_bytes));
 *     ok(varlstm_alloc(ctx, workspace_bytes, &workspace));
 *     ok(varlstm_rnn_forward(rnn, batch, VARLSTM_MODE_INFER, 0, params, x, NULL, NULL, y, NULL, NULL, workspace,
 *                            workspace_bytes, NULL, 0, NULL));
 *
 *     row = 0;
 *     for (int b = 0; b < 3; ++b) {
 *       printf("h of sequence %d, step 0, unit 0: %f\n", b, y[row * 5]);
 *       row += lengths[b];
 *     }
 *     ok(varlstm_free(ctx, workspace));
 *     ok(varlstm_rnn_destroy(rnn));
 *     ok(varlstm_batch_destroy(batch));
 *     ok(varlstm_ctx_destroy(ctx));
 *     return 0;
 *   }
 *
 * END OF EXAMPLE
 *
 * ORDER OF THIS HEADER
 *
 * Letters and layouts, rules for every function, version and errors, contexts, memory, batches, pack and unpack, the
 * recurrent network, the other operations, the loss, the optimiser.
 *
 * LETTERS AND LAYOUTS
 *
 *   B    sequences in the batch            N  tokens in the batch: the sum of the lengths
 *   T    steps: the longest length         I  input features      H  hidden units
 *   V    vocabulary                        C  classes             L  layers    D  directions, 1 or 2
 *   P    features of a projected h
 *
 *   Packed   [N, F]     The rows of step 0 come first, then those of step 1, and so on. Inside a step the longest
 *                       sequence comes first, and sequences of equal length keep the caller's order. This is the
 *                       layout of PyTorch's PackedSequence.
 *   Ragged   [N, F]     All rows of a sequence are together, and sequences are in the caller's order. B+1 offsets
 *                       ("cu_seqlens") tell where each sequence begins.
 *   Padded   [B, T, F]  (batch first) or [T, B, F] (time major).
 *
 *   All matrices are row-major and dense. "The back end's memory" is host memory on VARLSTM_BACKEND_HOST and device
 *   memory on VARLSTM_BACKEND_CUDA. A gradient has the name of what it belongs to, with a "d" before it.
 *   Gradients of parameters (dparams, dtable, dweight, dbias) are ADDED to what the buffer holds, so the caller zeroes
 *   them once per optimiser step. Gradients of data (dx, dh0, dlogits, ...) OVERWRITE the buffer.
 *
 * RULES FOR EVERY FUNCTION
 *
 *   - Status: a function returns a varlstm_status as int32_t, which is VARLSTM_OK (0) on success. After a failure
 *     varlstm_last_error() tells what was wrong and names the argument and the value. The four functions below whose
 *     comment says "never fails" return something else. A call whose arguments are refused writes nothing, unless its
 *     comment says so. A call during which the back end fails may have written part of its outputs.
 *   - Stream: work is ordered by `stream`, which is a cudaStream_t on CUDA and NULL on the host. On the host a call has
 *     finished when it returns.
 *   - Allocation: only varlstm_alloc, the *_create functions and a batch's first varlstm_batch_set_resets allocate
 *     memory.
 *   - Waiting: only varlstm_sync, varlstm_ctx_device_status, varlstm_ctx_create and a varlstm_copy from device to host
 *     wait for the device. Calls that allocate, frees and the *_destroy functions may wait for it.
 *   - Device: on CUDA the thread's current context, and with it the device, is the same after a call as before. A call
 *     makes no context on any device but its own.
 *   - CUDA graphs: the stream may be captured into a graph, even at a context's first call, because a context loads all
 *     kernels of the library when it is created. cuBLAS loads its kernels at their first use, so if cuBLAS takes part,
 *     run one step without capture first. A graph uses the handles and buffers of its calls, which must live as long
 *     as the graph does. During a capture other handles and buffers may be destroyed and freed, contexts too and by a
 *     finaliser as well, and the capture stays valid: a handle of cuBLAS, whose destruction waits for the device, is
 *     kept for the device's next context until the process ends. A process that calls cudaDeviceReset cannot use the
 *     device any more.
 *   - Pointers: a pointer may be NULL only if this header says so or if it points to no elements. Pointers are aligned
 *     to the size of their element. The buffers of one call may not overlap, except for the in-place pairs that a
 *     function's comment names.
 *   - Threads: several threads may use a handle at once, as long as none of them changes it. The functions that change
 *     a handle are its setters, varlstm_batch_set_lengths, varlstm_batch_from_batch_sizes and
 *     varlstm_batch_set_resets. The caller orders calls that write to the same buffers.
 *   - Forks: on the host, the child of a fork() may use the handles and buffers that it inherits. It gets the same
 *     bits, whatever number of threads the parent has used. The caller makes sure that no other thread is inside a
 *     call when the process forks, because the child would inherit half of what that call does. On CUDA a child may
 *     use nothing that its parent created before the fork: it creates a context of its own.
 */
#ifndef VARLSTM_H
#define VARLSTM_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define VARLSTM_API
#else
#define VARLSTM_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------------------
 * VERSION AND ERRORS
 * ---------------------------------------------------------------------------------------------------------------- */

/* The version of this header. Versions 0.x may change between minor versions; from 1.0 on only additions are made. */
enum varlstm_header_version { VARLSTM_VERSION_MAJOR = 0, VARLSTM_VERSION_MINOR = 1, VARLSTM_VERSION_PATCH = 0 };

/* What every function returns. */
enum varlstm_status {
  VARLSTM_OK = 0,
  VARLSTM_ERROR_INVALID_ARGUMENT = 1, /* a value, a pointer, a key or a combination that is not allowed */
  VARLSTM_ERROR_UNSUPPORTED = 2,      /* legal, but not on this back end or not in this build */
  VARLSTM_ERROR_OUT_OF_MEMORY = 3,
  VARLSTM_ERROR_BUFFER_TOO_SMALL = 4, /* the workspace or the reserve; the text names the bytes that are needed */
  VARLSTM_ERROR_INVALID_HANDLE = 5,   /* NULL, destroyed, or of another kind */
  VARLSTM_ERROR_BACKEND = 6,          /* a call of the back end's runtime failed; the text names the call */
  VARLSTM_ERROR_DEAD_CONTEXT = 7,     /* the device failed earlier: only *_destroy and varlstm_free still work */
  VARLSTM_ERROR_INTERNAL = 8          /* a defect of the library: please report it */
};

/* Version of the library that is loaded: 10000 * major + 100 * minor + patch. Never fails. */
VARLSTM_API int32_t varlstm_version(void);

/* One line: version, back ends, BLAS, and the instruction set chosen at run time. A static string; never fails. */
VARLSTM_API const char* varlstm_build_info(void);

/* The name of a status, such as "VARLSTM_ERROR_OUT_OF_MEMORY"; "unknown status" for any other value. A static string;
 * never fails. */
VARLSTM_API const char* varlstm_status_name(int32_t status);

/* The text of this thread's last failed call, which names the argument and the value; "" if none failed. It is valid
 * until this thread's next failing call. Never fails. */
VARLSTM_API const char* varlstm_last_error(void);

enum varlstm_backend {
  VARLSTM_BACKEND_HOST = 0, /* the CPU: the reference for gradient checks, and for machines without a GPU */
  VARLSTM_BACKEND_CUDA = 1
};

/* *count <- the number of devices that the back end can use: 1 for the host; for CUDA the number of GPUs, which is 0
 * without a GPU, without a driver, or if this build has no CUDA. */
VARLSTM_API int32_t varlstm_device_count(int32_t backend, int32_t* count);

/* ------------------------------------------------------------------------------------------------------------------
 * CONTEXT: a back end on a device. Every other handle is made from a context.
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_ctx varlstm_ctx;

/* The keys of all set and get functions. A key is valid for one kind of handle only. Its meaning, default and range are
 * documented at that handle's set and get functions, in lists that leave out the prefix VARLSTM_KEY_. */
enum varlstm_key {
  /* Keys of a context: see varlstm_ctx_set_i64. */
  VARLSTM_KEY_BACKEND = 1,
  VARLSTM_KEY_DEVICE = 2,
  VARLSTM_KEY_THREADS = 3,
  VARLSTM_KEY_BATCH_INVARIANT = 4,
  VARLSTM_KEY_MATH = 5,
  /* Keys of a batch: see varlstm_batch_get_i64. */
  VARLSTM_KEY_MAX_BATCH = 10,
  VARLSTM_KEY_MAX_LEN = 11,
  VARLSTM_KEY_MAX_TOKENS = 12,
  VARLSTM_KEY_BATCH = 13,
  VARLSTM_KEY_TOKENS = 14,
  VARLSTM_KEY_STEPS = 15,
  /* Keys of an rnn: see varlstm_rnn_set_i64. */
  VARLSTM_KEY_CELL = 20,
  VARLSTM_KEY_INPUT_SIZE = 21,
  VARLSTM_KEY_HIDDEN_SIZE = 22,
  VARLSTM_KEY_NUM_LAYERS = 23,
  VARLSTM_KEY_DTYPE = 24,
  VARLSTM_KEY_BIDIRECTIONAL = 25,
  VARLSTM_KEY_BIAS = 26,
  VARLSTM_KEY_DROPOUT = 27,
  VARLSTM_KEY_RECURRENCE = 28,
  VARLSTM_KEY_RECURRENCE_USED = 29,
  VARLSTM_KEY_ROWS = 40,
  VARLSTM_KEY_LAYERS_TOGETHER = 41,
  VARLSTM_KEY_PROJ_SIZE = 42,
  VARLSTM_KEY_RESETS = 43,
  VARLSTM_KEY_CELL_CLIP = 44,
  VARLSTM_KEY_PROJECTION_CLIP = 45,
  VARLSTM_KEY_RECURRENT_DROPOUT = 46,
  VARLSTM_KEY_RECURRENT_DROPOUT_KIND = 47,
  VARLSTM_KEY_ZONEOUT_H = 48,
  VARLSTM_KEY_ZONEOUT_C = 49,
  VARLSTM_KEY_LAYER_NORM = 50,
  VARLSTM_KEY_CELL_STATES = 51,
  VARLSTM_KEY_ADD_DPARAMS = 52,
  /* Keys of a loss: see varlstm_loss_set_i64. */
  VARLSTM_KEY_CLASSES = 30,
  VARLSTM_KEY_IGNORE_INDEX = 31,
  VARLSTM_KEY_REDUCTION = 32,
  VARLSTM_KEY_EMPTY_MEAN = 33,
  VARLSTM_KEY_LABEL_SMOOTHING = 34
};

/* How products of F32 matrices are computed on CUDA. The host back end takes either value and always computes in
 * float. */
enum varlstm_math {
  VARLSTM_MATH_F32 = 0, /* in float */
  VARLSTM_MATH_TF32 = 1 /* on tensor cores if the GPU has them (sm_80): operands are rounded to 10 bits of mantissa,
                           sums run in float */
};

/* How the recurrence of an rnn runs on CUDA; see VARLSTM_KEY_RECURRENCE. The choice depends on H, dtype, math,
 * directions and the device, never on the batch (if BATCH_INVARIANT is 1): a sequence has its bits in every batch.
 * If the requested way cannot run here, STEPWISE is used.
 * AUTO takes the way that should take the fewest clocks by a model, which was not compared with a GPU.
 * VARLSTM_PRINT_POLICY=1 in the environment prints the choice to stderr, and of each way its modelled clocks or the
 * reason against it.
 * VARLSTM_RECURRENCE_POLICY=stepwise, cluster or grid in the environment replaces AUTO.
 * Before CUDA 12.6 a conditional node of a CUDA graph cannot hold a cooperative launch, so capturing one there fails.
 * GRID has cooperative launches. AUTO may have them whatever VARLSTM_KEY_RECURRENCE_USED says: large batches in 16 bits
 * may run by teams of 64 sequences with the bits of the way that it names. A requested STEPWISE or CLUSTER has none. */
enum varlstm_recurrence {
  VARLSTM_RECURRENCE_AUTO = 0,
  VARLSTM_RECURRENCE_STEPWISE = 1, /* one launch per step */
  VARLSTM_RECURRENCE_CLUSTER = 2,  /* one launch: weights stay in a thread-block cluster (sm_90) or a block (sm_80) */
  VARLSTM_RECURRENCE_GRID = 3      /* one cooperative launch, or one per direction if both do not fit at once: weights
                                      stay in blocks that exchange their results through L2 (sm_80) */
};

/* The order of the rows of x, y, dy and dx in varlstm_rnn_forward and varlstm_rnn_backward; see VARLSTM_KEY_ROWS.
 * A sequence's y, h_n, c_n, dx, dh0 and dc0 have the same bits in either order, except with dropout, whose mask depends
 * on the index of the row. Gradients of parameters are summed over the rows in the order given.
 * RAGGED needs no varlstm_pack and varlstm_unpack, and copies nothing. Operations that work row by row (embedding,
 * linear, losses) take rows in either order. */
enum varlstm_rows {
  VARLSTM_ROWS_PACKED = 0, /* time-major: the rows of step 0, then of step 1, ...; within a step the longest first */
  VARLSTM_ROWS_RAGGED = 1  /* sequence after sequence, in the caller's order: row cu_seqlens[b] + t */
};

/* What VARLSTM_KEY_RECURRENT_DROPOUT drops. */
enum varlstm_recurrent_dropout {
  VARLSTM_RECURRENT_DROPOUT_WEIGHTS = 0,  /* elements of W_hh, the same in all of a call (AWD-LSTM, haste) */
  VARLSTM_RECURRENT_DROPOUT_STATE = 1,    /* elements of h where it enters the product with W_hh, the same for each step
                                             of a sequence (Gal & Ghahramani 2016) */
  VARLSTM_RECURRENT_DROPOUT_CANDIDATE = 2 /* elements of an LSTM's g or a GRU's n, others in each row (Semeniuta et al.
                                             2016); other cells do not have it */
};

/* Creates a context on `device`, which counts from 0; the host has device 0 only. On CUDA this loads every kernel and
 * waits for the device, and no stream may be captured meanwhile.
 * Errors: INVALID_ARGUMENT (backend, device, ctx, or an unknown value of one of the library's environment variables),
 * UNSUPPORTED (no such back end here), OUT_OF_MEMORY, BACKEND. */
VARLSTM_API int32_t varlstm_ctx_create(int32_t backend, int32_t device, varlstm_ctx** ctx);

/* Options of a context. Set them before other threads use the context. Keys:
 *   BACKEND          read only: a varlstm_backend
 *   DEVICE           read only: the index of the device
 *   THREADS          0 to 1024, default 0: most threads of a call on the host; 0 means OMP_NUM_THREADS where it is set,
 *                    else the cores of the process. Results are bitwise equal for every value. UNSUPPORTED on CUDA.
 *   BATCH_INVARIANT  1 (default): a sequence's h, c, y and dx are bit-identical whatever else is in the batch.
 *                    0: on CUDA they may differ: cuBLAS chooses its kernel by the number of rows, and AUTO may run a
 *                    large batch STEPWISE in place of GRID. On the host they are bit-identical for 0 as well.
 *   MATH             a varlstm_math, default F32 */
VARLSTM_API int32_t varlstm_ctx_set_i64(varlstm_ctx* ctx, int32_t key, int64_t value);
VARLSTM_API int32_t varlstm_ctx_get_i64(const varlstm_ctx* ctx, int32_t key, int64_t* value);

/* Bad values that are in the back end's memory, so that the call that meets them cannot return an error. */
enum varlstm_device_status_bit {
  VARLSTM_DEVICE_STATUS_LENGTH = 1,   /* a length is below 0 or beyond a bound: it is clamped */
  VARLSTM_DEVICE_STATUS_TOKEN_ID = 2, /* an id is outside [0, V): it gives a row of zeros and no gradient */
  VARLSTM_DEVICE_STATUS_LABEL = 4,    /* a target is outside [0, C) and not ignored: loss and gradient of its row are 0,
                                         and the row is not counted */
  VARLSTM_DEVICE_STATUS_RESERVE = 8,  /* CUDA: no forward of this shape wrote the reserve; the gradients of that
                                         backward are meaningless */
  VARLSTM_DEVICE_STATUS_SLOT = 16,    /* CUDA: a stream's slot is outside [0, S) or belongs to an earlier stream of the
                                         call: the stream's y is 0 and no state is changed for it */
  VARLSTM_DEVICE_STATUS_RESET = 32,   /* a reset is neither 0 nor 1: it counts as 1 */
  VARLSTM_DEVICE_STATUS_OFFSET = 64,  /* CUDA: the offsets of a word of varlstm_conv_max_* decrease or are outside
                                         [0, rows]: the word has no rows */
  VARLSTM_DEVICE_STATUS_LAST_STEP = 128 /* CUDA: the last step of a row of varlstm_adam_rows_* is more than
                                           history_steps ago, below 0 or yet to come: steps of the row are lost */
};

/* Waits for `stream`, then reads the status word. `bits` is 0 or a sum of varlstm_device_status_bit. `first_index` is
 * the smallest bad index seen for the lowest bit set, or -1 if no bit is set; it may be NULL. `reset` 1 clears the
 * status word afterwards, 0 keeps it. */
VARLSTM_API int32_t varlstm_ctx_device_status(varlstm_ctx* ctx, int32_t reset, int64_t* bits, int64_t* first_index,
                                              void* stream);

/* Destroys the context. NULL is allowed. INVALID_ARGUMENT if batches, rnns or losses made from it still exist. */
VARLSTM_API int32_t varlstm_ctx_destroy(varlstm_ctx* ctx);

/* ------------------------------------------------------------------------------------------------------------------
 * MEMORY: for callers that do not use the back end's own runtime. Buffers may come from anywhere else in the back end's
 * memory as well.
 * ---------------------------------------------------------------------------------------------------------------- */

enum varlstm_copy_kind { VARLSTM_COPY_TO_BACKEND = 0, VARLSTM_COPY_TO_HOST = 1, VARLSTM_COPY_WITHIN_BACKEND = 2 };

/* *ptr <- `bytes` of the back end's memory, aligned to 256 bytes, with undefined contents; NULL for 0 bytes. */
VARLSTM_API int32_t varlstm_alloc(varlstm_ctx* ctx, int64_t bytes, void** ptr);
/* Frees memory of varlstm_alloc, after the work that uses it is done. NULL is allowed. */
VARLSTM_API int32_t varlstm_free(varlstm_ctx* ctx, void* ptr);
/* Copies `bytes` from src to dst in stream order; `kind` is a varlstm_copy_kind.
 *   To the host: the copy is done when the call returns. In a captured stream it is an error, because it waits.
 *   From pageable host memory: `src` has been read when the call returns.
 *   From page-locked host memory (cudaMallocHost, cudaHostRegister): `src` is read when `stream` reaches the copy. Do
 *   not change `src` before varlstm_sync.
 *   From the host in a captured stream: every launch of the graph reads `src`, which must be page-locked and live as
 *   long as the graph. */
VARLSTM_API int32_t varlstm_copy(varlstm_ctx* ctx, void* dst, const void* src, int64_t bytes, int32_t kind,
                                 void* stream);
/* Sets `bytes` of the back end's memory to zero. */
VARLSTM_API int32_t varlstm_zero(varlstm_ctx* ctx, void* ptr, int64_t bytes, void* stream);
/* Waits until all work on `stream` is done. */
VARLSTM_API int32_t varlstm_sync(varlstm_ctx* ctx, void* stream);

enum varlstm_dtype {
  VARLSTM_DTYPE_F32 = 0,
  VARLSTM_DTYPE_F64 = 1,
  VARLSTM_DTYPE_BF16 = 2, /* bfloat16, the upper half of a float */
  VARLSTM_DTYPE_F16 = 3,  /* IEEE 754 binary16 */
  VARLSTM_DTYPE_I64 = 4   /* ids, targets; for pack, unpack and copy_columns only */
};
/* BF16 and F16 are storage formats: sums, gates and the cell state are computed in float, and what is stored is rounded
 * to the nearest value, ties to even. h and the gradients of the gates are rounded when each step stores them; with a
 * projection o * tanh(c') and the gradient of h as well. The host computes on copies in float, which are in
 * the workspace. In training, keep the parameters in F32 and make a rounded copy of them with varlstm_convert. */

/* ------------------------------------------------------------------------------------------------------------------
 * BATCH: the plan of one mini-batch, made from its lengths. Create one batch from upper bounds and set the lengths of
 * each mini-batch. Setting lengths changes the handle, so the caller orders it against other calls that use the batch.
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_batch varlstm_batch;

/* Creates a batch with B = 0 for these bounds: 0 <= B <= max_batch, every length <= max_len, N <= max_tokens, and
 * max_tokens <= max_batch * max_len. It allocates O(max_batch + max_len + max_tokens) int64 in the back end's memory;
 * of the other calls only the first varlstm_batch_set_resets allocates.
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT (a bound is negative or too large, batch is NULL), OUT_OF_MEMORY. */
VARLSTM_API int32_t varlstm_batch_create(varlstm_ctx* ctx, int64_t max_batch, int64_t max_len, int64_t max_tokens,
                                         varlstm_batch** batch);

enum varlstm_space {
  VARLSTM_SPACE_HOST = 0,   /* host memory: a bad value is an error, after which the batch is as it was before */
  VARLSTM_SPACE_BACKEND = 1 /* the back end's memory, read in stream order. A bad value raises
                               VARLSTM_DEVICE_STATUS_LENGTH and is clamped: below 0 to 0, above max_len to max_len;
                               in the caller's order, what exceeds max_tokens is cut off. Nothing is copied to the
                               host, so on CUDA the host knows neither N nor T, and operations run over max_tokens
                               rows, whose rows after N are zeros. */
};

/* Sets B = count and the lengths [count] int64, which are in `space`. A length may be 0: the sequence has no rows.
 * Lengths in host memory, page-locked or not, have been read when the call returns. A graph that captured the call
 * keeps their values. If the back end fails, the batch has B = 0 afterwards. */
VARLSTM_API int32_t varlstm_batch_set_lengths(varlstm_batch* batch, const int64_t* lengths, int64_t count,
                                              int32_t space, void* stream);

/* The same from the fields of a PackedSequence: batch_sizes [steps], positive and not increasing; sorted_indices
 * [batch_sizes[0]], or NULL for the identity. Both are in host memory and have been read when the call returns. */
VARLSTM_API int32_t varlstm_batch_from_batch_sizes(varlstm_batch* batch, const int64_t* batch_sizes, int64_t steps,
                                                   const int64_t* sorted_indices, void* stream);

enum varlstm_layout {
  VARLSTM_LAYOUT_BATCH_FIRST = 0, /* padded [B, padded_len, F] */
  VARLSTM_LAYOUT_TIME_MAJOR = 1,  /* padded [padded_len, B, F] */
  VARLSTM_LAYOUT_RAGGED = 2       /* [N, F], sequence after sequence; padded_len is not used */
};

/* Resets the state inside sequences, as recurrent reinforcement learning does at the end of an episode: resets [count]
 * has a byte for each row of the given layout, with F = 1. 1: the state before this row is zero, and no gradient flows
 * across. So a sequence becomes several shorter ones, whose rows stay where they are: the first starts from h0 and c0,
 * the last gives h_n and c_n, and a backward direction runs through each of them from its end. With a reset at the
 * first row of a sequence, nothing reads its initial states of the forward direction.
 * count = B * padded_len, and padded_len >= T; or N for RAGGED. If only the device knows the lengths, these are max_len
 * and max_tokens. Flags of the padding have no effect. The flags are in `space`, a varlstm_space. In host memory a
 * value other than 0 and 1 is an error, the padding's too, and they have been read when the call returns; in the back
 * end's memory it raises VARLSTM_DEVICE_STATUS_RESET. NULL with count = 0 takes the resets back; so does setting the
 * lengths. The rnn needs VARLSTM_KEY_RESETS. The first call with flags allocates O(max_batch + max_len + max_tokens)
 * int64, so it cannot be captured; the others can. If the back end fails, the batch has no resets afterwards. */
VARLSTM_API int32_t varlstm_batch_set_resets(varlstm_batch* batch, const uint8_t* resets, int64_t count, int32_t layout,
                                             int64_t padded_len, int32_t space, void* stream);

/* Reads a property of a batch. Keys, all read only:
 *   MAX_BATCH, MAX_LEN, MAX_TOKENS   the bounds given to varlstm_batch_create
 *   BATCH                            B
 *   TOKENS                           N; UNSUPPORTED on CUDA if only the device knows the lengths
 *   STEPS                            T, the longest length; UNSUPPORTED in the same case */
VARLSTM_API int32_t varlstm_batch_get_i64(const varlstm_batch* batch, int32_t key, int64_t* value);

/* Index arrays of the plan, int64, in the back end's memory. */
enum varlstm_batch_array {
  VARLSTM_BATCH_LENGTHS = 0,          /* [B]   lengths in the caller's order */
  VARLSTM_BATCH_BATCH_SIZES = 1,      /* [T]   b_t: number of sequences longer than t */
  VARLSTM_BATCH_STEP_OFFSETS = 2,     /* [T+1] first packed row of step t; the last entry is N */
  VARLSTM_BATCH_SORTED_INDICES = 3,   /* [B]   caller's index of the j-th longest sequence, j from 0 */
  VARLSTM_BATCH_UNSORTED_INDICES = 4, /* [B]   its inverse: rank of the caller's sequence b */
  VARLSTM_BATCH_CU_SEQLENS = 5,       /* [B+1] first ragged row of the caller's sequence b; the last entry is N */
  VARLSTM_BATCH_PACKED_TO_RAGGED = 6, /* [N]   ragged row of a packed row */
  VARLSTM_BATCH_RAGGED_TO_PACKED = 7  /* [N]   its inverse */
};

/* *data <- the array, a varlstm_batch_array; *count <- its number of entries (count may be NULL). `data` is valid until
 * the batch's lengths are set again or the batch is destroyed. If only the device knows the lengths (CUDA), N and T in
 * `count` are the bounds max_tokens and max_len. */
VARLSTM_API int32_t varlstm_batch_get_array(const varlstm_batch* batch, int32_t array, const int64_t** data,
                                            int64_t* count);

/* NULL is allowed. */
VARLSTM_API int32_t varlstm_batch_destroy(varlstm_batch* batch);

/* ------------------------------------------------------------------------------------------------------------------
 * PACK AND UNPACK: see varlstm_layout for the layouts
 * ---------------------------------------------------------------------------------------------------------------- */

/* packed [N, F] <- src in the given layout. padded_len >= T, or >= max_len if only the device knows the lengths.
 * Padding is never read. Any dtype. */
VARLSTM_API int32_t varlstm_pack(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                                 int64_t features, const void* src, void* packed, void* stream);

/* dst in the given layout <- packed [N, F]; every padded position is set to pad_value. Any dtype. */
VARLSTM_API int32_t varlstm_unpack(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                                   int64_t features, double pad_value, const void* packed, void* dst, void* stream);

/* The adjoint of varlstm_pack: dsrc <- dpacked, and 0 at the padding. Any dtype except I64. */
VARLSTM_API int32_t varlstm_pack_backward(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                                          int64_t features, const void* dpacked, void* dsrc, void* stream);

/* The adjoint of varlstm_unpack: dpacked <- ddst; gradients at the padding are not read. Any dtype except I64. */
VARLSTM_API int32_t varlstm_unpack_backward(const varlstm_batch* batch, int32_t dtype, int32_t layout,
                                            int64_t padded_len, int64_t features, const void* ddst, void* dpacked,
                                            void* stream);

/* ------------------------------------------------------------------------------------------------------------------
 * RECURRENT NETWORK
 *
 * LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), as in PyTorch's nn.LSTM. For each
 * sequence, layer and direction, where * is the element-wise product:
 *   i = sigmoid(W_ii x + b_ii + W_hi h + b_hi)      g = tanh(W_ig x + b_ig + W_hg h + b_hg)
 *   f = sigmoid(W_if x + b_if + W_hf h + b_hf)      o = sigmoid(W_io x + b_io + W_ho h + b_ho)
 *   c' = f * c + i * g                              h' = o * tanh(c')
 * With a projection (Sak et al. 2014), as with nn.LSTM's proj_size, h' = W_hr (o * tanh(c')) instead: h has P < H
 * features, c has H, and W_hi .. W_ho have P columns.
 * GRU, whose reset gate r acts after the product, as in PyTorch's nn.GRU and in cuDNN; it has no cell state:
 *   r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)      n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
 *   z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)      h' = (1 - z) * n + z * h
 * GRU_RESET_BEFORE, the GRU of Cho et al. (2014), in which r acts before the product: r, z and h' are those of a GRU.
 * It is a GRU of ONNX with linear_before_reset=0 and of Keras with reset_after=False; PyTorch has none.
 *   n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)
 * A step of it has two products one after the other. A 16-bit dtype rounds r * h, which the second one multiplies. With
 * recurrent dropout of STATE both products have h under its mask: r * (mask * h) in the second one.
 * RNN_TANH (Elman 1990) and RNN_RELU, as in PyTorch's nn.RNN; they have no cell state:
 *   h' = tanh(W_ih x + b_ih + W_hh h + b_hh)        h' = max(0, W_ih x + b_ih + W_hh h + b_hh)
 * With layer normalisation (Ba et al. 2016, in haste's form) each product with a matrix is normalised over all G * H
 * rows together: W x becomes LN(W x) * norm_ih and W h becomes LN(W h) * norm_hh, with LN(v) = (v - mean) / sqrt(var +
 * 1e-5) and the variance without Bessel's correction. The biases are added after that. In an LSTM h' is then
 * o * tanh(LN(c') * norm_c + norm_c_bias) with LN over the H units, and c' itself is passed on as it is.
 * The backward direction starts at each sequence's own last token. Layer l > 0 reads the [forward | backward] outputs
 * of the layer below.
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_rnn varlstm_rnn;

/* G is the number of gates: the weights of one layer and direction have G * H rows. */
enum varlstm_cell {
  VARLSTM_CELL_LSTM = 0,            /* G = 4 */
  VARLSTM_CELL_GRU = 1,             /* G = 3; c0, c_n, dc_n and dc0 must be NULL */
  VARLSTM_CELL_RNN_TANH = 2,        /* G = 1; c0, c_n, dc_n and dc0 must be NULL */
  VARLSTM_CELL_RNN_RELU = 3,        /* the same */
  VARLSTM_CELL_GRU_RESET_BEFORE = 4 /* as GRU; stepwise on CUDA */
};

/* Creates a network. Sizes are positive, num_layers is at most 4096. An rnn describes the network and holds no
 * parameters: the caller keeps them in one flat buffer. A hidden_size above 1,048,560 is UNSUPPORTED on CUDA, which
 * varlstm_rnn_sizes, forward, backward, step_size and step then tell. */
VARLSTM_API int32_t varlstm_rnn_create(varlstm_ctx* ctx, int32_t cell, int64_t input_size, int64_t hidden_size,
                                       int64_t num_layers, varlstm_rnn** rnn);

/* Options of an rnn. The first call of another function than set, get and destroy freezes them: setting one later is
 * INVALID_ARGUMENT. Keys:
 *   CELL             read only: a varlstm_cell
 *   INPUT_SIZE       read only: I
 *   HIDDEN_SIZE      read only: H
 *   NUM_LAYERS       read only: L
 *   DTYPE            a varlstm_dtype except I64, default F32: of parameters, inputs, outputs and states
 *   BIDIRECTIONAL    0 (default) or 1: D is 1 or 2
 *   BIAS             0 or 1 (default)
 *   DROPOUT          f64 in [0, 1), default 0: probability of zeroing an output of every layer except the last
 *   ROWS             a varlstm_rows, default PACKED
 *   RECURRENCE       a varlstm_recurrence, default AUTO; no effect on the host
 *   RECURRENCE_USED  read only: the varlstm_recurrence that forward and backward run with; AUTO on the host
 *   PROJ_SIZE        P in [0, H), default 0: an LSTM projects h to P features, if P > 0. Below, R is the width of h: P
 *                    with a projection, else H. Other cells take 0 only. Stepwise on CUDA
 *   LAYERS_TOGETHER  1 (default): on CUDA forward runs the LSTM layers of one direction in one launch, each a step
 *                    behind the one below, if the device holds them all and the batch is small. 0: one layer after the
 *                    other. With BATCH_INVARIANT 1 results are bitwise equal for both; for types that use tensor cores
 *                    this has been tested on the emulator only, not on a GPU. No effect on the host.
 *   RESETS           0 (default) or 1: whether batches may have resets (varlstm_batch_set_resets), for which the
 *                    workspaces are larger
 *   LAYER_NORM       0 (default) or 1: layer normalisation of an LSTM or a GRU. Other cells take 0 only. 1 is stepwise
 *                    on CUDA
 *   CELL_STATES      0 (default) or 1, LSTM only: whether varlstm_rnn_forward_with_c and varlstm_rnn_backward_with_c
 *                    take c of every token and its gradient, for which workspaces are larger. 1 is stepwise on CUDA
 *   ADD_DPARAMS      1 (default): backward adds to dparams. 0: it writes them and does not read what was there. The
 *                    values are those of adding to zeros, and there may be a -0 where that has a 0
 * Options of the cell. f64, and 0 (default) is no such option:
 *   CELL_CLIP        x > 0, LSTM only: c' = min(max(f * c + i * g, -x), x). No gradient flows where it is clipped.
 *                    Here and below x is rounded to F64 if dtype is F64, else to F32: 1e-50 in F32 makes every c' 0
 *   PROJECTION_CLIP  x > 0, only if PROJ_SIZE is not 0 already: h' likewise, before a 16-bit dtype rounds it, so that
 *                    the h' that is stored may be x rounded to the dtype. PROJ_SIZE 0 makes it 0
 *   RECURRENT_DROPOUT       p in [0, 1): inverted dropout in the recurrence, in calls with a seed
 *   RECURRENT_DROPOUT_KIND  i64: a varlstm_recurrent_dropout, default WEIGHTS: what it drops
 *   ZONEOUT_H        p in [0, 1) (Krueger et al. 2016): with a seed an element of h, projected if there is a
 *                    projection, keeps its value before the step with probability p. Without: p * h + (1 - p) * h'
 *   ZONEOUT_C        the same of an LSTM's c; h' is computed from c' as it is before zoneout
 * On CUDA an rnn with any of them but RECURRENT_DROPOUT of WEIGHTS runs stepwise.
 *
 * Masks of an rnn. Element k of a mask is drawn if word k % 4 of a block of Philox4x32-10, times 2^-32, is < p. Drawn
 * is what dropout drops, and what zoneout keeps from before. The block's key is the call's dropout_seed; its counter
 * has the four words k / 4 modulo 2^32, k / 2^34, kind, and 2 * layer + direction. With b the sequence in the caller's
 * order and n = cu_seqlens[b] + t its token t, in either order of rows, the kinds and elements are:
 *   kind 1, WEIGHTS     k = row * R + column of W_hh [GH, R]
 *   kind 2, STATE       k = b * R + feature of h
 *   kind 3, CANDIDATE   k = n * H + unit
 *   kind 4, ZONEOUT_H   k = n * R + feature of h
 *   kind 5, ZONEOUT_C   k = n * H + unit
 * Dropout of h, g, n or W_hh multiplies what it keeps by 1 / (1 - p). */
VARLSTM_API int32_t varlstm_rnn_set_i64(varlstm_rnn* rnn, int32_t key, int64_t value);
VARLSTM_API int32_t varlstm_rnn_set_f64(varlstm_rnn* rnn, int32_t key, double value);
VARLSTM_API int32_t varlstm_rnn_get_i64(const varlstm_rnn* rnn, int32_t key, int64_t* value);
VARLSTM_API int32_t varlstm_rnn_get_f64(const varlstm_rnn* rnn, int32_t key, double* value);

/* The number of parameter tensors, and of elements of the flat buffer that holds them all. Either may be NULL. */
VARLSTM_API int32_t varlstm_rnn_param_count(const varlstm_rnn* rnn, int64_t* tensors, int64_t* elements);

/* Describes tensor `index` of the flat buffer: PyTorch's name ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0",
 * "bias_hh_l0", "weight_ih_l0_reverse", ...), the offset in elements, and the shape [rows, cols], where a bias has
 * cols 1. Tensors are ordered by layer, then by direction, then weight_ih [GH, I or D*R], weight_hh [GH, R],
 * bias_ih [GH], bias_hh [GH], and with a projection weight_hr [P, H]; the gates are in the order i, f, g, o of an LSTM,
 * r, z, n of a GRU. With layer normalisation follow norm_ih [GH] and norm_hh [GH], whose gates are in the same order,
 * and of an LSTM norm_c [H] and norm_c_bias [H], all with cols 1; nn.LayerNorm begins with ones, and zeros for the
 * bias. There are no gaps between them. `name` lives as long as the rnn. Every output may be NULL. */
VARLSTM_API int32_t varlstm_rnn_param_info(const varlstm_rnn* rnn, int64_t index, const char** name, int64_t* offset,
                                           int64_t* rows, int64_t* cols);

/* How other libraries lay out the parameters of one layer and direction. `in` is I for layer 0 and D*H above it. Each
 * line ends with the order of an LSTM's gates and of a GRU's. A Keras SimpleRNN is an RNN_TANH or an RNN_RELU, and
 * haste has neither. A GRU of Keras (reset_after=True, bias [2, 3H]) and of haste has two biases: b_ih is bias[0] of
 * Keras and haste's bias, b_hh is bias[1] and recurrent_bias. A GRU of ONNX has linear_before_reset=1. A
 * GRU_RESET_BEFORE has the order of a GRU: in Keras it has reset_after=False and one bias [3H], in ONNX
 * linear_before_reset=0, and PyTorch, cuDNN and haste do not have it. */
enum varlstm_param_format {
  /* w_ih [GH, in], w_hh [GH, H], b_ih [GH], b_hh [GH]; i, f, g, o; r, z, n */
  VARLSTM_FORMAT_PYTORCH = 0,
  /* kernel [in, GH], recurrent_kernel [H, GH], bias [GH], b_hh NULL but for a GRU; i, f, c (= g), o; z, r, h (= n) */
  VARLSTM_FORMAT_KERAS = 1,
  /* W [GH, in], R [GH, H], Wb [GH], Rb [GH] of one direction; i, o, f, c (= g); z, r, h (= n) */
  VARLSTM_FORMAT_ONNX = 2,
  /* w_ih [GH, in], w_hh [GH, H], b_ih [GH], b_hh [GH], as in PYTORCH; i, f, g, o; r, z, n */
  VARLSTM_FORMAT_CUDNN = 3,
  /* kernel [in, GH], recurrent_kernel [H, GH], bias [GH], b_hh NULL but for a GRU; i, g, f, o; z, r, g (= n) */
  VARLSTM_FORMAT_HASTE = 4
};

/* Writes one layer and direction (0 forward, 1 backward) of `params` from another library's layout. All pointers are in
 * the back end's memory. A bias that is NULL counts as zero. If the rnn has no bias, both must be NULL. A format whose
 * library does not have the cell is UNSUPPORTED, and so is an rnn with a projection, since no format here has a place
 * for weight_hr: the flat buffer has PyTorch's tensors in PyTorch's order, so copy those there. The tensors of layer
 * normalisation are not written: copy them to the places that varlstm_rnn_param_info gives. The rows of haste's gamma
 * [2, G * H] are norm_ih and norm_hh with the gates in haste's order, and have to be brought into the order i, f, g, o
 * or r, z, n. Its gamma_h and beta_h are norm_c and norm_c_bias. */
VARLSTM_API int32_t varlstm_rnn_import(const varlstm_rnn* rnn, int32_t format, int64_t layer, int32_t direction,
                                       const void* w_ih, const void* w_hh, const void* b_ih, const void* b_hh,
                                       void* params, void* stream);

enum varlstm_mode {
  VARLSTM_MODE_INFER = 0, /* nothing is saved */
  VARLSTM_MODE_SAVE = 1   /* what backward needs is saved in `reserve` */
};

/* The bytes that forward in this mode needs for any batch within the bounds; with MODE_SAVE they suffice for the
 * backward after it as well. reserve_bytes is 0 with MODE_INFER. The result depends on nothing but the arguments and
 * the rnn. */
VARLSTM_API int32_t varlstm_rnn_sizes(const varlstm_rnn* rnn, int64_t max_batch, int64_t max_len, int64_t max_tokens,
                                      int32_t mode, int64_t* workspace_bytes, int64_t* reserve_bytes);

/* Forward over all layers and directions.
 *   dropout_seed  seed of all masks; 0 switches dropout off for this call, and zoneout gives its expectation
 *   params        the flat buffer
 *   x             [N, I], rows in the order of VARLSTM_KEY_ROWS
 *   h0, c0        [L*D, B, R] and [L*D, B, H], sequences in the caller's order; or NULL for zeros
 *   y             [N, D*R], rows in the order of x
 *   h_n, c_n      as h0 and c0; or NULL if not wanted
 *   workspace     aligned to 64 bytes; at least the bytes that varlstm_rnn_sizes gives for this batch's bounds
 *   reserve       likewise; NULL and 0 with MODE_INFER
 * A sequence of length 0 has h_n = h0 and c_n = c0. h_n may not be the same buffer as h0, nor c_n as c0.
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT, BUFFER_TOO_SMALL, UNSUPPORTED, BACKEND. */
VARLSTM_API int32_t varlstm_rnn_forward(const varlstm_rnn* rnn, const varlstm_batch* batch, int32_t mode,
                                        uint64_t dropout_seed, const void* params, const void* x, const void* h0,
                                        const void* c0, void* y, void* h_n, void* c_n, void* workspace,
                                        int64_t workspace_bytes, void* reserve, int64_t reserve_bytes, void* stream);

/* The same, and c of every token of the last layer:
 *   c             [N, D*H], rows in the order of y; or NULL if not wanted
 * Row n of c is what the step after that token starts from: after CELL_CLIP and zoneout, H wide also with a projection,
 * and rounded to the dtype. So the row of the last token that a direction visits in a sequence has the bits of c_n. If
 * only the device knows N, the rows from N on are zeros, as those of y. A c that is not NULL needs
 * VARLSTM_KEY_CELL_STATES. c may not overlap another buffer of the call. */
VARLSTM_API int32_t varlstm_rnn_forward_with_c(const varlstm_rnn* rnn, const varlstm_batch* batch, int32_t mode,
                                               uint64_t dropout_seed, const void* params, const void* x, const void* h0,
                                               const void* c0, void* y, void* h_n, void* c_n, void* c, void* workspace,
                                               int64_t workspace_bytes, void* reserve, int64_t reserve_bytes,
                                               void* stream);

/* Backward of the forward that filled `reserve`. The options of the rnn and of the context, the lengths of the batch,
 * params, x, h0, c0 and y must be those of that forward. If only the device knows the lengths, so must the bounds of
 * the batch. `reserve` is only read, so backward may be called more than once.
 *   dy            [N, D*R], rows in the order of y; or NULL for zeros
 *   dh_n, dc_n    as h0 and c0, or NULL for zeros
 *   dx            [N, I], rows in the order of x; or NULL if not wanted
 *   dh0, dc0      as h0 and c0, or NULL if not wanted
 *   dparams       the flat buffer, added to, or only written with VARLSTM_KEY_ADD_DPARAMS 0; or NULL if not wanted
 * If the reserve was not written by a forward of this shape, these lengths and this order of rows, the host returns
 * INVALID_ARGUMENT. On CUDA only the device can tell; it raises VARLSTM_DEVICE_STATUS_RESERVE, also if the options or
 * bounds differ so that the reserve is laid out in another way. */
VARLSTM_API int32_t varlstm_rnn_backward(const varlstm_rnn* rnn, const varlstm_batch* batch, const void* params,
                                         const void* x, const void* h0, const void* c0, const void* y, const void* dy,
                                         const void* dh_n, const void* dc_n, void* dx, void* dh0, void* dc0,
                                         void* dparams, void* workspace, int64_t workspace_bytes, const void* reserve,
                                         int64_t reserve_bytes, void* stream);

/* The same, with the gradient of c of every token of the last layer:
 *   dc            [N, D*H], rows in the order of y; or NULL for zeros
 * It is added to what flows back to that c from the step after. A dc that is not NULL needs VARLSTM_KEY_CELL_STATES.
 * The forward may have left its c out, and may have been varlstm_rnn_forward of the same rnn. */
VARLSTM_API int32_t varlstm_rnn_backward_with_c(const varlstm_rnn* rnn, const varlstm_batch* batch, const void* params,
                                                const void* x, const void* h0, const void* c0, const void* y,
                                                const void* dy, const void* dh_n, const void* dc_n, const void* dc,
                                                void* dx, void* dh0, void* dc0, void* dparams, void* workspace,
                                                int64_t workspace_bytes, const void* reserve, int64_t reserve_bytes,
                                                void* stream);

/* Stepping: one token of each of B streams, for rollouts, speech recognition and everything else that gets its tokens
 * one by one. The states of all streams are in a table of S slots, which the caller zeroes where a stream begins.
 *
 * *workspace_bytes <- the bytes that a step of up to max_streams streams needs, with a table of up to table_slots
 * slots. Sizes: 0 <= max_streams <= table_slots, 1 <= table_slots. */
VARLSTM_API int32_t varlstm_rnn_step_size(const varlstm_rnn* rnn, int64_t max_streams, int64_t table_slots,
                                          int64_t* workspace_bytes);

/* One step of all layers, in place:
 *   y, h, c of stream k <- the cell at x[k] and at the states of slot slots[k]
 *   streams       B, at most table_slots; 0 is legal
 *   params        the flat buffer
 *   x             [B, I]
 *   slots         [B] in the back end's memory: the slot of each stream. A slot may occur once.
 *   table_slots   S
 *   h             [L, S, R]: read and written at the slots of this call; all others stay as they are
 *   c             [L, S, H] likewise, but F32 if the dtype is BF16 or F16; NULL if the cell has no cell state
 *   y             [B, R]: the new h of the last layer
 *   workspace     aligned to 64 bytes; at least the bytes that varlstm_rnn_step_size gives for B and S
 * T steps from zeros give, bit for bit, y, h and c of varlstm_rnn_forward with MODE_INFER and dropout_seed 0 on the T
 * tokens: on the host always, on CUDA if BATCH_INVARIANT is 1 and the rnn runs STEPWISE. c_n of a 16-bit dtype is c,
 * rounded. The step itself is STEPWISE whatever the key RECURRENCE says. It allocates nothing, waits for nothing and
 * may be captured. An rnn with BIDIRECTIONAL 1 cannot step. A slot that is outside [0, S) or occurs twice is
 * INVALID_ARGUMENT on the host, and nothing is written. On CUDA only the device can tell; it raises
 * VARLSTM_DEVICE_STATUS_SLOT. Errors: INVALID_HANDLE, INVALID_ARGUMENT, BUFFER_TOO_SMALL, UNSUPPORTED, BACKEND. */
VARLSTM_API int32_t varlstm_rnn_step(const varlstm_rnn* rnn, int64_t streams, const void* params, const void* x,
                                     const int64_t* slots, int64_t table_slots, void* h, void* c, void* y,
                                     void* workspace, int64_t workspace_bytes, void* stream);

/* Prepared weights. A call of forward, backward or step arranges the weights for the processor first, which takes
 * longer than the rest of a call of few tokens. A prepared rnn has them arranged once, for as many calls as its caller
 * makes with the same params. Results are bitwise those of the rnn that it was made from.
 *
 * *bytes <- the bytes of `prepared` that varlstm_rnn_prepare needs; 0 if nothing is arranged, as on CUDA. With
 * MODE_INFER forward and step are prepared, with MODE_SAVE backward too; all can be called after both. */
VARLSTM_API int32_t varlstm_rnn_prepared_size(const varlstm_rnn* rnn, int32_t mode, int64_t* bytes);

/* Creates a prepared rnn: an rnn with the options of `rnn`, for the same batches and calls, whose options are frozen.
 *   params    the flat buffer. Calls with the prepared rnn take no other params, and varlstm_rnn_import does not take
 *             that rnn: both are INVALID_ARGUMENT. The caller promises that the values of params stay as they are until
 *             the rnn is destroyed. After a change of params, make another prepared rnn.
 *   prepared  aligned to 64 bytes, at least the bytes that varlstm_rnn_prepared_size gives for this mode; NULL and 0 if
 *             they are 0. It belongs to the prepared rnn, is only read by its calls, and must live as long.
 * Only the new handle is allocated. `rnn` may be destroyed first. Like any rnn, a prepared one can be shared between
 * threads, and is destroyed by varlstm_rnn_destroy.
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT, BUFFER_TOO_SMALL, OUT_OF_MEMORY, BACKEND. */
VARLSTM_API int32_t varlstm_rnn_prepare(const varlstm_rnn* rnn, int32_t mode, const void* params, void* prepared,
                                        int64_t prepared_bytes, void* stream, varlstm_rnn** prepared_rnn);

/* NULL is allowed. */
VARLSTM_API int32_t varlstm_rnn_destroy(varlstm_rnn* rnn);

/* ------------------------------------------------------------------------------------------------------------------
 * OPERATIONS
 *
 * An operation takes any number of rows; for packed and ragged data `rows` is N. Some take a batch or NULL. With a
 * batch only the first N rows count (N <= rows) and the others give zeros; this serves lengths that only the device
 * knows, with rows = max_tokens. With NULL all rows count.
 * ---------------------------------------------------------------------------------------------------------------- */

enum varlstm_op {
  VARLSTM_OP_EMBEDDING_BACKWARD = 0, /* rows, a = vocabulary, b = features */
  VARLSTM_OP_LINEAR_FORWARD = 1,     /* rows, a = in, b = out */
  VARLSTM_OP_LINEAR_BACKWARD = 2,    /* rows, a = in, b = out */
  VARLSTM_OP_NLL = 3,                /* rows, a = classes, b = 0; forward and backward */
  VARLSTM_OP_CROSS_ENTROPY = 4,      /* rows, a = classes, b = 0 */
  VARLSTM_OP_GRAD_NORM = 5,          /* rows = elements, a = b = 0; also for clipping */
  /* rows, a = in, b = classes; workspace stops growing at one chunk of rows, whose size depends on in and classes */
  VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD = 6,
  VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD = 7
};

/* *bytes <- the workspace that an operation (a varlstm_op) needs for at most `rows` rows; it may be 0. The meaning of
 * rows, a and b is listed at varlstm_op. A workspace is aligned to 64 bytes. */
VARLSTM_API int32_t varlstm_op_workspace(varlstm_ctx* ctx, int32_t op, int32_t dtype, int64_t rows, int64_t a,
                                         int64_t b, int64_t* bytes);

/* y [rows, features] <- table [vocab, features] at ids [rows]. An id outside [0, vocab) gives zeros and raises
 * VARLSTM_DEVICE_STATUS_TOKEN_ID. */
VARLSTM_API int32_t varlstm_embedding_forward(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                                              int64_t vocab, int64_t features, const void* table, const int64_t* ids,
                                              void* y, void* stream);

/* dtable [vocab, features] += the rows of dy [rows, features] at ids [rows], in a fixed order. The table row
 * padding_idx gets no gradient (-1: there is no such row), and an id outside [0, vocab) gives none. */
VARLSTM_API int32_t varlstm_embedding_backward(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype,
                                               int64_t rows, int64_t vocab, int64_t features, int64_t padding_idx,
                                               const int64_t* ids, const void* dy, void* dtable, void* workspace,
                                               int64_t workspace_bytes, void* stream);

/* y [rows, out] <- x [rows, in] weight^T + bias, weight [out, in], bias [out] or NULL. */
VARLSTM_API int32_t varlstm_linear_forward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t in, int64_t out,
                                           const void* x, const void* weight, const void* bias, void* y,
                                           void* workspace, int64_t workspace_bytes, void* stream);

/* dx [rows, in] <- dy weight; dweight [out, in] += dy^T x; dbias [out] += column sums of dy. Each of the three may be
 * NULL if it is not wanted. weight may be NULL if dx is NULL, and x may be NULL if dweight is NULL. */
VARLSTM_API int32_t varlstm_linear_backward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t in, int64_t out,
                                            const void* x, const void* weight, const void* dy, void* dx, void* dweight,
                                            void* dbias, void* workspace, int64_t workspace_bytes, void* stream);

/* dst [count] of to_dtype <- src [count] of from_dtype. Any dtypes except I64. F64 becomes a 16-bit dtype by way of
 * float. */
VARLSTM_API int32_t varlstm_convert(varlstm_ctx* ctx, int32_t from_dtype, int32_t to_dtype, int64_t count,
                                    const void* src, void* dst, void* stream);

/* dst[r * ld_dst + c] <- src[r * ld_src + c] for r < rows and c < columns: puts features beside others, or takes them
 * out again.
 *   dtype    of both; any, I64 too
 *   rows     at least 0
 *   columns  that are copied, at least 1
 *   src      [rows, ld_src] in the back end's memory, up to the last row's element `columns` - 1. It points to the
 *            first column that is copied, so that columns from k on are at src + k elements.
 *   ld_src   elements from one row of src to the next, at least `columns`
 *   dst      [rows, ld_dst] in the back end's memory, likewise. Its other columns stay as they are. It may not overlap
 *            src, not even between the columns: columns of one matrix cannot be copied to others of the same matrix.
 *   ld_dst   elements from one row of dst to the next, at least `columns`
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT, BACKEND. */
VARLSTM_API int32_t varlstm_copy_columns(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t columns,
                                         const void* src, int64_t ld_src, void* dst, int64_t ld_dst, void* stream);

/* y[k] <- x[k] * keep(seed, k) / (1 - p) for k < count: inverted dropout (Srivastava et al. 2014), with p in [0, 1).
 * The mask depends on the seed and the element's index only. It comes from Philox4x32-10 (Salmon et al. 2011): keep is
 * 1 if word k % 4 of the block with key `seed` and counter k / 4, times 2^-32, is >= p, else 0.
 * x and y may be the same buffer. */
VARLSTM_API int32_t varlstm_dropout_forward(varlstm_ctx* ctx, int32_t dtype, int64_t count, double p, uint64_t seed,
                                            const void* x, void* y, void* stream);
/* dx[k] <- dy[k] * keep(seed, k) / (1 - p). dy and dx may be the same buffer. */
VARLSTM_API int32_t varlstm_dropout_backward(varlstm_ctx* ctx, int32_t dtype, int64_t count, double p, uint64_t seed,
                                             const void* dy, void* dx, void* stream);

/* y [rows, classes] <- x - log(sum(exp(x))) along each row. x and y may be the same buffer. */
VARLSTM_API int32_t varlstm_log_softmax_forward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t classes,
                                                const void* x, void* y, void* stream);
/* dx <- dy - exp(y) * sum(dy) along each row, where y is from forward. dy and dx may be the same buffer. */
VARLSTM_API int32_t varlstm_log_softmax_backward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t classes,
                                                 const void* y, const void* dy, void* dx, void* stream);

/* What is applied to the maxima of a convolution. */
enum varlstm_activation { VARLSTM_ACTIVATION_NONE = 0, VARLSTM_ACTIVATION_TANH = 1, VARLSTM_ACTIVATION_RELU = 2 };

/* One-dimensional convolution over the rows of each word, and the maximum over the word's own positions: the character
 * CNN of a tagger (Ma & Hovy 2016), and a max-over-time convolution over any ragged sequences (Kim 2014). Word w has
 * the rows offsets[w] ... offsets[w + 1] - 1 of x, with rows of zeros around them. With left = (width - 1) / 2, which
 * is the padding "same" of torch.nn.Conv1d, and a position p that counts from 0 in the word:
 *   v[p, f] = bias[f] + sum over k < width and i < in of weight[f, i, k] * x[offsets[w] + p + k - left, i]
 *   y[w, f] = activation(max over p of v[p, f])
 * A word of no rows gives zeros. All arrays are in the back end's memory.
 *   dtype    of x, weight, bias and y: F32, F64, BF16 or F16
 *   words, rows         at least 0
 *   in, filters, width  at least 1; width is in rows and may be larger than a word
 *   activation          a varlstm_activation
 *   offsets  [words + 1] of int64: not decreasing, in [0, rows]. Rows before the first offset, and
 *            from the last one on, belong to no word. On the host any other offset is an INVALID_ARGUMENT. On CUDA it
 *            raises VARLSTM_DEVICE_STATUS_OFFSET and its words have no rows; dx of other words may be 0 then as well.
 *   x        [rows, in]
 *   weight   [filters, in, width], as in torch.nn.Conv1d
 *   bias     [filters] or NULL
 *   y        [words, ldy] with ldy >= filters, both in elements, of which each row's first `filters` are written
 *   argmax   [words, filters] for backward: the row of x at whose position the maximum is, the first of several; -1
 *            for a word of no rows. Or NULL if not wanted. As in torch.max, the first NaN is larger than any number.
 *   workspace  aligned to 64 bytes; at least the forward_bytes that varlstm_conv_max_size gives for these sizes
 * The sums are F64 if dtype is F64, else F32, and y is rounded once. A word's y and dx depend on no other word.
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT, BUFFER_TOO_SMALL, BACKEND. */
VARLSTM_API int32_t varlstm_conv_max_forward(varlstm_ctx* ctx, int32_t dtype, int64_t words, int64_t rows, int64_t in,
                                             int64_t filters, int64_t width, int32_t activation, const int64_t* offsets,
                                             const void* x, const void* weight, const void* bias, void* y, int64_t ldy,
                                             int64_t* argmax, void* workspace, int64_t workspace_bytes, void* stream);

/* The gradient dv = dy * activation'(y) goes to the positions of argmax alone. The arguments before dy are those of
 * forward, argmax is what forward gave, and an argmax outside of its word gets no gradient. A dv of 0 adds nothing.
 *   y        [words, ldy] that forward gave
 *   dy       [words, ldy]: rows as far apart as those of y, of which the first `filters` elements are read
 *   dx       [rows, in], 0 for a row of no word; or NULL if not wanted. weight may be NULL if dx is NULL.
 *   dweight  [filters, in, width], added to; or NULL if not wanted. x may be NULL if dweight is NULL.
 *   dbias    [filters], added to; or NULL if not wanted
 *   workspace  aligned to 64 bytes; at least the backward_bytes that varlstm_conv_max_size gives for these sizes
 * For BF16 and F16 the gradients are summed in F32 and rounded once. Errors: as of forward. */
VARLSTM_API int32_t varlstm_conv_max_backward(varlstm_ctx* ctx, int32_t dtype, int64_t words, int64_t rows, int64_t in,
                                              int64_t filters, int64_t width, int32_t activation,
                                              const int64_t* offsets, const void* x, const void* weight, const void* y,
                                              const void* dy, int64_t ldy, const int64_t* argmax, void* dx,
                                              void* dweight, void* dbias, void* workspace, int64_t workspace_bytes,
                                              void* stream);

/* The workspaces of the two functions, in bytes, for at most `words` words and `rows` rows; the sizes are those of
 * forward, and neither pointer, to host memory, may be NULL. They depend on the context's THREADS as well: ask again
 * after a change. Neither is 0. Sizes for which 64 bits cannot count the bytes are an INVALID_ARGUMENT.
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT, BACKEND. */
VARLSTM_API int32_t varlstm_conv_max_size(varlstm_ctx* ctx, int32_t dtype, int64_t words, int64_t rows, int64_t in,
                                          int64_t filters, int64_t width, int64_t* forward_bytes,
                                          int64_t* backward_bytes);

/* ------------------------------------------------------------------------------------------------------------------
 * LOSS: masked negative log-likelihood (NLL) and cross-entropy, as F.nll_loss and F.cross_entropy of PyTorch.
 *
 * For row n with target t, class weights w (all 1 if NULL), log-probabilities p and label smoothing s:
 *   term(n) = -(1 - s) * w[t] * p[n, t] - s / C * sum_c w[c] * p[n, c]
 * If t is ignored, the term is 0 whatever p holds. MEAN divides the sum of the terms by the sum of w[t] over the kept
 * targets. A target is first compared with ignore_index and then with the range [0, C), so ignore_index may be in
 * [0, C).
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_loss varlstm_loss;

enum varlstm_reduction { VARLSTM_REDUCTION_NONE = 0, VARLSTM_REDUCTION_MEAN = 1, VARLSTM_REDUCTION_SUM = 2 };

/* The mean if every target is ignored, or if the kept weights sum to 0. The gradients are 0 for both values. */
enum varlstm_empty_mean { VARLSTM_EMPTY_MEAN_NAN = 0, VARLSTM_EMPTY_MEAN_ZERO = 1 };

/* Creates a loss over `classes` (positive) classes. */
VARLSTM_API int32_t varlstm_loss_create(varlstm_ctx* ctx, int64_t classes, varlstm_loss** loss);
/* Options of a loss. Set them before several threads use the loss. Keys:
 *   CLASSES          read only: C
 *   IGNORE_INDEX     any int64, default -100: a target with this value is skipped
 *   REDUCTION        a varlstm_reduction, default MEAN
 *   EMPTY_MEAN       a varlstm_empty_mean, default NAN
 *   LABEL_SMOOTHING  f64 in [0, 1], default 0 */
VARLSTM_API int32_t varlstm_loss_set_i64(varlstm_loss* loss, int32_t key, int64_t value);
VARLSTM_API int32_t varlstm_loss_set_f64(varlstm_loss* loss, int32_t key, double value);
VARLSTM_API int32_t varlstm_loss_get_i64(const varlstm_loss* loss, int32_t key, int64_t* value);
VARLSTM_API int32_t varlstm_loss_get_f64(const varlstm_loss* loss, int32_t key, double* value);
/* NULL is allowed. */
VARLSTM_API int32_t varlstm_loss_destroy(varlstm_loss* loss);

/* out <- the loss of the rows of log_probs.
 *   out            [rows] with REDUCTION_NONE, else [1]
 *   weight_sum     [1]: the sum of w[t] over the kept targets; or NULL if not wanted
 *   log_probs      [rows, C]
 *   targets        [rows]
 *   class_weights  [C] or NULL
 * dtype is that of log_probs and its gradient. out, weight_sum, class_weights and dout are F64 if dtype is F64, else
 * F32. */
VARLSTM_API int32_t varlstm_nll_forward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                        int64_t rows, const void* log_probs, const int64_t* targets,
                                        const void* class_weights, void* out, void* weight_sum, void* workspace,
                                        int64_t workspace_bytes, void* stream);

/* dlog_probs [rows, C] <- the gradient for dout, which has the shape of `out`, or is NULL for ones. */
VARLSTM_API int32_t varlstm_nll_backward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                         int64_t rows, const int64_t* targets, const void* class_weights,
                                         const void* dout, void* dlog_probs, void* workspace, int64_t workspace_bytes,
                                         void* stream);

/* Log-softmax and NLL in one pass over the logits [rows, C]. dlogits [rows, C] gets the gradient for an incoming
 * gradient of 1. It may be the same buffer as logits, or NULL if not wanted. The rest is as in varlstm_nll_forward. */
VARLSTM_API int32_t varlstm_cross_entropy_forward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                                  int64_t rows, const void* logits, const int64_t* targets,
                                                  const void* class_weights, void* out, void* weight_sum, void* dlogits,
                                                  void* workspace, int64_t workspace_bytes, void* stream);

/* dlogits <- dlogits from forward times dout, which has the shape of `out`, or is NULL for ones. */
VARLSTM_API int32_t varlstm_cross_entropy_backward(const varlstm_loss* loss, int32_t dtype, int64_t rows,
                                                   const void* dout, void* dlogits, void* stream);

/* Linear layer and cross-entropy in one: the loss of the logits x weight^T + bias. The logits are computed in the
 * workspace, one chunk of rows at a time, and are never stored as [rows, C]. (Wijmans et al. 2024, "Cut Your Losses in
 * Large-Vocabulary Language Models", and Liger Kernel do the same.) Only kept rows are computed: x of a row that is
 * ignored or beyond the batch's N is not read. Logits are F64 if dtype is F64, else F32. A row's out, lse and dx depend
 * on no other row of x. Forward computes no gradient.
 *   x       [rows, in]
 *   weight  [C, in]
 *   bias    [C] or NULL
 *   lse     [rows], of the dtype of `out`: log(sum(exp(logits))) for backward, 0 for a row that is not kept; or NULL if
 *           not wanted
 * The rest is as in varlstm_nll_forward. */
VARLSTM_API int32_t varlstm_linear_cross_entropy_forward(const varlstm_loss* loss, const varlstm_batch* batch,
                                                         int32_t dtype, int64_t rows, int64_t in, const void* x,
                                                         const void* weight, const void* bias, const int64_t* targets,
                                                         const void* class_weights, void* out, void* weight_sum,
                                                         void* lse, void* workspace, int64_t workspace_bytes,
                                                         void* stream);

/* Computes the logits again, chunk by chunk. lse is that of forward, and the arguments before it are those of forward.
 * dout has the shape of `out`, or is NULL for ones.
 *   dx       [rows, in], 0 if the row is not kept; or NULL if not wanted
 *   dweight  [C, in], added to; or NULL if not wanted
 *   dbias    [C], added to; or NULL if not wanted
 * For BF16 and F16 dweight and dbias are summed in F32 over all chunks and rounded once. */
VARLSTM_API int32_t varlstm_linear_cross_entropy_backward(const varlstm_loss* loss, const varlstm_batch* batch,
                                                          int32_t dtype, int64_t rows, int64_t in, const void* x,
                                                          const void* weight, const void* bias, const int64_t* targets,
                                                          const void* class_weights, const void* lse, const void* dout,
                                                          void* dx, void* dweight, void* dbias, void* workspace,
                                                          int64_t workspace_bytes, void* stream);

/* ------------------------------------------------------------------------------------------------------------------
 * OPTIMISER: works on one flat buffer of parameters and on its gradients, [count] each. dtype is F32 or F64.
 * ---------------------------------------------------------------------------------------------------------------- */

/* g = grads + weight_decay * params;  velocity = momentum * velocity + g;
 * params -= lr * (nesterov ? g + momentum * velocity : velocity).
 * velocity [count] is zero before the first step, and may be NULL if momentum is 0. This is torch.optim.SGD without
 * dampening. nesterov 1 needs momentum > 0. */
VARLSTM_API int32_t varlstm_sgd_step(varlstm_ctx* ctx, int32_t dtype, int64_t count, double lr, double momentum,
                                     double weight_decay, int32_t nesterov, void* params, const void* grads,
                                     void* velocity, void* stream);

/* Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019) if decoupled is 1, as torch.optim.Adam and AdamW.
 * m [count], v [count] and step [1] are in the back end's memory and zero before the first step. Each call increments
 * step. */
VARLSTM_API int32_t varlstm_adam_step(varlstm_ctx* ctx, int32_t dtype, int64_t count, double lr, double beta1,
                                      double beta2, double eps, double weight_decay, int32_t decoupled, void* params,
                                      const void* grads, void* m, void* v, int64_t* step, void* stream);

/* norm [1] double, in the back end's memory <- the Euclidean norm of grads, summed in double in a fixed order. */
VARLSTM_API int32_t varlstm_grad_norm(varlstm_ctx* ctx, int32_t dtype, int64_t count, const void* grads, double* norm,
                                      void* workspace, int64_t workspace_bytes, void* stream);

/* Computes the norm, then grads *= min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does. `norm` is
 * the norm before clipping. If the norm is NaN, every gradient becomes NaN. If it is infinite, finite gradients become
 * 0 and the others NaN. */
VARLSTM_API int32_t varlstm_clip_grad_norm(varlstm_ctx* ctx, int32_t dtype, int64_t count, double max_norm, void* grads,
                                           double* norm, void* workspace, int64_t workspace_bytes, void* stream);

/* ------------------------------------------------------------------------------------------------------------------
 * ROWS OF A TABLE: an embedding table of which a step touches few rows. Its gradient is kept as those rows alone, and
 * no call reads or writes the rest of the table. The result has the bits of the steps above over the whole table.
 *
 *   before forward  varlstm_adam_rows_catch_up of the batch's ids: Adam moves rows without a gradient too
 *   backward        varlstm_embedding_backward_rows, then varlstm_clip_grad_norm over the other gradients and drows
 *                   together, if they are in one buffer
 *   step            varlstm_adam_rows_step, or varlstm_sgd_rows_step, which needs no catching up
 *   before the parameters are read (an evaluation, the end), and after history_steps steps at the latest
 *                   varlstm_adam_rows_catch_up of all rows
 *
 * Sizes: rows that a call gets, vocab rows of the table with `features` elements each.
 * ---------------------------------------------------------------------------------------------------------------- */

/* What varlstm_embedding_backward adds to the table's gradient, as rows: at the first of an id's rows, row_ids [rows]
 * <- the id and drows [rows, features] <- its gradient; at all other rows, and if the id has no gradient, -1 and 0. The
 * rest is as in varlstm_embedding_backward, whose workspace it needs. */
VARLSTM_API int32_t varlstm_embedding_backward_rows(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype,
                                                    int64_t rows, int64_t vocab, int64_t features, int64_t padding_idx,
                                                    const int64_t* ids, const void* dy, int64_t* row_ids, void* drows,
                                                    void* workspace, int64_t workspace_bytes, void* stream);

/* table [vocab, features] -= lr * drows [rows, features] at the rows row_ids [rows], which are distinct; one outside
 * [0, vocab) is skipped. That is varlstm_sgd_step without momentum and weight decay. dtype is F32 or F64. */
VARLSTM_API int32_t varlstm_sgd_rows_step(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t vocab,
                                          int64_t features, double lr, const int64_t* row_ids, const void* drows,
                                          void* table, void* stream);

/* A step of varlstm_adam_step in which only the rows row_ids [rows] have a gradient, drows [rows, features]. row_ids
 * are distinct; one outside [0, vocab) is skipped. Only these rows are moved. The others wait until they are caught up
 * or have a gradient again.
 *   table, m, v  [vocab, features]
 *   last_steps   [vocab]: the number of each row's last step
 *   history      [history_steps, 3] of the dtype: what the last steps had for factors; history_steps is at least 1
 *   step         [1]: the number of steps so far; each call increments it
 * All six are in the back end's memory; m, v, last_steps and step are zero before the first step. betas, eps,
 * weight_decay and decoupled are the same in all calls for one table, lr may differ. If a row's last step is more than
 * history_steps before this one, the host returns INVALID_ARGUMENT and writes nothing; on CUDA the row's oldest steps
 * are lost, which raises VARLSTM_DEVICE_STATUS_LAST_STEP. dtype is F32 or F64. */
VARLSTM_API int32_t varlstm_adam_rows_step(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t vocab,
                                           int64_t features, double lr, double beta1, double beta2, double eps,
                                           double weight_decay, int32_t decoupled, const int64_t* row_ids,
                                           const void* drows, void* table, void* m, void* v, int64_t* last_steps,
                                           void* history, int64_t history_steps, int64_t* step, void* stream);

/* Does the steps for which the rows ids [rows] have waited. An id may occur more than once; one outside [0, vocab) is
 * skipped. NULL means every row of the table, and `rows` is then of no effect. The other arguments are those of
 * varlstm_adam_rows_step. */
VARLSTM_API int32_t varlstm_adam_rows_catch_up(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t vocab,
                                               int64_t features, double beta1, double beta2, double eps,
                                               double weight_decay, int32_t decoupled, const int64_t* ids, void* table,
                                               void* m, void* v, int64_t* last_steps, const void* history,
                                               int64_t history_steps, const int64_t* step, void* stream);

#ifdef __cplusplus
}
#endif

#endif /* VARLSTM_H */
