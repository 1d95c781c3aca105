"""Features of atoms that a model makes before it reads blocks out."""

import keras
import numpy as np

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.network_outputs import model_inputs


def atom_features(model, structures):
    """Last features of the atoms of some structures, by element and irrep.

    They are those of the first stage, or of the only one.

    Args:
        model: `Stage`, of any kind.
        structures: iterable of `ase.Atoms` or `Calculation`; of a model that
            takes H⁰ and does not compute it, calculations that have it.

    Yields:
        For each structure a dict from `(element, irrep)`, such as
        `("C", "1o")`, to `(rows, multiplicity)`: the features of each atom of
        the element, and of each component of the irrep. Products of two rows,
        summed over the components, do not depend on rotations.

    Raises:
        ValueError: for elements the model was not made for, or a missing H⁰.
    """
    network, irreps = _network(model)
    # Compiled backends compile once for every shape.
    bucket = 1 if keras.config.backend() == "torch" else 8
    for structure in structures:
        inputs, _ = model_inputs(model, structure, bucket=bucket)
        found = np.asarray(network.predict_on_batch(inputs), dtype=np.float64)
        yield {
            (symbol, str(irrep)): _rows(
                found[inputs["species"] == k, where], irrep.dim, mul
            )
            for k, symbol in enumerate(model.basis.symbols)
            if (inputs["species"] == k).any()
            for (mul, irrep), where in zip(irreps, irreps.slices())
        }


def _rows(features, dim, mul):
    """From `ir_mul` layout to one row for each atom and component."""
    return features.reshape(len(features) * dim, mul)


def _network(model):
    """A model of the last atom features, and their `Irreps`."""
    first = model.stages()[0]
    atoms = first.backbone(first.input)["atoms"][-1]
    return keras.Model(first.input, atoms), Irreps(
        first.backbone.irreps_out[-1]
    )
