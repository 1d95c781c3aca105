"""What is explained, in any of the forms that users have it."""

import ase
import keras

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.models.loading import load_model


def as_model(model):
    """The `Stage`, read if it is the path of a `.keras` file."""
    return model if isinstance(model, keras.Model) else load_model(model)


def as_calculation(structure, model, name="structure"):
    """A `Calculation` of `ase.Atoms`, in the basis of a model.

    Args:
        structure: `Calculation`, which stays as it is, or `ase.Atoms`.
        model: `Stage`.
        name: str. Name of bare atoms.

    Raises:
        ValueError: if the structure does not fit the model.
    """
    if isinstance(structure, ase.Atoms):
        structure = Calculation(
            structure, model.basis, spin=model.spin, name=name
        )
    model.check_elements(structure.atoms, structure.basis)
    return structure


def inputs_of(calculation, model):
    """Dict of arrays, what a model is given of one `Calculation`."""
    dataset = HamiltonianDataset(
        [calculation], basis=model.basis, reaches=model.reaches
    )
    return dataset[0][0]
