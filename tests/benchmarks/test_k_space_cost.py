"""What the loss between eigenstates adds to a training step.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_k_space_cost.py --benchmark-only -s

A step of the first stage with default sizes, reading of the states included,
with and without the loss, alternating in one run, one thread, CPU seconds;
nothing fails because of a time.
"""

import time

import keras
import pytest
from alternating import alternate
from compiled_stage import compiled_stage

import keras_hamiltonian as kh

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="measured on the default backend"
)


@pytest.mark.parametrize("name", ["graphene", "mos2", "bismuthene", "bi2se3"])
def test_training_step(benchmark, data_folder, tmp_path, name):
    store = kh.HamiltonianStore(data_folder / f"{name}.h5")
    data = kh.HamiltonianDataset(store, store.names[:1])
    states = kh.models.StateFolder(tmp_path)
    start = time.process_time()
    states.fill([store[0]])
    seconds = time.process_time() - start
    size = sum(path.stat().st_size for path in states.path.iterdir())
    print(f"\n{name}: states {seconds:.2f} CPU s, {size / 1e6:.1f} MB")
    datasets = {
        "with": kh.models.KSpaceDataset(data, states),
        "without": data,
    }
    programs = {}
    for key, dataset in datasets.items():
        losses = [kh.losses.KSpaceLoss()] if key == "with" else []
        stage = compiled_stage(store, losses)
        programs[key] = lambda s=stage, d=dataset: s.train_on_batch(*d[0])
    medians = alternate(benchmark, f"training step, {name}", 9, **programs)
    ratio = medians["with"] / medians["without"]
    print(f"  ratio {ratio:.3f}")
    benchmark.extra_info["ratio"] = ratio
