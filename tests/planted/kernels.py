# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the CUDA back end's kernels and launchers (kernels/ but for kernels/simt)."""
from defect import Defect

DEFECTS = []
