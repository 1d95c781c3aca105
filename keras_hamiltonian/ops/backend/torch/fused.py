"""Whether the fused kernels, written in Triton, can run; loads them if so.

Triton is imported here alone and on first use: a process that imports
TensorFlow and then Triton is aborted by LLVM.
"""

import functools
import importlib
import importlib.util
import os

import torch

# Triton's interpreter runs kernels on CPU tensors: for tests.
INTERPRETED = os.environ.get("TRITON_INTERPRET", "0") == "1"
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def obstacle(*tensors):
    """Why the fused kernels cannot run on these tensors; `None` if they can."""
    first = tensors[0]
    if not (first.is_cuda or INTERPRETED):
        return f"the tensors are on {first.device}, not on a CUDA device"
    if not _has_triton():
        return "the package triton is not installed"
    if first.dtype not in FLOATS:
        return f"there is none for the type {first.dtype}"
    for tensor in tensors[1:]:
        if tensor.device != first.device:
            return f"tensors are on {first.device} and on {tensor.device}"
        if tensor.dtype != first.dtype:
            return f"tensors are of {first.dtype} and of {tensor.dtype}"
    return None


def load(name):
    """The function of a fused kernel."""
    return getattr(_kernels(), name)


@functools.cache
def _has_triton():
    return importlib.util.find_spec("triton") is not None


@functools.cache
def _kernels():
    return importlib.import_module(f"{__package__}.kernels")
