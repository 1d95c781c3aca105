"""Predict Hamiltonian and bands of structures with a trained model.

    python recipes/predict.py runs/graphene/graphene.keras structure.cif
    python recipes/predict.py model.keras my_set/050 my_set/051 --rotations 8

A structure is a file that ASE reads, or a calculation of any format (see
data_tools). The overlap of a calculation is used if it has one, and its
Hamiltonian is compared with the prediction. Writes for each structure a DeepH
folder with Hamiltonian and overlap, the bands and, after a comparison,
errors.json.
"""

import argparse
import json
import pathlib
import sys

import keras_hamiltonian as kh  # before Keras, to choose the backend

from keras_hamiltonian.cli.files import find_structures

MEV_PER_EV = kh.conventions.MEV_PER_EV


def main(options):
    """Reads, predicts, writes."""
    structures = find_structures(options.structures)
    model = kh.load_model(options.model)
    root = options.output or pathlib.Path("runs")
    for structure in structures:
        is_only = options.output is not None and len(structures) == 1
        output = root if is_only else root / structure.name
        predict(model, structure, output, options)


def predict(model, structure, output, options):
    """Predicts one structure, and compares it with what is known of it."""
    atoms, known = structure.load()
    prediction = kh.predict(
        model,
        known or atoms,
        num_electrons=options.electrons,
        name=structure.name,
        num_rotations=options.rotations,
    )
    print(f"{structure.name}, {atoms.get_chemical_formula()}")
    print(f"  Hamiltonian and overlap: {prediction.write(output / 'deeph')}")
    if prediction.spread is not None:
        spread = MEV_PER_EV * abs(prediction.spread.entries).mean()
        print(f"  spread over {options.rotations} rotations: {spread:.3f} meV")
    bands = None
    if known is not None and known.hamiltonian is not None:
        bands = compare(model, prediction, known, output, options.path)
    elif prediction.has_fermi_level:
        bands = prediction.bands(options.path), None
    if bands is None:
        return
    bands[0].save(output / "bands.json")
    kh.plots.plot_bands(*bands, output / "bands.png")
    print(f"  Fermi level: {bands[0].fermi_level:.3f} eV")
    print(f"  bands: {output / 'bands.png'}, {output / 'bands.json'}")


def compare(model, prediction, known, output, path):
    """Errors of a prediction; its bands and those of the calculation."""
    errors = kh.metrics.MatrixErrors(model.basis)
    errors.update(prediction.hamiltonian, known)
    found = {"errors": errors.result(), "bands": None}
    bands = None
    if prediction.overlap is not None:
        *bands, found["bands"] = kh.evaluation.compare_bands(
            prediction, known, path
        )
    print("  " + kh.evaluation.summary(found).replace("\n", "\n  "))
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
        help="mean over this many random rotations, with its spread",
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
