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

import keras_hamiltonian as kh

from data_tools.structures import find_structures

MEV_PER_EV = kh.conventions.MEV_PER_EV


def main(options):
    """Reads, predicts, writes."""
    model = kh.load_model(options.model)
    structures = find_structures(options.structures)
    for structure in structures:
        folder = options.output or pathlib.Path("runs")
        if options.output is None or len(structures) > 1:
            folder = folder / structure.name
        atoms, known = structure.load()
        prediction = kh.predict(
            model,
            known or atoms,
            num_electrons=options.electrons,
            name=structure.name,
            num_rotations=options.rotations,
        )
        print(f"{structure.name}, {atoms.get_chemical_formula()}")
        print(
            f"  Hamiltonian and overlap: {prediction.write(folder / 'deeph')}"
        )
        if prediction.spread is not None:
            spread = MEV_PER_EV * abs(prediction.spread.entries).mean()
            print(
                f"  spread over {options.rotations} rotations: {spread:.3f} meV"
            )
        bands = None
        if known is not None and known.hamiltonian is not None:
            bands = compare(prediction, known, folder, options.path)
        elif prediction.has_fermi_level:
            bands = prediction.bands(options.path), None
        if bands and bands[0].fermi_level is not None:
            bands[0].save(folder / "bands.json")
            kh.plots.plot_bands(*bands, folder / "bands.png")
            print(f"  Fermi level: {bands[0].fermi_level:.3f} eV")
            print(f"  bands: {folder / 'bands.png'}, {folder / 'bands.json'}")


def compare(prediction, known, folder, path):
    """Errors of a prediction; its bands and those of the calculation."""
    errors = kh.metrics.MatrixErrors(known.basis)
    errors.update(prediction.hamiltonian, known)
    found, bands = {"errors": errors.result()}, None
    if prediction.overlap is not None:
        *bands, found["bands"] = kh.evaluation.compare_bands(
            prediction, known, path
        )
    print("  " + kh.evaluation.summary(found).replace("\n", "\n  "))
    kh.files.write_text(
        folder / "errors.json", json.dumps(found, indent=1) + "\n"
    )
    return bands


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=pathlib.Path, help="a .keras file")
    parser.add_argument("structures", type=pathlib.Path, nargs="+")
    parser.add_argument("--path", help="band path, such as GMKG")
    parser.add_argument("--rotations", type=int, help="mean over rotations")
    parser.add_argument("--electrons", type=float, help="valence electrons")
    parser.add_argument("--output", type=pathlib.Path, help="folder")
    main(parser.parse_args())
