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
]
