"""What every launch of a kernel needs."""

import torch
import triton.language as tl

from keras_hamiltonian.ops.backend.torch.kernels.tiles import NUM_WARPS


def launch(kernel, grid, *arguments, like, **constants):
    """Runs a kernel on the device of the tensor `like`."""
    if 0 in grid:
        return
    with torch.cuda.device_of(like):
        kernel[grid](
            *arguments, **constants, WIDE=wide(like), num_warps=NUM_WARPS
        )


def wide(tensor):
    """The type in which sums are taken: at least float32."""
    return tl.float64 if tensor.dtype == torch.float64 else tl.float32
