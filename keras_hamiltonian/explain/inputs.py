"""Models and structures in any form that users have."""

import ase
import keras

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.initial import with_own_initial
from keras_hamiltonian.models.loading import load_model


def as_model(model):
    """The `Stage`; a path of a `.keras` file is read."""
    return model if isinstance(model, keras.Model) else load_model(model)


def as_calculation(structure, model, name="structure"):
    """A `Calculation` of `ase.Atoms`, in the basis of a model.

    Args:
        structure: `Calculation`, which is returned, or `ase.Atoms`. H⁰ is
            added by a model that computes it.
        model: `Stage`.
        name: str. Name of a structure given as atoms.

    Raises:
        ValueError: if the structure does not fit the model.
    """
    if isinstance(structure, ase.Atoms):
        structure = Calculation(
            structure, model.basis, spin=model.spin, name=name
        )
    model.check_elements(structure.atoms, structure.basis)
    return with_own_initial(model, structure)


def inputs_of(calculation, model):
    """Inputs of a model for one `Calculation`: a dict of arrays."""
    dataset = HamiltonianDataset(
        [calculation],
        basis=model.basis,
        reaches=model.reaches,
        initial=model.takes_initial,
    )
    return dataset[0][0]
