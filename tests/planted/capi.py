# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the C ABI (capi/ but for the bindings)."""
from defect import Defect

DEFECTS = []
