"""CPU time and memory of predictions of large structures, one thread.

    pytest tests/benchmarks/test_prediction_cost.py --benchmark-only -s

`KH_PREDICTION_LARGE=1` adds 4050 and 10082 atoms (half an hour, 10 GB);
`KH_PREDICTION_LIMIT` is the limit of memory, 4GB by default. The network has
the default size; it is not trained, which costs the same. Nothing fails
because of a time; a run that takes more memory than its limit fails.
"""

import json
import os
import subprocess
import sys

import pytest

from keras_hamiltonian.memory import bytes_of

REPEATS = [23]
if "KH_PREDICTION_LARGE" in os.environ:
    REPEATS += [45, 71]
LIMIT = os.environ.get("KH_PREDICTION_LIMIT", "4GB")

# A fresh process, whose peak is its own. What is written stays on the disk.
MEASURE = """
import json, sys, tempfile, time
import ase.build
import keras_hamiltonian as kh
path, repeats, limit = json.loads(sys.argv[1])
def megabytes(field):
    with open("/proc/self/status") as status:
        line = next(x for x in status if x.startswith(field))
    return int(line.split()[1]) * 1024 / 1e6
class Progress:
    def begin(self, estimate):
        self.slabs = estimate.num_slabs
    def __call__(self, fraction):
        pass
known = kh.HamiltonianStore(path)[0]
reaches = kh.physics.estimate_reaches([known])
stage = kh.models.EquivariantStage(known.basis.to_dict(), reaches)
stage.adapt(kh.HamiltonianDataset([known]))
stage.overlap = kh.physics.TwoCentreOverlap.fit([known], reaches)
atoms = ase.build.graphene(vacuum=7.5)
atoms.pbc = True
with tempfile.TemporaryDirectory() as folder:
    def predict(repeats, **options):
        crystal = atoms.repeat((repeats, repeats, 1))
        crystal.rattle(0.01, seed=0)
        kh.stream_prediction(f"{folder}/h.h5", stage, crystal, **options)
        return len(crystal)
    predict(4)  # everything is loaded
    loaded, progress = megabytes("VmRSS"), Progress()
    start = time.process_time()
    number = predict(repeats, max_memory=limit, progress=progress)
    print(json.dumps({
        "atoms": number,
        "seconds": time.process_time() - start,
        "slabs": progress.slabs,
        "loaded": loaded,
        "peak": megabytes("VmHWM"),
    }))
"""


@pytest.mark.parametrize("limit", [None, LIMIT])
@pytest.mark.parametrize("repeats", REPEATS)
def test_cost(benchmark, repeats, limit, data_folder):
    path = str(data_folder / "reference_graphene.h5")

    def measure():
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, json.dumps([path, repeats, limit])],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    found = benchmark.pedantic(measure, rounds=1)
    print(
        f"\n{found['atoms']} atoms, limit {limit}: {found['slabs']} slabs, "
        f"{found['seconds']:.1f} CPU s, "
        f"{1e3 * found['seconds'] / found['atoms']:.1f} ms an atom, peak "
        f"{found['peak']:.0f} MB, {found['loaded']:.0f} before"
    )
    if limit is not None:
        assert 1e6 * found["peak"] < bytes_of(limit)
