"""What varlstm.h declares: its enums, and the signatures of its functions for ctypes.

Written by capi/declarations.py from varlstm.h: do not edit.
"""
# SPDX-License-Identifier: Apache-2.0
import ctypes
import enum

INT32, INT64, UINT64 = ctypes.c_int32, ctypes.c_int64, ctypes.c_uint64
DOUBLE, TEXT, POINTER = ctypes.c_double, ctypes.c_char_p, ctypes.c_void_p


class HeaderVersion(enum.IntEnum):
    VERSION_MAJOR = 0
    VERSION_MINOR = 1
    VERSION_PATCH = 0


class Status(enum.IntEnum):
    OK = 0
    ERROR_INVALID_ARGUMENT = 1
    ERROR_UNSUPPORTED = 2
    ERROR_OUT_OF_MEMORY = 3
    ERROR_BUFFER_TOO_SMALL = 4
    ERROR_INVALID_HANDLE = 5
    ERROR_BACKEND = 6
    ERROR_DEAD_CONTEXT = 7
    ERROR_INTERNAL = 8


class Backend(enum.IntEnum):
    HOST = 0
    CUDA = 1


class Key(enum.IntEnum):
    BACKEND = 1
    DEVICE = 2
    THREADS = 3
    BATCH_INVARIANT = 4
    MATH = 5
    MAX_BATCH = 10
    MAX_LEN = 11
    MAX_TOKENS = 12
    BATCH = 13
    TOKENS = 14
    STEPS = 15
    CELL = 20
    INPUT_SIZE = 21
    HIDDEN_SIZE = 22
    NUM_LAYERS = 23
    DTYPE = 24
    BIDIRECTIONAL = 25
    BIAS = 26
    DROPOUT = 27
    RECURRENCE = 28
    RECURRENCE_USED = 29
    ROWS = 40
    LAYERS_TOGETHER = 41
    PROJ_SIZE = 42
    RESETS = 43
    CELL_CLIP = 44
    PROJECTION_CLIP = 45
    RECURRENT_DROPOUT = 46
    RECURRENT_DROPOUT_KIND = 47
    ZONEOUT_H = 48
    ZONEOUT_C = 49
    LAYER_NORM = 50
    CELL_STATES = 51
    ADD_DPARAMS = 52
    CLASSES = 30
    IGNORE_INDEX = 31
    REDUCTION = 32
    EMPTY_MEAN = 33
    LABEL_SMOOTHING = 34


class Math(enum.IntEnum):
    F32 = 0
    TF32 = 1


class Recurrence(enum.IntEnum):
    AUTO = 0
    STEPWISE = 1
    CLUSTER = 2
    GRID = 3


class Rows(enum.IntEnum):
    PACKED = 0
    RAGGED = 1


class RecurrentDropout(enum.IntEnum):
    WEIGHTS = 0
    STATE = 1
    CANDIDATE = 2


class DeviceStatusBit(enum.IntEnum):
    LENGTH = 1
    TOKEN_ID = 2
    LABEL = 4
    RESERVE = 8
    SLOT = 16
    RESET = 32
    OFFSET = 64
    LAST_STEP = 128


class CopyKind(enum.IntEnum):
    TO_BACKEND = 0
    TO_HOST = 1
    WITHIN_BACKEND = 2


class Dtype(enum.IntEnum):
    F32 = 0
    F64 = 1
    BF16 = 2
    F16 = 3
    I64 = 4


class Space(enum.IntEnum):
    HOST = 0
    BACKEND = 1


class Layout(enum.IntEnum):
    BATCH_FIRST = 0
    TIME_MAJOR = 1
    RAGGED = 2


class BatchArray(enum.IntEnum):
    LENGTHS = 0
    BATCH_SIZES = 1
    STEP_OFFSETS = 2
    SORTED_INDICES = 3
    UNSORTED_INDICES = 4
    CU_SEQLENS = 5
    PACKED_TO_RAGGED = 6
    RAGGED_TO_PACKED = 7


class Cell(enum.IntEnum):
    LSTM = 0
    GRU = 1
    RNN_TANH = 2
    RNN_RELU = 3
    GRU_RESET_BEFORE = 4


class ParamFormat(enum.IntEnum):
    FORMAT_PYTORCH = 0
    FORMAT_KERAS = 1
    FORMAT_ONNX = 2
    FORMAT_CUDNN = 3
    FORMAT_HASTE = 4


class Mode(enum.IntEnum):
    INFER = 0
    SAVE = 1


class Op(enum.IntEnum):
    EMBEDDING_BACKWARD = 0
    LINEAR_FORWARD = 1
    LINEAR_BACKWARD = 2
    NLL = 3
    CROSS_ENTROPY = 4
    GRAD_NORM = 5
    LINEAR_CROSS_ENTROPY_FORWARD = 6
    LINEAR_CROSS_ENTROPY_BACKWARD = 7


class Activation(enum.IntEnum):
    NONE = 0
    TANH = 1
    RELU = 2


class Reduction(enum.IntEnum):
    NONE = 0
    MEAN = 1
    SUM = 2


class EmptyMean(enum.IntEnum):
    NAN = 0
    ZERO = 1


# name: (result, types of the parameters by their names). Every pointer is a void*.
FUNCTIONS = {
    "varlstm_version": (INT32, {}),
    "varlstm_build_info": (TEXT, {}),
    "varlstm_status_name": (TEXT, {"status": INT32}),
    "varlstm_last_error": (TEXT, {}),
    "varlstm_device_count": (INT32, {"backend": INT32, "count": POINTER}),
    "varlstm_ctx_create": (INT32, {"backend": INT32, "device": INT32, "ctx": POINTER}),
    "varlstm_ctx_set_i64": (INT32, {"ctx": POINTER, "key": INT32, "value": INT64}),
    "varlstm_ctx_get_i64": (INT32, {"ctx": POINTER, "key": INT32, "value": POINTER}),
    "varlstm_ctx_device_status": (INT32, {"ctx": POINTER, "reset": INT32, "bits": POINTER, "first_index": POINTER,
        "stream": POINTER}),
    "varlstm_ctx_destroy": (INT32, {"ctx": POINTER}),
    "varlstm_alloc": (INT32, {"ctx": POINTER, "bytes": INT64, "ptr": POINTER}),
    "varlstm_free": (INT32, {"ctx": POINTER, "ptr": POINTER}),
    "varlstm_copy": (INT32, {"ctx": POINTER, "dst": POINTER, "src": POINTER, "bytes": INT64, "kind": INT32,
        "stream": POINTER}),
    "varlstm_zero": (INT32, {"ctx": POINTER, "ptr": POINTER, "bytes": INT64, "stream": POINTER}),
    "varlstm_sync": (INT32, {"ctx": POINTER, "stream": POINTER}),
    "varlstm_batch_create": (INT32, {"ctx": POINTER, "max_batch": INT64, "max_len": INT64, "max_tokens": INT64,
        "batch": POINTER}),
    "varlstm_batch_set_lengths": (INT32, {"batch": POINTER, "lengths": POINTER, "count": INT64, "space": INT32,
        "stream": POINTER}),
    "varlstm_batch_from_batch_sizes": (INT32, {"batch": POINTER, "batch_sizes": POINTER, "steps": INT64,
        "sorted_indices": POINTER, "stream": POINTER}),
    "varlstm_batch_set_resets": (INT32, {"batch": POINTER, "resets": POINTER, "count": INT64, "layout": INT32,
        "padded_len": INT64, "space": INT32, "stream": POINTER}),
    "varlstm_batch_get_i64": (INT32, {"batch": POINTER, "key": INT32, "value": POINTER}),
    "varlstm_batch_get_array": (INT32, {"batch": POINTER, "array": INT32, "data": POINTER, "count": POINTER}),
    "varlstm_batch_destroy": (INT32, {"batch": POINTER}),
    "varlstm_pack": (INT32, {"batch": POINTER, "dtype": INT32, "layout": INT32, "padded_len": INT64,
        "features": INT64, "src": POINTER, "packed": POINTER, "stream": POINTER}),
    "varlstm_unpack": (INT32, {"batch": POINTER, "dtype": INT32, "layout": INT32, "padded_len": INT64,
        "features": INT64, "pad_value": DOUBLE, "packed": POINTER, "dst": POINTER, "stream": POINTER}),
    "varlstm_pack_backward": (INT32, {"batch": POINTER, "dtype": INT32, "layout": INT32, "padded_len": INT64,
        "features": INT64, "dpacked": POINTER, "dsrc": POINTER, "stream": POINTER}),
    "varlstm_unpack_backward": (INT32, {"batch": POINTER, "dtype": INT32, "layout": INT32, "padded_len": INT64,
        "features": INT64, "ddst": POINTER, "dpacked": POINTER, "stream": POINTER}),
    "varlstm_rnn_create": (INT32, {"ctx": POINTER, "cell": INT32, "input_size": INT64, "hidden_size": INT64,
        "num_layers": INT64, "rnn": POINTER}),
    "varlstm_rnn_set_i64": (INT32, {"rnn": POINTER, "key": INT32, "value": INT64}),
    "varlstm_rnn_set_f64": (INT32, {"rnn": POINTER, "key": INT32, "value": DOUBLE}),
    "varlstm_rnn_get_i64": (INT32, {"rnn": POINTER, "key": INT32, "value": POINTER}),
    "varlstm_rnn_get_f64": (INT32, {"rnn": POINTER, "key": INT32, "value": POINTER}),
    "varlstm_rnn_param_count": (INT32, {"rnn": POINTER, "tensors": POINTER, "elements": POINTER}),
    "varlstm_rnn_param_info": (INT32, {"rnn": POINTER, "index": INT64, "name": POINTER, "offset": POINTER,
        "rows": POINTER, "cols": POINTER}),
    "varlstm_rnn_import": (INT32, {"rnn": POINTER, "format": INT32, "layer": INT64, "direction": INT32,
        "w_ih": POINTER, "w_hh": POINTER, "b_ih": POINTER, "b_hh": POINTER, "params": POINTER, "stream": POINTER}),
    "varlstm_rnn_sizes": (INT32, {"rnn": POINTER, "max_batch": INT64, "max_len": INT64, "max_tokens": INT64,
        "mode": INT32, "workspace_bytes": POINTER, "reserve_bytes": POINTER}),
    "varlstm_rnn_forward": (INT32, {"rnn": POINTER, "batch": POINTER, "mode": INT32, "dropout_seed": UINT64,
        "params": POINTER, "x": POINTER, "h0": POINTER, "c0": POINTER, "y": POINTER, "h_n": POINTER, "c_n": POINTER,
        "workspace": POINTER, "workspace_bytes": INT64, "reserve": POINTER, "reserve_bytes": INT64,
        "stream": POINTER}),
    "varlstm_rnn_forward_with_c": (INT32, {"rnn": POINTER, "batch": POINTER, "mode": INT32, "dropout_seed": UINT64,
        "params": POINTER, "x": POINTER, "h0": POINTER, "c0": POINTER, "y": POINTER, "h_n": POINTER, "c_n": POINTER,
        "c": POINTER, "workspace": POINTER, "workspace_bytes": INT64, "reserve": POINTER, "reserve_bytes": INT64,
        "stream": POINTER}),
    "varlstm_rnn_backward": (INT32, {"rnn": POINTER, "batch": POINTER, "params": POINTER, "x": POINTER, "h0": POINTER,
        "c0": POINTER, "y": POINTER, "dy": POINTER, "dh_n": POINTER, "dc_n": POINTER, "dx": POINTER, "dh0": POINTER,
        "dc0": POINTER, "dparams": POINTER, "workspace": POINTER, "workspace_bytes": INT64, "reserve": POINTER,
        "reserve_bytes": INT64, "stream": POINTER}),
    "varlstm_rnn_backward_with_c": (INT32, {"rnn": POINTER, "batch": POINTER, "params": POINTER, "x": POINTER,
        "h0": POINTER, "c0": POINTER, "y": POINTER, "dy": POINTER, "dh_n": POINTER, "dc_n": POINTER, "dc": POINTER,
        "dx": POINTER, "dh0": POINTER, "dc0": POINTER, "dparams": POINTER, "workspace": POINTER,
        "workspace_bytes": INT64, "reserve": POINTER, "reserve_bytes": INT64, "stream": POINTER}),
    "varlstm_rnn_step_size": (INT32, {"rnn": POINTER, "max_streams": INT64, "table_slots": INT64,
        "workspace_bytes": POINTER}),
    "varlstm_rnn_step": (INT32, {"rnn": POINTER, "streams": INT64, "params": POINTER, "x": POINTER, "slots": POINTER,
        "table_slots": INT64, "h": POINTER, "c": POINTER, "y": POINTER, "workspace": POINTER,
        "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_rnn_prepared_size": (INT32, {"rnn": POINTER, "mode": INT32, "bytes": POINTER}),
    "varlstm_rnn_prepare": (INT32, {"rnn": POINTER, "mode": INT32, "params": POINTER, "prepared": POINTER,
        "prepared_bytes": INT64, "stream": POINTER, "prepared_rnn": POINTER}),
    "varlstm_rnn_destroy": (INT32, {"rnn": POINTER}),
    "varlstm_op_workspace": (INT32, {"ctx": POINTER, "op": INT32, "dtype": INT32, "rows": INT64, "a": INT64,
        "b": INT64, "bytes": POINTER}),
    "varlstm_embedding_forward": (INT32, {"ctx": POINTER, "batch": POINTER, "dtype": INT32, "rows": INT64,
        "vocab": INT64, "features": INT64, "table": POINTER, "ids": POINTER, "y": POINTER, "stream": POINTER}),
    "varlstm_embedding_backward": (INT32, {"ctx": POINTER, "batch": POINTER, "dtype": INT32, "rows": INT64,
        "vocab": INT64, "features": INT64, "padding_idx": INT64, "ids": POINTER, "dy": POINTER, "dtable": POINTER,
        "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_linear_forward": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "in": INT64, "out": INT64,
        "x": POINTER, "weight": POINTER, "bias": POINTER, "y": POINTER, "workspace": POINTER,
        "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_linear_backward": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "in": INT64, "out": INT64,
        "x": POINTER, "weight": POINTER, "dy": POINTER, "dx": POINTER, "dweight": POINTER, "dbias": POINTER,
        "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_convert": (INT32, {"ctx": POINTER, "from_dtype": INT32, "to_dtype": INT32, "count": INT64,
        "src": POINTER, "dst": POINTER, "stream": POINTER}),
    "varlstm_copy_columns": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "columns": INT64, "src": POINTER,
        "ld_src": INT64, "dst": POINTER, "ld_dst": INT64, "stream": POINTER}),
    "varlstm_dropout_forward": (INT32, {"ctx": POINTER, "dtype": INT32, "count": INT64, "p": DOUBLE, "seed": UINT64,
        "x": POINTER, "y": POINTER, "stream": POINTER}),
    "varlstm_dropout_backward": (INT32, {"ctx": POINTER, "dtype": INT32, "count": INT64, "p": DOUBLE, "seed": UINT64,
        "dy": POINTER, "dx": POINTER, "stream": POINTER}),
    "varlstm_log_softmax_forward": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "classes": INT64,
        "x": POINTER, "y": POINTER, "stream": POINTER}),
    "varlstm_log_softmax_backward": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "classes": INT64,
        "y": POINTER, "dy": POINTER, "dx": POINTER, "stream": POINTER}),
    "varlstm_conv_max_forward": (INT32, {"ctx": POINTER, "dtype": INT32, "words": INT64, "rows": INT64, "in": INT64,
        "filters": INT64, "width": INT64, "activation": INT32, "offsets": POINTER, "x": POINTER, "weight": POINTER,
        "bias": POINTER, "y": POINTER, "ldy": INT64, "argmax": POINTER, "workspace": POINTER,
        "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_conv_max_backward": (INT32, {"ctx": POINTER, "dtype": INT32, "words": INT64, "rows": INT64, "in": INT64,
        "filters": INT64, "width": INT64, "activation": INT32, "offsets": POINTER, "x": POINTER, "weight": POINTER,
        "y": POINTER, "dy": POINTER, "ldy": INT64, "argmax": POINTER, "dx": POINTER, "dweight": POINTER,
        "dbias": POINTER, "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_conv_max_size": (INT32, {"ctx": POINTER, "dtype": INT32, "words": INT64, "rows": INT64, "in": INT64,
        "filters": INT64, "width": INT64, "forward_bytes": POINTER, "backward_bytes": POINTER}),
    "varlstm_loss_create": (INT32, {"ctx": POINTER, "classes": INT64, "loss": POINTER}),
    "varlstm_loss_set_i64": (INT32, {"loss": POINTER, "key": INT32, "value": INT64}),
    "varlstm_loss_set_f64": (INT32, {"loss": POINTER, "key": INT32, "value": DOUBLE}),
    "varlstm_loss_get_i64": (INT32, {"loss": POINTER, "key": INT32, "value": POINTER}),
    "varlstm_loss_get_f64": (INT32, {"loss": POINTER, "key": INT32, "value": POINTER}),
    "varlstm_loss_destroy": (INT32, {"loss": POINTER}),
    "varlstm_nll_forward": (INT32, {"loss": POINTER, "batch": POINTER, "dtype": INT32, "rows": INT64,
        "log_probs": POINTER, "targets": POINTER, "class_weights": POINTER, "out": POINTER, "weight_sum": POINTER,
        "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_nll_backward": (INT32, {"loss": POINTER, "batch": POINTER, "dtype": INT32, "rows": INT64,
        "targets": POINTER, "class_weights": POINTER, "dout": POINTER, "dlog_probs": POINTER, "workspace": POINTER,
        "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_cross_entropy_forward": (INT32, {"loss": POINTER, "batch": POINTER, "dtype": INT32, "rows": INT64,
        "logits": POINTER, "targets": POINTER, "class_weights": POINTER, "out": POINTER, "weight_sum": POINTER,
        "dlogits": POINTER, "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_cross_entropy_backward": (INT32, {"loss": POINTER, "dtype": INT32, "rows": INT64, "dout": POINTER,
        "dlogits": POINTER, "stream": POINTER}),
    "varlstm_linear_cross_entropy_forward": (INT32, {"loss": POINTER, "batch": POINTER, "dtype": INT32, "rows": INT64,
        "in": INT64, "x": POINTER, "weight": POINTER, "bias": POINTER, "targets": POINTER, "class_weights": POINTER,
        "out": POINTER, "weight_sum": POINTER, "lse": POINTER, "workspace": POINTER, "workspace_bytes": INT64,
        "stream": POINTER}),
    "varlstm_linear_cross_entropy_backward": (INT32, {"loss": POINTER, "batch": POINTER, "dtype": INT32,
        "rows": INT64, "in": INT64, "x": POINTER, "weight": POINTER, "bias": POINTER, "targets": POINTER,
        "class_weights": POINTER, "lse": POINTER, "dout": POINTER, "dx": POINTER, "dweight": POINTER,
        "dbias": POINTER, "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_sgd_step": (INT32, {"ctx": POINTER, "dtype": INT32, "count": INT64, "lr": DOUBLE, "momentum": DOUBLE,
        "weight_decay": DOUBLE, "nesterov": INT32, "params": POINTER, "grads": POINTER, "velocity": POINTER,
        "stream": POINTER}),
    "varlstm_adam_step": (INT32, {"ctx": POINTER, "dtype": INT32, "count": INT64, "lr": DOUBLE, "beta1": DOUBLE,
        "beta2": DOUBLE, "eps": DOUBLE, "weight_decay": DOUBLE, "decoupled": INT32, "params": POINTER,
        "grads": POINTER, "m": POINTER, "v": POINTER, "step": POINTER, "stream": POINTER}),
    "varlstm_grad_norm": (INT32, {"ctx": POINTER, "dtype": INT32, "count": INT64, "grads": POINTER, "norm": POINTER,
        "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_clip_grad_norm": (INT32, {"ctx": POINTER, "dtype": INT32, "count": INT64, "max_norm": DOUBLE,
        "grads": POINTER, "norm": POINTER, "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_embedding_backward_rows": (INT32, {"ctx": POINTER, "batch": POINTER, "dtype": INT32, "rows": INT64,
        "vocab": INT64, "features": INT64, "padding_idx": INT64, "ids": POINTER, "dy": POINTER, "row_ids": POINTER,
        "drows": POINTER, "workspace": POINTER, "workspace_bytes": INT64, "stream": POINTER}),
    "varlstm_sgd_rows_step": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "vocab": INT64,
        "features": INT64, "lr": DOUBLE, "row_ids": POINTER, "drows": POINTER, "table": POINTER, "stream": POINTER}),
    "varlstm_adam_rows_step": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "vocab": INT64,
        "features": INT64, "lr": DOUBLE, "beta1": DOUBLE, "beta2": DOUBLE, "eps": DOUBLE, "weight_decay": DOUBLE,
        "decoupled": INT32, "row_ids": POINTER, "drows": POINTER, "table": POINTER, "m": POINTER, "v": POINTER,
        "last_steps": POINTER, "history": POINTER, "history_steps": INT64, "step": POINTER, "stream": POINTER}),
    "varlstm_adam_rows_catch_up": (INT32, {"ctx": POINTER, "dtype": INT32, "rows": INT64, "vocab": INT64,
        "features": INT64, "beta1": DOUBLE, "beta2": DOUBLE, "eps": DOUBLE, "weight_decay": DOUBLE,
        "decoupled": INT32, "ids": POINTER, "table": POINTER, "m": POINTER, "v": POINTER, "last_steps": POINTER,
        "history": POINTER, "history_steps": INT64, "step": POINTER, "stream": POINTER}),
}
