"""Whether torch's own settings let a GPU round the operands of products of float32 to TF32."""
# SPDX-License-Identifier: Apache-2.0
import enum
from typing import Any

import torch


class Product(enum.Enum):
    """What a product belongs to in torch, which has a setting for each."""

    RNN = 0
    MATMUL = 1


def _is_tf32(setting: Any, former: Any) -> bool:
    """fp32_precision is of torch 2.9 and later. There the former allow_tf32 cannot be read once the new one is set."""
    try:
        precision = setting.fp32_precision
    except (AttributeError, AssertionError):  # what an older torch raises for an unknown setting
        precision = None
    return former.allow_tf32 if precision is None else precision == "tf32"


def allows_tf32(product: Product) -> bool:
    """torch.backends.cudnn's setting holds for networks (True unless it is changed), or, with cuDNN switched off and for
    everything else, torch.backends.cuda.matmul's (False)."""
    cudnn = torch.backends.cudnn
    if product == Product.MATMUL or not cudnn.enabled:
        return _is_tf32(torch.backends.cuda.matmul, torch.backends.cuda.matmul)
    return _is_tf32(getattr(cudnn, "rnn", None), cudnn)
