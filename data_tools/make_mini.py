"""Makes the small data sets of `recipes/data` from legacy DeepH folders.

    python -m data_tools.make_mini FOLDER [NAME ...] [--output recipes/data]

FOLDER holds one folder per set (`graphene_mono`, `mos2_mono`, ...), each with
numbered structures. Every NAME below becomes `NAME.h5` with `NAME.split.json`;
bands that the DFT code itself printed become `NAME[_NUMBER].bands.npz`.
"""

import argparse
import dataclasses
import json
import pathlib

import numpy as np

from data_tools.deeph import read_legacy
from keras_hamiltonian.data.splits import Split
from keras_hamiltonian.data.splits import ordered_split
from keras_hamiltonian.data.store import HamiltonianStore

# Occupied bands move by less than 5e-5 eV (table in recipes/data/README.md).
# S needs the finer spacing: a band multiplies its error by the band's energy.
# H⁰ has that of H, so that H - H⁰ is off by half a step at most.
HAMILTONIAN_PRECISION = 2.0**-18  # eV
OVERLAP_PRECISION = 2.0**-22
LARGEST_FILE = 10e6

VALENCE_ELECTRONS = {"C": 4, "Mo": 14, "S": 6, "Bi": 15, "Se": 6, "Te": 16}
ATTRIBUTES = {
    "origin": "OpenMX 3.9.0 calculations made for keras_hamiltonian",
    "functional": "GGA-PBE",
    "pseudopotentials": "DFT_DATA19 (PBE19)",
    "energy_cutoff_rydberg": 200,
    "electronic_temperature_kelvin": 300,
    "constants": "27.2113845 eV per hartree, 0.529177249 Å per bohr",
}


@dataclasses.dataclass(frozen=True)
class MiniSet:
    """What one small set takes from a full one.

    Attributes:
        source: str. Folder of the full set.
        parts: three ranges of numbers (train, validate, test), or an int:
            this many from 0 on, divided 60 / 20 / 20 in order.
        overlaps: int. The overlap of this many training structures is kept;
            validation and test structures always keep theirs.
        bands: tuple of numbers with bands of the DFT code.
        is_rounded: bool. `False` keeps every bit.
    """

    source: str
    parts: tuple | int
    overlaps: int = 99
    bands: tuple = ()
    is_rounded: bool = True

    def split(self):
        """The `Split` of the set."""
        if isinstance(self.parts, int):
            return ordered_split([f"{k:03d}" for k in range(self.parts)])
        return Split(*([f"{k:03d}" for k in part] for part in self.parts))


ONE_TEST = (range(0), range(0), range(1))
MINI_SETS = {
    # The full set trains on 000-039, validates on 040-049, tests on 050-059.
    "graphene": MiniSet(
        "graphene_mono",
        (range(24), range(40, 44), range(50, 54)),
        overlaps=2,
        bands=(50,),
    ),
    "mos2": MiniSet("mos2_mono", 20, overlaps=4, bands=(18,)),
    "bilayer_graphene": MiniSet("graphene_bilayer", 20, overlaps=2),
    "bilayer_graphene_twisted": MiniSet(
        "graphene_twisted", ONE_TEST, bands=(0,)
    ),
    "bismuthene": MiniSet("bismuthene_bilayer", 10, bands=(8,)),
    "bi2te3": MiniSet("bi2te3_bilayer", 6),
    "bi2se3": MiniSet("bi2se3_bilayer", 5),
    "reference_graphene": MiniSet(
        "reference_prim_graphene", ONE_TEST, bands=(0,), is_rounded=False
    ),
    "reference_mos2": MiniSet(
        "reference_prim_mos2", ONE_TEST, bands=(0,), is_rounded=False
    ),
    "reference_bismuthene": MiniSet(
        "reference_prim_bismuthene", ONE_TEST, bands=(0,), is_rounded=False
    ),
}


def make_mini(folder, output, name):
    """Makes one small set.

    Args:
        folder: str or path. Holds the folders of the full sets.
        output: str or path. Where the files go.
        name: str. A key of `MINI_SETS`.

    Returns:
        The `HamiltonianStore` written.

    Raises:
        ValueError: for an unknown name, a missing structure, or a file larger
            than `LARGEST_FILE`.
    """
    if name not in MINI_SETS:
        raise ValueError(
            f"No small set is called {name!r}. Known: {', '.join(MINI_SETS)}."
        )
    mini = MINI_SETS[name]
    source = pathlib.Path(folder) / mini.source
    output = pathlib.Path(output)
    split = mini.split()
    precision = None
    if mini.is_rounded:
        precision = {
            "hamiltonian": HAMILTONIAN_PRECISION,
            "overlap": OVERLAP_PRECISION,
            "initial_hamiltonian": HAMILTONIAN_PRECISION,
        }
    store = HamiltonianStore.write(
        output / f"{name}.h5",
        calculations(source, split, mini),
        attributes={**ATTRIBUTES, "set": mini.source, "rounding": precision},
        precision=precision,
        compression=9,
    )
    size = store.path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(
            f"{store.path} has {size / 1e6:.2f} MB, more than the "
            f"{LARGEST_FILE / 1e6} MB allowed. Take fewer structures or "
            f"overlaps in MINI_SETS[{name!r}]."
        )
    if mini.is_rounded:
        split.write(output / f"{name}.split.json")
    for number in mini.bands:
        suffix = f"_{number:03d}" if mini.is_rounded and len(store) > 1 else ""
        _copy_bands(
            source / f"{number:03d}" / "openmx_bands.npz",
            output / f"{name}{suffix}.bands.npz",
        )
    return store


def calculations(source, split, mini):
    """The calculations of a small set, one after another.

    Args:
        source: path. Folder of the full set.
        split: `Split`. Structures to take, in the order of its parts.
        mini: `MiniSet`.

    Returns:
        Generator of `Calculation`.

    Raises:
        ValueError: if a structure is missing.
    """
    for name in split.names:
        folder = source / name
        has_overlap = name not in split.train[mini.overlaps :]
        left_out = {} if has_overlap else {"overlap": None}
        calculation = read_legacy(folder, files=left_out)
        electrons = [VALENCE_ELECTRONS[s] for s in calculation.atoms.symbols]
        yield dataclasses.replace(
            calculation,
            name=name,
            num_electrons=float(sum(electrons)),
            source={
                "code": "OpenMX",
                "version": "3.9.0",
                "file": f"{mini.source}/{name}",
                **_settings(folder / "openmx.dat"),
            },
        )


def _settings(path):
    """What distinguishes the runs: k-grid, SCF criterion, spin-orbit."""
    wanted = {
        "scf.kgrid": "k_grid",
        "scf.criterion": "scf_criterion_hartree",
        "scf.spinorbit.coupling": "spin_orbit",
    }
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text().splitlines():
        keyword, *values = line.split() or [""]
        if keyword.lower() in wanted:
            found[wanted[keyword.lower()]] = " ".join(values)
    return found


def _copy_bands(source, target):
    if not source.is_file():
        raise ValueError(
            f"{source} is missing; it holds the bands that OpenMX printed."
        )
    with np.load(source) as bands:
        np.savez_compressed(target, **bands)


def main(arguments=None):
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.make_mini",
        description="Makes the small data sets from legacy DeepH folders.",
    )
    parser.add_argument("folder", help="holds one folder per full set")
    parser.add_argument("names", nargs="*", help="small sets (default: all)")
    parser.add_argument("--output", default="recipes/data")
    options = parser.parse_args(arguments)
    for name in options.names or MINI_SETS:
        store = make_mini(options.folder, options.output, name)
        size = store.path.stat().st_size / 1e6
        print(json.dumps({"set": name, "structures": len(store), "MB": size}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
