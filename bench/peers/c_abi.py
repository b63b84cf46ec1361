"""One recurrent layer of libvarlstm.so through ctypes, over memory of torch tensors.

SPDX-License-Identifier: Apache-2.0
"""
import ctypes

import torch

INFER, SAVE, HOST = 0, 1, 0
CELLS = {"LSTM": 0, "GRU": 1}
KEY_THREADS, KEY_BIDIRECTIONAL, KEY_ADD_DPARAMS = 3, 25, 52
i32, i64, u64, ptr = ctypes.c_int32, ctypes.c_int64, ctypes.c_uint64, ctypes.c_void_p
SIGNATURES = {
    "varlstm_ctx_create": [i32, i32, ptr],
    "varlstm_ctx_set_i64": [ptr, i32, i64],
    "varlstm_batch_create": [ptr, i64, i64, i64, ptr],
    "varlstm_batch_set_lengths": [ptr, ptr, i64, i32, ptr],
    "varlstm_rnn_create": [ptr, i32, i64, i64, i64, ptr],
    "varlstm_rnn_set_i64": [ptr, i32, i64],
    "varlstm_rnn_param_count": [ptr, ptr, ptr],
    "varlstm_rnn_sizes": [ptr, i64, i64, i64, i32, ptr, ptr],
    "varlstm_rnn_prepared_size": [ptr, i32, ptr],
    "varlstm_rnn_prepare": [ptr, i32, ptr, ptr, i64, ptr, ptr],
    "varlstm_rnn_forward": [ptr, ptr, i32, u64] + [ptr] * 8 + [i64, ptr, i64, ptr],
    "varlstm_rnn_backward": [ptr] * 15 + [i64, ptr, i64, ptr],
}


def load(path):
    library = ctypes.CDLL(path)
    for name, arguments in SIGNATURES.items():
        getattr(library, name).argtypes = arguments
    library.varlstm_last_error.restype = ctypes.c_char_p
    library.varlstm_build_info.restype = ctypes.c_char_p
    return library


def address(tensor):
    return None if tensor is None or tensor.numel() == 0 else tensor.data_ptr()


class Rnn:
    """A layer of I inputs and H units that uses `threads` threads. Handles live as long as the process."""

    def __init__(self, library, cell, inputs, hidden, directions, threads):
        self.library, self.has_c = library, cell == "LSTM"
        self.hidden, self.directions = hidden, directions
        self.ctx, self.rnn, self.prepared = ptr(), ptr(), None
        self.call("varlstm_ctx_create", HOST, 0, ctypes.byref(self.ctx))
        self.call("varlstm_ctx_set_i64", self.ctx, KEY_THREADS, threads)
        self.call("varlstm_rnn_create", self.ctx, CELLS[cell], inputs, hidden, 1, ctypes.byref(self.rnn))
        self.call("varlstm_rnn_set_i64", self.rnn, KEY_BIDIRECTIONAL, directions - 1)
        self.call("varlstm_rnn_set_i64", self.rnn, KEY_ADD_DPARAMS, 0)
        elements = i64()
        self.call("varlstm_rnn_param_count", self.rnn, None, ctypes.byref(elements))
        self.params = torch.zeros(elements.value)
        self.dparams = torch.zeros(elements.value)

    def call(self, name, *arguments):
        if getattr(self.library, name)(*arguments) != 0:
            raise RuntimeError(f"{name}: {self.library.varlstm_last_error().decode()}")

    def prepare(self):
        """Forward without saving finds its weights arranged from now on: the values of params may not change any more."""
        nbytes, self.prepared = i64(), ptr()
        self.call("varlstm_rnn_prepared_size", self.rnn, INFER, ctypes.byref(nbytes))
        memory = torch.empty(nbytes.value + 63, dtype=torch.uint8)
        offset = -memory.data_ptr() % 64
        self.weights = memory[offset:offset + nbytes.value]
        self.call("varlstm_rnn_prepare", self.rnn, INFER, address(self.params), address(self.weights), nbytes.value, None,
                  ctypes.byref(self.prepared))

    def batch(self, lengths):
        return Batch(self, lengths)


class Batch:
    """One batch of the layer: its plan and every buffer. `packed` of torch's PackedSequence is the layout of x and y."""

    def __init__(self, rnn, lengths):
        self.rnn = rnn
        self.handle = ptr()
        count, steps, tokens = len(lengths), max(lengths), sum(lengths)
        rnn.call("varlstm_batch_create", rnn.ctx, count, steps, tokens, ctypes.byref(self.handle))
        rnn.call("varlstm_batch_set_lengths", self.handle, (i64 * count)(*lengths), count, 0, None)
        self.workspace, self.reserve = {}, {}
        for mode in (INFER, SAVE):
            workspace, reserve = i64(), i64()
            rnn.call("varlstm_rnn_sizes", rnn.rnn, count, steps, tokens, mode, ctypes.byref(workspace),
                     ctypes.byref(reserve))
            self.workspace[mode] = torch.empty(workspace.value, dtype=torch.uint8)
            self.reserve[mode] = torch.empty(reserve.value, dtype=torch.uint8)
        self.y = torch.empty(tokens, rnn.directions * rnn.hidden)
        self.h_n = torch.empty(rnn.directions, count, rnn.hidden)
        self.c_n = torch.empty_like(self.h_n) if rnn.has_c else None
        self.dx = None

    def forward(self, x, mode=INFER):
        rnn, workspace, reserve = self.rnn, self.workspace[mode], self.reserve[mode]
        handle = rnn.rnn if rnn.prepared is None or mode == SAVE else rnn.prepared
        rnn.call("varlstm_rnn_forward", handle, self.handle, mode, 0, address(rnn.params), address(x), None, None,
                 address(self.y), address(self.h_n), address(self.c_n), address(workspace), workspace.numel(),
                 address(reserve), reserve.numel(), None)

    def forward_backward(self, x, dy):
        """Every gradient: dx of this batch, and dparams of the layer, which is written."""
        rnn, workspace, reserve = self.rnn, self.workspace[SAVE], self.reserve[SAVE]
        if self.dx is None:
            self.dx = torch.empty_like(x)
        self.forward(x, SAVE)
        rnn.call("varlstm_rnn_backward", rnn.rnn, self.handle, address(rnn.params), address(x), None, None,
                 address(self.y), address(dy), None, None, address(self.dx), None, None, address(rnn.dparams),
                 address(workspace), workspace.numel(), address(reserve), reserve.numel(), None)
