# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the host back end (host/)."""
from defect import Defect

DEFECTS = [
    Defect(
        name="gemm-block-offset-transposed",
        file="host/gemm.cc",
        old="a + (trans_a == Transpose::kYes ? begin : begin * lda)",
        new="a + begin * lda",
        why="a block of a transposed a begins at a column, not at a row",
        tests=["gemm_test"],
    ),
    Defect(
        name="gemm-loops-forget-c",
        file="host/gemm.cc",
        old="beta == T(0) ? T(0) : c[i * ldc + j]",
        new="T(0)",
        tests=["gemm_test"],
    ),
    Defect(
        name="fork-with-a-team",
        file="host/fork.cc",
        old="  omp_pause_resource_all(omp_pause_soft);\n",
        new="",
        why="the child waits for threads that it did not inherit",
        tests=["fork_test --gtest_filter=*ChildAndParent*/BySequences"],
    ),
    Defect(
        name="weight-gradients-block-offset",
        file="host/rnn_backward.h",
        old="const int64_t first = gate * shape_.hidden + row;",
        new="const int64_t first = gate * shape_.hidden;",
        why="with more than 256 hidden units the second block adds its gradients to the first one's rows",
        tests=["lstm_reference_test --gtest_filter=*GradientsOfManyUnits"],
    ),
    Defect(
        name="weight-gradients-block-source",
        file="host/rnn_backward.h",
        old="workspace_.dgates[d] + gate * units_ + row;",
        new="workspace_.dgates[d] + gate * units_;",
        tests=["lstm_reference_test --gtest_filter=*GradientsOfManyUnits"],
    ),
    Defect(
        name="team-barrier-arrival-relaxed",
        file="host/team.h",
        old="arrived_.fetch_add(1, std::memory_order_acq_rel)",
        new="arrived_.fetch_add(1, std::memory_order_relaxed)",
        why="members need not see what those wrote who came before the last one",
        tests=["host_threads_test --gtest_filter=TeamBarrier.*"],
    ),
    Defect(
        name="team-barrier-departure-relaxed",
        file="host/team.h",
        old="generation_.load(std::memory_order_acquire)",
        new="generation_.load(std::memory_order_relaxed)",
        tests=["host_threads_test --gtest_filter=TeamBarrier.*"],
    ),
    Defect(
        name="dropout-counter-32-bits",
        file="host/dropout.h",
        old="static_cast<uint64_t>(chunk / 4)",
        new="static_cast<uint32_t>(chunk / 4)",
        why="the mask begins again after 2^34 elements",
        tests=["host_threads_test --gtest_filter=DropoutRange.*"],
    ),
    Defect(
        name="parallel-range-end-32-bits",
        file="host/parallel.h",
        old="const int64_t end = begin + grain < count ? begin + grain : count;",
        new="const int64_t end = static_cast<int32_t>(begin + grain < count ? begin + grain : count);",
        tests=["host_threads_test --gtest_filter=ParallelRanges.*"],
    ),
    Defect(
        name="dlogits-16-bits-not-rounded",
        file="host/linear_cross_entropy.h",
        old="      if constexpr (kIs16Bit<T>) round_to<T>(1, loss.classes, gradient, loss.classes);\n",
        new="",
        why="gradients of BF16 and F16 differ from what the kernels store",
        tests=["scalar16_test --gtest_filter=*MultipliesRoundedGradients*"],
    ),
]
