"""What keeps a module of torch.nn from becoming one of this library, and one of this library from becoming torch's."""
# SPDX-License-Identifier: Apache-2.0
import warnings
import weakref
from typing import Dict, List

import torch

from ._device import DTYPES


# What nn.Module keeps about its hooks beside the dictionaries whose names end in "_hooks".
_HOOKS = ("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs",
          "_is_full_backward_hook")


def _parameter_names(module: torch.nn.Module) -> List[str]:
    if isinstance(module, torch.nn.RNNBase):
        return module._flat_weights_names
    return ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]  # of a cell, whose biases may be None


def obstacle(module: torch.nn.Module) -> str:
    """Why a module of one of torch.nn's own classes cannot become this library's; empty if it can."""
    if getattr(module, "nonlinearity", "tanh") not in ("tanh", "relu"):
        return f"nonlinearity = {module.nonlinearity!r} is not supported"
    if list(module._parameters) != _parameter_names(module):
        return "its parameters are not its own (a parametrization or pruning)"
    if module._buffers or module._modules:
        return "it has buffers or modules of its own"
    for name, parameter in module._parameters.items():
        if parameter is not None and parameter.dtype not in DTYPES:
            return f"{name} is of {parameter.dtype}"
    return ""


def has_hooks(module: torch.nn.Module) -> bool:
    return any(hooks for name, hooks in vars(module).items() if name.endswith("_hooks"))


def move_hooks(module: torch.nn.Module, to: torch.nn.Module) -> None:
    """Gives `to` the hooks of the module: the very dictionaries, so that the handles of hooks go on removing them."""
    for name, value in vars(module).items():
        if name in _HOOKS or name.endswith("_hooks"):
            to.__dict__[name] = value
            for hook in value.values() if isinstance(value, dict) else ():
                if getattr(hook, "with_module", False):  # torch's own wrapper, which remembers its module
                    hook.module = weakref.ref(to)


def check_import(wanted: type, module) -> None:
    """Whether `module` is of torch's class `wanted`, and can be taken over. A subclass may compute anything. Hooks stay
    behind, of which a warning tells."""
    if type(module) is not wanted:
        raise TypeError(f"module is of {type(module).__name__}, and must be a torch.nn.{wanted.__name__}")
    why = obstacle(module)
    if why:
        raise ValueError(f"this torch.nn.{wanted.__name__} cannot be taken over: {why}")
    if has_hooks(module):
        warnings.warn(f"from_torch does not move the hooks of this torch.nn.{wanted.__name__}", stacklevel=3)


def check_export(wanted: type, options: Dict[str, object]) -> None:
    """Whether torch's class `wanted` can do what the module does: it has none of `options`, which must be off."""
    active = [f"{name} = {value}" for name, value in options.items() if value]
    if active:
        raise ValueError(f"torch.nn.{wanted.__name__} has no {', '.join(active)}: set to 0 what it does not have")
