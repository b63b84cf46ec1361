# SPDX-License-Identifier: Apache-2.0
"""Planted defects of varlstm-tagger (tools/tagger)."""
from defect import Defect

DEFECTS = []
