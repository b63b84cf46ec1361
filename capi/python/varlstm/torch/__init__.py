"""PyTorch's networks, cells, packing and losses by this library: «from varlstm.torch import LSTM» replaces torch's.

LSTM, GRU, RNN                                   torch.nn's, over lengths too; from_torch() and to_torch()
LayerNormLSTM, LayerNormGRU                      the same with layer normalisation, which torch.nn does not have
prepared_weights                                 a context whose calls find their weights arranged
LSTMCell, GRUCell, RNNCell                       torch.nn's for one step; from_torch() and to_torch()
CharCnn, conv_max                                word vectors from characters; the convolution with maximum
replace_rnn                                      replaces each of these of torch.nn in a model
replace_lstm                                     replaces every torch.nn.LSTM alone
patch                                            the same for models that other code makes
pack_padded_sequence, pad_packed_sequence,
pack_sequence                                    torch.nn.utils.rnn's, for length 0 too
cross_entropy, nll_loss, log_softmax             torch.nn.functional's
linear_cross_entropy                             the last layer and its loss in one, without the logits of all rows

Tensors are on the CPU, or on a GPU if the library was built with its CUDA back end; calls then run on torch's current
stream. From torch 2.4 on torch.compile compiles these functions without a graph break if lengths are a tensor given
together with a padded input. The sizes of a PackedSequence are data, which it cannot compile.
"""
# SPDX-License-Identifier: Apache-2.0
from .cells import GRUCell, LSTMCell, RNNCell
from .char_cnn import CharCnn, conv_max
from .functional import cross_entropy, linear_cross_entropy, log_softmax, nll_loss
from .gru import GRU, RNN
from .layer_norm import LayerNormGRU, LayerNormLSTM
from .lstm import LSTM
from .packing import pack_padded_sequence, pack_sequence, pad_packed_sequence
from .prepared import prepared_weights
from .replace import patch, replace_lstm, replace_rnn

__all__ = ["CharCnn", "GRU", "GRUCell", "LSTM", "LSTMCell", "LayerNormGRU", "LayerNormLSTM", "RNN", "RNNCell", "conv_max",
           "cross_entropy", "linear_cross_entropy", "log_softmax", "nll_loss", "pack_padded_sequence", "pack_sequence",
           "pad_packed_sequence", "patch", "prepared_weights", "replace_lstm", "replace_rnn"]
