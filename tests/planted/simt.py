# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the emulator (kernels/simt)."""
from defect import Defect

DEFECTS = []
