"""Predict the bands of any structure with a trained model.

    python recipes/predict.py runs/graphene/graphene.keras structure.cif

Writes a DeepH folder with the Hamiltonian and the overlap, and bands.png.
"""

import argparse
import pathlib

import ase.io
import keras_hamiltonian as kh


def main(options):
    """Reads, predicts, writes."""
    atoms = ase.io.read(options.structure)
    prediction = kh.predict(options.model, atoms, name=options.structure.stem)
    output = options.output or pathlib.Path("runs") / options.structure.stem
    print(f"Hamiltonian and overlap: {prediction.write(output / 'deeph')}")
    if prediction.fermi_level is None:
        return
    bands = prediction.bands(options.path)
    bands.save(output / "bands.json")
    kh.evaluate.plot_bands(bands, None, output / "bands.png")
    print(f"Fermi level: {prediction.fermi_level:.3f} eV")
    print(f"bands: {output / 'bands.png'}, {output / 'bands.json'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=pathlib.Path, help="a .keras file")
    parser.add_argument(
        "structure", type=pathlib.Path, help="any file that ASE reads"
    )
    parser.add_argument("--path", help="band path, such as GMKG")
    parser.add_argument("--output", type=pathlib.Path)
    main(parser.parse_args())
