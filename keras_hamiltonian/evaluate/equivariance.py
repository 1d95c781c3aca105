"""How far a model is from exact symmetry."""

import numpy as np

from keras_hamiltonian.data.dataset import batch_inputs
from keras_hamiltonian.data.dataset import batch_weights
from keras_hamiltonian.evaluate.plots import MEV_PER_EV
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.models.rotation_average import rotated_predictions
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within


def equivariance_error(model, atoms, num_rotations=4, seed=0):
    """Turns a structure, predicts, turns back, and compares.

    Args:
        model: `Stage`.
        atoms: `ase.Atoms`.
        num_rotations: int. Random rotations to compare with the structure as
            it is.
        seed: int. Seed of the rotations.

    Returns:
        Dict of `mae_mev`, the mean absolute difference of all matrix elements
        in meV, `largest_mev`, the largest one, and `relative`, the mean
        difference over the mean absolute element.

    Raises:
        ValueError: for an element the model was not made for.
    """
    model.check_elements(atoms)
    table = neighbor_table(atoms, pairs_within(atoms, model.reaches))
    inputs = batch_inputs([atoms], [table], model.basis)
    weights = batch_weights(inputs, model.basis, model.spin)
    rotations = [np.eye(3), *random_rotations(num_rotations, seed)]
    plain, *turned = rotated_predictions(model, inputs, rotations)
    size = sum((np.abs(plain[k]) * weights[k]).sum() for k in plain)
    mean, largest = 0.0, 0.0
    for found in turned:
        for name, blocks in found.items():
            error = np.abs(blocks - plain[name])
            mean += (error * weights[name]).sum() / len(turned)
            largest = max(largest, error[weights[name] > 0].max(initial=0.0))
    return {
        "mae_mev": float(mean * MEV_PER_EV),
        "largest_mev": float(largest * MEV_PER_EV),
        "relative": float(mean / max(size, 1e-30)),
    }
