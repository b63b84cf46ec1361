# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the Python package (capi/python)."""
from defect import Defect

TORCH = "capi/python/varlstm/torch"

DEFECTS = [
    Defect(
        name="dc-n-not-contiguous",
        file=f"{TORCH}/_lstm_op.py",
        old="dy, dh_n, dc_n, h0, c0 = [t if t is None else t.contiguous() for t in (dy, dh_n, dc_n, h0, c0)]",
        new="dy, dh_n, h0, c0 = [t if t is None else t.contiguous() for t in (dy, dh_n, h0, c0)]",
        tests=["python.torch_lstm -k gradients_of_the_results_need_not_be_contiguous"],
    ),
    Defect(
        name="dh-n-not-contiguous",
        file=f"{TORCH}/_lstm_op.py",
        old="dy, dh_n, dc_n, h0, c0 = [t if t is None else t.contiguous() for t in (dy, dh_n, dc_n, h0, c0)]",
        new="dy, dc_n, h0, c0 = [t if t is None else t.contiguous() for t in (dy, dc_n, h0, c0)]",
        tests=["python.torch_lstm -k gradients_of_the_results_need_not_be_contiguous"],
    ),
    Defect(
        name="class-weights-not-contiguous",
        file=f"{TORCH}/functional.py",
        old="weight.detach().to(_loss_op.loss_dtype(rows.dtype)).contiguous()",
        new="weight.detach().to(_loss_op.loss_dtype(rows.dtype))",
        tests=["python.torch_losses -k class_weights_need_not_be_contiguous"],
    ),
    Defect(
        name="pool-of-batches-without-streams",
        file=f"{TORCH}/_device.py",
        old="self._batches.take(bounds + (stream,))",
        new="self._batches.take(bounds)",
        why="on a GPU a call sets lengths in a batch that kernels of another stream still read",
        tests=["python.torch_training -k stays_with_the_stream"],
    ),
    Defect(
        name="ties-in-any-order",
        file=f"{TORCH}/packing.py",
        old="lengths.sort(descending=True, stable=True)",
        new="lengths.sort(descending=True)",
        why="the library sorts stably: on a GPU, rows and sorted_indices would disagree where lengths are equal",
        tests=["python.torch_packing -k ties_keep_their_order"],
    ),
    Defect(
        name="c0-alone-saves-nothing",
        file=f"{TORCH}/_lstm_op.py",
        old="for tensor in (x, h0, c0, *params))",
        new="for tensor in (x, h0, *params))",
        tests=["python.torch_lstm -k whatever_alone_needs_a_gradient"],
    ),
    Defect(
        name="padded-input-without-tokens",
        file=f"{TORCH}/lstm.py",
        old="max_len, rows = max(values, default=0), sum(values)",
        new="max_len, rows = max(values, default=0), sum(values)\n            hx = hx if rows else None",
        why="sequences of length 0 alone lose their states",
        tests=["python.torch_lstm -k a_batch_without_tokens"],
    ),
    Defect(
        name="padded-input-of-no-sequences",
        file=f"{TORCH}/lstm.py",
        old="max_len, rows = max(values, default=0), sum(values)",
        new="max_len, rows = max(values), sum(values)",
        tests=["python.torch_lstm -k a_batch_without_tokens"],
    ),
    Defect(
        name="packed-sequence-without-tokens",
        file=f"{TORCH}/packing.py",
        old="    if enforce_sorted and 0 not in values:",
        new="    if (enforce_sorted and 0 not in values) or rows == 0:",
        why="the number of sequences is lost where none has rows",
        tests=["python.torch_lstm -k a_packed_batch_without_tokens"],
    ),
    Defect(
        name="parameters-as-views-of-one-storage",
        file=f"{TORCH}/_flat.py",
        old="[from_dlpack(to_dlpack(piece.view_as(one))) for",
        new="[piece.view_as(one) for",
        why="safetensors' and accelerate's checkpoints lose them",
        tests=["python.torch_storage -k storage_of_its_own"],
    ),
    Defect(
        name="separate-parameters-taken-for-flat",
        file=f"{TORCH}/_flat.py",
        old="        if tensor.data_ptr() != end or not tensor.is_contiguous():",
        new="        if not tensor.is_contiguous():",
        tests=["python.torch_storage -k as_they_are"],
    ),
    Defect(
        name="padding-of-int64-through-a-double",
        file=f"{TORCH}/packing.py",
        old="    return float(padding_value) != padding_value",
        new="    return False",
        tests=["python.torch_packing -k integers_beyond"],
    ),
    Defect(
        name="low-bits-of-integers",
        file="capi/python/varlstm/_library.py",
        old="if isinstance(value, int) and not low <= value <= high:",
        new="if False:",
        tests=["python.operations -k dropout_between_layers_and_its_seed"],
    ),
    Defect(
        name="losses-of-autocast-in-16-bits",
        file=f"{TORCH}/functional.py",
        old="return input.dtype if autocast_dtype(input) is None else torch.float32",
        new="return input.dtype",
        tests=["python.torch_losses -k autocast"],
    ),
    Defect(
        name="fused-loss-without-autocast",
        file=f"{TORCH}/functional.py",
        old="_result_dtype(input), autocast_dtype(input)",
        new="_result_dtype(input), None",
        tests=["python.torch_losses -k autocast_of_linear"],
    ),
]
