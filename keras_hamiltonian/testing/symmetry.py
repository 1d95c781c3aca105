"""Checks of symmetry under rotation, inversion and permutation of atoms."""

import keras
import numpy as np

from keras_hamiltonian.conventions import INITIAL_BLOCKS
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.structures.triangles import common_neighbors
from keras_hamiltonian.testing.block_rotation import rotate_blocks_in_numpy

# Largest error over the largest number, by float type.
TOLERANCES = {"float32": 1e-4, "float64": 1e-10}
NUM_SAMPLES = 4


def assert_equivariant(
    function, irreps_in=None, irreps_out=None, arguments=(), dtype=None, seed=0
):
    """Checks that the output rotates and inverts with the input.

    Args:
        function: layer or callable, `(N, irreps_in.dim)` to
            `(N, irreps_out.dim)`, `ir_mul` layout.
        irreps_in, irreps_out: str or `Irreps`. Default: the attributes of
            the layer with these names.
        arguments: sequence. Further, invariant arguments of the call.
        dtype: str. Float type; sets the tolerance. Defaults to that of the
            layer, or `"float64"`.
        seed: int. Seed of features and rotations.

    Raises:
        AssertionError: gives the error of each irrep.

    Example:

    >>> assert_equivariant(lambda x: 2 * x, "2x0e+1x1o", "2x0e+1x1o")
    """
    irreps_in = Irreps(irreps_in or function.irreps_in)
    irreps_out = Irreps(irreps_out or function.irreps_out)
    dtype = dtype or getattr(function, "compute_dtype", "float64")
    random = np.random.default_rng(seed)
    features = random.normal(size=(NUM_SAMPLES, irreps_in.dim))
    plain = _call(function, features, arguments, dtype)
    for rotation in random_rotations(2, random):
        for improper in (rotation, -rotation):
            rotated = features @ irreps_in.d_matrix(improper).T
            found = _call(function, rotated, arguments, dtype)
            expected = plain @ irreps_out.d_matrix(improper).T
            _compare_irreps(found, expected, irreps_out, dtype)


def assert_edge_equivariant(
    function, irreps_in, irreps_out, dtype="float64", seed=0
):
    """Checks that edge features transform with the frames of the edges.

    The frame of an edge is fixed up to a roll about the edge and a reflection
    in a plane that contains it. Maps of edge features commute with both.

    Args:
        function: callable, dict of `(N, M, d, channels)` tensors to the same.
        irreps_in, irreps_out: str or `EdgeIrreps`.
        dtype: str. Float type; sets the tolerance.
        seed: int.

    Raises:
        AssertionError: names the kind.
    """
    random = np.random.default_rng(seed)
    shape = (2, 3)
    shapes = EdgeIrreps(irreps_in).shapes(shape)
    edges = {kind: random.normal(size=size) for kind, size in shapes.items()}
    angles = random.uniform(0, 2 * np.pi, size=shape)
    signs = random.choice([-1.0, 1.0], size=shape)
    plain = _call(function, edges, (), dtype)
    found = _call(function, roll_edges(edges, angles, signs), (), dtype)
    irreps = EdgeIrreps({kind: x.shape[-1] for kind, x in plain.items()})
    if irreps != EdgeIrreps(irreps_out):
        raise AssertionError(
            f"Expected {EdgeIrreps(irreps_out)}. Received: {irreps}."
        )
    for kind, expected in roll_edges(plain, angles, signs).items():
        _compare(found[kind], expected, dtype, f"kind {kind}")


def roll_edges(edges, angles, signs):
    """Edge features after a roll of each frame and, for some, a reflection.

    Args:
        edges: dict of `(N, M, d, channels)` arrays.
        angles: `(N, M)` array. Roll in radians.
        signs: `(N, M)` array; -1 reflects the frame.

    Returns:
        Dict of arrays of the same shapes.
    """
    result = {}
    for kind, x in edges.items():
        if kind == "0+":
            result[kind] = x
        elif kind == "0-":
            result[kind] = x * signs[..., None, None]
        else:
            angle = (int(kind) * angles)[..., None]
            first, second = x[:, :, 0], x[:, :, 1] * signs[..., None]
            cos, sin = np.cos(angle), np.sin(angle)
            result[kind] = np.stack(
                [cos * first - sin * second, sin * first + cos * second],
                axis=2,
            )
    return result


def assert_blocks_equivariant(
    model, inputs, shells, spin="none", tolerance=None, seed=0
):
    """Checks that blocks rotate and invert with the atoms.

    Args:
        model: callable from the inputs of a stage to `"onsite"` and
            `"hopping"` blocks.
        inputs: dict of arrays, as `HamiltonianDataset` makes them.
        shells: sequence of int. Degrees of the table's shells.
        spin: str. Spin layout.
        tolerance: float, relative to the largest element. Defaults to that of
            the float type of the output.
        seed: int.

    Raises:
        AssertionError: with the largest relative error.
    """
    dtype, plain = _predict(model, inputs)
    real = np.asarray(inputs["edge_mask"], dtype=bool)
    is_atom = np.asarray(inputs["species"]) >= 0
    rotation = random_rotations(1, seed)[0]
    for improper in (rotation, -rotation, -np.eye(3)):
        moved = {
            name: rotate_blocks_in_numpy(inputs[name], shells, improper, spin)
            for name in INITIAL_BLOCKS
            if name in inputs
        }
        moved["edge_vectors"] = np.asarray(inputs["edge_vectors"]) @ improper.T
        _, found = _predict(model, {**inputs, **moved})
        for name, kept in (("onsite", is_atom), ("hopping", real)):
            expected = rotate_blocks_in_numpy(
                plain[name][kept], shells, improper, spin
            )
            _compare(found[name][kept], expected, dtype, name, tolerance)


def assert_permutation_equivariant(model, inputs, tolerance=None, seed=0):
    """Checks that blocks do not depend on the order of atoms and neighbours.

    Args:
        model: callable from the inputs of a stage to `"onsite"` and
            `"hopping"` blocks.
        inputs: dict of arrays, as `HamiltonianDataset` makes them.
        tolerance: float, relative to the largest element. Defaults to that of
            the float type of the output.
        seed: int.

    Raises:
        AssertionError: with the largest relative error.
    """
    random = np.random.default_rng(seed)
    num_atoms, num_neighbors = np.shape(inputs["neighbors"])
    atoms = random.permutation(num_atoms)
    lists = np.argsort(random.normal(size=(num_atoms, num_neighbors)), axis=1)
    # Old flat position of each edge, in the new order.
    edges = (atoms[:, None] * num_neighbors + lists[atoms]).ravel()
    new_atom, new_edge = np.argsort(atoms), np.argsort(edges)

    def moved(array):
        array = np.asarray(array)
        flat = array.reshape(-1, *array.shape[2:])[edges]
        return flat.reshape(array.shape)

    renamed = {
        "species": np.asarray(inputs["species"])[atoms],
        "structure": np.asarray(inputs["structure"])[atoms],
        "edge_vectors": moved(inputs["edge_vectors"]),
        "edge_mask": moved(inputs["edge_mask"]),
        "neighbors": new_atom[moved(inputs["neighbors"])].astype("int32"),
        "reverse_edge": new_edge[moved(inputs["reverse_edge"])].astype("int32"),
    }
    if "initial_onsite" in inputs:
        initial = np.asarray(inputs["initial_onsite"])
        renamed["initial_onsite"] = initial[atoms]
        renamed["initial_hopping"] = moved(inputs["initial_hopping"])
    renamed["common_neighbors"] = common_neighbors(
        *(renamed[k] for k in ("edge_vectors", "neighbors", "edge_mask"))
    )
    dtype, plain = _predict(model, inputs)
    _, found = _predict(model, {**inputs, **renamed})
    _compare(
        found["onsite"], plain["onsite"][atoms], dtype, "onsite", tolerance
    )
    _compare(
        found["hopping"], moved(plain["hopping"]), dtype, "hopping", tolerance
    )


def _call(function, features, arguments, dtype):
    tensors = keras.tree.map_structure(
        lambda a: keras.ops.convert_to_tensor(a, dtype=dtype), features
    )
    return _to_numpy(function(tensors, *arguments))


def _predict(model, inputs):
    outputs = model(
        keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    )
    dtype = keras.backend.standardize_dtype(outputs["onsite"].dtype)
    return dtype, _to_numpy(outputs)


def _to_numpy(outputs):
    return keras.tree.map_structure(
        lambda t: keras.ops.convert_to_numpy(t).astype(np.float64), outputs
    )


def _compare_irreps(found, expected, irreps, dtype):
    size = max(np.abs(expected).max(), 1e-30)
    errors = {
        f"{mul}x{irrep}": float(np.abs(found - expected)[:, where].max() / size)
        for (mul, irrep), where in zip(irreps, irreps.slices())
    }
    if not max(errors.values()) <= TOLERANCES[dtype]:
        raise AssertionError(
            f"Not equivariant in {dtype} (tolerance {TOLERANCES[dtype]}): "
            f"relative error of each irrep {errors}."
        )


def _compare(found, expected, dtype, name, tolerance=None):
    tolerance = TOLERANCES[dtype] if tolerance is None else tolerance
    size = max(np.abs(expected).max(initial=0.0), 1e-30)
    error = np.abs(found - expected).max(initial=0.0) / size
    if not error <= tolerance:
        raise AssertionError(
            f"{name}: relative error {error:.2e}, tolerance {tolerance:.0e} "
            f"({dtype})."
        )
