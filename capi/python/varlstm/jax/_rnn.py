"""LSTM, GRU and RNN as functions of jax."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar, Dict, Mapping, Optional, Tuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero, custom_vjp_primal_tree_values

from .._cells import CELLS
from .._declarations import Cell, Dtype, Mode
from .._dtypes import by_name
from .._library import InvalidArgumentError
from ._handlers import BACKWARD, FORWARD, Network, rnn_of, sizes

Params = Mapping[str, jax.Array]
_DTYPES = (Dtype.F32, Dtype.F64, Dtype.BF16, Dtype.F16)


# Makes an array vary over axes of jax.shard_map; None in a jax that does not tell varying arrays from others.
_vary = (functools.partial(jax.lax.pcast, to="varying") if hasattr(jax.lax, "pcast") else
         getattr(jax.lax, "pvary", None))


def _axes_of(array: Any) -> frozenset:
    """The axes of jax.shard_map that the array varies over."""
    kind = jax.typeof(array)
    return kind.mat.varying if hasattr(kind, "mat") else kind.vma


def _varying(arrays: tuple, like: tuple) -> tuple:
    """The arrays, of which an absent one is None, varying over each axis that one of `like` varies over. jax wants it of a
    call's operands and asks it of the results, as it cannot look into the call. The gradient of what did not vary before
    is then the sum over the axis."""
    if _vary is None:
        return arrays
    axes = frozenset().union(*(_axes_of(array) for array in like if array is not None))
    return tuple(array if array is None or axes <= _axes_of(array) else _vary(array, tuple(axes - _axes_of(array)))
                 for array in arrays)


def _once(target: str):
    """ffi_call of this target, whose derivative is refused in one line."""

    @functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
    def call(network, results, *operands):
        operands = _varying(operands, operands)
        given = jax.ffi.ffi_call(target, results, vmap_method="sequential")(*operands, network=network.encoded())
        return _varying(tuple(given), operands)

    @call.defjvp
    def refuse(network, results, primals, tangents):
        raise NotImplementedError("varlstm.jax: the gradient of a network cannot be differentiated again")

    return call


_call_forward, _call_backward = _once(FORWARD), _once(BACKWARD)


def _operand(array: Optional[jax.Array], dtype: Any) -> jax.Array:
    return jnp.zeros(0, dtype) if array is None else array


def _results(dtype: Any, *shapes: tuple) -> tuple:
    return tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)


def _forward(network: Network, save: bool, x, params, h0, c0, lengths, resets, seed) -> tuple:
    batch_size, steps = x.shape[:2] if network.batch_first else (x.shape[1], x.shape[0])
    rows, states = (batch_size * steps,), (network.num_layers * (1 + network.bidirectional), batch_size)
    reserve = sizes(network, batch_size, steps, Mode.SAVE).reserve_bytes if save else 0
    c_n = (*states, network.hidden_size) if CELLS[Cell(network.cell)].has_c else (0,)
    packed = [(*rows, network.input_size), (*rows, network.width)] if network.has_lengths else [(0,), (0,)]
    results = (*_results(x.dtype, (*x.shape[:2], network.width),
                         (*states, network.proj_size or network.hidden_size), c_n, *packed),
               jax.ShapeDtypeStruct((reserve,), jnp.uint8))
    return _call_forward(network, results, x, params, _operand(h0, x.dtype), _operand(c0, x.dtype),
                         _operand(lengths, jnp.int32), _operand(resets, jnp.bool_), seed)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(network: Network, x, params, h0, c0, lengths, resets, seed):
    """y, h_n and c_n; an absent array is None, an absent c_n is [0]."""
    return tuple(_forward(network, False, x, params, h0, c0, lengths, resets, seed)[:3])


def _run_and_save(network: Network, *inputs):
    x, params, h0, c0, lengths, resets, seed = custom_vjp_primal_tree_values(inputs)
    y, h_n, c_n, rows_x, rows_y, reserve = _forward(network, True, x, params, h0, c0, lengths, resets, seed)
    if not network.has_lengths:
        rows_x, rows_y = x, y
    needs_dx = () if inputs[0].perturbed else None  # a tree without arrays, which is known while backward is traced
    return (y, h_n, c_n), (rows_x, rows_y, params, h0, c0, lengths, resets, reserve, needs_dx)


def _run_backward(network: Network, saved: tuple, gradients: tuple) -> tuple:
    x, y, params, h0, c0, lengths, resets, reserve, needs_dx = saved
    dy, dh_n, dc_n = (None if isinstance(one, SymbolicZero) else one for one in gradients)
    dy = jnp.zeros(gradients[0].shape, gradients[0].dtype) if dy is None else dy
    shapes = [(0,) if needs_dx is None else (*dy.shape[:2], network.input_size), params.shape]
    shapes += [(0,) if state is None else state.shape for state in (h0, c0)]
    packed_dx = x.shape if needs_dx is not None and network.has_lengths else (0,)
    shapes += [packed_dx, y.shape if network.has_lengths else (0,)]
    dx, dparams, dh0, dc0, *_ = _call_backward(
        network, _results(dy.dtype, *shapes), x, y, params, _operand(h0, dy.dtype), _operand(c0, dy.dtype),
        _operand(lengths, jnp.int32), _operand(resets, jnp.bool_), reserve, dy,
        _operand(dh_n, dy.dtype), _operand(dc_n, dy.dtype))
    return (None if needs_dx is None else dx, dparams, None if h0 is None else dh0, None if c0 is None else dc0,
            None, None, None)


_run.defvjp(_run_and_save, _run_backward, symbolic_zeros=True)


def _expect(name: str, array: Any, shape: tuple, dtype: Any) -> jax.Array:
    array = jnp.asarray(array)
    if array.shape != shape:
        raise InvalidArgumentError(f"{name}: shape {array.shape}, wanted {shape}")
    if array.dtype != dtype:
        raise InvalidArgumentError(f"{name}: dtype {array.dtype}, wanted {jnp.dtype(dtype)}, the dtype of x")
    return array


@dataclasses.dataclass(frozen=True)
class _Rnn:
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False

    proj_size: ClassVar[int] = 0

    @property
    def _cell(self) -> Cell:
        raise NotImplementedError

    def __post_init__(self) -> None:
        rnn_of(self._network(Dtype.F32))  # which checks the options

    def _network(self, dtype: Dtype, **given: bool) -> Network:
        flags = {"has_lengths": False, "has_resets": False, "has_states": False, **given}
        dropout = 0.0 if self.dropout == 1 else self.dropout  # _dropped has that of 1, which the library does not take
        return Network(int(self._cell), self.input_size, self.hidden_size, self.num_layers, self.bias, self.batch_first,
                       dropout, self.bidirectional, self.proj_size, int(dtype), **flags)

    def shapes(self) -> Dict[str, Tuple[int, ...]]:
        """The shape of each parameter by its name, in the order of the library."""
        return {parameter.name: parameter.shape for parameter in rnn_of(self._network(Dtype.F32)).parameters}

    def init(self, key: jax.Array, dtype: Any = jnp.float32) -> Dict[str, jax.Array]:
        """New parameters, uniform in ±1/sqrt(H) as torch.nn's."""
        bound, shapes = 1 / math.sqrt(self.hidden_size), self.shapes()
        return {name: jax.random.uniform(one, shape, dtype, -bound, bound)
                for one, (name, shape) in zip(jax.random.split(key, len(shapes)), shapes.items())}

    def _flat(self, params: Params, dtype: Any) -> jax.Array:
        """All parameters as the library takes them, in one array."""
        shapes = self.shapes()
        if not isinstance(params, Mapping):
            raise InvalidArgumentError(f"params: {type(params).__name__}, wanted a dict of {', '.join(shapes)}")
        for name in (*shapes, *params):
            if (name in shapes) != (name in params):
                raise InvalidArgumentError(f"params: {'no' if name in shapes else 'an unknown'} {name!r}")
        return jnp.concatenate([_expect(f"params[{name!r}]", params[name], shape, dtype).ravel()
                                for name, shape in shapes.items()])

    def _states(self, hx: Any, batch_size: int, dtype: Any) -> tuple:
        """h0 and c0, checked; None if absent."""
        shape = (self.num_layers * (1 + self.bidirectional), batch_size)
        h_shape, c_shape = (*shape, self.proj_size or self.hidden_size), (*shape, self.hidden_size)
        if hx is None:
            return None, None
        if not CELLS[self._cell].has_c:
            return _expect("hx", hx, h_shape, dtype), None
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise InvalidArgumentError(f"hx: {type(hx).__name__}, wanted two arrays, h_0 and c_0")
        return _expect("hx[0]", hx[0], h_shape, dtype), _expect("hx[1]", hx[1], c_shape, dtype)

    def _dropped(self, params: Params, x: jax.Array, hx: Any, **given: Any) -> tuple:
        """The call with a dropout of 1: one layer after the other, of which those above the first read zeros."""
        directions, states = 1 + self.bidirectional, []
        for layer in range(self.num_layers):
            one = dataclasses.replace(self, input_size=x.shape[2], num_layers=1, dropout=0.0)
            own = {name: params[name.replace("_l0", f"_l{layer}")] for name in one.shapes()}
            y, last = one(own, x, jax.tree.map(lambda state: state[layer * directions:][:directions], hx), **given)
            states.append(last)
            x = y * 0  # as torch: NaN stays, and gradients are zeros
        return y, jax.tree.map(lambda *layers: jnp.concatenate(layers), *states)

    def __call__(self, params: Params, x: jax.Array, hx: Any = None, *, lengths: Any = None, resets: Any = None,
                 key: Optional[jax.Array] = None) -> tuple:
        x = jnp.asarray(x)
        code = by_name(x.dtype.name)
        if code not in _DTYPES:
            raise InvalidArgumentError(f"x: dtype {x.dtype}, wanted float32, float64, bfloat16 or float16")
        if x.ndim != 3 or x.shape[2] != self.input_size:
            order = "[B, T, I]" if self.batch_first else "[T, B, I]"
            raise InvalidArgumentError(f"x: shape {x.shape}, wanted {order} with I = {self.input_size}")
        batch_size = x.shape[0 if self.batch_first else 1]
        h0, c0 = self._states(hx, batch_size, x.dtype)
        if lengths is not None:
            lengths = lengths if isinstance(lengths, np.ndarray) else jnp.asarray(lengths)
            if lengths.shape != (batch_size,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
                raise InvalidArgumentError(f"lengths: {lengths.dtype}{list(lengths.shape)}, "
                                           f"wanted integers [{batch_size}]")
            # One that int32 cannot hold stays out of range.
            own, narrow = jnp.iinfo(lengths.dtype), jnp.iinfo(jnp.int32)
            lengths = jnp.asarray(lengths.clip(max(own.min, narrow.min), min(own.max, narrow.max)), jnp.int32)
        if resets is not None:
            resets = jnp.asarray(resets)
            if resets.shape != x.shape[:2] or resets.dtype != jnp.bool_:
                raise InvalidArgumentError(f"resets: {resets.dtype}{list(resets.shape)}, "
                                           f"wanted bool{list(x.shape[:2])}")
        flat = self._flat(params, x.dtype)
        if self.dropout == 1 and self.num_layers > 1 and key is not None:
            return self._dropped(params, x, hx, lengths=lengths, resets=resets)
        network = self._network(code, has_lengths=lengths is not None, has_resets=resets is not None,
                                has_states=h0 is not None)
        # The seed 0 is no dropout; a drawn one is 0 once in 2**63.
        seed = np.zeros(2, np.uint32) if key is None else jax.random.bits(key, (2,), jnp.uint32)
        inputs = x, flat, h0, c0, lengths, resets, seed
        y, h_n, c_n = _run(network, *_varying(inputs, inputs))
        return y, (h_n, c_n) if CELLS[self._cell].has_c else h_n


@dataclasses.dataclass(frozen=True)
class LSTM(_Rnn):
    """torch.nn.LSTM's network. A value that describes it, without arrays: params, x and the states are arguments.

    lstm = LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
                proj_size=0)
    params = lstm.init(key)                    a mapping with the names, shapes and order of gates of torch.nn.LSTM
    y, (h_n, c_n) = lstm(params, x)

    x        [T, B, I], or [B, T, I] with batch_first: float32, float64, bfloat16 or float16, as all other arrays
    hx       (h_0, c_0), each [L*D, B, H]; zeros if absent
    lengths  [B] integers in 0 ... T: the input after a sequence's end is not read, the output is 0 there, and h_n and c_n
             are those of its last token. They are data, no constants: other lengths compile nothing anew. One that is out
             of range is an error when the call runs
    resets   bool [T, B], or [B, T]: where one is True, the state before that token is zero, as at the end of an episode
    key      of jax.random: with it there is dropout between layers, without it there is none

    Gradients flow to params, x and hx, by reverse mode, once. vmap runs the calls one after the other. Calls run on the
    CPU.
    """

    proj_size: int = 0

    _cell: ClassVar[Cell] = Cell.LSTM


@dataclasses.dataclass(frozen=True)
class GRU(_Rnn):
    """torch.nn.GRU's network, used as LSTM is; hx is h_0 and the result (y, h_n)."""

    _cell: ClassVar[Cell] = Cell.GRU


@dataclasses.dataclass(frozen=True)
class RNN(_Rnn):
    """torch.nn.RNN's network, used as a GRU is; nonlinearity is "tanh" or "relu"."""

    nonlinearity: str = "tanh"

    @property
    def _cell(self) -> Cell:
        if self.nonlinearity not in ("tanh", "relu"):
            raise InvalidArgumentError(f"nonlinearity: {self.nonlinearity!r} is none of 'tanh', 'relu'")
        return Cell.RNN_TANH if self.nonlinearity == "tanh" else Cell.RNN_RELU
