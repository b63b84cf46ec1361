"""Calls: the kinds of input and of states, packed sequences, dtypes, and what is refused."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, unpack_sequence

from .table import TORCH, Kind, assert_agree, assert_close, assert_same_error, differs, error_of, refused, same, tensors_of

DEEP = {"num_layers": 2, "bidirectional": True}
X = torch.randn(5, 3, 4)


@same("an input [T, B, I]")
def time_major(kind: Kind) -> None:
    assert_agree(*kind.pair(**DEEP), X)


@same("batch_first")
def batch_first(kind: Kind) -> None:
    assert_agree(*kind.pair(batch_first=True, **DEEP), X.transpose(0, 1), kind.states(4, 3, 6))


@same("an input [T, I] of one sequence")
def unbatched(kind: Kind) -> None:
    for options in (DEEP, {"batch_first": True, **DEEP}):
        theirs, ours = kind.pair(**options)
        assert_agree(theirs, ours, X[:, 0])
        assert_agree(theirs, ours, X[:, 0], kind.states(4, 6))


@same("one token, one sequence, one feature, one unit")
def ones(kind: Kind) -> None:
    assert_agree(*kind.pair(1, 1), torch.randn(1, 1, 1))


@same("two directions without bias")
def no_bias(kind: Kind) -> None:
    assert_agree(*kind.pair(bias=False, **DEEP), X)


@same("results of a projection", kinds=("LSTM",))
def projection(kind: Kind) -> None:
    assert_agree(*kind.pair(proj_size=3, **DEEP), X, (torch.randn(4, 3, 3), torch.randn(4, 3, 6)))


@same("initial states")
def states(kind: Kind) -> None:
    assert_agree(*kind.pair(**DEEP), X, kind.states(4, 3, 6))


@same("initial states as a list", kinds=("LSTM",))
def states_in_a_list(kind: Kind) -> None:
    assert_agree(*kind.pair(), X, list(kind.states(1, 3, 6)))


@same("initial states by name, hx=")
def states_by_name(kind: Kind) -> None:
    theirs, ours = kind.pair()
    hx = kind.states(1, 3, 6)
    assert_close(ours(input=X, hx=hx), theirs(input=X, hx=hx))


@same("states that are not contiguous")
def strided_states(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    hx = kind.states(3, 4, 6)
    turned = tuple(state.transpose(0, 1) for state in hx) if kind.name == "LSTM" else hx.transpose(0, 1)
    assert_close(ours(X, turned), theirs(X, turned))


@same("one state for all sequences, expanded")
def expanded_states(kind: Kind) -> None:
    theirs, ours = kind.pair()
    hx = kind.states(1, 1, 6)
    wide = tuple(state.expand(1, 3, 6) for state in hx) if kind.name == "LSTM" else hx.expand(1, 3, 6)
    assert_close(ours(X, wide), theirs(X, wide))


@same("an input that is not contiguous, or expanded")
def strided_input(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for x in (torch.randn(3, 5, 4).transpose(0, 1), torch.randn(4, 3, 5).permute(2, 1, 0), torch.randn(5, 3, 8)[..., ::2],
              torch.randn(5, 1, 4).expand(5, 3, 4), torch.randn(1, 1, 4).expand(5, 3, 4)):
        assert_close(ours(x), theirs(x))


@same("a second call goes on from the first one's states")
def chained(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2)
    for module in (theirs, ours):
        whole, parts, hx = module(X), [], None
        for piece in X.split(2):
            output, hx = module(piece, hx)
            parts.append(output)
        assert_close((torch.cat(parts), hx), whole)


@same("a batch of no sequences", since=(2, 0))
def empty_batch(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    expected, actual = theirs(torch.zeros(5, 0, 4)), ours(torch.zeros(5, 0, 4))
    assert [t.shape for t in tensors_of(actual)] == [t.shape for t in tensors_of(expected)]


@differs("sequences without tokens", "h_n is h_0, and the output has no tokens; torch refuses them")
def no_tokens(kind: Kind) -> None:
    hx = kind.states(1, 3, 6)
    output, after = kind.ours(4, 6)(torch.zeros(0, 3, 4), hx)
    assert output.shape == (0, 3, 6)
    assert_close(after, hx)


def packed(enforce_sorted: bool) -> PackedSequence:
    lengths = [5, 3, 1] if enforce_sorted else [3, 5, 1]
    return pack_padded_sequence(X, torch.tensor(lengths), enforce_sorted=enforce_sorted)


@same("a PackedSequence that is sorted")
def packed_sorted(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    assert_agree(theirs, ours, packed(True))
    assert_agree(theirs, ours, packed(True), kind.states(4, 3, 6))


@same("a PackedSequence of enforce_sorted=False")
def packed_unsorted(kind: Kind) -> None:
    theirs, ours = kind.pair(batch_first=True, **DEEP)
    assert_agree(theirs, ours, packed(False))
    assert_agree(theirs, ours, packed(False), kind.states(4, 3, 6))


@same("batch_sizes, sorted_indices and unsorted_indices of a packed output")
def packed_fields(kind: Kind) -> None:
    sequence = packed(False)
    output, _ = kind.ours(4, 6)(sequence)
    assert output.batch_sizes is sequence.batch_sizes
    assert output.sorted_indices is sequence.sorted_indices and output.unsorted_indices is sequence.unsorted_indices


@same("torch.nn.utils.rnn around a call")
def packing_around(kind: Kind) -> None:
    theirs, ours = kind.pair()
    pieces = [torch.randn(length, 4) for length in (2, 5, 1)]
    found = []
    for module in (theirs, ours):
        output, states = module(pack_sequence(pieces, enforce_sorted=False))
        padded, lengths = pad_packed_sequence(output, batch_first=True, padding_value=-1.0)
        found.append([padded, lengths, *unpack_sequence(output), *tensors_of(states)])
    assert_close(found[1], found[0])


@same("a PackedSequence moved to another dtype")
def packed_double(kind: Kind) -> None:
    theirs, ours = kind.pair(dtype=torch.float64)
    assert_agree(theirs, ours, packed(False).double())


@same("float64")
def double(kind: Kind) -> None:
    assert_agree(*kind.pair(dtype=torch.float64, **DEEP), X.double(), rtol=1e-10, atol=1e-12)


@same("bfloat16 and float16 on the CPU, to their precision", since=(2, 1))
def sixteen_bits(kind: Kind) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        theirs, ours = kind.pair()
        expected = theirs(X)[0]
        output, _ = ours.to(dtype)(X.to(dtype))
        assert output.dtype == dtype
        torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.02)


@same("NaN and infinity in the input stay in their sequence")
def not_finite(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for value in (float("nan"), float("inf")):
        x = X.clone()
        x[2, 1, 0] = value
        actual, expected = ours(x)[0], theirs(x)[0]
        torch.testing.assert_close(actual[:, 0], expected[:, 0])
        assert torch.equal(actual[:, 1].isnan(), expected[:, 1].isnan())


@same("errors of states of other sizes")
def wrong_states(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for shape in ((1, 2, 6), (2, 3, 6), (1, 3, 5)):
        hx = kind.states(*shape)
        assert_same_error(lambda: theirs(X, hx), lambda: ours(X, hx))
        assert str(error_of(ours, packed(True), hx)) == str(error_of(ours, X, hx))  # torch's is of an operation inside


@same("errors of states of other dimensions")
def wrong_dimensions_of_states(kind: Kind) -> None:
    theirs, ours = kind.pair()
    flat, deep = kind.states(3, 6), kind.states(1, 1, 6)
    assert_same_error(lambda: theirs(X, flat), lambda: ours(X, flat))
    assert_same_error(lambda: theirs(X[:, 0], deep), lambda: ours(X[:, 0], deep))


@same("the error of an input of other features")
def wrong_features(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for x in (torch.randn(5, 3, 3), torch.randn(5, 3)):
        if kind.name == "LSTM" and TORCH == (2, 1):  # oneDNN's LSTM of this torch takes any features
            with pytest.raises(RuntimeError, match="input.size"):
                ours(x)
        else:
            assert_same_error(lambda: theirs(x), lambda: ours(x))


@refused("an input of one dimension or four", ValueError, "input has 4 dimensions, and must have 2 or 3")
def wrong_dimensions(kind: Kind) -> None:
    kind.ours(4, 6)(torch.zeros(1, 5, 3, 4))


@refused("an input of another dtype", ValueError, "input is of torch.float64, weight_ih_l0 of torch.float32")
def wrong_dtype(kind: Kind) -> None:
    kind.ours(4, 6)(X.double())


@refused("an input of integers", ValueError, "input is of torch.int64, weight_ih_l0 of torch.float32")
def integers(kind: Kind) -> None:
    kind.ours(4, 6)(X.long())


@refused("states of another dtype", ValueError, "of torch.float64: they must be of one dtype")
def wrong_dtype_of_states(kind: Kind) -> None:
    kind.ours(4, 6)(X, kind.states(1, 3, 6, dtype=torch.float64))


@refused("an input that is no tensor", TypeError, "input is of list, and must be a tensor")
def no_tensor(kind: Kind) -> None:
    kind.ours(4, 6)([[1.0, 2.0, 3.0, 4.0]])


@refused("h_0 without c_0", ValueError, "hx has 1 tensors, and must have 2: h_0 and c_0", kinds=("LSTM",))
def one_state(kind: Kind) -> None:
    kind.ours(4, 6)(X, torch.zeros(1, 3, 6))


@refused("two states for one", TypeError, "hx is of tuple, and must be a tensor: h_0", kinds=("GRU", "RNN"))
def two_states(kind: Kind) -> None:
    kind.ours(4, 6)(X, (torch.zeros(1, 3, 6), torch.zeros(1, 3, 6)))


@same("a module call inside of torch.nn.Sequential and ModuleDict")
def containers(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for module in (theirs, ours):
        model = torch.nn.ModuleDict({"encoder": torch.nn.Sequential(module)})
        assert list(model.state_dict())[0] == "encoder.0.weight_ih_l0"
        assert_close(model["encoder"](X), theirs(X))


@same("torch.use_deterministic_algorithms")
def deterministic(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    torch.use_deterministic_algorithms(True)
    try:
        assert_agree(theirs, ours, X)
        assert torch.equal(ours(X)[0], ours(X)[0])
    finally:
        torch.use_deterministic_algorithms(False)


@same("torch.set_num_threads")
def threads(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert_agree(theirs, ours, X)
    finally:
        torch.set_num_threads(before)


@same("an input of a subclass of torch.Tensor, and a Parameter")
def subclass_of_tensor(kind: Kind) -> None:
    class Named(torch.Tensor):
        pass

    theirs, ours = kind.pair()
    for x in (X.as_subclass(Named), torch.nn.Parameter(X)):
        assert type(ours(x)[0]) is type(theirs(x)[0])
        assert_close(ours(x), theirs(x))


@refused("a nested tensor", ValueError, "input is a nested tensor, and must be a PackedSequence", since=(2, 0))
def nested(kind: Kind) -> None:
    kind.ours(4, 6)(torch.nested.nested_tensor([torch.randn(3, 4), torch.randn(2, 4)]))


@refused("a sparse input", ValueError, "input is of the layout torch.sparse_coo, and must be of torch.strided")
def sparse(kind: Kind) -> None:
    kind.ours(4, 6)(X.to_sparse())
