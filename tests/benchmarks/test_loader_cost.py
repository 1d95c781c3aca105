"""Structures that the data set reads, against those that a step takes.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_loader_cost.py --benchmark-only -s

One structure a time, read from its container and made into a batch as with
`cache=False`, and a training step of the first stage of default size with it,
alternating. Nothing fails because of a time.
"""

import keras
import pytest
from alternating import alternate
from compiled_stage import compiled_stage

import keras_hamiltonian as kh

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="measured on the default backend"
)


@pytest.mark.parametrize("material", ["graphene", "bi2se3"])
def test_a_structure_is_read_before_it_is_needed(
    benchmark, data_folder, material
):
    store = kh.HamiltonianStore(data_folder / f"{material}.h5")
    data = kh.HamiltonianDataset(store, cache=False)
    stage = compiled_stage(store)
    batch = data[0]
    positions = iter(range(10**6))
    num_atoms = len(batch[0]["species"])
    medians = alternate(
        benchmark,
        f"{material}, {num_atoms} atoms: reading against a training step",
        rounds=7,
        read=lambda: data[next(positions) % len(data)],
        step=lambda: stage.train_on_batch(*batch),
    )
    benchmark.extra_info["read / step"] = medians["read"] / medians["step"]
