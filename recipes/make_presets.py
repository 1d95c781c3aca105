"""Train the models that come with the package, and write their cards.

    python recipes/make_presets.py graphene                # small sets
    python recipes/make_presets.py mos2 --data FOLDER      # full sets

The full sets are calculations of recipes/data/README.md before any was left
out or rounded: more of graphene, for the others the same structures. Training
and report land in runs/presets/<name>, model and card in the package.
"""

import argparse
import dataclasses
import pathlib

import keras_hamiltonian as kh

RECIPES = pathlib.Path(__file__).parent
PRESETS = RECIPES.parent / "keras_hamiltonian" / "presets"
MEV_PER_EV = kh.conventions.MEV_PER_EV
# Two groups of updates: a small file, and no worse at equal time.
OPTIONS = {"second_stage": "none", "first_options": {"num_groups": 2}}


@dataclasses.dataclass(frozen=True)
class Material:
    """What a card says that the data do not.

    Attributes:
        title: str. In words.
        full: str. Name of the full set.
        cell: str. The cells that were computed.
        vacuum: float. Length of the third lattice vector, Å.
        k_grid: str. Of the calculations.
        tests: dict from name to the full set of other cells that only test.
        threshold: float, or `None`. Overlap threshold of the bands, where
            training chose none: the largest that costs the bands of
            validation structures nothing, see `provenance["band_errors"]`.
    """

    title: str
    full: str
    cell: str
    vacuum: float
    k_grid: str
    tests: dict = dataclasses.field(default_factory=dict)
    threshold: float | None = None


MATERIALS = {
    "graphene": Material(
        "monolayer graphene",
        "graphene_mono",
        "3 × 3 supercells, 18 atoms",
        15.0,
        "4 × 4 × 1",
        {"5 × 5 cells": "graphene_mono_5x5_test"},
    ),
    "mos2": Material(
        "monolayer MoS2",
        "mos2_mono",
        "2 × 2 supercells, 12 atoms",
        20.0,
        "4 × 4 × 1",
    ),
    "bilayer_graphene": Material(
        "bilayer graphene",
        "graphene_bilayer",
        "2 × 2 supercells, 16 atoms, one layer shifted at random",
        20.0,
        "4 × 4 × 1",
        {"twisted by 21.79°, 28 atoms": "graphene_twisted"},
        # Without it, spurious levels in one of the four test structures:
        # 151 meV on the mean of all levels, with it 20.
        0.002,
    ),
    "bismuthene": Material(
        "two Bi(111) bilayers",
        "bismuthene_bilayer",
        "primitive cells, 4 atoms, one layer shifted at random",
        24.0,
        "5 × 5 × 1",
    ),
    "bi2te3": Material(
        "two quintuple layers of Bi2Te3",
        "bi2te3_bilayer",
        "primitive cells, 10 atoms, one layer shifted at random",
        30.0,
        "5 × 5 × 1",
    ),
    "bi2se3": Material(
        "two quintuple layers of Bi2Se3",
        "bi2se3_bilayer",
        "primitive cells, 10 atoms, one layer shifted at random",
        30.0,
        "5 × 5 × 1",
    ),
}

TEXT = """\
# {name}

Hamiltonian and overlap of {title}, from the atoms alone.

```python
import keras_hamiltonian as kh

prediction = kh.predict("{name}", atoms)
```

**Data.** {data}

**Held-out structures.** {errors}

**Where it holds.** Cells like those of the training: {cell}, with a vacuum \
that makes the third lattice vector {vacuum:g} Å long, because the zero of \
energy depends on it; atoms within some 0.1 Å of their places. Larger cells \
have larger errors (docs/larger_cells.md).{threshold} `prediction.warnings` \
says what is unlike the training set. It is a model to begin with: trained for \
minutes on few structures, without H⁰.

**Made by**

    {command}

with keras_hamiltonian {version}, {date}, {cpu_seconds:.0f} CPU seconds, \
{steps} steps. Licence: Apache-2.0.
"""


def main(options):
    """Trains one model and writes it into the package."""
    name, material = options.material, MATERIALS[options.material]
    store, split, tests = open_data(name, material, options.data)
    seconds, run = options.seconds, options.runs / name
    report = kh.train(
        store,
        split,
        kh.training.TrainingSettings(seconds=seconds, **OPTIONS),
        run,
        name=name,
        title=material.title,
        test_sets=tests,
        num_predictions=0,
        num_spectra=None,
    )
    command = f"python recipes/make_presets.py {name} --seconds {seconds:g}"
    if options.data:
        command += " --data FOLDER"
    model = kh.load_model(run / report["files"]["model"])
    if material.threshold is not None:
        model.overlap_threshold = material.threshold
        parts = {"num_rotations": 0, "largest_cell": 0}
        again = kh.evaluate(
            model, store, run / "threshold", split.test, **parts
        )
        report = {**report, "levels": again["levels"]}
    write_preset(name, model, report, command, options.output)
    print(kh.evaluation.summary(report, run))


def write_preset(name, model, report, command, output):
    """Model and card."""
    material = MATERIALS[name]
    values = card(name, material, report, command, model)
    words = {
        **vars(material),
        **values,
        "name": name,
        "threshold": threshold_in_words(model.overlap_threshold),
        "errors": in_words(values["errors"]),
        "version": report["versions"]["keras-hamiltonian"],
        "date": report["date"],
        "steps": report["steps"]["first"],
        "cpu_seconds": report["cpu_seconds"],
    }
    folder = model.save_to_preset(output / name, TEXT.format(**words), **values)
    print(f"{folder}: {words['errors']}")


def open_data(name, material, folder):
    """`HamiltonianStore`, `Split` and test sets of a material."""
    if folder is None:
        small = RECIPES / "data" / name
        split = kh.data.Split.read(small.with_suffix(".split.json"))
        return kh.HamiltonianStore(small.with_suffix(".h5")), split, {}
    store = kh.HamiltonianStore(folder / f"{material.full}.h5")
    names = list(store.names)
    split = kh.data.ordered_split(names)
    if name == "graphene":
        split = kh.data.Split(names[:40], names[40:50], names[50:])
    tests = {
        title: kh.HamiltonianStore(folder / f"{file}.h5")
        for title, file in material.tests.items()
    }
    return store, split, tests


def card(name, material, report, command, model):
    """Values of the card; errors in meV."""
    counts = report["num_structures"]
    spin = ", with spin-orbit coupling" if model.spin != "none" else ""
    found = {"test structures": report, **report["test_sets"]}
    return {
        "license": "Apache-2.0",
        "calculations": {
            "code": "OpenMX 3.9.0",
            "functional": "GGA-PBE",
            "potentials": "DFT_DATA19, PBE19",
            "energy_cutoff_ry": 200,
            "k_grid": material.k_grid,
            "electronic_temperature_k": 300,
            "spin_orbit": model.spin != "none",
        },
        "data": f"{sum(counts.values())} structures ({material.cell}), "
        f"{counts['train']} of them trained, {counts['validate']} validated "
        f"and {counts['test']} tested. Computed for this project with OpenMX "
        "3.9.0: GGA-PBE, DFT_DATA19 potentials and orbitals, cut-off 200 Ry, "
        f"k-grid {material.k_grid}, 300 K{spin}; atoms moved by noise of "
        "0.04 Å in every coordinate. recipes/data/README.md says more, and "
        f"recipes/data/{name}.h5 holds test structures.",
        "errors": {
            title: {
                "num_structures": len(tested["errors"]["structures"]),
                "mae_all": mev(tested["errors"]["mae_all"]),
                "mae_cha": mev(tested["errors"]["mae_cha"]),
                **(
                    {"bands_within_3_ev": mev(tested["levels"]["window_mae"])}
                    if tested.get("levels")
                    else {}
                ),
            }
            for title, tested in found.items()
        },
        "command": command,
    }


def in_words(errors):
    """Errors of a card as sentences."""
    sentences = []
    for title, found in errors.items():
        words = f"{title} ({found['num_structures']}): MAE of all matrix "
        words += f"elements {found['mae_all']:g} meV, of the worst structure "
        words += f"{found['mae_cha']:g} meV"
        if "bands_within_3_ev" in found:
            level = found["bands_within_3_ev"]
            words += f", of levels within 3 eV of the Fermi level {level:g} meV"
        sentences.append(f"{words[0].upper()}{words[1:]}.")
    return " ".join(sentences)


def threshold_in_words(threshold):
    """What bands leave out, a sentence."""
    if not threshold:
        return ""
    return (
        " Its bands, and their error above, leave out combinations of orbitals "
        f"of norms below {threshold:g} (docs/small_norms.md)."
    )


def mev(error):
    """In meV, three digits."""
    return float(f"{MEV_PER_EV * error:.3g}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("material", choices=MATERIALS)
    parser.add_argument(
        "--data", type=pathlib.Path, help="folder of the full sets"
    )
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument(
        "--runs", type=pathlib.Path, default=pathlib.Path("runs/presets")
    )
    parser.add_argument("--output", type=pathlib.Path, default=PRESETS)
    main(parser.parse_args())
