"""Predict Hamiltonian and bands of structures with a trained model.

    python recipes/predict.py runs/graphene/graphene.keras structure.cif
    python recipes/predict.py model.keras my_set/050 my_set/051 --rotations 8

A structure is a file that ASE reads, or the folder of a calculation (DeepH in
both layouts, OpenMX). From a folder the overlap is taken where it is there, and
where the Hamiltonian is there the prediction is compared with it. Writes for
each structure a DeepH folder with Hamiltonian and overlap, the bands and, after
a comparison, errors.json.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import typing

import keras_hamiltonian as kh  # before Keras, to choose the backend

import ase
import ase.io
from published_sets import read_atoms
from published_sets import read_calculation

MEV_PER_EV = 1000.0


@dataclasses.dataclass
class Task:
    """One structure to predict, with its calculation where there is one."""

    name: str
    atoms: ase.Atoms
    calculation: typing.Any = None


def main(options):
    """Reads, predicts, writes."""
    tasks = [task for path in options.structures for task in read(path)]
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise ValueError(
            "Two structures have one name, and results would be mixed: "
            f"{', '.join(names)}. Predict them by two commands."
        )
    model = kh.load_model(options.model)
    root = options.output or pathlib.Path("runs")
    for task in tasks:
        is_only = options.output is not None and len(tasks) == 1
        predict(model, task, root if is_only else root / task.name, options)


def read(path):
    """The structures of a file or a folder."""
    if not path.is_dir():
        frames = ase.io.read(path, index=":")
        if len(frames) == 1:
            return [Task(path.stem, frames[0])]
        return [Task(f"{path.stem}_{k}", a) for k, a in enumerate(frames)]
    name = path.resolve().name
    if any(path.glob("*.scfout")) or any(path.glob("*.h5")):
        calculation = read_calculation(path)
        return [Task(name, calculation.atoms, calculation)]
    return [Task(name, read_atoms(path))]


def predict(model, task, output, options):
    """Predicts one structure, and compares it with what is known of it."""
    known = task.calculation
    if known is not None:
        model.check_elements(known.atoms, known.basis)
    prediction = kh.predict(
        model,
        task.atoms,
        overlap=known and known.overlap,
        num_electrons=options.electrons or (known and known.num_electrons),
        name=task.name,
        num_rotations=options.rotations,
    )
    print(f"{task.name}, {task.atoms.get_chemical_formula()}")
    print(f"  Hamiltonian and overlap: {prediction.write(output / 'deeph')}")
    if prediction.spread is not None:
        spread = MEV_PER_EV * abs(prediction.spread.entries).mean()
        print(f"  spread over {options.rotations} rotations: {spread:.3f} meV")
    bands = None
    if known is not None and known.hamiltonian is not None:
        bands = compare(model, prediction, known, output, options.path)
    elif prediction.overlap is not None and prediction.fermi_level is not None:
        bands = prediction.bands(options.path), None
    if bands is None:
        return
    bands[0].save(output / "bands.json")
    kh.evaluate.plot_bands(*bands, output / "bands.png")
    print(f"  Fermi level: {bands[0].fermi_level:.3f} eV")
    print(f"  bands: {output / 'bands.png'}, {output / 'bands.json'}")


def compare(model, prediction, known, output, path):
    """Errors of a prediction; its bands and those of the calculation."""
    errors = kh.metrics.MatrixErrors(model.basis)
    errors.update(prediction.hamiltonian, known)
    found = {"errors": errors.result(), "bands": None}
    bands = None
    if prediction.overlap is not None:
        *bands, found["bands"] = kh.evaluate.compare_bands(
            prediction, known, path
        )
    print("  " + kh.evaluate.summary(found).replace("\n", "\n  "))
    (output / "errors.json").write_text(json.dumps(found, indent=1) + "\n")
    return bands if bands and bands[0].fermi_level is not None else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=pathlib.Path, help="a .keras file")
    parser.add_argument(
        "structures",
        type=pathlib.Path,
        nargs="+",
        help="files that ASE reads, or folders of calculations",
    )
    parser.add_argument("--path", help="band path, such as GMKG")
    parser.add_argument(
        "--rotations",
        type=int,
        help="mean over so many random rotations, with its spread",
    )
    parser.add_argument(
        "--electrons", type=float, help="valence electrons per cell"
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help="folder; of several structures each gets one in it",
    )
    arguments = parser.parse_args()
    try:
        main(arguments)
    except ValueError as error:
        sys.exit(f"{parser.prog}: {error}")
