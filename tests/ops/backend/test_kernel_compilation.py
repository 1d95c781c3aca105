"""Fused kernels compiled for GPUs, without one: registers and spills.

`make test-kernels` runs it. Calls go through Triton's own launcher, which is
told of a GPU that is not there and stops before the launch.
"""

import importlib.util
import pathlib
import re
import subprocess

import keras
import pytest

from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.product_paths import ProductPaths

if keras.config.backend() != "torch":
    pytest.skip("fused kernels are for torch", allow_module_level=True)
if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

import torch  # noqa: E402

from keras_hamiltonian.ops.backend.torch import fused  # noqa: E402

if fused.INTERPRETED:
    pytest.skip("nothing is compiled for the interpreter", allow_module_level=1)

NUM_ATOMS, NUM_NEIGHBORS = 2, 5
HIDDEN = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e"
CAPABILITIES = [80, 90]
MAX_SPILLS = 32


class AbsentGPU:
    """What Triton asks its driver before it launches a kernel."""

    def __init__(self, capability):
        self.capability = capability

    def get_current_device(self):
        return self.capability

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)


@pytest.fixture(params=CAPABILITIES, ids="sm_{}".format)
def compiled(request, monkeypatch):
    """Kernels that were compiled instead of launched, by name."""
    import triton

    from keras_hamiltonian.ops.backend.torch.kernels import convolution
    from keras_hamiltonian.ops.backend.torch.kernels import edge_rotation
    from keras_hamiltonian.ops.backend.torch.kernels import launching

    found = {}

    def compile_only(kernel, grid, *arguments, like, **constants):
        found[kernel.__name__] = kernel.warmup(
            *arguments,
            **constants,
            WIDE=launching.wide(like),
            num_warps=launching.NUM_WARPS,
            grid=grid,
        )

    monkeypatch.setattr(fused, "INTERPRETED", True)
    for module in (edge_rotation, convolution):
        monkeypatch.setattr(module, "launch", compile_only)
    gpu = AbsentGPU(request.param)
    monkeypatch.setattr(triton.runtime.driver, "_active", gpu)
    return found


def resources(kernel, folder):
    """Registers of a thread and bytes of spills, as ptxas tells them."""
    import triton

    tools = pathlib.Path(triton.__file__).parent / "backends/nvidia/bin"
    ptx = kernel.asm["ptx"]
    target = re.search(r"\.target (sm_\w+)", ptx)[1]
    (folder / "kernel.ptx").write_text(ptx)
    errors = []
    # Not every one of them reads what this Triton writes.
    for ptxas in sorted(tools.glob("ptxas*")):
        done = subprocess.run(
            [ptxas, "-v", f"--gpu-name={target}", "kernel.ptx"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        said = done.stdout + done.stderr
        registers = re.search(r"Used (\d+) registers", said)
        spills = re.findall(r"(\d+) bytes spill", said)
        if done.returncode == 0 and registers and spills:
            return int(registers[1]), sum(map(int, spills))
        errors.append(said)
    pytest.skip(f"no ptxas that tells spills: {errors}")


def check(compiled, names, limit, folder):
    assert set(compiled) == set(names)
    found = {name: resources(compiled[name], folder) for name in names}
    for name, (registers, spills) in found.items():
        print(f"{name}: {registers} registers, {spills} bytes of spills")
    assert max(registers for registers, _ in found.values()) <= limit, found
    # Now and then ptxas trades a few bytes for more threads at a time.
    assert max(spills for _, spills in found.values()) <= MAX_SPILLS, found


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_edge_rotations(compiled, dtype, tmp_path):
    from keras_hamiltonian.ops.edges import rotate_into_edges
    from keras_hamiltonian.ops.edges import sum_over_edges

    dtype = getattr(torch, dtype)
    shape = NUM_ATOMS, NUM_NEIGHBORS
    wigner = [
        torch.zeros(
            *shape, 2 * l + 1, 2 * l + 1, dtype=dtype, requires_grad=True
        )
        for l in range(5)
    ]
    atoms = torch.zeros(NUM_ATOMS, Irreps(HIDDEN).dim, dtype=dtype)
    edges = {
        kind: torch.zeros(*shape, edge_dim(kind), n, dtype=dtype)
        for kind, n in EdgeIrreps(HIDDEN).items()
    }
    rotate_into_edges(atoms, HIDDEN, wigner, kernel="fused")
    total = sum_over_edges(edges, HIDDEN, wigner, kernel="fused")
    total.sum().backward()
    names = ["rotate_in_kernel", "rotate_out_kernel", "outer_kernel"]
    check(compiled, names, 64, tmp_path)


def test_channelwise_convolution(compiled, tmp_path):
    from keras_hamiltonian.ops.backend import fused_kernel

    paths = ProductPaths.channelwise(
        "64x0e + 32x1o + 16x2e", "0e + 1o + 2e", "0e + 1o + 2e"
    )
    shape = NUM_ATOMS, NUM_NEIGHBORS
    tensors = [
        torch.zeros(*size, requires_grad=True)
        for size in (
            (NUM_ATOMS, paths.irreps_in1.dim),
            (*shape, paths.irreps_in2.dim),
            (*shape, paths.num_weights),
        )
    ]
    lists = torch.arange(NUM_ATOMS * NUM_NEIGHBORS, dtype=torch.int32)
    lists = lists.reshape(shape)
    run = fused_kernel("channelwise_convolution", "fused", *tensors)
    run(*tensors, lists // NUM_NEIGHBORS, lists, paths).sum().backward()
    names = [
        f"to_{name}_kernel"
        for name in ("outputs", "weights", "features", "matrices")
    ]
    check(compiled, names, 168, tmp_path)
