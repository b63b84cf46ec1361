# SPDX-License-Identifier: Apache-2.0
"""Planted defects of the Python package (capi/python)."""
from defect import Defect

DEFECTS = []
