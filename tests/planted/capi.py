# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the C ABI (capi/ but for the bindings)."""
from defect import Defect

DEFECTS = [
    Defect(
        name="conv-max-backward-needs-forwards-size",
        file="capi/conv_max.cc",
        old="VARLSTM_TRY(find_size(ctx, shape, nullptr, &needed));",
        new="int64_t forward = 0;\n  VARLSTM_TRY(find_size(ctx, shape, &forward, &needed));",
        why="backward is refused although its own workspace can be counted",
        tests=["conv_max_test --gtest_filter=*CannotBeCounted"],
    ),
    Defect(
        name="conv-max-sizes-that-overflow",
        file="capi/conv_max.cc",
        old="if (bytes != INT64_MAX) return VARLSTM_OK;",
        new="if (bytes != 0) return VARLSTM_OK;",
        tests=["conv_max_test --gtest_filter=*CannotBeCounted"],
    ),
    Defect(
        name="reserve-limit-eight-times-too-wide",
        file="capi/rnn_plan.cc",
        old="8 * saved,",
        new="8,",
        why="the back end multiplies sizes that overflow",
        tests=["backend_table_test --gtest_filter=*ReserveAndStatesAreCountedInFull"],
    ),
    Defect(
        name="states-limit-eight-times-too-wide",
        file="capi/rnn_plan.cc",
        old='{"max_batch", bounds.max_batch}, hidden}, 8 * kStateElements, nullptr);',
        new='{"max_batch", bounds.max_batch}, hidden}, 8, nullptr);',
        tests=["backend_table_test --gtest_filter=*ReserveAndStatesAreCountedInFull"],
    ),
    Defect(
        name="set-lengths-keeps-sizes-after-failure",
        file="capi/batch.cc",
        old="""&plan, lengths, count, space, stream);
  if (status != VARLSTM_OK) make_empty(&plan);""",
        new="&plan, lengths, count, space, stream);",
        why="later calls trust sizes that the arrays do not have",
        tests=["backend_table_test --gtest_filter=*BatchWhoseLengthsFailedHalfWayIsEmpty"],
    ),
    Defect(
        name="from-batch-sizes-keeps-sizes-after-failure",
        file="capi/batch.cc",
        old="""sorted_indices, stream);
  if (status != VARLSTM_OK) make_empty(&plan);""",
        new="sorted_indices, stream);",
        tests=["backend_table_test --gtest_filter=*BatchWhoseLengthsFailedHalfWayIsEmpty"],
    ),
    Defect(
        name="lse-written-as-two-bytes",
        file="capi/loss.cc",
        old='buffers.write_or_null("lse", lse, {{"rows", rows}}, scalar);',
        new='buffers.write_or_null("lse", lse, {{"rows", rows}});',
        why="an lse of 16-bit types that overlaps another buffer is let through",
        tests=["backend_arguments_test --gtest_filter=*ScalarsOf16BitLossesAreFloats"],
    ),
    Defect(
        name="lse-read-as-two-bytes",
        file="capi/loss.cc",
        old='buffers.read("lse", lse, {{"rows", rows}}, scalar);',
        new='buffers.read("lse", lse, {{"rows", rows}});',
        tests=["backend_arguments_test --gtest_filter=*ScalarsOf16BitLossesAreFloats"],
    ),
    Defect(
        name="permutation-keeps-old-bits",
        file="capi/batch.cc",
        old="static_cast<size_t>((count + 63) / 64) * sizeof(uint64_t)",
        new="static_cast<size_t>(count / 64) * sizeof(uint64_t)",
        why="a second valid order is refused as if indices stood there twice",
        tests=["capi_batch_test"],
    ),
    Defect(
        name="in-place-pair-may-be-shifted",
        file="capi/buffer_check.cc",
        old="  if (a.begin != b.begin) return false;\n",
        new="",
        tests=["capi_arguments_test"],
    ),
    Defect(
        name="pad-value-two-to-63",
        file="capi/pack.cc",
        old="pad_value < kTwoTo63)",
        new="pad_value <= kTwoTo63)",
        tests=["capi_arguments_test", "capi_ops_test", "pack_test", "capi_batch_test"],
    ),
    Defect(
        name="tokens-of-a-started-sequence-fit",
        file="capi/check.cc",
        old="(full_sequences == bounds.max_batch && rest > 0)",
        new="false",
        why="max_tokens may exceed max_batch * max_len",
        tests=["capi_batch_test", "capi_arguments_test"],
    ),
    Defect(
        name="rows-below-a-batchs-tokens",
        file="capi/check.cc",
        old="  if (rows >= tokens) return VARLSTM_OK;",
        new="  if (rows + 1 >= tokens) return VARLSTM_OK;",
        tests=["capi_arguments_test", "backend_table_test"],
    ),
    Defect(
        name="smoothing-nan-let-through",
        file="capi/loss.cc",
        old="if (!(value >= 0 && value <= 1)) {",
        new="if (value < 0 || value > 1) {",
        tests=["capi_arguments_test"],
    ),
    Defect(
        name="context-goes-before-its-losses",
        file="capi/loss.cc",
        old="  ctx->children.fetch_add(1);\n",
        new="",
        tests=["capi_handle_test"],
    ),
]
