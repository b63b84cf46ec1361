// What varlstm.h declares. Written by capi/declarations.py from varlstm.h: do not edit.
// SPDX-License-Identifier: Apache-2.0

use std::os::raw::{c_char, c_void};

#[repr(C)]
pub struct varlstm_ctx {
    _private: [u8; 0],
}

#[repr(C)]
pub struct varlstm_batch {
    _private: [u8; 0],
}

#[repr(C)]
pub struct varlstm_rnn {
    _private: [u8; 0],
}

#[repr(C)]
pub struct varlstm_loss {
    _private: [u8; 0],
}

// enum varlstm_header_version
pub const VARLSTM_VERSION_MAJOR: i32 = 0;
pub const VARLSTM_VERSION_MINOR: i32 = 1;
pub const VARLSTM_VERSION_PATCH: i32 = 0;

// enum varlstm_status
pub const VARLSTM_OK: i32 = 0;
pub const VARLSTM_ERROR_INVALID_ARGUMENT: i32 = 1;
pub const VARLSTM_ERROR_UNSUPPORTED: i32 = 2;
pub const VARLSTM_ERROR_OUT_OF_MEMORY: i32 = 3;
pub const VARLSTM_ERROR_BUFFER_TOO_SMALL: i32 = 4;
pub const VARLSTM_ERROR_INVALID_HANDLE: i32 = 5;
pub const VARLSTM_ERROR_BACKEND: i32 = 6;
pub const VARLSTM_ERROR_DEAD_CONTEXT: i32 = 7;
pub const VARLSTM_ERROR_INTERNAL: i32 = 8;

// enum varlstm_backend
pub const VARLSTM_BACKEND_HOST: i32 = 0;
pub const VARLSTM_BACKEND_CUDA: i32 = 1;

// enum varlstm_key
pub const VARLSTM_KEY_BACKEND: i32 = 1;
pub const VARLSTM_KEY_DEVICE: i32 = 2;
pub const VARLSTM_KEY_THREADS: i32 = 3;
pub const VARLSTM_KEY_BATCH_INVARIANT: i32 = 4;
pub const VARLSTM_KEY_MATH: i32 = 5;
pub const VARLSTM_KEY_MAX_BATCH: i32 = 10;
pub const VARLSTM_KEY_MAX_LEN: i32 = 11;
pub const VARLSTM_KEY_MAX_TOKENS: i32 = 12;
pub const VARLSTM_KEY_BATCH: i32 = 13;
pub const VARLSTM_KEY_TOKENS: i32 = 14;
pub const VARLSTM_KEY_STEPS: i32 = 15;
pub const VARLSTM_KEY_CELL: i32 = 20;
pub const VARLSTM_KEY_INPUT_SIZE: i32 = 21;
pub const VARLSTM_KEY_HIDDEN_SIZE: i32 = 22;
pub const VARLSTM_KEY_NUM_LAYERS: i32 = 23;
pub const VARLSTM_KEY_DTYPE: i32 = 24;
pub const VARLSTM_KEY_BIDIRECTIONAL: i32 = 25;
pub const VARLSTM_KEY_BIAS: i32 = 26;
pub const VARLSTM_KEY_DROPOUT: i32 = 27;
pub const VARLSTM_KEY_RECURRENCE: i32 = 28;
pub const VARLSTM_KEY_RECURRENCE_USED: i32 = 29;
pub const VARLSTM_KEY_ROWS: i32 = 40;
pub const VARLSTM_KEY_LAYERS_TOGETHER: i32 = 41;
pub const VARLSTM_KEY_PROJ_SIZE: i32 = 42;
pub const VARLSTM_KEY_RESETS: i32 = 43;
pub const VARLSTM_KEY_CELL_CLIP: i32 = 44;
pub const VARLSTM_KEY_PROJECTION_CLIP: i32 = 45;
pub const VARLSTM_KEY_RECURRENT_DROPOUT: i32 = 46;
pub const VARLSTM_KEY_RECURRENT_DROPOUT_KIND: i32 = 47;
pub const VARLSTM_KEY_ZONEOUT_H: i32 = 48;
pub const VARLSTM_KEY_ZONEOUT_C: i32 = 49;
pub const VARLSTM_KEY_LAYER_NORM: i32 = 50;
pub const VARLSTM_KEY_CELL_STATES: i32 = 51;
pub const VARLSTM_KEY_ADD_DPARAMS: i32 = 52;
pub const VARLSTM_KEY_CLASSES: i32 = 30;
pub const VARLSTM_KEY_IGNORE_INDEX: i32 = 31;
pub const VARLSTM_KEY_REDUCTION: i32 = 32;
pub const VARLSTM_KEY_EMPTY_MEAN: i32 = 33;
pub const VARLSTM_KEY_LABEL_SMOOTHING: i32 = 34;

// enum varlstm_math
pub const VARLSTM_MATH_F32: i32 = 0;
pub const VARLSTM_MATH_TF32: i32 = 1;

// enum varlstm_recurrence
pub const VARLSTM_RECURRENCE_AUTO: i32 = 0;
pub const VARLSTM_RECURRENCE_STEPWISE: i32 = 1;
pub const VARLSTM_RECURRENCE_CLUSTER: i32 = 2;
pub const VARLSTM_RECURRENCE_GRID: i32 = 3;

// enum varlstm_rows
pub const VARLSTM_ROWS_PACKED: i32 = 0;
pub const VARLSTM_ROWS_RAGGED: i32 = 1;

// enum varlstm_recurrent_dropout
pub const VARLSTM_RECURRENT_DROPOUT_WEIGHTS: i32 = 0;
pub const VARLSTM_RECURRENT_DROPOUT_STATE: i32 = 1;
pub const VARLSTM_RECURRENT_DROPOUT_CANDIDATE: i32 = 2;

// enum varlstm_device_status_bit
pub const VARLSTM_DEVICE_STATUS_LENGTH: i32 = 1;
pub const VARLSTM_DEVICE_STATUS_TOKEN_ID: i32 = 2;
pub const VARLSTM_DEVICE_STATUS_LABEL: i32 = 4;
pub const VARLSTM_DEVICE_STATUS_RESERVE: i32 = 8;
pub const VARLSTM_DEVICE_STATUS_SLOT: i32 = 16;
pub const VARLSTM_DEVICE_STATUS_RESET: i32 = 32;
pub const VARLSTM_DEVICE_STATUS_OFFSET: i32 = 64;
pub const VARLSTM_DEVICE_STATUS_LAST_STEP: i32 = 128;

// enum varlstm_copy_kind
pub const VARLSTM_COPY_TO_BACKEND: i32 = 0;
pub const VARLSTM_COPY_TO_HOST: i32 = 1;
pub const VARLSTM_COPY_WITHIN_BACKEND: i32 = 2;

// enum varlstm_dtype
pub const VARLSTM_DTYPE_F32: i32 = 0;
pub const VARLSTM_DTYPE_F64: i32 = 1;
pub const VARLSTM_DTYPE_BF16: i32 = 2;
pub const VARLSTM_DTYPE_F16: i32 = 3;
pub const VARLSTM_DTYPE_I64: i32 = 4;

// enum varlstm_space
pub const VARLSTM_SPACE_HOST: i32 = 0;
pub const VARLSTM_SPACE_BACKEND: i32 = 1;

// enum varlstm_layout
pub const VARLSTM_LAYOUT_BATCH_FIRST: i32 = 0;
pub const VARLSTM_LAYOUT_TIME_MAJOR: i32 = 1;
pub const VARLSTM_LAYOUT_RAGGED: i32 = 2;

// enum varlstm_batch_array
pub const VARLSTM_BATCH_LENGTHS: i32 = 0;
pub const VARLSTM_BATCH_BATCH_SIZES: i32 = 1;
pub const VARLSTM_BATCH_STEP_OFFSETS: i32 = 2;
pub const VARLSTM_BATCH_SORTED_INDICES: i32 = 3;
pub const VARLSTM_BATCH_UNSORTED_INDICES: i32 = 4;
pub const VARLSTM_BATCH_CU_SEQLENS: i32 = 5;
pub const VARLSTM_BATCH_PACKED_TO_RAGGED: i32 = 6;
pub const VARLSTM_BATCH_RAGGED_TO_PACKED: i32 = 7;

// enum varlstm_cell
pub const VARLSTM_CELL_LSTM: i32 = 0;
pub const VARLSTM_CELL_GRU: i32 = 1;
pub const VARLSTM_CELL_RNN_TANH: i32 = 2;
pub const VARLSTM_CELL_RNN_RELU: i32 = 3;
pub const VARLSTM_CELL_GRU_RESET_BEFORE: i32 = 4;

// enum varlstm_param_format
pub const VARLSTM_FORMAT_PYTORCH: i32 = 0;
pub const VARLSTM_FORMAT_KERAS: i32 = 1;
pub const VARLSTM_FORMAT_ONNX: i32 = 2;
pub const VARLSTM_FORMAT_CUDNN: i32 = 3;
pub const VARLSTM_FORMAT_HASTE: i32 = 4;

// enum varlstm_mode
pub const VARLSTM_MODE_INFER: i32 = 0;
pub const VARLSTM_MODE_SAVE: i32 = 1;

// enum varlstm_op
pub const VARLSTM_OP_EMBEDDING_BACKWARD: i32 = 0;
pub const VARLSTM_OP_LINEAR_FORWARD: i32 = 1;
pub const VARLSTM_OP_LINEAR_BACKWARD: i32 = 2;
pub const VARLSTM_OP_NLL: i32 = 3;
pub const VARLSTM_OP_CROSS_ENTROPY: i32 = 4;
pub const VARLSTM_OP_GRAD_NORM: i32 = 5;
pub const VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD: i32 = 6;
pub const VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD: i32 = 7;

// enum varlstm_activation
pub const VARLSTM_ACTIVATION_NONE: i32 = 0;
pub const VARLSTM_ACTIVATION_TANH: i32 = 1;
pub const VARLSTM_ACTIVATION_RELU: i32 = 2;

// enum varlstm_reduction
pub const VARLSTM_REDUCTION_NONE: i32 = 0;
pub const VARLSTM_REDUCTION_MEAN: i32 = 1;
pub const VARLSTM_REDUCTION_SUM: i32 = 2;

// enum varlstm_empty_mean
pub const VARLSTM_EMPTY_MEAN_NAN: i32 = 0;
pub const VARLSTM_EMPTY_MEAN_ZERO: i32 = 1;

extern "C" {
    pub fn varlstm_version() -> i32;
    pub fn varlstm_build_info() -> *const c_char;
    pub fn varlstm_status_name(status: i32) -> *const c_char;
    pub fn varlstm_last_error() -> *const c_char;
    pub fn varlstm_device_count(backend: i32, count: *mut i32) -> i32;
    pub fn varlstm_ctx_create(backend: i32, device: i32, ctx: *mut *mut varlstm_ctx) -> i32;
    pub fn varlstm_ctx_set_i64(ctx: *mut varlstm_ctx, key: i32, value: i64) -> i32;
    pub fn varlstm_ctx_get_i64(ctx: *const varlstm_ctx, key: i32, value: *mut i64) -> i32;
    pub fn varlstm_ctx_device_status(
        ctx: *mut varlstm_ctx,
        reset: i32,
        bits: *mut i64,
        first_index: *mut i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_ctx_destroy(ctx: *mut varlstm_ctx) -> i32;
    pub fn varlstm_alloc(ctx: *mut varlstm_ctx, bytes: i64, ptr: *mut *mut c_void) -> i32;
    pub fn varlstm_free(ctx: *mut varlstm_ctx, ptr: *mut c_void) -> i32;
    pub fn varlstm_copy(
        ctx: *mut varlstm_ctx,
        dst: *mut c_void,
        src: *const c_void,
        bytes: i64,
        kind: i32,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_zero(ctx: *mut varlstm_ctx, ptr: *mut c_void, bytes: i64, stream: *mut c_void) -> i32;
    pub fn varlstm_sync(ctx: *mut varlstm_ctx, stream: *mut c_void) -> i32;
    pub fn varlstm_batch_create(
        ctx: *mut varlstm_ctx,
        max_batch: i64,
        max_len: i64,
        max_tokens: i64,
        batch: *mut *mut varlstm_batch,
    ) -> i32;
    pub fn varlstm_batch_set_lengths(
        batch: *mut varlstm_batch,
        lengths: *const i64,
        count: i64,
        space: i32,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_batch_from_batch_sizes(
        batch: *mut varlstm_batch,
        batch_sizes: *const i64,
        steps: i64,
        sorted_indices: *const i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_batch_set_resets(
        batch: *mut varlstm_batch,
        resets: *const u8,
        count: i64,
        layout: i32,
        padded_len: i64,
        space: i32,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_batch_get_i64(batch: *const varlstm_batch, key: i32, value: *mut i64) -> i32;
    pub fn varlstm_batch_get_array(
        batch: *const varlstm_batch,
        array: i32,
        data: *mut *const i64,
        count: *mut i64,
    ) -> i32;
    pub fn varlstm_batch_destroy(batch: *mut varlstm_batch) -> i32;
    pub fn varlstm_pack(
        batch: *const varlstm_batch,
        dtype: i32,
        layout: i32,
        padded_len: i64,
        features: i64,
        src: *const c_void,
        packed: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_unpack(
        batch: *const varlstm_batch,
        dtype: i32,
        layout: i32,
        padded_len: i64,
        features: i64,
        pad_value: f64,
        packed: *const c_void,
        dst: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_pack_backward(
        batch: *const varlstm_batch,
        dtype: i32,
        layout: i32,
        padded_len: i64,
        features: i64,
        dpacked: *const c_void,
        dsrc: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_unpack_backward(
        batch: *const varlstm_batch,
        dtype: i32,
        layout: i32,
        padded_len: i64,
        features: i64,
        ddst: *const c_void,
        dpacked: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_rnn_create(
        ctx: *mut varlstm_ctx,
        cell: i32,
        input_size: i64,
        hidden_size: i64,
        num_layers: i64,
        rnn: *mut *mut varlstm_rnn,
    ) -> i32;
    pub fn varlstm_rnn_set_i64(rnn: *mut varlstm_rnn, key: i32, value: i64) -> i32;
    pub fn varlstm_rnn_set_f64(rnn: *mut varlstm_rnn, key: i32, value: f64) -> i32;
    pub fn varlstm_rnn_get_i64(rnn: *const varlstm_rnn, key: i32, value: *mut i64) -> i32;
    pub fn varlstm_rnn_get_f64(rnn: *const varlstm_rnn, key: i32, value: *mut f64) -> i32;
    pub fn varlstm_rnn_param_count(rnn: *const varlstm_rnn, tensors: *mut i64, elements: *mut i64) -> i32;
    pub fn varlstm_rnn_param_info(
        rnn: *const varlstm_rnn,
        index: i64,
        name: *mut *const c_char,
        offset: *mut i64,
        rows: *mut i64,
        cols: *mut i64,
    ) -> i32;
    pub fn varlstm_rnn_import(
        rnn: *const varlstm_rnn,
        format: i32,
        layer: i64,
        direction: i32,
        w_ih: *const c_void,
        w_hh: *const c_void,
        b_ih: *const c_void,
        b_hh: *const c_void,
        params: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_rnn_sizes(
        rnn: *const varlstm_rnn,
        max_batch: i64,
        max_len: i64,
        max_tokens: i64,
        mode: i32,
        workspace_bytes: *mut i64,
        reserve_bytes: *mut i64,
    ) -> i32;
    pub fn varlstm_rnn_forward(
        rnn: *const varlstm_rnn,
        batch: *const varlstm_batch,
        mode: i32,
        dropout_seed: u64,
        params: *const c_void,
        x: *const c_void,
        h0: *const c_void,
        c0: *const c_void,
        y: *mut c_void,
        h_n: *mut c_void,
        c_n: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        reserve: *mut c_void,
        reserve_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_rnn_forward_with_c(
        rnn: *const varlstm_rnn,
        batch: *const varlstm_batch,
        mode: i32,
        dropout_seed: u64,
        params: *const c_void,
        x: *const c_void,
        h0: *const c_void,
        c0: *const c_void,
        y: *mut c_void,
        h_n: *mut c_void,
        c_n: *mut c_void,
        c: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        reserve: *mut c_void,
        reserve_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_rnn_backward(
        rnn: *const varlstm_rnn,
        batch: *const varlstm_batch,
        params: *const c_void,
        x: *const c_void,
        h0: *const c_void,
        c0: *const c_void,
        y: *const c_void,
        dy: *const c_void,
        dh_n: *const c_void,
        dc_n: *const c_void,
        dx: *mut c_void,
        dh0: *mut c_void,
        dc0: *mut c_void,
        dparams: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        reserve: *const c_void,
        reserve_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_rnn_backward_with_c(
        rnn: *const varlstm_rnn,
        batch: *const varlstm_batch,
        params: *const c_void,
        x: *const c_void,
        h0: *const c_void,
        c0: *const c_void,
        y: *const c_void,
        dy: *const c_void,
        dh_n: *const c_void,
        dc_n: *const c_void,
        dc: *const c_void,
        dx: *mut c_void,
        dh0: *mut c_void,
        dc0: *mut c_void,
        dparams: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        reserve: *const c_void,
        reserve_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_rnn_step_size(
        rnn: *const varlstm_rnn,
        max_streams: i64,
        table_slots: i64,
        workspace_bytes: *mut i64,
    ) -> i32;
    pub fn varlstm_rnn_step(
        rnn: *const varlstm_rnn,
        streams: i64,
        params: *const c_void,
        x: *const c_void,
        slots: *const i64,
        table_slots: i64,
        h: *mut c_void,
        c: *mut c_void,
        y: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_rnn_prepared_size(rnn: *const varlstm_rnn, mode: i32, bytes: *mut i64) -> i32;
    pub fn varlstm_rnn_prepare(
        rnn: *const varlstm_rnn,
        mode: i32,
        params: *const c_void,
        prepared: *mut c_void,
        prepared_bytes: i64,
        stream: *mut c_void,
        prepared_rnn: *mut *mut varlstm_rnn,
    ) -> i32;
    pub fn varlstm_rnn_destroy(rnn: *mut varlstm_rnn) -> i32;
    pub fn varlstm_op_workspace(
        ctx: *mut varlstm_ctx,
        op: i32,
        dtype: i32,
        rows: i64,
        a: i64,
        b: i64,
        bytes: *mut i64,
    ) -> i32;
    pub fn varlstm_embedding_forward(
        ctx: *mut varlstm_ctx,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        vocab: i64,
        features: i64,
        table: *const c_void,
        ids: *const i64,
        y: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_embedding_backward(
        ctx: *mut varlstm_ctx,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        vocab: i64,
        features: i64,
        padding_idx: i64,
        ids: *const i64,
        dy: *const c_void,
        dtable: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_linear_forward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        r#in: i64,
        out: i64,
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        y: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_linear_backward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        r#in: i64,
        out: i64,
        x: *const c_void,
        weight: *const c_void,
        dy: *const c_void,
        dx: *mut c_void,
        dweight: *mut c_void,
        dbias: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_convert(
        ctx: *mut varlstm_ctx,
        from_dtype: i32,
        to_dtype: i32,
        count: i64,
        src: *const c_void,
        dst: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_copy_columns(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        columns: i64,
        src: *const c_void,
        ld_src: i64,
        dst: *mut c_void,
        ld_dst: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_dropout_forward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        count: i64,
        p: f64,
        seed: u64,
        x: *const c_void,
        y: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_dropout_backward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        count: i64,
        p: f64,
        seed: u64,
        dy: *const c_void,
        dx: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_log_softmax_forward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        classes: i64,
        x: *const c_void,
        y: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_log_softmax_backward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        classes: i64,
        y: *const c_void,
        dy: *const c_void,
        dx: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_conv_max_forward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        words: i64,
        rows: i64,
        r#in: i64,
        filters: i64,
        width: i64,
        activation: i32,
        offsets: *const i64,
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        y: *mut c_void,
        ldy: i64,
        argmax: *mut i64,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_conv_max_backward(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        words: i64,
        rows: i64,
        r#in: i64,
        filters: i64,
        width: i64,
        activation: i32,
        offsets: *const i64,
        x: *const c_void,
        weight: *const c_void,
        y: *const c_void,
        dy: *const c_void,
        ldy: i64,
        argmax: *const i64,
        dx: *mut c_void,
        dweight: *mut c_void,
        dbias: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_conv_max_size(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        words: i64,
        rows: i64,
        r#in: i64,
        filters: i64,
        width: i64,
        forward_bytes: *mut i64,
        backward_bytes: *mut i64,
    ) -> i32;
    pub fn varlstm_loss_create(ctx: *mut varlstm_ctx, classes: i64, loss: *mut *mut varlstm_loss) -> i32;
    pub fn varlstm_loss_set_i64(loss: *mut varlstm_loss, key: i32, value: i64) -> i32;
    pub fn varlstm_loss_set_f64(loss: *mut varlstm_loss, key: i32, value: f64) -> i32;
    pub fn varlstm_loss_get_i64(loss: *const varlstm_loss, key: i32, value: *mut i64) -> i32;
    pub fn varlstm_loss_get_f64(loss: *const varlstm_loss, key: i32, value: *mut f64) -> i32;
    pub fn varlstm_loss_destroy(loss: *mut varlstm_loss) -> i32;
    pub fn varlstm_nll_forward(
        loss: *const varlstm_loss,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        log_probs: *const c_void,
        targets: *const i64,
        class_weights: *const c_void,
        out: *mut c_void,
        weight_sum: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_nll_backward(
        loss: *const varlstm_loss,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        targets: *const i64,
        class_weights: *const c_void,
        dout: *const c_void,
        dlog_probs: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_cross_entropy_forward(
        loss: *const varlstm_loss,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        logits: *const c_void,
        targets: *const i64,
        class_weights: *const c_void,
        out: *mut c_void,
        weight_sum: *mut c_void,
        dlogits: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_cross_entropy_backward(
        loss: *const varlstm_loss,
        dtype: i32,
        rows: i64,
        dout: *const c_void,
        dlogits: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_linear_cross_entropy_forward(
        loss: *const varlstm_loss,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        r#in: i64,
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        targets: *const i64,
        class_weights: *const c_void,
        out: *mut c_void,
        weight_sum: *mut c_void,
        lse: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_linear_cross_entropy_backward(
        loss: *const varlstm_loss,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        r#in: i64,
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        targets: *const i64,
        class_weights: *const c_void,
        lse: *const c_void,
        dout: *const c_void,
        dx: *mut c_void,
        dweight: *mut c_void,
        dbias: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_sgd_step(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        count: i64,
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        nesterov: i32,
        params: *mut c_void,
        grads: *const c_void,
        velocity: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_adam_step(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        count: i64,
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        decoupled: i32,
        params: *mut c_void,
        grads: *const c_void,
        m: *mut c_void,
        v: *mut c_void,
        step: *mut i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_grad_norm(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        count: i64,
        grads: *const c_void,
        norm: *mut f64,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_clip_grad_norm(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        count: i64,
        max_norm: f64,
        grads: *mut c_void,
        norm: *mut f64,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_embedding_backward_rows(
        ctx: *mut varlstm_ctx,
        batch: *const varlstm_batch,
        dtype: i32,
        rows: i64,
        vocab: i64,
        features: i64,
        padding_idx: i64,
        ids: *const i64,
        dy: *const c_void,
        row_ids: *mut i64,
        drows: *mut c_void,
        workspace: *mut c_void,
        workspace_bytes: i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_sgd_rows_step(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        vocab: i64,
        features: i64,
        lr: f64,
        row_ids: *const i64,
        drows: *const c_void,
        table: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_adam_rows_step(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        vocab: i64,
        features: i64,
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        decoupled: i32,
        row_ids: *const i64,
        drows: *const c_void,
        table: *mut c_void,
        m: *mut c_void,
        v: *mut c_void,
        last_steps: *mut i64,
        history: *mut c_void,
        history_steps: i64,
        step: *mut i64,
        stream: *mut c_void,
    ) -> i32;
    pub fn varlstm_adam_rows_catch_up(
        ctx: *mut varlstm_ctx,
        dtype: i32,
        rows: i64,
        vocab: i64,
        features: i64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        decoupled: i32,
        ids: *const i64,
        table: *mut c_void,
        m: *mut c_void,
        v: *mut c_void,
        last_steps: *mut i64,
        history: *const c_void,
        history_steps: i64,
        step: *const i64,
        stream: *mut c_void,
    ) -> i32;
}
