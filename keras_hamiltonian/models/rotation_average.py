"""Predictions of a crystal seen from several sides."""

import keras
import numpy as np

from keras_hamiltonian.conventions import INITIAL_BLOCKS
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.irreps.wigner import wigner_d_matrix
from keras_hamiltonian.models.stage import BLOCKS
from keras_hamiltonian.ops.rotate_blocks import rotate_blocks


def average_over_rotations(model, inputs, num_rotations, seed=0):
    """Mean and spread of the predictions for a crystal rotated at random.

    Of a model that is not exactly symmetric the mean over rotations is a
    better prediction, and the spread tells where it is unsure.

    Args:
        model: `Stage`. Of a `HamiltonianCascade` the first stage, which is
            exactly symmetric, runs once.
        inputs: dict of arrays, see `graph_inputs`. All crystals of a batch
            are rotated alike.
        num_rotations: int.
        seed: int. Seed of the rotations, which are uniformly distributed.

    Returns:
        Two dicts of `"onsite"` and `"hopping"`, float64 arrays in eV: the mean
        and the standard deviation of every element. JAX, unless told
        otherwise, rotates the blocks back in float32.

    Raises:
        ValueError: for less than one rotation.
    """
    if num_rotations < 1:
        raise ValueError(
            "A mean needs one rotation or more. Received: num_rotations="
            f"{num_rotations}. Leave it out to predict the crystal as it is."
        )
    total, squares, first = {}, {}, None
    rotations = random_rotations(num_rotations, seed)
    for found in rotated_predictions(model, inputs, rotations):
        first = found if first is None else first
        for name, blocks in found.items():
            # From the first one: no difference of large numbers.
            shift = blocks - first[name]
            total[name] = total.get(name, 0) + shift
            squares[name] = squares.get(name, 0) + shift * shift
    mean, spread = {}, {}
    for name in total:
        shift = total[name] / num_rotations
        mean[name] = first[name] + shift
        variance = squares[name] / num_rotations - shift * shift
        spread[name] = np.sqrt(np.maximum(variance, 0))
    return mean, spread


def rotated_predictions(model, inputs, rotations):
    """Rotates a crystal, predicts, and rotates the blocks back.

    Args:
        model: `Stage`.
        inputs: dict of arrays, see `graph_inputs`.
        rotations: iterable of `(3, 3)` rotation matrices.

    Yields:
        For each rotation a dict of `"onsite"` and `"hopping"` float64 arrays.
    """
    first, *second = model.stages()
    network, irreps = model, []
    if second:
        features = model.feature_model.predict_on_batch(inputs)
        features = {name: np.asarray(x) for name, x in features.items()}
        inputs, network = {**inputs, **features}, second[0]
        # The second stage finds H⁰ in the baseline.
        inputs = {k: x for k, x in inputs.items() if k not in INITIAL_BLOCKS}
        irreps = first.feature_irreps
    shells = model.basis.table_shells
    for rotation in np.asarray(rotations, dtype=np.float64):
        rotated = _rotated_inputs(inputs, rotation, irreps, shells, model.spin)
        outputs = network.predict_on_batch(rotated)
        yield {
            name: _rotated_blocks(outputs[name], rotation.T, shells, model.spin)
            for name in BLOCKS
        }


def _rotated_inputs(inputs, rotation, irreps, shells, spin):
    rotated = dict(inputs)
    x, y, z = (
        np.asarray(inputs["edge_vectors"])[..., k : k + 1] for k in range(3)
    )
    # Not a matrix product: an edge and its reverse stay exact opposites.
    vectors = x * rotation[:, 0] + y * rotation[:, 1] + z * rotation[:, 2]
    rotated["edge_vectors"] = vectors
    for k, group in enumerate(irreps, start=1):
        matrix = Irreps(group).d_matrix(rotation)
        rotated[f"atoms_{k}"] = inputs[f"atoms_{k}"] @ matrix.T
    if irreps:
        # In the frames of their edges, which rotate too, the features of edges
        # stay as they are.
        rotated["wigner"] = _rotated_wigner(inputs["wigner"], rotation)
    for name in ("baseline_onsite", "baseline_hopping", *INITIAL_BLOCKS):
        if name in inputs:
            blocks = _rotated_blocks(inputs[name], rotation, shells, spin)
            rotated[name] = blocks
    return {
        name: np.asarray(x, np.asarray(inputs[name]).dtype)
        for name, x in rotated.items()
    }


def _rotated_wigner(packed, rotation):
    pieces, start, l = [], 0, 1
    while start < packed.shape[-1]:
        dim = 2 * l + 1
        w = packed[..., start : start + dim * dim]
        w = w.reshape(*packed.shape[:-1], dim, dim)
        w = w @ wigner_d_matrix(l, rotation).T
        pieces.append(w.reshape(*packed.shape[:-1], dim * dim))
        start, l = start + dim * dim, l + 1
    return np.concatenate(pieces, axis=-1)


def _rotated_blocks(blocks, rotation, shells, spin):
    blocks = keras.ops.convert_to_numpy(blocks).astype(np.float64)
    rotations = np.broadcast_to(rotation, (len(blocks), 3, 3)).copy()
    rotated = rotate_blocks(
        keras.ops.convert_to_tensor(blocks, dtype="float64"),
        keras.ops.convert_to_tensor(rotations, dtype="float64"),
        shells,
        spin,
    )
    return keras.ops.convert_to_numpy(rotated).astype(np.float64)
