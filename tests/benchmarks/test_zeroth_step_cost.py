"""CPU time and memory of H⁰ and S from atoms alone, one thread.

    pytest tests/benchmarks/test_zeroth_step_cost.py --benchmark-only -s

`KH_ZEROTH_LARGE=1` adds about 1200 atoms of each and 10368 of graphene (some
minutes, 4 GB). `KH_ZEROTH_WORKERS=2` is the number of threads; then the time
is that of the clock. Nothing fails because of a time.
"""

import json
import os
import subprocess
import sys

import pytest
from openmx_data import ORBITALS

SIZES = {
    "graphene": ("050", [1, 4]),
    "mos2": ("018", [1, 4]),
    "bi2se3": ("000", [1, 4]),
}
LARGE = {"graphene": [8, 24], "mos2": [10], "bi2se3": [11]}
WORKERS = int(os.environ.get("KH_ZEROTH_WORKERS", "1"))

MEASURE = """
import json, sys, time
import keras_hamiltonian as kh
from data_tools.openmx_species import read_openmx_species
path, name, repeats, species, orbitals, workers = json.loads(sys.argv[1])
def memory(field):
    # Not `getrusage`: its peak includes the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(field))
known = kh.HamiltonianStore(path)[name]
start = time.process_time()
species = read_openmx_species(species, orbitals, spin_orbit=known.is_spinful)
step = kh.ZerothStep(species, spin=known.spin, workers=workers)
tables = time.process_time() - start
step(known.atoms)  # compiles
atoms = known.atoms.repeat((repeats, repeats, 1))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts anew
loaded = memory("VmRSS")
start, clock = time.process_time(), time.time()
step(atoms)
print(json.dumps({
    "atoms": len(atoms),
    "seconds": time.process_time() - start,
    "clock": time.time() - clock,
    "megabytes": (memory("VmHWM") - loaded) / 1e3,
    "tables": tables,
}))
"""


def sizes():
    for material, (name, repeats) in SIZES.items():
        if "KH_ZEROTH_LARGE" in os.environ:
            repeats = repeats + LARGE[material]
        for count in repeats:
            yield material, name, count


@pytest.mark.parametrize("material, name, repeats", list(sizes()))
def test_cost(benchmark, material, name, repeats, data_folder, species_folder):
    elements = {"graphene": "C", "mos2": "Mo S", "bi2se3": "Bi Se"}[material]
    arguments = [
        str(data_folder / f"{material}.h5"),
        name,
        repeats,
        str(species_folder),
        [ORBITALS[symbol] for symbol in elements.split()],
        WORKERS,
    ]

    def measure():
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, json.dumps(arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    found = benchmark.pedantic(measure, rounds=1)
    spent = found["seconds"] if WORKERS == 1 else found["clock"]
    print(
        f"\n{material}, {found['atoms']} atoms: "
        f"{1e3 * spent / found['atoms']:.0f} ms an atom, "
        f"{found['megabytes']:.0f} MB; tables {found['tables']:.1f} s"
    )
