"""Both stages against the number of atoms, and what cached features spare.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_cascade.py --benchmark-only -s

Graphene supercells, models with default sizes, untrained. Each stage and size
is a process of its own, so that its peak memory is; second stages read the
features of the first from a file. A power law is fitted to CPU seconds and
memory: the exponent 1 is linear. What every step costs, however few its atoms,
lowers it; so the exponent of the two largest sizes stands beside it. The best
of a few repetitions, one thread; nothing fails because of a time.
"""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from alternating import alternate

import keras_hamiltonian as kh
from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="measured on the default backend"
)
REPEATS = 1, 2, 4  # cells of 18 atoms, along two directions
SECOND_STAGES = "TransformerStage", "EquivariantTransformerStage"

ONE_STAGE = """
import json, sys, time
import numpy as np, torch, keras
import keras_hamiltonian as kh
kh.models.EquivariantStage, kh.models.TransformerStage
kh.models.EquivariantTransformerStage
torch.set_num_threads(1)

def memory(field):
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(field))

def measure(run, times):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    seconds = []
    for _ in range(times):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds[1:]), (memory("VmHWM") - before) / 1e3

before = memory("VmRSS")
with open(sys.argv[1]) as file:
    name, arguments = json.load(file)
model = getattr(kh.models, name)(**arguments)
inputs = {k: x for k, x in np.load(sys.argv[2]).items() if k in model.input}
found = {"predict": measure(lambda: model.predict_on_batch(inputs), 3)}
targets = {k: np.asarray(x) for k, x in model.predict_on_batch(inputs).items()}
weights = {k: np.full(x.shape, 1 / x.size, "f4") for k, x in targets.items()}
targets = {k: x + np.float32(0.001) for k, x in targets.items()}
loss = kh.losses.BlockMeanAbsoluteError()
model.compile(keras.optimizers.Adam(1e-3), loss=loss, jit_compile=False)
batch = (inputs, targets, weights)
found["train"] = measure(lambda: model.train_on_batch(*batch), 4)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def graphene(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


@pytest.fixture(scope="module")
def stage(graphene):
    reaches = kh.physics.estimate_reaches(graphene)
    return kh.models.EquivariantStage(graphene.basis.to_dict(), reaches)


@pytest.fixture(scope="module")
def files(stage, graphene, tmp_path_factory):
    """Configurations of all stages, and features of all sizes."""
    folder = tmp_path_factory.mktemp("cascade")
    models = [stage]
    for name in SECOND_STAGES:
        models.append(getattr(kh.models, name).for_stage(stage))
    for model in models:
        name = type(model).__name__
        text = json.dumps([name, model.arguments])
        (folder / f"{name}.json").write_text(text)
    sizes = {}
    for repeat in REPEATS:
        atoms = graphene[0].atoms.repeat((repeat, repeat, 1))
        table = neighbor_table(atoms, pairs_within(atoms, stage.reaches))
        inputs = batch_inputs([atoms], [table], graphene.basis)
        features = stage.feature_model().predict_on_batch(inputs)
        features = {k: np.asarray(x) for k, x in features.items()}
        path = folder / f"{len(atoms)}.npz"
        np.savez(path, **inputs, **features)
        sizes[len(atoms)] = path
    return folder, sizes


def exponent(sizes, values):
    """Of the power law through all points, by least squares."""
    return np.polyfit(np.log(sizes), np.log(values), 1)[0]


@pytest.mark.parametrize("name", ["EquivariantStage", *SECOND_STAGES])
def test_cost_against_number_of_atoms(benchmark, files, name):
    folder, sizes = files
    found = {}

    def all_sizes():
        for size, path in sizes.items():
            done = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    ONE_STAGE,
                    folder / f"{name}.json",
                    path,
                ],
                env={**os.environ, "KERAS_BACKEND": "torch"},
                capture_output=True,
                text=True,
                check=True,
            )
            found[size] = json.loads(done.stdout.splitlines()[-1])

    benchmark.pedantic(all_sizes, rounds=1)
    atoms = np.array(list(found))
    print(f"\n{name}, graphene, one thread, load {os.getloadavg()[0]:.1f}")
    print(f"  {'atoms':24s}" + "".join(f"{n:>10d}" for n in atoms))
    for task in ("train", "predict"):
        for column, unit in enumerate(("CPU s", "MB")):
            values = np.array([found[n][task][column] for n in found])
            whole = exponent(atoms, values)
            last = exponent(atoms[-2:], values[-2:])
            digits = 3 if unit == "CPU s" else 0
            numbers = "".join(f"{v:10.{digits}f}" for v in values)
            print(
                f"  {task + ', ' + unit:24s}{numbers}  ~ N^{whole:.2f}, "
                f"at last N^{last:.2f}"
            )
            benchmark.extra_info[f"{task} {unit}"] = values.tolist()


@pytest.mark.parametrize("name", SECOND_STAGES)
def test_second_stage_does_not_pay_for_the_first(
    benchmark, stage, graphene, name
):
    """A training step on cached features, and with the first stage run."""
    refinement = getattr(kh.models, name).for_stage(stage)
    dataset = kh.HamiltonianDataset(graphene, graphene.names[:1])
    cached = kh.models.StageFeatures(stage, dataset)
    anew = kh.models.StageFeatures(stage, dataset, cache=False)
    refinement.compile(
        keras.optimizers.Adam(1e-4),
        loss=kh.losses.BlockMeanAbsoluteError(),
        jit_compile=False,
    )
    medians = alternate(
        benchmark,
        f"training step of {name}, 18 atoms, 828 blocks",
        rounds=9,
        cached_features=lambda: refinement.train_on_batch(*cached[0]),
        first_stage_run_anew=lambda: refinement.train_on_batch(*anew[0]),
    )
    benchmark.extra_info["ratio"] = (
        medians["first_stage_run_anew"] / medians["cached_features"]
    )
