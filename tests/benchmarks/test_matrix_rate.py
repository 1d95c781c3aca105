"""Where a training step of stage one goes, and how fast its products are.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_matrix_rate.py --benchmark-only -s

Torch's profiler gives the time inside of each kernel of torch, the shapes of
the matrix products their flops. What is left of the CPU seconds of a step is
Python: this package, Keras, and the book-keeping of torch and its gradients;
the step of two atoms, whose kernels take next to nothing, shows it again. One
thread; nothing fails because of a time.
"""

import json
import os
import time

import keras
import numpy as np
import pytest

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.models.equivariant_stage import EquivariantStage

if keras.config.backend() != "torch":
    pytest.skip("the profiler is torch's", allow_module_level=True)

import torch  # noqa: E402

ROUNDS = 30
PARTS = "matrix products", "elementwise, sums", "copies, concatenation"
PRODUCTS = "mm", "bmm", "addmm", "addmm_", "baddbmm"
COPIES = (
    *("cat", "copy_", "fill_", "index_select", "index_add_", "gather"),
    *("scatter_add_", "index_put_", "_index_put_impl_", "index", "stack"),
)
# These compute nothing.
VIEWS = (
    *("view", "reshape", "slice", "as_strided", "transpose", "t", "expand"),
    *("empty", "empty_like", "empty_strided", "select", "narrow", "split"),
    *("split_with_sizes", "unsqueeze", "squeeze", "permute", "detach", "to"),
    *("_to_copy", "matmul", "einsum", "zeros", "zeros_like", "ones_like"),
    *("resize_", "contiguous", "clone", "_unsafe_view", "unbind", "alias"),
    *("_reshape_alias", "swapaxes", "numpy_T", "lift_fresh", "item"),
)


def step_of(path, count=2):
    """A training step of the default network on the first structure."""
    store = HamiltonianStore(path)
    dataset = HamiltonianDataset(store, store.names[:count])
    model = EquivariantStage({"C": "2s 2p 1d"}, {"C": 6 * BOHR_IN_ANGSTROM})
    model.adapt(dataset)
    model.compile(
        keras.optimizers.Adam(1e-3),
        {k: BlockMeanAbsoluteError() for k in ("onsite", "hopping")},
        jit_compile=False,
    )
    batch = keras.tree.map_structure(keras.ops.convert_to_tensor, dataset[0])
    model.train_on_batch(*dataset[0])
    return lambda: model.train_step(batch)


def cpu_seconds(program, rounds):
    """Smallest and median CPU seconds of a call."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        program()
        seconds.append(time.process_time() - start)
    return min(seconds), float(np.median(seconds))


def product_sizes(name, shapes):
    """(batch, rows, inner, columns) of a product that was profiled."""
    left, right = shapes[1:3] if "add" in name else shapes[:2]
    batch = left[0] if len(left) == 3 else 1
    return batch, left[-2], left[-1], right[-1]


def profiled(step):
    """Seconds of each part of a step, and its products.

    The profiler's clock runs on while others have the processor, so that each
    kernel counts with its fastest of ten steps.
    """
    fastest, counts = {}, {}
    for _ in range(10):
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU],
            record_shapes=True,
        ) as profile:
            step()
        seconds, counts = {}, {}
        for event in profile.events():
            space, _, name = event.name.partition("::")
            if space == "aten" and name not in VIEWS:
                key = name, str(event.input_shapes)
                counts[key] = counts.get(key, 0) + 1
                spent = 1e-6 * event.self_cpu_time_total
                seconds[key] = seconds.get(key, 0) + spent
        for key, spent in seconds.items():
            fastest[key] = min(spent, fastest.get(key, spent))
    parts, products = dict.fromkeys(PARTS, 0.0), {}
    for (name, shapes), spent in fastest.items():
        if name in PRODUCTS:
            parts[PARTS[0]] += spent
            sizes = product_sizes(name, json.loads(shapes))
            number = counts.get((name, shapes), 0)
            products[sizes] = products.get(sizes, 0) + number
        else:
            parts[PARTS[2] if name in COPIES else PARTS[1]] += spent
    return parts, products


def seconds_of_products(products):
    """CPU seconds of the same products one after the other, nothing else."""
    total = 0.0
    for (batch, rows, inner, columns), count in products.items():
        a = torch.randn(batch, rows, inner).squeeze(0)
        b = torch.randn(batch, inner, columns).squeeze(0)
        product = torch.bmm if a.ndim == 3 else torch.mm
        total += count * cpu_seconds(lambda: product(a, b), 7)[0]
    return total


def test_where_a_step_goes(benchmark, data_folder):
    """18 atoms of graphene, 810 edges, the default network."""
    torch.set_num_threads(1)
    step = step_of(data_folder / "graphene.h5")
    tiny = step_of(data_folder / "reference_graphene.h5", 1)
    for program in (step, tiny):
        cpu_seconds(program, 3)
    fastest, median = cpu_seconds(step, ROUNDS)
    overhead, overhead_median = cpu_seconds(tiny, ROUNDS)
    parts, products = profiled(step)
    flops = sum(
        2 * batch * rows * inner * columns * count
        for (batch, rows, inner, columns), count in products.items()
    )
    a, b = torch.randn(2, 1024, 1024)
    peak = 2 * 1024**3 / cpu_seconds(lambda: a @ b, 15)[0]
    alone = seconds_of_products(products)
    benchmark.pedantic(step, rounds=ROUNDS)

    parts["Python, Keras, gradients' graph"] = fastest - sum(parts.values())
    load = os.getloadavg()[0]
    print(f"\ntraining step, 18 atoms, 810 edges (one thread, load {load:.1f})")
    print(f"  step                {fastest:.4f} CPU s, median {median:.4f}")
    print(
        f"  step of two atoms   {overhead:.4f} CPU s, median "
        f"{overhead_median:.4f}"
    )
    for name, seconds in parts.items():
        share = 100 * seconds / fastest
        print(f"  {name:32s} {seconds:.4f} s {share:5.1f} %")
    print(f"  {flops / 1e9:.2f} Gflop in {sum(products.values())} products")
    rates = {
        "sgemm, 1024 x 1024 x 1024": peak,
        "the products of the step, alone": flops / alone,
        "the products within the step": flops / parts["matrix products"],
        "the whole step": flops / fastest,
    }
    for name, rate in rates.items():
        print(
            f"  {name:32s} {rate / 1e9:6.1f} Gflop/s"
            f" {100 * rate / peak:5.1f} % of sgemm"
        )
    benchmark.extra_info.update(parts, **rates)
