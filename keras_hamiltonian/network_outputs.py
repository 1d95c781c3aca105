"""What a network says about one structure."""

import keras
import numpy as np

from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.data.batch import batch_matrices
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.initial import initial_matrix
from keras_hamiltonian.initial import with_own_initial
from keras_hamiltonian.models.rotation_average import average_over_rotations
from keras_hamiltonian.models.stage import BLOCKS
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within

PACKAGE = "keras_hamiltonian."


def model_inputs(model, structure, atom_pairs=None, bucket=1):
    """Inputs of a model for one structure.

    Args:
        model, structure, atom_pairs: see
            `keras_hamiltonian.prediction.predict_hamiltonian`.
        bucket: int. Numbers of atoms and neighbours are padded to multiples.

    Returns:
        Dict of arrays, see `HamiltonianDataset`; and the `NeighborTable`.

    Raises:
        ValueError: for an element the model was not made for, or a missing
            H⁰.
    """
    structure = with_own_initial(model, structure)
    known, atoms = None, structure
    if isinstance(structure, Calculation):
        known, atoms = structure, structure.atoms
        model.check_elements(atoms, known.basis)
    else:
        model.check_elements(atoms)
    initial = None
    if model.takes_initial:
        initial = initial_matrix(model, known)
        if atom_pairs is None:
            atom_pairs = initial.atom_pairs
    if atom_pairs is None:
        atom_pairs = pairs_within(atoms, model.reaches)
    table = neighbor_table(atoms, atom_pairs)
    if initial is not None and np.array_equal(
        initial.atom_pairs, table.atom_pairs
    ):
        initial = [initial]
    elif initial is not None:
        positions = [initial.index.get(tuple(p), -1) for p in table.atom_pairs]
        if min(positions, default=0) < 0:
            raise ValueError(
                f"H⁰ of {known.name!r} lists {len(initial)} pairs of atoms; "
                f"{positions.count(-1)} of the {len(positions)} to predict are "
                "not among them. Make both from the same structure and basis."
            )
        initial = [initial.select(positions)]
    inputs = batch_inputs(
        [atoms],
        [table],
        model.basis,
        bucket,
        bucket,
        initial=initial,
        is_spinful=model.spin != "none",
        dtype=input_dtype(model),
        near=_near(model),
    )
    return inputs, table


def input_dtype(model):
    """Type of the numbers that a model takes; `None` if it does not say."""
    inputs = getattr(model, "input", None)
    return inputs and inputs["edge_vectors"].dtype


def _near(model):
    """How far each element's projectors reach, in Å; see `batch_inputs`.

    `None` where a backbone of someone's own may look at all neighbours.
    """
    backbones = [getattr(stage, "backbone", None) for stage in model.stages()]
    if any(not type(b).__module__.startswith(PACKAGE) for b in backbones):
        return None
    readouts = [getattr(stage, "readout", None) for stage in model.stages()]
    if not all(hasattr(readout, "projector_reach") for readout in readouts):
        return None
    share = max(readout.projector_reach for readout in readouts)
    return [share * model.reaches[symbol] for symbol in model.basis.symbols]


def predict_blocks(
    model, structure, atom_pairs, num_rotations, seed, with_features=False
):
    """Blocks of one structure, before the shift of the energy zero.

    Args:
        model, structure, atom_pairs, num_rotations, seed: see
            `keras_hamiltonian.prediction.predict_hamiltonian`.
        with_features: bool. Whether features of the atoms are wanted.

    Returns:
        `BlockMatrix` of the blocks; that of their spread, or `None`; a list of
        `(num_atoms, dim)` arrays, the features of each group, or `None`.
    """
    # Compiled backends compile once for every shape.
    bucket = 1 if keras.config.backend() == "torch" else 8
    inputs, table = model_inputs(model, structure, atom_pairs, bucket)
    is_known = isinstance(structure, Calculation)
    atoms = structure.atoms if is_known else structure

    def matrix(blocks):
        return batch_matrices(blocks, [atoms], [table], model.basis)[0]

    spread = features = None
    if with_features or num_rotations is None:
        network = model.feature_outputs if with_features else model
        # No gradients, in contrast to a call of the model.
        found = network.predict_on_batch(inputs)
        hamiltonian = matrix({name: found[name] for name in BLOCKS})
        if with_features:
            count = len(model.feature_irreps)
            features = [
                np.asarray(found[f"atoms_{k + 1}"])[: len(atoms)]
                for k in range(count)
            ]
    if num_rotations is not None:
        mean, spread = average_over_rotations(
            model, inputs, num_rotations, seed
        )
        hamiltonian, spread = matrix(mean), matrix(spread)
    if not model.is_hermitian:
        hamiltonian = hamiltonian.symmetrized()
    return hamiltonian, spread, features
