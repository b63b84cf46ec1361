/* varlstm.h - recurrent networks over sequences of different lengths.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * INTRODUCTION
 *
 * libvarlstm takes a mini-batch of sequences of different lengths from token ids to the masked loss and back:
 * embedding, length-sorted packing, LSTM over shrinking batch widths, linear, log-softmax, masked negative
 * log-likelihood, every gradient, and the optimiser's step. No padded position is ever computed.
 *
 * The header reads from top to bottom: words, an example, version and errors, contexts, memory, batches,
 * pack and unpack, the recurrent network, the other operations, the loss, the optimiser.
 *
 * WORDS
 *
 *   B    sequences in the batch            N  packed rows, the sum of the lengths (tokens)
 *   T    steps, the longest length         I  input features      H  hidden units
 *   V    vocabulary                        C  classes             L  layers    D  directions, 1 or 2
 *
 *   Packed   [N, F]     rows of step 0, then of step 1, and so on; inside a step the sequences stand longest first
 *                       (ties keep the caller's order). PyTorch's PackedSequence has the same layout.
 *   Ragged   [N, F]     sequence after sequence in the caller's order, with B+1 offsets ("cu_seqlens").
 *   Padded   [B, T, F]  (batch first) or [T, B, F] (time major).
 *
 *   All matrices are row-major and dense. "Back end's memory" is host memory on VARLSTM_BACKEND_HOST and device
 *   memory on VARLSTM_BACKEND_CUDA. Gradients are named "d" + the name of what they belong to.
 *   Gradients of parameters (dparams, dtable, dweight, dbias) are ADDED to what the buffer holds, so the caller zeroes
 *   them once an optimiser step; gradients of data (dx, dh0, dlogits, ...) OVERWRITE.
 *
 * RULES THAT HOLD FOR EVERY FUNCTION
 *
 *   - It returns a varlstm_status as int32_t, VARLSTM_OK (0) on success; varlstm_last_error() then tells what was
 *     wrong, naming the argument and the value. (The five functions under VERSION AND ERRORS that say so do not.)
 *     A call that returns an error has written nothing but what its own text says.
 *   - Work is ordered by `stream`, a cudaStream_t on CUDA and NULL on the host, where a call has finished when it
 *     returns. No call allocates memory but the *_create functions and varlstm_alloc; none synchronises but
 *     varlstm_sync, varlstm_copy from device to host, and the status functions. Frees and the *_destroy functions may
 *     wait for the device.
 *   - On CUDA the thread's current context, and with it the device, is after each call what it was before. A call makes
 *     none on any device but its own.
 *   - The stream may be captured into a CUDA graph, from a context's first call on: a context loads all kernels of the
 *     library when it is made. cuBLAS loads its own at their first use: run a step that is not captured first where
 *     cuBLAS takes part. A graph uses the handles and buffers of its calls, which have to live as long as it does.
 *     Others may be freed and destroyed during a capture, contexts too and by a finaliser as well, and leave it valid:
 *     a handle of cuBLAS, whose end waits for the device, stays for the device's next context until the process ends.
 *     A process that calls cudaDeviceReset can use the device no more.
 *   - A pointer may be NULL only where this header says so, or where it points to no elements. Pointers are aligned
 *     to their element's size. Buffers of one call may not overlap, but for the in-place pairs named at the function.
 *   - Threads: handles that are in use are immutable and may be shared between threads, except where noted; calls
 *     that write to the same buffers need the caller's own order.
 *   - Forks: on the host, a child of fork() may use the handles and buffers that it inherits, and gets the same bits,
 *     whatever number of threads the parent has used. That no other thread is inside a call when a process forks is
 *     the caller's matter: the child would inherit half of what that call does. On CUDA nothing that a process has
 *     made before a fork may be used in its child: start the child's own context there.
 *
 * EXAMPLE
 *
 * A whole program: an LSTM over three sequences of lengths 2, 4 and 1, features 3, hidden size 5.
 *
 *   #include <stdio.h>
 *   #include <varlstm.h>
 *
 *   static int check(int32_t status) {
 *     if (status != VARLSTM_OK) fprintf(stderr, "%s: %s\n", varlstm_status_name(status), varlstm_last_error());
 *     return status;
 *   }
 *
 *   int main(void) {
 *     varlstm_ctx* ctx = NULL;
 *     varlstm_batch* batch = NULL;
 *     varlstm_rnn* rnn = NULL;
 *     const int64_t lengths[3] = {2, 4, 1};
 *     float padded[3 * 4 * 3], x[7 * 3], y[7 * 5], output[3 * 4 * 5];
 *     int64_t tensors, elements, workspace_bytes, reserve_bytes;
 *     void *params, *workspace;
 *
 *     if (check(varlstm_ctx_create(VARLSTM_BACKEND_HOST, 0, &ctx))) return 1;
 *     if (check(varlstm_batch_create(ctx, 3, 4, 7, &batch))) return 1;
 *     if (check(varlstm_batch_set_lengths(batch, lengths, 3, VARLSTM_SPACE_HOST, NULL))) return 1;
 *     if (check(varlstm_rnn_create(ctx, VARLSTM_CELL_LSTM, 3, 5, 1, &rnn))) return 1;
 *     if (check(varlstm_rnn_param_count(rnn, &tensors, &elements))) return 1;
 *     if (check(varlstm_rnn_sizes(rnn, 3, 4, 7, VARLSTM_MODE_INFER, &workspace_bytes, &reserve_bytes))) return 1;
 *     if (check(varlstm_alloc(ctx, elements * (int64_t)sizeof(float), &params))) return 1;
 *     if (check(varlstm_alloc(ctx, workspace_bytes, &workspace))) return 1;
 *     for (int64_t k = 0; k < elements; ++k) ((float*)params)[k] = 0.01f * (float)(k % 7 - 3);
 *     for (int k = 0; k < 3 * 4 * 3; ++k) padded[k] = 0.1f * (float)k;
 *
 *     if (check(varlstm_pack(batch, VARLSTM_DTYPE_F32, VARLSTM_LAYOUT_BATCH_FIRST, 4, 3, padded, x, NULL))) return 1;
 *     if (check(varlstm_rnn_forward(rnn, batch, VARLSTM_MODE_INFER, 0, params, x, NULL, NULL, y, NULL, NULL,
 *                                   workspace, workspace_bytes, NULL, 0, NULL))) return 1;
 *     if (check(varlstm_unpack(batch, VARLSTM_DTYPE_F32, VARLSTM_LAYOUT_BATCH_FIRST, 4, 5, 0.0, y, output, NULL)))
 *       return 1;
 *     for (int b = 0; b < 3; ++b) printf("h of sequence %d, step 0, unit 0: %f\n", b, output[b * 4 * 5]);
 *
 *     varlstm_free(ctx, workspace);
 *     varlstm_free(ctx, params);
 *     varlstm_rnn_destroy(rnn);
 *     varlstm_batch_destroy(batch);
 *     return check(varlstm_ctx_destroy(ctx));
 *   }
 *
 * END OF EXAMPLE
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

/* The version of this header. Version 0.x may change between minor versions, 1.0 and later only by additions. */
enum varlstm_header_version { VARLSTM_VERSION_MAJOR = 0, VARLSTM_VERSION_MINOR = 1, VARLSTM_VERSION_PATCH = 0 };

/* What every function returns. */
enum varlstm_status {
  VARLSTM_OK = 0,
  VARLSTM_ERROR_INVALID_ARGUMENT = 1, /* a value, a pointer, a key or a combination that is not allowed */
  VARLSTM_ERROR_UNSUPPORTED = 2,      /* legal, but not on this back end or not in this build */
  VARLSTM_ERROR_OUT_OF_MEMORY = 3,
  VARLSTM_ERROR_BUFFER_TOO_SMALL = 4, /* workspace or reserve; the text names the bytes needed */
  VARLSTM_ERROR_INVALID_HANDLE = 5,   /* NULL, destroyed, or of another kind */
  VARLSTM_ERROR_BACKEND = 6,          /* a call of the back end's runtime failed; the text names the call */
  VARLSTM_ERROR_DEAD_CONTEXT = 7,     /* an earlier error of the device killed it: only destroy and free still work */
  VARLSTM_ERROR_INTERNAL = 8          /* a defect of the library: please report it */
};

/* Version of the library that is loaded: 10000 * major + 100 * minor + patch. Never fails. */
VARLSTM_API int32_t varlstm_version(void);

/* One line: version, back ends, BLAS, instruction set chosen at run time. A static string; never fails. */
VARLSTM_API const char* varlstm_build_info(void);

/* "VARLSTM_ERROR_OUT_OF_MEMORY" and so on; "unknown status" for any other value. A static string; never fails. */
VARLSTM_API const char* varlstm_status_name(int32_t status);

/* Text of this thread's last failed call, naming the argument and the value; "" if none failed. Valid until this
 * thread's next failing call. Never fails. */
VARLSTM_API const char* varlstm_last_error(void);

enum varlstm_backend {
  VARLSTM_BACKEND_HOST = 0, /* the CPU: reference for gradient checks, and what serves machines without a GPU */
  VARLSTM_BACKEND_CUDA = 1
};

/* Devices the back end can use: 1 for the host; for CUDA the number of GPUs, 0 without GPU, driver or CUDA build. */
VARLSTM_API int32_t varlstm_device_count(int32_t backend, int32_t* count);

/* ------------------------------------------------------------------------------------------------------------------
 * CONTEXT: a back end on a device. Everything else hangs from one.
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_ctx varlstm_ctx;

/* Keys of all set and get functions; each is valid for the handle it stands under. */
enum varlstm_key {
  /* context */
  VARLSTM_KEY_BACKEND = 1,         /* read only: a varlstm_backend */
  VARLSTM_KEY_DEVICE = 2,          /* read only */
  VARLSTM_KEY_THREADS = 3,         /* host: threads a call may use, at most 1024; 0 (default) = as many as the machine
                                      has. Results are bitwise equal for every value. Not applicable on CUDA. */
  VARLSTM_KEY_BATCH_INVARIANT = 4, /* 1 (default): a sequence's h, c, y, dx do not depend on its batch-mates, by a bit.
                                      0: on CUDA they may, where cuBLAS chooses its kernel by the number of rows; the
                                      host keeps them for 0 too. */
  VARLSTM_KEY_MATH = 5,            /* a varlstm_math, default F32 */
  /* batch */
  VARLSTM_KEY_MAX_BATCH = 10,  /* read only: the bounds given at create */
  VARLSTM_KEY_MAX_LEN = 11,    /* read only */
  VARLSTM_KEY_MAX_TOKENS = 12, /* read only */
  VARLSTM_KEY_BATCH = 13,      /* read only: B */
  VARLSTM_KEY_TOKENS = 14,     /* read only: N; UNSUPPORTED on CUDA where only the device knows the lengths */
  VARLSTM_KEY_STEPS = 15,      /* read only: T, the longest length; likewise */
  /* rnn */
  VARLSTM_KEY_CELL = 20,            /* read only */
  VARLSTM_KEY_INPUT_SIZE = 21,      /* read only: I */
  VARLSTM_KEY_HIDDEN_SIZE = 22,     /* read only: H */
  VARLSTM_KEY_NUM_LAYERS = 23,      /* read only: L */
  VARLSTM_KEY_DTYPE = 24,           /* a varlstm_dtype, default F32 */
  VARLSTM_KEY_BIDIRECTIONAL = 25,   /* 0 (default) or 1 */
  VARLSTM_KEY_BIAS = 26,            /* 0 or 1 (default) */
  VARLSTM_KEY_DROPOUT = 27,         /* f64: probability in [0, 1) of zeroing an output of every layer but the last */
  VARLSTM_KEY_RECURRENCE = 28,      /* a varlstm_recurrence, default AUTO; no effect on the host */
  VARLSTM_KEY_RECURRENCE_USED = 29, /* read only: what forward and backward run with; AUTO on the host */
  VARLSTM_KEY_ROWS = 40,            /* a varlstm_rows, default PACKED */
  VARLSTM_KEY_LAYERS_TOGETHER = 41, /* 1 (default): on CUDA the layers of one direction run in one launch of forward,
                                       each a step behind the one below, where the device holds them all and the batch
                                       is small. 0: one after the other. Results are bitwise equal for both with
                                       BATCH_INVARIANT 1; for types on tensor cores this was seen on the emulator
                                       alone, not on a GPU. No effect on the host. */
  /* loss */
  VARLSTM_KEY_CLASSES = 30,        /* read only: C */
  VARLSTM_KEY_IGNORE_INDEX = 31,   /* a target with this value is skipped, default -100 */
  VARLSTM_KEY_REDUCTION = 32,      /* a varlstm_reduction, default MEAN */
  VARLSTM_KEY_EMPTY_MEAN = 33,     /* a varlstm_empty_mean, default NAN */
  VARLSTM_KEY_LABEL_SMOOTHING = 34 /* f64 in [0, 1], default 0 */
};

/* How products of F32 matrices are computed on CUDA. The host back end, which takes either value,
 * computes in F32 always. */
enum varlstm_math {
  VARLSTM_MATH_F32 = 0, /* in float */
  VARLSTM_MATH_TF32 = 1 /* on tensor cores where the GPU has them (sm_80): operands rounded to 10 bits of mantissa, sums
                           in float */
};

/* How the recurrence runs on CUDA. The choice looks at H, dtype, math, directions and the device, never at the batch,
 * so that a sequence's bits stay those of any batch. What is asked for but cannot run here gives STEPWISE;
 * VARLSTM_PRINT_POLICY=1 in the environment prints the choice to stderr, and the reason against each other way.
 * VARLSTM_RECURRENCE_POLICY=stepwise, cluster or grid there stands in for AUTO.
 * Inside a conditional node of a CUDA graph CUDA takes no cooperative launch before 12.6, so that a GRID captured there
 * fails; STEPWISE and CLUSTER have none. AUTO may take GRID: ask for one of the two, and look at RECURRENCE_USED. */
enum varlstm_recurrence {
  VARLSTM_RECURRENCE_AUTO = 0,
  VARLSTM_RECURRENCE_STEPWISE = 1, /* a launch a step */
  VARLSTM_RECURRENCE_CLUSTER = 2,  /* one launch: weights stay in a thread-block cluster (sm_90) or a block (sm_80) */
  VARLSTM_RECURRENCE_GRID = 3      /* one cooperative launch, or one a direction where two do not fit: weights stay in
                                      blocks that meet in L2 (sm_80) */
};

/* How the rows of x, y, dy and dx lie in varlstm_rnn_forward and varlstm_rnn_backward. A sequence's y, h_n, c_n, dx,
 * dh0 and dc0 have the same bits either way, but for dropout, whose mask belongs to the row as it lies; the gradients
 * of the parameters are summed over the rows as they lie. RAGGED spares varlstm_pack and varlstm_unpack: on CUDA
 * nothing is copied for it; on the host each sequence's step is then multiplied by itself, so that packing first is
 * faster. Whatever works row by row (embedding, linear, losses) takes rows in either order. */
enum varlstm_rows {
  VARLSTM_ROWS_PACKED = 0, /* time-major: rows of step 0, then of step 1, ...; in each the longest sequence first */
  VARLSTM_ROWS_RAGGED = 1  /* sequence after sequence, in the caller's order: row cu_seqlens[b] + t */
};

/* Creates a context on `device` (0-based; the host has device 0 alone). On CUDA that loads every kernel and waits for
 * the device, and no stream may be captured meanwhile.
 * Errors: INVALID_ARGUMENT (backend, device, ctx), UNSUPPORTED (no such back end here), OUT_OF_MEMORY. */
VARLSTM_API int32_t varlstm_ctx_create(int32_t backend, int32_t device, varlstm_ctx** ctx);

/* Options of the context. Set them before other threads use it. */
VARLSTM_API int32_t varlstm_ctx_set_i64(varlstm_ctx* ctx, int32_t key, int64_t value);
VARLSTM_API int32_t varlstm_ctx_get_i64(const varlstm_ctx* ctx, int32_t key, int64_t* value);

/* Values that only the back end could see and that were bad. */
enum varlstm_device_status_bit {
  VARLSTM_DEVICE_STATUS_LENGTH = 1,   /* a length in the back end's memory below 0 or beyond a bound: clamped */
  VARLSTM_DEVICE_STATUS_TOKEN_ID = 2, /* an id outside [0, V): a row of zeros, no gradient */
  VARLSTM_DEVICE_STATUS_LABEL = 4,    /* a target outside [0, C) and not ignored: loss and gradient 0, not counted */
  VARLSTM_DEVICE_STATUS_RESERVE = 8   /* CUDA: a reserve that no forward of this shape wrote; the gradients of that
                                         backward mean nothing */
};

/* Waits for `stream`, then reads the status word: `bits` is 0 or a sum of varlstm_device_status_bit; `first_index` the
 * smallest bad index seen for the lowest bit set (-1 if none; may be NULL). `reset` 1 clears it afterwards. */
VARLSTM_API int32_t varlstm_ctx_device_status(varlstm_ctx* ctx, int32_t reset, int64_t* bits, int64_t* first_index,
                                              void* stream);

/* Frees the context. NULL is allowed. INVALID_ARGUMENT while batches, rnns or losses made from it still exist. */
VARLSTM_API int32_t varlstm_ctx_destroy(varlstm_ctx* ctx);

/* ------------------------------------------------------------------------------------------------------------------
 * MEMORY: for callers that have no runtime of the back end at hand. Any memory of the back end does as well.
 * ---------------------------------------------------------------------------------------------------------------- */

enum varlstm_copy_kind { VARLSTM_COPY_TO_BACKEND = 0, VARLSTM_COPY_TO_HOST = 1, VARLSTM_COPY_WITHIN_BACKEND = 2 };

/* `bytes` of the back end's memory, aligned to 256 bytes, contents undefined. 0 bytes give NULL. */
VARLSTM_API int32_t varlstm_alloc(varlstm_ctx* ctx, int64_t bytes, void** ptr);
/* Frees what varlstm_alloc gave, after the work that uses it. NULL is allowed. */
VARLSTM_API int32_t varlstm_free(varlstm_ctx* ctx, void* ptr);
/* Copies `bytes` in the given direction, in stream order; a copy to the host is done when the call returns.
 * A copy from pageable memory of the host has read `src` when the call returns. One from page-locked memory of CUDA's
 * (cudaMallocHost, cudaHostRegister) reads `src` when `stream` comes to it: leave `src` as it is until varlstm_sync.
 * In a captured stream, a copy from the host reads `src` at every launch of the graph, so `src` must be page-locked and
 * live as long as the graph; a copy to the host is an error there, because it waits. */
VARLSTM_API int32_t varlstm_copy(varlstm_ctx* ctx, void* dst, const void* src, int64_t bytes, int32_t kind,
                                 void* stream);
/* Sets `bytes` of the back end's memory to zero. */
VARLSTM_API int32_t varlstm_zero(varlstm_ctx* ctx, void* ptr, int64_t bytes, void* stream);
/* Waits until everything ordered on `stream` is done. */
VARLSTM_API int32_t varlstm_sync(varlstm_ctx* ctx, void* stream);

enum varlstm_dtype {
  VARLSTM_DTYPE_F32 = 0,
  VARLSTM_DTYPE_F64 = 1,
  VARLSTM_DTYPE_BF16 = 2, /* bfloat16, the upper half of a float */
  VARLSTM_DTYPE_F16 = 3,  /* IEEE 754 binary16 */
  VARLSTM_DTYPE_I64 = 4   /* token ids and targets; for pack and unpack alone */
};
/* BF16 and F16 are for storage: sums, the gates and the cell state run in float, and what is stored is rounded to the
 * nearest, ties to even. h and the gates' gradients are rounded as each step stores them. On the host these dtypes are
 * a slow reference of that rounding. Parameters that are trained stay in F32, with a rounded copy by varlstm_convert.
 */

/* ------------------------------------------------------------------------------------------------------------------
 * BATCH: the plan of one mini-batch, from its lengths. Create one from upper bounds, set lengths for each mini-batch.
 * varlstm_batch_set_lengths changes the handle: it needs the caller's own order against calls that use the batch.
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_batch varlstm_batch;

/* Bounds: 0 <= B <= max_batch, every length <= max_len, N <= max_tokens (max_tokens <= max_batch * max_len).
 * The only place where a batch allocates: O(max_batch + max_len + max_tokens) int64 in the back end's memory.
 * The batch starts with B = 0.
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT (a bound negative or too large, batch NULL), OUT_OF_MEMORY. */
VARLSTM_API int32_t varlstm_batch_create(varlstm_ctx* ctx, int64_t max_batch, int64_t max_len, int64_t max_tokens,
                                         varlstm_batch** batch);

enum varlstm_space {
  VARLSTM_SPACE_HOST = 0,   /* host memory: values are checked, a bad one is an error and the batch stays as it was */
  VARLSTM_SPACE_BACKEND = 1 /* the back end's memory, read in stream order: a bad value is clamped (below 0 to 0, above
                               max_len to max_len, beyond max_tokens cut off in the caller's order) and raises
                               VARLSTM_DEVICE_STATUS_LENGTH. Nothing is copied back: on CUDA N and T stay unknown to
                               the host, and operations run over max_tokens rows with a tail of zeros. */
};

/* lengths: [count] int64. Length 0 is legal: the sequence has no rows. Lengths in host memory, page-locked or not, have
 * been read when the call returns; a graph that captured the call keeps their values. */
VARLSTM_API int32_t varlstm_batch_set_lengths(varlstm_batch* batch, const int64_t* lengths, int64_t count,
                                              int32_t space, void* stream);

/* The same from a PackedSequence's fields: batch_sizes [steps] (positive, not increasing), sorted_indices
 * [batch_sizes[0]] or NULL for the identity; both in host memory and read when the call returns. */
VARLSTM_API int32_t varlstm_batch_from_batch_sizes(varlstm_batch* batch, const int64_t* batch_sizes, int64_t steps,
                                                   const int64_t* sorted_indices, void* stream);

VARLSTM_API int32_t varlstm_batch_get_i64(const varlstm_batch* batch, int32_t key, int64_t* value);

/* Index arrays of the plan, int64, in the back end's memory. */
enum varlstm_batch_array {
  VARLSTM_BATCH_LENGTHS = 0,          /* [B]   lengths in the caller's order */
  VARLSTM_BATCH_BATCH_SIZES = 1,      /* [T]   b_t: sequences still active at step t */
  VARLSTM_BATCH_STEP_OFFSETS = 2,     /* [T+1] first packed row of step t; the last entry is N */
  VARLSTM_BATCH_SORTED_INDICES = 3,   /* [B]   caller's index of the j-th longest sequence */
  VARLSTM_BATCH_UNSORTED_INDICES = 4, /* [B]   its inverse: rank of the caller's sequence b */
  VARLSTM_BATCH_CU_SEQLENS = 5,       /* [B+1] first ragged row of the caller's sequence b; the last entry is N */
  VARLSTM_BATCH_PACKED_TO_RAGGED = 6, /* [N]   ragged row of a packed row */
  VARLSTM_BATCH_RAGGED_TO_PACKED = 7  /* [N]   its inverse */
};

/* `data` and the number of entries (count may be NULL); valid until the next call that sets lengths, or destroy. On
 * CUDA with lengths that only the device knows, `count` is the bound. */
VARLSTM_API int32_t varlstm_batch_get_array(const varlstm_batch* batch, int32_t array, const int64_t** data,
                                            int64_t* count);

/* NULL is allowed. */
VARLSTM_API int32_t varlstm_batch_destroy(varlstm_batch* batch);

/* ------------------------------------------------------------------------------------------------------------------
 * PACK AND UNPACK
 * ---------------------------------------------------------------------------------------------------------------- */

enum varlstm_layout {
  VARLSTM_LAYOUT_BATCH_FIRST = 0, /* padded [B, padded_len, F] */
  VARLSTM_LAYOUT_TIME_MAJOR = 1,  /* padded [padded_len, B, F] */
  VARLSTM_LAYOUT_RAGGED = 2       /* [N, F], sequence after sequence; padded_len is not used */
};

/* packed [N, F] <- src in the given layout. padded_len >= T. Padding is never read. Any dtype. */
VARLSTM_API int32_t varlstm_pack(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                                 int64_t features, const void* src, void* packed, void* stream);

/* dst in the given layout <- packed [N, F]; every padded position is set to pad_value. */
VARLSTM_API int32_t varlstm_unpack(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                                   int64_t features, double pad_value, const void* packed, void* dst, void* stream);

/* Adjoint of varlstm_pack: dsrc <- dpacked, 0 at the padding. Any dtype but I64. */
VARLSTM_API int32_t varlstm_pack_backward(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                                          int64_t features, const void* dpacked, void* dsrc, void* stream);

/* Adjoint of varlstm_unpack: dpacked <- ddst; gradients at the padding are not read. Any dtype but I64. */
VARLSTM_API int32_t varlstm_unpack_backward(const varlstm_batch* batch, int32_t dtype, int32_t layout,
                                            int64_t padded_len, int64_t features, const void* ddst, void* dpacked,
                                            void* stream);

/* ------------------------------------------------------------------------------------------------------------------
 * RECURRENT NETWORK
 *
 * LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), as in PyTorch's nn.LSTM; for each
 * sequence, layer and direction, with * the element-wise product:
 *   i = sigmoid(W_ii x + b_ii + W_hi h + b_hi)      g = tanh(W_ig x + b_ig + W_hg h + b_hg)
 *   f = sigmoid(W_if x + b_if + W_hf h + b_hf)      o = sigmoid(W_io x + b_io + W_ho h + b_ho)
 *   c' = f * c + i * g                              h' = o * tanh(c')
 * The backward direction starts at each sequence's own last token. Layer l > 0 reads the [forward | backward] outputs
 * of the layer below.
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_rnn varlstm_rnn;

enum varlstm_cell { VARLSTM_CELL_LSTM = 0, VARLSTM_CELL_GRU = 1 /* UNSUPPORTED for now */ };

/* Sizes are positive, num_layers at most 4096. The description alone: parameters stay with the caller, in one flat
 * buffer. */
VARLSTM_API int32_t varlstm_rnn_create(varlstm_ctx* ctx, int32_t cell, int64_t input_size, int64_t hidden_size,
                                       int64_t num_layers, varlstm_rnn** rnn);

/* Options. The first call of param_count, param_info, import, sizes, forward or backward freezes them: setting one
 * later is INVALID_ARGUMENT. */
VARLSTM_API int32_t varlstm_rnn_set_i64(varlstm_rnn* rnn, int32_t key, int64_t value);
VARLSTM_API int32_t varlstm_rnn_set_f64(varlstm_rnn* rnn, int32_t key, double value);
VARLSTM_API int32_t varlstm_rnn_get_i64(const varlstm_rnn* rnn, int32_t key, int64_t* value);
VARLSTM_API int32_t varlstm_rnn_get_f64(const varlstm_rnn* rnn, int32_t key, double* value);

/* Number of parameter tensors, and of elements of the flat buffer that holds them all. Either may be NULL. */
VARLSTM_API int32_t varlstm_rnn_param_count(const varlstm_rnn* rnn, int64_t* tensors, int64_t* elements);

/* Tensor `index`: PyTorch's name ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l0_reverse",
 * ...), offset in elements, shape [rows, cols] (a bias has cols 1). Order of tensors: layer, direction, then weight_ih
 * [4H, I or D*H], weight_hh [4H, H], bias_ih [4H], bias_hh [4H]; gates i, f, g, o. They stand without gaps. `name`
 * lives as long as the rnn. Every output may be NULL. */
VARLSTM_API int32_t varlstm_rnn_param_info(const varlstm_rnn* rnn, int64_t index, const char** name, int64_t* offset,
                                           int64_t* rows, int64_t* cols);

/* Foreign parameter layouts of one layer and direction. in = I for layer 0, D*H above. */
enum varlstm_param_format {
  VARLSTM_FORMAT_PYTORCH = 0, /* w_ih [4H, in], w_hh [4H, H], b_ih [4H], b_hh [4H]; i, f, g, o */
  VARLSTM_FORMAT_KERAS = 1,   /* kernel [in, 4H], recurrent_kernel [H, 4H], bias [4H], b_hh NULL; i, f, c (= g), o */
  VARLSTM_FORMAT_ONNX = 2,    /* W [4H, in], R [4H, H], Wb [4H], Rb [4H] of one direction; i, o, f, c (= g) */
  VARLSTM_FORMAT_CUDNN = 3,   /* as PYTORCH: cuDNN's LSTM has the gates i, f, g, o and two biases */
  VARLSTM_FORMAT_HASTE = 4    /* kernel [in, 4H], recurrent_kernel [H, 4H], bias [4H], b_hh NULL; i, g, f, o */
};

/* Writes one layer and direction (0 forward, 1 backward) of `params` from a foreign layout. All pointers in the back
 * end's memory. A bias that is NULL counts as zero. If the rnn has no bias, both must be NULL. */
VARLSTM_API int32_t varlstm_rnn_import(const varlstm_rnn* rnn, int32_t format, int64_t layer, int32_t direction,
                                       const void* w_ih, const void* w_hh, const void* b_ih, const void* b_hh,
                                       void* params, void* stream);

enum varlstm_mode {
  VARLSTM_MODE_INFER = 0, /* nothing is saved */
  VARLSTM_MODE_SAVE = 1   /* what backward needs is saved in `reserve` */
};

/* Bytes that forward in this mode needs (and, with MODE_SAVE, the backward after it), for any batch within the bounds.
 * reserve_bytes is 0 with MODE_INFER. Depends on nothing but the arguments and the rnn. */
VARLSTM_API int32_t varlstm_rnn_sizes(const varlstm_rnn* rnn, int64_t max_batch, int64_t max_len, int64_t max_tokens,
                                      int32_t mode, int64_t* workspace_bytes, int64_t* reserve_bytes);

/* Forward over all layers and directions.
 *   dropout_seed  seed of the masks between layers; 0 switches dropout off for this call
 *   params        the flat buffer            x       [N, I], rows as VARLSTM_KEY_ROWS says
 *   h0, c0        [L*D, B, H] in the caller's order of sequences, or NULL for zeros
 *   y             [N, D*H], likewise         h_n, c_n  [L*D, B, H], or NULL if not wanted
 *   workspace     aligned to 64 bytes, at least the bytes varlstm_rnn_sizes gives for this batch's bounds
 *   reserve       likewise; NULL and 0 with MODE_INFER
 * A sequence of length 0 has h_n = h0 and c_n = c0. h_n may not be h0.
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT, BUFFER_TOO_SMALL, UNSUPPORTED, BACKEND. */
VARLSTM_API int32_t varlstm_rnn_forward(const varlstm_rnn* rnn, const varlstm_batch* batch, int32_t mode,
                                        uint64_t dropout_seed, const void* params, const void* x, const void* h0,
                                        const void* c0, void* y, void* h_n, void* c_n, void* workspace,
                                        int64_t workspace_bytes, void* reserve, int64_t reserve_bytes, void* stream);

/* Backward of the forward that filled `reserve`, which it only reads: it may be called more than once. The same batch
 * lengths, order of rows, params, x, h0, c0 and y as then.
 *   dy            [N, D*H], rows as those of y; or NULL for zeros
 *   dh_n, dc_n    [L*D, B, H], or NULL for zeros
 *   dx            [N, I], rows as those of x; or NULL if not wanted
 *   dh0, dc0      [L*D, B, H], or NULL if not wanted
 *   dparams       the flat buffer, added to; or NULL if not wanted
 * A reserve that no forward of this shape, these lengths and this order of rows wrote is INVALID_ARGUMENT on the host.
 * On CUDA only the device sees it, and raises VARLSTM_DEVICE_STATUS_RESERVE. */
VARLSTM_API int32_t varlstm_rnn_backward(const varlstm_rnn* rnn, const varlstm_batch* batch, const void* params,
                                         const void* x, const void* h0, const void* c0, const void* y, const void* dy,
                                         const void* dh_n, const void* dc_n, void* dx, void* dh0, void* dc0,
                                         void* dparams, void* workspace, int64_t workspace_bytes, const void* reserve,
                                         int64_t reserve_bytes, void* stream);

/* NULL is allowed. */
VARLSTM_API int32_t varlstm_rnn_destroy(varlstm_rnn* rnn);

/* ------------------------------------------------------------------------------------------------------------------
 * OPERATIONS
 *
 * `rows` is N for packed data, and any number of rows will do. Where a batch may be given, only its first N rows
 * (N <= rows) count, the rest gives zeros: for lengths that only the device knows, with rows = max_tokens. NULL
 * counts all rows.
 * ---------------------------------------------------------------------------------------------------------------- */

enum varlstm_op {
  VARLSTM_OP_EMBEDDING_BACKWARD = 0, /* rows, a = vocabulary, b = features */
  VARLSTM_OP_LINEAR_FORWARD = 1,     /* rows, a = in, b = out */
  VARLSTM_OP_LINEAR_BACKWARD = 2,    /* rows, a = in, b = out */
  VARLSTM_OP_NLL = 3,                /* rows, a = classes, b = 0; forward and backward */
  VARLSTM_OP_CROSS_ENTROPY = 4,      /* rows, a = classes, b = 0 */
  VARLSTM_OP_GRAD_NORM = 5,          /* rows = elements, a = b = 0; also for clipping */
  /* rows, a = in, b = classes; more rows than those of a chunk, which in and classes decide, need nothing more */
  VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD = 6,
  VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD = 7
};

/* Bytes of workspace (aligned to 64 bytes; may be 0) that the operation needs for at most `rows` rows. */
VARLSTM_API int32_t varlstm_op_workspace(varlstm_ctx* ctx, int32_t op, int32_t dtype, int64_t rows, int64_t a,
                                         int64_t b, int64_t* bytes);

/* y [rows, features] <- table [vocab, features] at ids [rows]. An id outside [0, vocab) gives zeros and raises
 * VARLSTM_DEVICE_STATUS_TOKEN_ID. */
VARLSTM_API int32_t varlstm_embedding_forward(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                                              int64_t vocab, int64_t features, const void* table, const int64_t* ids,
                                              void* y, void* stream);

/* dtable [vocab, features] += rows of dy at ids, in a fixed order. The row padding_idx gets nothing (-1: no such row),
 * nor does an id outside the range. */
VARLSTM_API int32_t varlstm_embedding_backward(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t dtype,
                                               int64_t rows, int64_t vocab, int64_t features, int64_t padding_idx,
                                               const int64_t* ids, const void* dy, void* dtable, void* workspace,
                                               int64_t workspace_bytes, void* stream);

/* y [rows, out] <- x [rows, in] weight^T + bias, weight [out, in], bias [out] or NULL. */
VARLSTM_API int32_t varlstm_linear_forward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t in, int64_t out,
                                           const void* x, const void* weight, const void* bias, void* y,
                                           void* workspace, int64_t workspace_bytes, void* stream);

/* dx [rows, in] <- dy weight (or NULL); dweight [out, in] += dy^T x (or NULL); dbias [out] += column sums of dy (or
 * NULL). weight may be NULL where dx is, x where dweight is. */
VARLSTM_API int32_t varlstm_linear_backward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t in, int64_t out,
                                            const void* x, const void* weight, const void* dy, void* dx, void* dweight,
                                            void* dbias, void* workspace, int64_t workspace_bytes, void* stream);

/* dst [count] of to_dtype <- src [count] of from_dtype, any dtypes but I64; to 16 bits by way of float. */
VARLSTM_API int32_t varlstm_convert(varlstm_ctx* ctx, int32_t from_dtype, int32_t to_dtype, int64_t count,
                                    const void* src, void* dst, void* stream);

/* y[k] <- x[k] * keep(seed, k) / (1 - p) for k < count: inverted dropout (Srivastava et al. 2014). The mask is
 * Philox4x32-10 (Salmon et al. 2011) of seed and element index alone: word k % 4 of the block with key `seed` and
 * counter k / 4; kept where word * 2^-32 >= p. p in [0, 1). x and y may be the same buffer. */
VARLSTM_API int32_t varlstm_dropout_forward(varlstm_ctx* ctx, int32_t dtype, int64_t count, double p, uint64_t seed,
                                            const void* x, void* y, void* stream);
/* dx[k] <- dy[k] * keep(seed, k) / (1 - p). dy and dx may be the same buffer. */
VARLSTM_API int32_t varlstm_dropout_backward(varlstm_ctx* ctx, int32_t dtype, int64_t count, double p, uint64_t seed,
                                             const void* dy, void* dx, void* stream);

/* y [rows, classes] <- x - log(sum(exp(x))) along each row. x and y may be the same buffer. */
VARLSTM_API int32_t varlstm_log_softmax_forward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t classes,
                                                const void* x, void* y, void* stream);
/* dx <- dy - exp(y) * sum(dy) along each row, y from forward. dy and dx may be the same buffer. */
VARLSTM_API int32_t varlstm_log_softmax_backward(varlstm_ctx* ctx, int32_t dtype, int64_t rows, int64_t classes,
                                                 const void* y, const void* dy, void* dx, void* stream);

/* ------------------------------------------------------------------------------------------------------------------
 * LOSS: masked negative log-likelihood and cross-entropy, as F.nll_loss and F.cross_entropy of PyTorch.
 *
 * For row n with target t and class weights w (1 where NULL), log-probabilities p, smoothing s:
 *   term(n) = -(1 - s) * w[t] * p[n, t] - s / C * sum_c w[c] * p[n, c];   0 where t is ignored, whatever p holds.
 * MEAN divides the sum of the terms by the sum of w[t] over the kept targets. The ignore test comes before the range
 * test: ignore_index may lie in [0, C).
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct varlstm_loss varlstm_loss;

enum varlstm_reduction { VARLSTM_REDUCTION_NONE = 0, VARLSTM_REDUCTION_MEAN = 1, VARLSTM_REDUCTION_SUM = 2 };

/* The mean where every target is ignored (or the kept weights sum to 0). The gradients are 0 either way. */
enum varlstm_empty_mean { VARLSTM_EMPTY_MEAN_NAN = 0, VARLSTM_EMPTY_MEAN_ZERO = 1 };

/* Options of a loss over `classes` (positive) classes. Set them before the first use from several threads. */
VARLSTM_API int32_t varlstm_loss_create(varlstm_ctx* ctx, int64_t classes, varlstm_loss** loss);
VARLSTM_API int32_t varlstm_loss_set_i64(varlstm_loss* loss, int32_t key, int64_t value);
VARLSTM_API int32_t varlstm_loss_set_f64(varlstm_loss* loss, int32_t key, double value);
VARLSTM_API int32_t varlstm_loss_get_i64(const varlstm_loss* loss, int32_t key, int64_t* value);
VARLSTM_API int32_t varlstm_loss_get_f64(const varlstm_loss* loss, int32_t key, double* value);
/* NULL is allowed. */
VARLSTM_API int32_t varlstm_loss_destroy(varlstm_loss* loss);

/* out        [rows] with REDUCTION_NONE, else [1]
 * weight_sum [1]: sum of w[t] over the kept targets; or NULL if not wanted
 * log_probs  [rows, C]; targets [rows]; class_weights [C] or NULL
 * dtype is that of log_probs and its gradient. out, weight_sum, class_weights and dout are F64 with F64, else F32. */
VARLSTM_API int32_t varlstm_nll_forward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                        int64_t rows, const void* log_probs, const int64_t* targets,
                                        const void* class_weights, void* out, void* weight_sum, void* workspace,
                                        int64_t workspace_bytes, void* stream);

/* dlog_probs [rows, C] <- gradient for dout [rows] or [1], shaped as `out`; NULL for ones. */
VARLSTM_API int32_t varlstm_nll_backward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                         int64_t rows, const int64_t* targets, const void* class_weights,
                                         const void* dout, void* dlog_probs, void* workspace, int64_t workspace_bytes,
                                         void* stream);

/* Log-softmax and NLL in one pass over the logits. `dlogits` [rows, C] (or NULL if not wanted) gets the gradient for
 * an incoming gradient of 1; it may be the same buffer as logits. The rest as in varlstm_nll_forward. */
VARLSTM_API int32_t varlstm_cross_entropy_forward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                                  int64_t rows, const void* logits, const int64_t* targets,
                                                  const void* class_weights, void* out, void* weight_sum, void* dlogits,
                                                  void* workspace, int64_t workspace_bytes, void* stream);

/* dlogits <- dlogits from forward times dout, shaped as `out`; NULL for ones. */
VARLSTM_API int32_t varlstm_cross_entropy_backward(const varlstm_loss* loss, int32_t dtype, int64_t rows,
                                                   const void* dout, void* dlogits, void* stream);

/* Linear layer and cross-entropy in one: the loss of the logits x weight^T + bias, which are made a chunk of rows at a
 * time in the workspace and never stored as [rows, C] (as in Wijmans et al. 2024, "Cut Your Losses in Large-Vocabulary
 * Language Models", and in Liger Kernel). Only kept rows are computed: x of a row that is ignored, or beyond the
 * batch's N, is not read. Logits are F64 with F64, else F32. A row's out, lse and dx depend on its own row of x alone.
 *   x [rows, in]; weight [C, in]; bias [C] or NULL
 *   lse [rows], of the dtype of `out`: log(sum(exp(logits))), 0 for a row that is not kept, for backward; or NULL if
 *   not wanted. The rest as in varlstm_nll_forward. No gradient work is done here. */
VARLSTM_API int32_t varlstm_linear_cross_entropy_forward(const varlstm_loss* loss, const varlstm_batch* batch,
                                                         int32_t dtype, int64_t rows, int64_t in, const void* x,
                                                         const void* weight, const void* bias, const int64_t* targets,
                                                         const void* class_weights, void* out, void* weight_sum,
                                                         void* lse, void* workspace, int64_t workspace_bytes,
                                                         void* stream);

/* Makes the logits once more, chunk by chunk; lse from forward, everything before it as there; dout shaped as `out`,
 * NULL for ones.
 *   dx      [rows, in], or NULL if not wanted; 0 where the row is not kept
 *   dweight [C, in], dbias [C]: added to; or NULL if not wanted. For BF16 and F16 they are summed in F32 over all
 *           chunks and rounded once. */
VARLSTM_API int32_t varlstm_linear_cross_entropy_backward(const varlstm_loss* loss, const varlstm_batch* batch,
                                                          int32_t dtype, int64_t rows, int64_t in, const void* x,
                                                          const void* weight, const void* bias, const int64_t* targets,
                                                          const void* class_weights, const void* lse, const void* dout,
                                                          void* dx, void* dweight, void* dbias, void* workspace,
                                                          int64_t workspace_bytes, void* stream);

/* ------------------------------------------------------------------------------------------------------------------
 * OPTIMISER: over one flat buffer of parameters and its gradients, [count] each. dtype F32 or F64.
 * ---------------------------------------------------------------------------------------------------------------- */

/* g = grads + weight_decay * params;  velocity = momentum * velocity + g;
 * params -= lr * (nesterov ? g + momentum * velocity : velocity).
 * velocity [count], zero before the first step; NULL if momentum is 0. As torch.optim.SGD without dampening.
 * nesterov 1 needs momentum > 0. */
VARLSTM_API int32_t varlstm_sgd_step(varlstm_ctx* ctx, int32_t dtype, int64_t count, double lr, double momentum,
                                     double weight_decay, int32_t nesterov, void* params, const void* grads,
                                     void* velocity, void* stream);

/* Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019) where decoupled is 1, as torch.optim.Adam and AdamW.
 * m, v [count] and step [1], all in the back end's memory and zero before the first step; step is incremented. */
VARLSTM_API int32_t varlstm_adam_step(varlstm_ctx* ctx, int32_t dtype, int64_t count, double lr, double beta1,
                                      double beta2, double eps, double weight_decay, int32_t decoupled, void* params,
                                      const void* grads, void* m, void* v, int64_t* step, void* stream);

/* norm [1] double, in the back end's memory <- Euclidean norm of grads, summed in double in a fixed order. */
VARLSTM_API int32_t varlstm_grad_norm(varlstm_ctx* ctx, int32_t dtype, int64_t count, const void* grads, double* norm,
                                      void* workspace, int64_t workspace_bytes, void* stream);

/* The same, and then grads *= min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. `norm` is the norm
 * before clipping. A norm that is NaN makes every gradient NaN; one that is infinite makes the finite ones 0, the rest
 * NaN, as there. */
VARLSTM_API int32_t varlstm_clip_grad_norm(varlstm_ctx* ctx, int32_t dtype, int64_t count, double max_norm, void* grads,
                                           double* norm, void* workspace, int64_t workspace_bytes, void* stream);

#ifdef __cplusplus
}
#endif

#endif /* VARLSTM_H */
