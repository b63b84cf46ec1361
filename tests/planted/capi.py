# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the C ABI (capi/ but for the bindings)."""
from defect import Defect

DEFECTS = [
    Defect(
        name="reserve-limit-eight-times-too-wide",
        file="capi/rnn_run.cc",
        old="""hidden},
                          8 * kStateElements, nullptr));
  VARLSTM_TRY(check_bytes("h0",""",
        new="""hidden},
                          8, nullptr));
  VARLSTM_TRY(check_bytes("h0",""",
        why="the back end multiplies sizes that overflow",
        tests=["backend_table_test --gtest_filter=*ReserveAndStatesAreCountedInFull"],
    ),
    Defect(
        name="states-limit-eight-times-too-wide",
        file="capi/rnn_run.cc",
        old="""{"max_batch", bounds.max_batch}, hidden},
                          8 * kStateElements, nullptr));""",
        new="""{"max_batch", bounds.max_batch}, hidden},
                          8, nullptr));""",
        tests=["backend_table_test --gtest_filter=*ReserveAndStatesAreCountedInFull"],
    ),
    Defect(
        name="set-lengths-keeps-sizes-after-failure",
        file="capi/batch.cc",
        old="""    return b.plan_lengths(state, &plan, lengths, count, space, stream);
  });
  if (status != VARLSTM_OK) make_empty(&plan);""",
        new="""    return b.plan_lengths(state, &plan, lengths, count, space, stream);
  });""",
        why="later calls trust sizes that the arrays do not have",
        tests=["backend_table_test --gtest_filter=*BatchWhoseLengthsFailedHalfWayIsEmpty"],
    ),
    Defect(
        name="from-batch-sizes-keeps-sizes-after-failure",
        file="capi/batch.cc",
        old="""sorted_indices, stream);
  });
  if (status != VARLSTM_OK) make_empty(&plan);""",
        new="""sorted_indices, stream);
  });""",
        tests=["backend_table_test --gtest_filter=*BatchWhoseLengthsFailedHalfWayIsEmpty"],
    ),
    Defect(
        name="lse-written-as-two-bytes",
        file="capi/loss.cc",
        old='buffers.write_or_null("lse", lse, {{"rows", rows}}, scalar);',
        new='buffers.write_or_null("lse", lse, {{"rows", rows}});',
        why="an lse of 16-bit types that overlaps another buffer is let through",
        tests=["backend_table_test --gtest_filter=*ScalarsOf16BitLossesAreFloats"],
    ),
    Defect(
        name="lse-read-as-two-bytes",
        file="capi/loss.cc",
        old='buffers.read("lse", lse, {{"rows", rows}}, scalar);',
        new='buffers.read("lse", lse, {{"rows", rows}});',
        tests=["backend_table_test --gtest_filter=*ScalarsOf16BitLossesAreFloats"],
    ),
]
