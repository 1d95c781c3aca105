"""Predict a structure with the model of `make train`, and draw its bands.

    python recipes/predict.py structure.cif

`keras-hamiltonian predict` and `bands` take other models, calculations to
compare with, and options. Everything lands in runs/<structure>/.
"""

import pathlib
import sys

import keras_hamiltonian as kh

import ase.io

MODEL = pathlib.Path("runs/graphene/graphene.keras")

if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    folder = pathlib.Path("runs", path.stem)
    prediction = kh.predict(MODEL, ase.io.read(path), name=path.stem)
    print(f"Hamiltonian and overlap: {prediction.write(folder / 'deeph')}")
    print(f"Fermi level: {prediction.fermi_level:.3f} eV")
    bands = prediction.bands()
    bands.save(folder / "bands.json")
    kh.plots.plot_bands(bands, None, folder / "bands.png", title=path.stem)
