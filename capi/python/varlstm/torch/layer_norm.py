"""LayerNormLSTM and LayerNormGRU: an LSTM and a GRU whose products are normalised, which torch.nn does not have."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from .gru import GRU
from .lstm import LSTM


class _LayerNorm:
    """What both add to their base: the gains, and the bias of an LSTM's c. A parameter's name and place are those of the
    library's flat buffer."""

    _layer_norm = True

    def _add_norms(self, device, dtype) -> None:
        rows = self.weight_hh_l0.size(0)
        sizes = {"norm_ih": rows, "norm_hh": rows}
        if self.mode == "LSTM":
            sizes.update(norm_c=self.hidden_size, norm_c_bias=self.hidden_size)
        weights, names = dict(self._parameters), []
        for each in self._all_weights:
            place = each[0][len("weight_ih"):]
            each.extend(kind + place for kind in sizes)
            names.extend(each)
        self._parameters.clear()  # and in the order of the flat buffer again
        self._flat_weights_names, self._flat_weights = [], []
        for name in names:
            kind = name[:name.rindex("_l")]
            parameter = weights.get(name)
            if parameter is None:
                parameter = torch.nn.Parameter(torch.empty(sizes[kind], device=device, dtype=dtype))
            setattr(self, name, parameter)
        self._flat_weights_names, self._flat_weights = names, [getattr(self, name) for name in names]
        self._reset_norms()
        if hasattr(self, "_init_flat_weights"):  # from torch 2.2 on, for what else it keeps of them
            self._init_flat_weights()
        self.flatten_parameters()

    def _reset_norms(self) -> None:
        for name, parameter in self._parameters.items():
            if name.startswith("norm_"):
                torch.nn.init.constant_(parameter, 0.0 if name.startswith("norm_c_bias") else 1.0)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self._reset_norms()

    @classmethod
    def from_torch(cls, module: torch.nn.RNNBase) -> torch.nn.RNNBase:
        raise ValueError(f"torch.nn has no module with layer normalisation to make a {cls.__name__} from")

    def _check_export(self) -> None:
        raise ValueError(f"torch.nn has no {self.mode} with layer normalisation, which {type(self).__name__} is")


class LayerNormLSTM(_LayerNorm, LSTM):
    """An LSTM with layer normalisation, in haste's form. Arguments, inputs, results and options are those of
    varlstm.torch.LSTM. With LN over all 4H rows of a product, and over the H units of c':

        i, f, g, o = the gates of LN(W_ih x) * norm_ih + b_ih + LN(W_hh h) * norm_hh + b_hh
        c' = f * c + i * g                    h' = o * tanh(LN(c') * norm_c + norm_c_bias)

    LN(v) = (v - mean) / sqrt(var + 1e-5), the variance without Bessel's correction. Each layer and direction has the
    parameters of torch.nn.LSTM and norm_ih_l0 [4H], norm_hh_l0 [4H], norm_c_l0 [H], which begin as ones, and
    norm_c_bias_l0 [H], which begins as zeros.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device=None, dtype=None, *, cell_clip: float = 0.0, projection_clip: float = 0.0,
                 recurrent_dropout: float = 0.0, recurrent_dropout_kind: str = "weights", zoneout_h: float = 0.0,
                 zoneout_c: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
                         device, dtype, cell_clip=cell_clip, projection_clip=projection_clip,
                         recurrent_dropout=recurrent_dropout, recurrent_dropout_kind=recurrent_dropout_kind,
                         zoneout_h=zoneout_h, zoneout_c=zoneout_c)
        self._add_norms(device, dtype)


class LayerNormGRU(_LayerNorm, GRU):
    """A GRU with layer normalisation, in haste's form, whose reset gate acts after the product. Arguments, inputs, results
    and options are those of varlstm.torch.GRU. With LN over all 3H rows of a product:

        W_ir x, W_iz x, W_in x = the gates of LN(W_ih x) * norm_ih, and W_hr h, W_hz h, W_hn h those of
        LN(W_hh h) * norm_hh, in the formulas of torch.nn.GRU

    LN(v) = (v - mean) / sqrt(var + 1e-5), the variance without Bessel's correction. Each layer and direction has the
    parameters of torch.nn.GRU and norm_ih_l0 [3H] and norm_hh_l0 [3H], which begin as ones.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device=None,
                 dtype=None, *, recurrent_dropout: float = 0.0, recurrent_dropout_kind: str = "weights",
                 zoneout_h: float = 0.0, proj_size=None) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype,
                         recurrent_dropout=recurrent_dropout, recurrent_dropout_kind=recurrent_dropout_kind,
                         zoneout_h=zoneout_h, proj_size=proj_size)
        self._add_norms(device, dtype)
