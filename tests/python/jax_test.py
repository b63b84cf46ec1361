"""varlstm.jax against PyTorch's golden numbers and loops of jax.lax.scan, under jit, vmap and threads; its errors."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import dataclasses
import functools
import operator
import os
import pathlib
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

# Most of the time goes to compiling small programs. Two devices are for shard_map.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
                      "--xla_force_host_platform_device_count=2")
jax = pytest.importorskip("jax")
if not hasattr(jax, "ffi"):
    pytest.skip("this jax has no jax.ffi", allow_module_level=True)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402

import varlstm  # noqa: E402
from golden import read_golden  # noqa: E402
from varlstm.jax import GRU, LSTM, RNN, _xla, from_flax  # noqa: E402

KINDS = {"lstm": LSTM, "gru": GRU, "rnn_tanh": RNN, "rnn_relu": functools.partial(RNN, nonlinearity="relu")}
CASES = {f"{file}_{name}": (cell, case) for file, cell in {
    "bindings": "lstm", "lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn_tanh", "rnn_relu": "rnn_relu",
    "projected_lstm": "lstm"}.items() for name, case in read_golden(f"{file}.txt").items()}


def states_of(result) -> tuple:
    return result if isinstance(result, tuple) else (result,)


# Every other case with batch_first: each compiles programs of its own, which takes longer than the case.
@pytest.mark.parametrize("name, batch_first", [(name, index % 2 == 0) for index, name in enumerate(CASES)
                                               if index % 3 == 0])
def test_pytorchs_outputs_and_gradients(context, name: str, batch_first: bool) -> None:
    cell, case = CASES[name]
    input_size, hidden_size, layers, bidirectional, bias, *projection = case["shape"].tolist()
    rnn = KINDS[cell](input_size, hidden_size, layers, bool(bias), batch_first, bidirectional=bool(bidirectional),
                      **({"proj_size": projection[0]} if projection else {}))
    batch, layout = varlstm.Batch(context, case["lengths"]), "batch_first" if batch_first else "time_major"
    params = {key: case[key] for key in rnn.shapes()}
    states = [case[key] for key in ("h0", "c0") if key in case and (key == "h0" or cell == "lstm")]
    # Padding that is not read, in the input and in the incoming gradient.
    x, dy = (varlstm.unpack(batch, case[key], layout, padded_len=6, pad_value=np.nan) for key in ("x", "dy"))

    def run(params, x, *states):
        hx = None if not states else states if cell == "lstm" else states[0]
        y, last = rnn(params, x, hx, lengths=case["lengths"])
        return y, *states_of(last)

    results, pullback = jax.vjp(jax.jit(run), params, x, *states)
    expected = [varlstm.unpack(batch, case["y"], layout, padded_len=6)]
    expected += [case[key] for key in ("h_n", "c_n")[:len(results) - 1]]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), list(results), expected)
    dparams, dx, *dstates = pullback((dy, case["dh_n"], *([case["dc_n"]] if cell == "lstm" else [])))
    for key in rnn.shapes():
        np.testing.assert_allclose(dparams[key], case["d" + key], rtol=1e-12, atol=1e-12, err_msg=key)
    np.testing.assert_allclose(dx, varlstm.unpack(batch, case["dx"], layout, padded_len=6), rtol=1e-12, atol=1e-12)
    for actual, key in zip(dstates, ("dh0", "dc0")):
        np.testing.assert_allclose(actual, case[key], rtol=1e-12, atol=1e-12, err_msg=key)


def test_fifty_steps_of_the_tutorials_network_are_pytorchs() -> None:
    golden = read_golden("tutorial.txt")["tutorial"]
    lengths, lstm = golden["lengths"], LSTM(3, 20, batch_first=True)
    words, tags = (jnp.asarray(golden[key].reshape(len(lengths), -1)) for key in ("x", "y"))
    names = ["embedding.weight", "linear.weight", "linear.bias", *(f"lstm.{name}" for name in lstm.shapes())]

    def loss(params):
        own = {name: params[f"lstm.{name}"] for name in lstm.shapes()}
        table = params["embedding.weight"].at[0].set(jax.lax.stop_gradient(params["embedding.weight"][0]))
        y, _ = lstm(own, table[words], (golden["h0"], golden["c0"]), lengths=lengths)
        log_probs = jax.nn.log_softmax(y @ params["linear.weight"].T + params["linear.bias"])
        picked = jnp.take_along_axis(log_probs, tags[..., None], 2)[..., 0]
        return -jnp.where(tags > 0, picked, 0).sum() / (tags > 0).sum()

    @jax.jit
    def step(params):
        value, gradients = jax.value_and_grad(loss)(params)
        return value, gradients, {name: params[name] - golden["lr"][0] * gradients[name] for name in names}

    params = {name: jnp.asarray(golden[name]) for name in names}
    losses = []
    for _ in range(50):
        value, gradients, updated = step(params)
        if not losses:
            for name in names:
                np.testing.assert_allclose(gradients[name], golden["d" + name], rtol=1e-6, atol=1e-12, err_msg=name)
        losses.append(float(value))
        params = updated
    np.testing.assert_allclose(losses, golden["losses"], rtol=1e-6)
    for name in names:
        np.testing.assert_allclose(params[name], golden["final_" + name], rtol=1e-6, atol=1e-12, err_msg=name)


def cell_step(cell: str, weights, x, state):
    w_ih, w_hh, b_ih, b_hh = weights
    of_x, of_h = x @ w_ih.T + b_ih, state[0] @ w_hh.T + b_hh
    if cell == "lstm":
        i, f, g, o = jnp.split(of_x + of_h, 4, axis=1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    if cell == "gru":
        (r_x, z_x, n_x), (r_h, z_h, n_h) = jnp.split(of_x, 3, axis=1), jnp.split(of_h, 3, axis=1)
        z, n = jax.nn.sigmoid(z_x + z_h), jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h)
        return ((1 - z) * n + z * state[0],)
    return (jnp.tanh(of_x + of_h) if cell == "rnn_tanh" else jax.nn.relu(of_x + of_h),)


def scanned(cell: str, params: dict, x, states: tuple, lengths, resets=None) -> tuple:
    """The same network by jax.lax.scan: y [T, B, D*H] and the last states. Resets are for one direction alone."""
    steps, last = jnp.arange(x.shape[0]), []
    resets = jnp.zeros(x.shape[:2], bool) if resets is None else resets
    directions = ("", "_reverse") if "weight_ih_l0_reverse" in params else ("",)
    for place in range(states[0].shape[0]):
        layer, direction = divmod(place, len(directions))
        names = [f"{kind}_l{layer}{directions[direction]}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

        def advance(state, at):
            x_t, t, reset = at
            before = tuple(jnp.where(reset[:, None], 0, one) for one in state)
            new = cell_step(cell, [params[name] for name in names], x_t, before)
            inside = (t < lengths)[:, None]
            state = tuple(jnp.where(inside, a, b) for a, b in zip(new, state))
            return state, jnp.where(inside, state[0], 0)

        if direction == 0:
            outputs = []
        state, y = jax.lax.scan(advance, tuple(one[place] for one in states), (x, steps, resets), reverse=direction == 1)
        outputs.append(y)
        last.append(state)
        if direction == len(directions) - 1:
            x = jnp.concatenate(outputs, 2)
    return x, *(jnp.stack(one) for one in zip(*last))


def example(cell: str, dtype, bidirectional: bool = True, layers: int = 2) -> tuple:
    """The network, its parameters, x [5, 4, 3], the states and lengths that are not sorted."""
    rnn = KINDS[cell](3, 6, layers, bidirectional=bidirectional)
    params = rnn.init(jax.random.key(1), dtype)
    x = jax.random.normal(jax.random.key(2), (5, 4, 3), dtype)
    states = tuple(jax.random.normal(jax.random.key(3 + i), (layers * (1 + bidirectional), 4, 6), dtype)
                   for i in range(2 if cell == "lstm" else 1))
    return rnn, params, x, states, jnp.array([3, 0, 5, 2])


def weighed(results: tuple) -> jax.Array:
    """A number that depends on every element of the results."""
    return sum((jnp.cos(jnp.arange(one.size)).reshape(one.shape).astype(one.dtype) * one).sum() for one in results)


@pytest.mark.parametrize("cell, given", [(cell, "all") for cell in KINDS] + [
    ("lstm", "lengths"), ("gru", "states"), ("lstm", "resets"), ("rnn_tanh", "none")])
def test_gradients_of_a_scan(cell: str, given: str) -> None:
    rnn, params, x, states, lengths = example(cell, jnp.float64, bidirectional=given not in ("all", "resets"))
    lengths = lengths if given in ("all", "lengths") else None
    resets = jax.random.bernoulli(jax.random.key(9), 0.4, (5, 4)) if given in ("all", "resets") else None
    zeros = jax.tree.map(jnp.zeros_like, states)
    has_states = given in ("all", "states")

    def ours(params, x, states):
        hx = (states if cell == "lstm" else states[0]) if has_states else None
        y, last = rnn(params, x, hx, lengths=lengths, resets=resets)
        return weighed((y, *states_of(last)))

    def theirs(params, x, states):
        full = jnp.full(4, 5) if lengths is None else lengths
        return weighed(scanned(cell, params, x, states if has_states else zeros, full, resets))

    actual, expected = (jax.jit(jax.value_and_grad(f, argnums=(0, 1, 2)))(params, x, states) for f in (ours, theirs))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-12), actual, expected)
    assert all(bool(jnp.any(gradient)) for gradient in jax.tree.leaves(actual[1][:2]))


@pytest.mark.parametrize("with_lengths", [False, True])
def test_gradients_that_are_not_wanted(with_lengths: bool) -> None:
    """Of x alone, of the parameters alone, and of a result alone: the bits of those of all together."""
    rnn, params, x, states, lengths = example("lstm", jnp.float64)
    lengths = lengths if with_lengths else None

    def loss(params, x, states, weights):
        y, (h_n, c_n) = rnn(params, x, states, lengths=lengths)
        return sum(weight * one.sum() for weight, one in zip(weights, (y, h_n, c_n)) if weight is not None)

    whole = jax.grad(loss, argnums=(0, 1, 2))(params, x, states, (1.0, 1.0, 1.0))
    for place in range(3):
        alone = jax.grad(loss, argnums=place)(params, x, states, (1.0, 1.0, 1.0))
        jax.tree.map(np.testing.assert_array_equal, alone, whole[place])
        weights = [None, None, None]
        weights[place] = 1.0
        only = jax.grad(loss, argnums=(0, 1, 2))(params, x, states, weights)
        zeros = jax.grad(loss, argnums=(0, 1, 2))(params, x, states, [weight or jnp.float64(0) for weight in weights])
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15), only, zeros)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("bfloat16", 0.06), ("float16", 0.01)])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_narrower_types(cell: str, dtype: str, tolerance: float) -> None:
    rnn, params, x, _, lengths = example(cell, jnp.float64)
    narrow = jax.tree.map(lambda one: one.astype(dtype), (params, x))
    wide = jax.tree.map(lambda one: one.astype(jnp.float64), narrow)

    def loss(params, x):
        return jnp.square(rnn(params, x, lengths=lengths)[0].astype(jnp.float64)).sum()

    actual, expected = (jax.grad(loss, argnums=(0, 1))(*given) for given in (narrow, wide))
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected)):
        assert one.dtype == dtype
        np.testing.assert_allclose(one.astype(jnp.float64), other, rtol=tolerance,
                                   atol=tolerance * float(jnp.abs(other).max()))


def test_parameters_are_any_mapping() -> None:
    rnn, params, x, _, _ = example("gru", jnp.float64)
    np.testing.assert_array_equal(rnn(types.MappingProxyType(params), x)[0], rnn(params, x)[0])
    core = pytest.importorskip("flax.core")
    frozen = core.freeze(params)
    gradients = jax.jit(jax.grad(lambda params: rnn(params, x)[0].sum()))(frozen)
    assert isinstance(gradients, core.FrozenDict) and set(gradients) == set(params)


def test_parameters_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(3, 6, num_layers=2, bidirectional=True).double()
    gru = GRU(3, 6, 2, bidirectional=True)
    params = {name: jnp.asarray(tensor.numpy()) for name, tensor in module.state_dict().items()}
    assert gru.shapes() == {name: array.shape for name, array in params.items()}
    x = np.linspace(-1, 1, 60).reshape(5, 4, 3)
    expected = module(torch.from_numpy(x))
    for actual, wanted in zip(gru(params, x), expected):
        np.testing.assert_allclose(actual, wanted.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell, bidirectional", [("OptimizedLSTMCell", True), ("GRUCell", False), ("SimpleCell", False)])
def test_flaxs_cells(cell: str, bidirectional: bool) -> None:
    linen = pytest.importorskip("flax.linen")
    x, lengths = jax.random.normal(jax.random.key(0), (4, 5, 3), jnp.float32), jnp.array([3, 1, 5, 2])
    expected, cells = x, []
    for layer in range(2):
        outputs = []
        for reverse in (False, True)[:1 + bidirectional]:
            rnn = linen.RNN(getattr(linen, cell)(6), reverse=reverse, keep_order=reverse)
            variables = rnn.init(jax.random.key(2 * layer + reverse), expected, seq_lengths=lengths)
            cells.append(variables["params"]["cell"])
            outputs.append(rnn.apply(variables, expected, seq_lengths=lengths))
        expected = jnp.concatenate(outputs, 2)
    kind = {"GRUCell": GRU, "SimpleCell": RNN}.get(cell, LSTM)
    network = kind(3, 6, 2, batch_first=True, bidirectional=bidirectional)
    y, _ = network(from_flax(*cells, bidirectional=bidirectional), x, lengths=lengths)
    inside = np.arange(5) < np.asarray(lengths)[:, None]
    np.testing.assert_allclose(y[inside], expected[inside], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell, bidirectional", [("LSTMCell", False), ("OptimizedLSTMCell", True), ("GRUCell", True),
                                                 ("SimpleCell", False)])
def test_flax_nnxs_cells(cell: str, bidirectional: bool) -> None:
    nnx = pytest.importorskip("flax.nnx")
    x, lengths, rngs = jax.random.normal(jax.random.key(0), (4, 5, 3), jnp.float32), jnp.array([3, 1, 5, 2]), nnx.Rngs(1)
    expected, cells = x, []
    for _ in range(2):
        outputs = []
        for reverse in (False, True)[:1 + bidirectional]:
            one = getattr(nnx, cell)(expected.shape[2], 6, rngs=rngs, bias_init=nnx.initializers.normal())
            cells.append(nnx.state(one, nnx.Param))
            outputs.append(nnx.RNN(one, reverse=reverse, keep_order=reverse, rngs=rngs)(expected, seq_lengths=lengths))
        expected = jnp.concatenate(outputs, 2)
    kind = {"GRUCell": GRU, "SimpleCell": RNN}.get(cell, LSTM)
    network = kind(3, 6, 2, batch_first=True, bidirectional=bidirectional)
    y, _ = network(from_flax(*cells, bidirectional=bidirectional), x, lengths=lengths)
    inside = np.arange(5) < np.asarray(lengths)[:, None]
    np.testing.assert_allclose(y[inside], expected[inside], rtol=1e-5, atol=1e-6)


def test_from_flax_refuses_what_it_does_not_know() -> None:
    for cell, given in (({"ii": 0}, "ii"), ([1], "list")):
        with pytest.raises(varlstm.InvalidArgumentError, match=rf"^cells\[0\]: {given}, wanted the parameters of flax"):
            from_flax(cell)


def test_vmap_runs_the_calls_one_after_the_other() -> None:
    rnn, params, x, _, _ = example("lstm", jnp.float64)
    many_x, many_lengths = jnp.stack([x, -x, 2 * x]), jnp.array([[3, 0, 5, 2], [5, 5, 5, 5], [1, 2, 3, 4]])

    def loss(params, x, lengths):
        return jnp.square(rnn(params, x, lengths=lengths)[0]).sum()

    actual = jax.vmap(jax.grad(loss), (None, 0, 0))(params, many_x, many_lengths)
    for index in range(3):
        expected = jax.grad(loss)(params, many_x[index], many_lengths[index])
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda one: one[index], actual), expected)


def test_under_checkpoint_and_in_a_scan() -> None:
    rnn, params, x, _, lengths = example("gru", jnp.float64)
    xs = jnp.stack([x, -x])

    def loss(params, wrap):
        def body(total, x):
            return total + wrap(lambda p: jnp.square(rnn(p, x, lengths=lengths)[0]).sum())(params), None
        return jax.lax.scan(body, 0.0, xs)[0]

    plain, again = (jax.jit(jax.grad(functools.partial(loss, wrap=wrap)))(params) for wrap in (lambda f: f, jax.checkpoint))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15), again, plain)
    alone = [jax.grad(lambda p: jnp.square(rnn(p, x, lengths=lengths)[0]).sum())(params) for x in xs]
    jax.tree.map(lambda a, b, c: np.testing.assert_allclose(a, b + c, rtol=1e-12, atol=1e-14), plain, *alone)


@pytest.mark.skipif(not hasattr(jax, "shard_map") or len(jax.devices()) < 2, reason="no jax.shard_map, or one device")
@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("given", ["all", "states", "none"])
def test_under_shard_map(check_vma: bool, given: str) -> None:
    """The parameters are on both devices, of the sequences each has a half: the gradient is the sum over the devices."""
    rnn, params, x, states, lengths = example("lstm", jnp.float64)
    states, lengths = states if given != "none" else None, lengths if given == "all" else None
    spec = jax.sharding.PartitionSpec
    mesh, of_b = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("b",)), spec(None, "b")

    def run(params, x, states, lengths):
        y, last = rnn(params, x, states, lengths=lengths)
        return y, *last

    wanted = (0, 1, 2) if given != "none" else 0  # of the parameters alone, jax itself would not notice a missing sum
    sharded = jax.shard_map(run, mesh=mesh, in_specs=(spec(), of_b, of_b, spec("b")), out_specs=of_b, check_vma=check_vma)
    whole, halves = (jax.jit(jax.grad(lambda *inputs: weighed(f(*inputs, lengths)), wanted))(params, x, states)
                     for f in (run, sharded))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-12), halves, whole)


def test_other_lengths_compile_nothing_anew() -> None:
    rnn, params, x, _, _ = example("lstm", jnp.float64)
    traces = []

    @jax.jit
    def run(lengths):
        traces.append(lengths)
        return rnn(params, x, lengths=lengths)[0]

    for lengths in ([5, 5, 5, 5], [1, 0, 2, 3], [0, 0, 0, 0]):
        y = np.asarray(run(jnp.array(lengths)))
        for b, length in enumerate(lengths):
            assert y[:length, b].all() and not y[length:, b].any()
    assert len(traces) == 1


def test_dropout_is_of_the_key_and_its_gradient_is_of_its_mask() -> None:
    lstm = LSTM(3, 6, 2, dropout=0.5)
    params = lstm.init(jax.random.key(1), jnp.float64)
    x = jax.random.normal(jax.random.key(2), (5, 4, 3), jnp.float64)

    def loss(x, key):
        return weighed((lstm(params, x, key=key)[0],))

    first, same, other = (float(loss(x, jax.random.key(seed))) for seed in (0, 0, 1))
    assert first == same and first != other and first != float(loss(x, None))
    key, direction, epsilon = jax.random.key(0), jnp.cos(jnp.arange(x.size)).reshape(x.shape), 1e-6
    slope = (loss(x + epsilon * direction, key) - loss(x - epsilon * direction, key)) / (2 * epsilon)
    np.testing.assert_allclose((jax.grad(loss)(x, key) * direction).sum(), slope, rtol=1e-6)


def test_a_dropout_of_one() -> None:
    """The layers above the first read zeros; without a key there is no dropout."""
    rnn, params, x, states, lengths = example("lstm", jnp.float64)
    dropping = dataclasses.replace(rnn, dropout=1.0)

    def run(rnn, params, x, **options):
        y, last = rnn(params, x, states, lengths=lengths, **options)
        return y, *last

    def expected(params, x):
        without = {name: part * 0 if name.startswith("weight_ih_l1") else part for name, part in params.items()}
        return run(rnn, without, x)

    results, pullback = jax.vjp(lambda *given: run(dropping, *given, key=jax.random.key(0)), params, x)
    wanted, wanted_pullback = jax.vjp(expected, params, x)
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)
    jax.tree.map(assert_close, results, wanted)
    jax.tree.map(assert_close, pullback(results), wanted_pullback(results))
    jax.tree.map(np.testing.assert_array_equal, run(dropping, params, x), run(rnn, params, x))


@pytest.mark.parametrize("shape", [(0, 4, 3), (5, 0, 3)])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_nothing_to_do(shape: tuple, with_lengths: bool) -> None:
    lstm = LSTM(3, 6)
    params, x = lstm.init(jax.random.key(0)), jnp.zeros(shape, jnp.float32)
    lengths = jnp.zeros(shape[1], int) if with_lengths else None
    y, (h_n, c_n) = lstm(params, x, lengths=lengths)
    assert y.shape == (*shape[:2], 6) and h_n.shape == c_n.shape == (1, shape[1], 6) and not h_n.any()
    gradients = jax.grad(lambda p: lstm(p, x, lengths=lengths)[0].sum())(params)
    assert not any(one.any() for one in gradients.values())


def test_several_threads() -> None:
    rnn, params, x, _, _ = example("lstm", jnp.float64)
    run = jax.jit(jax.grad(lambda params, x, lengths: jnp.square(rnn(params, x, lengths=lengths)[0]).sum()))
    lengths = [jnp.array([5, k % 5, 3, 0]) for k in range(4)]
    expected = [run(params, x, one) for one in lengths]
    failures = []

    def work(index: int) -> None:
        for _ in range(20):
            for a, b in zip(jax.tree.leaves(run(params, x, lengths[index])), jax.tree.leaves(expected[index])):
                if not np.array_equal(a, b):
                    failures.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


INTERRUPTED = """
import signal
import jax
import numpy as np
from varlstm.jax import _xla

_xla.register("interrupted", lambda *given: signal.raise_signal(signal.SIGINT))
call = jax.jit(lambda x: jax.ffi.ffi_call("interrupted", jax.ShapeDtypeStruct(x.shape, x.dtype))(x, network=np.zeros(1)))
for _ in range(3):
    try:
        jax.block_until_ready(call(np.zeros(2, np.float32)))
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
"""


def test_an_interrupt_in_a_call_is_a_keyboard_interrupt() -> None:
    """In a process of its own, which an interrupt that comes late ends."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], env={**os.environ, "JAX_PLATFORMS": "cpu"}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, 3 * "KeyboardInterrupt\n"), done.stderr


@pytest.mark.skipif(not hasattr(operator, "call"), reason="Python before 3.11 cannot call a handler between two instructions")
def test_an_interrupt_that_waits_when_a_call_comes_in() -> None:
    """The signal is raised and the handler called by functions in C, as when the signal comes while XLA computes."""
    texts, ran, results = [], [], []

    @ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_xla._ErrorArgs))
    def create_error(arguments):
        texts.append(arguments.contents.message)
        return 4711

    _xla.register("waiting", lambda *given: ran.append(given))
    handler = _xla._registered[-1]
    api, attribute = _xla._Api(), _xla._Array()
    api.XLA_FFI_Error_Create = ctypes.cast(create_error, ctypes.c_void_p)
    frame = _xla._CallFrame(api=ctypes.pointer(api), stage=_xla._EXECUTE)
    frame.attrs.attrs = ctypes.pointer(ctypes.pointer(attribute))
    calls = [functools.partial(getattr(ctypes.CDLL(None), "raise"), int(signal.SIGINT)),
             functools.partial(handler, ctypes.pointer(frame))]
    with pytest.raises(KeyboardInterrupt):
        results.extend(map(operator.call, calls))
        time.sleep(1)  # where the interrupt comes again
    assert (results, ran, texts) == ([0, 4711], [], [b"KeyboardInterrupt()"])
    assert handler(ctypes.pointer(frame)) is None and len(ran) == 1


def test_what_cannot_be_differentiated() -> None:
    rnn, params, x, _, _ = example("lstm", jnp.float64)
    loss = lambda x: jnp.square(rnn(params, x)[0]).sum()  # noqa: E731
    with pytest.raises(NotImplementedError, match="^varlstm.jax: the gradient of a network cannot be differentiated again"):
        jax.grad(lambda x: jax.grad(loss)(x).sum())(x)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(loss, (x,), (x,))


X, LENGTHS = np.zeros((5, 4, 3), np.float32), np.array([5, 4, 3, 2])


@pytest.mark.parametrize("make, text", [
    (lambda: LSTM(0, 6), "input_size = 0"),
    (lambda: LSTM(3, 6, proj_size=6), "proj_size"),
    (lambda: GRU(3, 6, dropout=1.5), "dropout: .*1.5"),
    (lambda: RNN(3, 6, nonlinearity="elu"), "nonlinearity: 'elu' is none of 'tanh', 'relu'")])
def test_bad_options(make, text: str) -> None:
    with pytest.raises(varlstm.InvalidArgumentError, match=text):
        make()


@pytest.mark.parametrize("change, text", [
    ({"x": X[0]}, r"x: shape \(4, 3\), wanted \[T, B, I\] with I = 3"),
    ({"x": X.astype(int)}, "x: dtype int64, wanted float32"),
    ({"x": X.astype(np.float64)}, r"params\['weight_ih_l0'\]: dtype float32, wanted float64, the dtype of x"),
    ({"params": [1]}, "params: list, wanted a dict of weight_ih_l0, "),
    ({"params": {}}, "params: no 'weight_ih_l0'"),
    ({"more": 1}, "params: an unknown 'more'"),
    ({"weight_hh_l0": np.zeros((24, 5), np.float32)}, r"params\['weight_hh_l0'\]: shape \(24, 5\), wanted \(24, 6\)"),
    ({"hx": X}, "hx: ndarray, wanted two arrays"),
    ({"hx": (X, X)}, r"hx\[0\]: shape \(5, 4, 3\), wanted \(1, 4, 6\)"),
    ({"lengths": LENGTHS[:3]}, r"lengths: int64\[3\], wanted integers \[4\]"),
    ({"lengths": LENGTHS * 1.0}, r"lengths: float64\[4\], wanted integers \[4\]"),
    ({"resets": X[..., 0]}, r"resets: float32\[5, 4\], wanted bool\[5, 4\]")])
def test_bad_arguments(change: dict, text: str) -> None:
    lstm = LSTM(3, 6)
    params = lstm.init(jax.random.key(0))
    given = {name: value for name, value in change.items() if name in ("hx", "lengths", "resets")}
    params.update((name, value) for name, value in change.items() if name not in ("x", "params", *given))
    with pytest.raises(varlstm.InvalidArgumentError, match=text):
        lstm(change.get("params", params), change.get("x", X), **given)


@pytest.mark.parametrize("lengths, text", [([5, 4, 6, 2], r"lengths\[2\] = 6 is larger than max_len = 5"),
                                           ([5, -4, 3, 2], r"lengths\[1\] = -4"),
                                           ([2**32 + 3, 4, 3, 2], r"lengths\[0\] = 2147483647 is larger"),
                                           ([5, 4, 3, -2**32 + 2], r"lengths\[3\] = -2147483648")])
def test_lengths_out_of_range(lengths: list, text: str) -> None:
    lstm = LSTM(3, 6)
    run = jax.jit(lambda lengths: lstm(lstm.init(jax.random.key(0)), X, lengths=lengths))
    with pytest.raises(Exception, match=text):  # jax's own, of another class in each version
        jax.block_until_ready(run(jnp.array(lengths)))
    assert jax.block_until_ready(run(jnp.array(LENGTHS)))[0].shape == (5, 4, 6)  # the next call is as before


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint32", "uint64"])
def test_lengths_of_any_integers(dtype: str) -> None:
    gru, x = GRU(3, 6), np.ones((300, 4, 3), np.float32)
    params, lengths = gru.init(jax.random.key(0)), np.array([127, 0, 3, 2])
    expected = gru(params, x, lengths=lengths)[1]
    for given in (lengths.astype(dtype), jnp.array(lengths, dtype)):
        np.testing.assert_array_equal(gru(params, x, lengths=given)[1], expected)


def test_the_example_learns() -> None:
    examples = pathlib.Path(__file__).resolve().parents[2] / "capi" / "python" / "examples"
    program = runpy.run_path(str(examples / "rollouts_jax.py"))
    losses = program["train"](120, 0.3)
    assert losses[0] == pytest.approx(1, rel=0.01) and losses[-1] < 0.1


def test_the_structs_are_those_of_xlas_header(tmp_path: pathlib.Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    lines, own = [], []
    for struct in _xla.STRUCTS:
        for name, _ in struct._fields_:
            lines.append(f'printf("%zu ", offsetof(struct {struct.__name__}, {name}));')
            own.append(getattr(struct, name).offset)
    program = "#include <stdio.h>\n#include <xla/ffi/api/c_api.h>\nint main(void) {" + "\n".join(lines) + "}\n"
    (tmp_path / "offsets.c").write_text(program)
    subprocess.run(["cc", "-w", "-I", jax.ffi.include_dir(), "offsets.c", "-o", "offsets"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "offsets"], stdout=subprocess.PIPE, check=True).stdout
    assert list(map(int, printed.split())) == own
