"""libvarlstm: recurrent networks over sequences of different lengths, by ctypes over its C ABI.

    import numpy as np
    import varlstm

    with varlstm.Context("host") as context:
        batch = varlstm.Batch(context, [2, 4, 1])
        lstm = varlstm.Rnn(context, input_size=3, hidden_size=5, bidirectional=True)
        params = np.random.default_rng(0).normal(0, 0.1, lstm.elements).astype(np.float32)
        x = varlstm.pack(batch, np.ones((3, 4, 3), np.float32))                        # [N, I]
        y, h_n, c_n, reserve = lstm.forward(batch, params, x, mode="save")             # [N, D*H], [L*D, B, H] twice
        gradients = lstm.backward(batch, params, x, y, reserve, dy=np.ones_like(y))
        padded = varlstm.unpack(batch, y)                                              # [B, T, D*H]

Rnn(..., cell="gru") is a GRU; "rnn_tanh" and "rnn_relu" are plain networks, and "gru_reset_before" is a GRU whose reset
gate acts before the product. They have no cell state: c_n is None.
Functions and arguments have the names of varlstm.h, which documents what they compute; the docstrings give the shapes.
Arguments are dense arrays of any library that has the buffer protocol, DLPack or the CUDA array interface. They are in
the memory of the context's device; on CUDA Context.array copies from the host. Results are NumPy arrays on the host and
DeviceArrays on CUDA, unless the caller gives arrays to write to. A status other than OK is raised as a subclass
of varlstm.Error.
"""
# SPDX-License-Identifier: Apache-2.0
from ._batch import Batch
from ._context import Context, DeviceStatus, device_count
from ._conv_max import ConvMaxGradients, ConvMaxResult, conv_max_backward, conv_max_forward
from ._declarations import (Activation, Backend, BatchArray, Cell, DeviceStatusBit, Dtype, EmptyMean, Layout, Math,
                            Mode, Op, ParamFormat, Recurrence, RecurrentDropout, Reduction, Rows, Status)
from ._device_array import DeviceArray, Memory
from ._library import (BackendError, BufferTooSmallError, DeadContextError, Error, InvalidArgumentError,
                       InvalidHandleError, LibraryError, OutOfMemoryError, UnsupportedError, build_info, status_name,
                       version)
from ._loss import CrossEntropyResult, LinearCrossEntropyResult, Loss, NllResult
from ._operations import (LinearGradients, convert, copy_columns, dropout_backward, dropout_forward, embedding_backward,
                          embedding_forward, linear_backward, linear_forward, log_softmax_backward, log_softmax_forward)
from ._optimizers import adam_step, clip_grad_norm, grad_norm, sgd_step
from ._packing import pack, pack_backward, unpack, unpack_backward
from ._rnn import ForwardResult, ForwardResultWithC, Gradients, Parameter, Rnn, Sizes
from ._rows import (AdamTable, RowGradients, adam_rows_catch_up, adam_rows_step, embedding_backward_rows,
                    sgd_rows_step)

__version__ = version()
