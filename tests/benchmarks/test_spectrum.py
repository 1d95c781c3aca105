"""States of large sheets of graphene, from predicted H and S.

    pytest tests/benchmarks/test_spectrum.py --benchmark-only -s

`KH_SPECTRUM_MODEL` is the model that predicts; without it one is made, whose
network has not been trained. `KH_SPECTRUM_LARGE=1` adds the sheet of 4050
atoms (10 GB of memory, 10 minutes), `KH_SPECTRUM_PLOT` is where the picture
goes (default: a folder of pytest).
"""

import json
import os
import pathlib
import pickle
import subprocess
import sys

import ase.build
import numpy as np
import pytest

SIZES = {10: 200, 22: 968}  # repeats: atoms
LARGE = {45: 4050}
GAMMA, GENERAL = (0.0, 0.0, 0.0), (0.2, 0.1, 0.0)
# Fermi level of graphene in the vacuum of the set, in eV.
FERMI_LEVEL = -3.77
NUM_STATES = 20

MEASURE = """
import json, pickle, sys, time
import numpy as np
from scipy.sparse.linalg import splu
from keras_hamiltonian.physics import *
path, k_point, solver, energy, number = json.loads(sys.argv[1])
with open(path, "rb") as file:
    matrices = pickle.load(file)
def memory(field):
    # Not `getrusage`: its peak includes the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(field))
matrices.dissection
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts anew
loaded = memory("VmRSS")
start = time.process_time()
wall = time.time()
overlap = matrices.overlap_at(k_point)
shifted = matrices.hamiltonian_at(k_point) - energy * overlap
del overlap
found = {"size": matrices.size, "is_real": shifted.dtype.kind == "f"}
if solver in ("COLAMD", "MMD_AT_PLUS_A"):
    factors = splu(shifted.tocsc(), permc_spec=solver)
    found["numbers"] = factors.nnz
elif number == 0:
    factors = factorize(shifted, matrices.dissection, solver)
else:
    del shifted
    states = nearest_states(matrices, k_point, energy, number, solver)
    found["residual"] = states.residual
    found["first"] = states.first
    found["energies"] = states.energies.tolist()
    found["is_real"] = states.coefficients.dtype.kind == "f"
found["seconds"] = time.process_time() - start
found["wall"] = time.time() - wall
found["gigabytes"] = (memory("VmHWM") - loaded) / 1e6
found["loaded"] = loaded / 1e6
print(json.dumps(found))
"""

PREDICT = """
import json, pickle, sys, time
import keras_hamiltonian as kh
from keras_hamiltonian.physics import BlochMatrices
model, atoms_path, out = sys.argv[1:]
with open(atoms_path, "rb") as file:
    atoms = pickle.load(file)
model = kh.load_model(model)
start = time.process_time()
prediction = kh.predict(model, atoms)
seconds = time.process_time() - start
with open("/proc/self/status") as status:
    peak = next(int(x.split()[1]) for x in status if x.startswith("VmHWM"))
start = time.process_time()
matrices = BlochMatrices.from_calculation(prediction.calculation)
made = time.process_time() - start
with open(out, "wb") as file:
    pickle.dump(matrices, file, protocol=5)
print(json.dumps({"predict": seconds, "matrices": made, "peak": peak / 1e6}))
"""


def run(program, *arguments):
    """What a program printed last, from a process of its own, one thread."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={
            **os.environ,
            "KERAS_BACKEND": "torch",
            **dict.fromkeys(threads, "1"),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def rippled(repeat):
    """A sheet with a wave of 0.3 Å and noise of 0.02 Å."""
    atoms = ase.build.graphene(a=2.46, vacuum=7.5).repeat((repeat, repeat, 1))
    x, y, _ = 2 * np.pi * atoms.get_scaled_positions().T
    atoms.positions[:, 2] += 0.3 * np.sin(x) * np.cos(y)
    noise = np.random.default_rng(0).normal(scale=0.02, size=(len(atoms), 3))
    atoms.positions += noise
    atoms.wrap()
    return atoms


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Path of a model of graphene."""
    if "KH_SPECTRUM_MODEL" in os.environ:
        return os.environ["KH_SPECTRUM_MODEL"]
    pytest.importorskip("torch")
    import keras_hamiltonian as kh

    data = pathlib.Path(__file__).parents[2] / "recipes" / "data"
    store = kh.HamiltonianStore(data / "graphene.h5")
    known = [store[name] for name in ("000", "001", "040", "041")]
    reaches = kh.physics.estimate_reaches(known)
    stage = kh.models.EquivariantStage(store.basis.to_dict(), reaches)
    stage.overlap = kh.physics.TwoCentreOverlap.fit(known, reaches)
    stage.adapt(kh.HamiltonianDataset(store, ["000", "001"]))
    path = tmp_path_factory.mktemp("model") / "graphene.keras"
    stage.save(path)
    return path


@pytest.fixture(scope="module")
def sheets(model, tmp_path_factory):
    """Paths of the matrices of each sheet, by its number of atoms."""
    folder = tmp_path_factory.mktemp("sheets")
    sizes = dict(SIZES)
    if os.environ.get("KH_SPECTRUM_LARGE"):
        sizes.update(LARGE)
    paths = {}
    for repeat, number in sizes.items():
        with open(folder / "atoms.pkl", "wb") as file:
            pickle.dump(rippled(repeat), file)
        paths[number] = folder / f"{number}.pkl"
        found = run(PREDICT, model, folder / "atoms.pkl", paths[number])
        print(
            f"\n{number} atoms: predicted in {found['predict']:.1f} CPU s, "
            f"peak {found['peak']:.2f} GB; pattern of H(k) and S(k) "
            f"{found['matrices']:.1f} CPU s"
        )
    return paths


def measure(path, k_point, solver, number=NUM_STATES):
    arguments = [str(path), k_point, solver, FERMI_LEVEL, number]
    return run(MEASURE, json.dumps(arguments))


def test_states_about_the_fermi_level(benchmark, sheets, tmp_path):
    """20 states: CPU seconds and memory over that of the matrices."""
    found = {}

    def one_round():
        for number, path in sheets.items():
            for k_point in (GAMMA, GENERAL):
                found[number, k_point] = measure(path, k_point, "multifrontal")

    benchmark.pedantic(one_round, rounds=1)
    print(f"\n{NUM_STATES} states about {FERMI_LEVEL} eV, one thread")
    for (number, k_point), result in found.items():
        kind = "real" if result["is_real"] else "complex"
        gap = np.array(result["energies"])
        occupied = 2 * number - result["first"]
        level = ""
        if 0 < occupied < NUM_STATES:
            level = gap[occupied - 1 : occupied + 1].mean()
            level = f", Fermi level {level:.3f} eV"
        print(
            f"  {number:5d} atoms {result['size']:6d} orbitals {kind:8s}"
            f"{result['seconds']:8.1f} CPU s {result['gigabytes']:6.2f} GB"
            f" (over {result['loaded']:.2f}), residual "
            f"{result['residual']:.0e} eV{level}"
        )
        benchmark.extra_info[f"{number} {kind}"] = result["seconds"]
        assert result["residual"] < 1e-6
    plot(found, os.environ.get("KH_SPECTRUM_PLOT", tmp_path / "scaling.png"))


def plot(found, path):
    """Time and memory over the number of orbitals, for both arithmetics."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    for axis, field, label in zip(
        figure.subplots(1, 2),
        ("seconds", "gigabytes"),
        ("CPU seconds, 20 states", "GB over the matrices"),
    ):
        for is_real, name in ((True, "real (Γ)"), (False, "complex")):
            points = sorted(
                (r["size"], r[field])
                for r in found.values()
                if r["is_real"] == is_real
            )
            axis.loglog(*zip(*points), "o-", label=name)
        ticks = sorted({r["size"] for r in found.values()})
        axis.set_xticks(ticks, [f"{size}" for size in ticks])
        axis.set_xticks([], minor=True)
        axis.set_xlabel("orbitals")
        axis.set_ylabel(label)
        axis.legend()
    figure.savefig(path, dpi=150)
    print(f"  picture: {path}")


@pytest.mark.parametrize("k_point", [GAMMA, GENERAL], ids=["real", "complex"])
def test_one_factorization(benchmark, sheets, k_point):
    """Ours, SuperLU's in three orders, and MKL's where it is installed."""
    solvers = ["multifrontal", "superlu", "COLAMD", "MMD_AT_PLUS_A"]
    try:
        import pypardiso  # noqa: F401

        solvers.insert(1, "pardiso")
    except ImportError:
        pass
    number = 968
    found = {}

    def one_round():
        for solver in solvers:
            found[solver] = measure(sheets[number], k_point, solver, 0)

    benchmark.pedantic(one_round, rounds=1)
    print(f"\none factorization of H - E S, {number} atoms, one thread")
    for solver, result in found.items():
        print(
            f"  {solver:14s}{result['seconds']:8.1f} CPU s "
            f"{result['gigabytes']:6.2f} GB"
        )
        benchmark.extra_info[solver] = result["seconds"]
