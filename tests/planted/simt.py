# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the emulator (kernels/simt)."""
from defect import Defect

DEFECTS = [
    Defect(
        name="shuffle-distance-beyond-the-warp",
        file="kernels/simt/collective.cc",
        old="const unsigned lanes = request.lanes & 31, ",
        new="const unsigned lanes = request.lanes, ",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.ShufflesTakeTheFiveLowBitsOfTheirDistance"],
    ),
    Defect(
        name="half-shuffle-is-divergent",
        file="kernels/simt/collective.cc",
        old="else if ((pending[i].mask >> lane & 1) != 0 && (pending[i].present & mask) != 0)",
        new="else if ((pending[i].mask >> lane & 1) != 0 || (pending[i].mask & mask) != 0)",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.AHalfMayShuffleBeforeTheWhole"],
    ),
    Defect(
        name="shuffle-ignores-segments",
        file="kernels/simt/collective.cc",
        old="segment = request.bounds >> 8 & 31;",
        new="segment = 0;",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.ShufflesStayInTheirSegment"],
    ),
    Defect(
        name="ended-lanes-are-awaited",
        file="kernels/simt/collective.cc",
        old="const unsigned awaited = strict ? mask : mask & ~me->block->ended_lanes[me->warp];",
        new="const unsigned awaited = mask;",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.WhatAGpuPermitsIsPermittedUnlessStrict"],
    ),
    Defect(
        name="every-cluster-is-explicit",
        file="kernels/simt/ptx/special_registers.cc",
        old="return cluster_extent() > 1 ? 1u : 0u;",
        new="return 1u;",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.AClusterIsExplicitWhereTheLaunchNamesOne"],
    ),
    Defect(
        name="barrier-of-whole-warps-alone",
        file="kernels/simt/barrier.cc",
        old="const unsigned count = threads == 0 || threads == whole ? block.threads : threads;",
        new="const unsigned count = threads == 0 || threads == whole ? whole : threads;",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.ABarrierIsForAllThreadsOfAnyBlock"],
    ),
    Defect(
        name="dropped-arrivals-are-awaited",
        file="kernels/simt/mbarrier.cc",
        old="  if (arrival.drops) state.arrivals -= arrival.count;\n",
        new="",
        tests=["simt_ptx_test --gtest_filter=PtxAsync.WhoDropsOutIsNotAwaited"],
    ),
    Defect(
        name="short-copies-keep-the-rest",
        file="kernels/simt/async_copy.cc",
        old="copy.bytes - copy.source_bytes);",
        new="0);",
        tests=["simt_ptx_test --gtest_filter=PtxAsync.CopiesFillWithZeros"],
    ),
    Defect(
        name="labels-of-the-whole-kernel",
        file="kernels/simt/ptx/kernel_parser.cc",
        old="  scopes_.push_back({scope_, {}, {}});\n  scope_ = scopes_.size() - 1;\n",
        new="  if (depth_ > 1) return;\n  scopes_.push_back({scope_, {}, {}});\n  scope_ = scopes_.size() - 1;\n",
        tests=["simt_ptx_test --gtest_filter=Ptx.LabelsAndRegistersBelongToTheirBraces"],
    ),
    Defect(
        name="nans-of-the-host",
        file="kernels/simt/canonical.h",
        old="if (value != value) memcpy",
        new="if (false) memcpy",
        tests=["simt_ptx_test --gtest_filter=Ptx.NansOfFloatsHaveOneValue:PtxWarp.AMatrixProductHasOneNan"],
    ),
    Defect(
        name="addends-of-products-are-not-cut",
        file="kernels/simt/matrix.cc",
        old="sum += ldexp(trunc(ldexp(addends_[k], kFraction - largest_)), largest_ - kFraction);",
        new="sum += addends_[k];",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.TensorCoresAlignWhatTheyAddAndCutIt"],
    ),
    Defect(
        name="products-are-aligned-to-themselves-alone",
        file="kernels/simt/matrix.cc",
        old="  sum.add(c, exponent_of(c, kSmallestExponent));",
        new="  sum.add(c, 4 * kSmallestExponent);",
        tests=["simt_ptx_test --gtest_filter=PtxWarp.TensorCoresAlignWhatTheyAddAndCutIt"],
    ),
]
