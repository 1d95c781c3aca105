"""Real Wigner matrices and spherical harmonics by coupling of vectors."""

import numpy as np

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan

# A vector (x, y, z) as the real irrep of degree 1: components (y, z, x).
VECTOR_ORDER = (1, 2, 0)


def wigner_d_matrix(l, rotation):
    """How the components of a degree-l object rotate when the crystal rotates.

    Built by coupling: `D^l` is the part of `D^1 ⊗ D^(l-1)` of degree l, a
    polynomial in the entries of the rotation matrix, so it is smooth and
    exact for every rotation, without angles.

    Args:
        l: int. Degree.
        rotation: `(..., 3, 3)` array of proper rotations of (x, y, z) columns.

    Returns:
        `(..., 2l+1, 2l+1)` float64 array: new = D @ old, components m = -l..l.

    Raises:
        ValueError: if the trailing shape is not (3, 3).

    Example:

    >>> wigner_d_matrix(1, np.diag([1.0, -1.0, -1.0])).diagonal()
    array([-1., -1.,  1.])
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    if rotation.shape[-2:] != (3, 3):
        raise ValueError(
            "Rotations are (..., 3, 3) matrices. Received the shape "
            f"{rotation.shape}."
        )
    if l == 0:
        return np.ones((*rotation.shape[:-2], 1, 1))
    order = list(VECTOR_ORDER)
    first = rotation[..., order, :][..., order]
    matrix = first
    for degree in range(2, l + 1):
        coupling = clebsch_gordan(1, degree - 1, degree)
        half = np.einsum("adm,...bd->...abm", coupling, matrix)
        full = np.einsum("...ac,...cbm->...abm", first, half)
        matrix = (2 * degree + 1) * np.einsum(
            "abn,...abm->...nm", coupling, full
        )
    return matrix


def shell_rotations(shells, rotation):
    """How all orbitals of an atom rotate: a Wigner matrix for each shell.

    Args:
        shells: sequence of int. Degrees of the shells.
        rotation: `(..., 3, 3)` array of proper rotations.

    Returns:
        `(..., rows, rows)` float64 array, block-diagonal.
    """
    matrices = {l: wigner_d_matrix(l, rotation) for l in set(shells)}
    size = sum(2 * l + 1 for l in shells)
    result = np.zeros((*np.shape(rotation)[:-2], size, size))
    start = 0
    for l in shells:
        stop = start + 2 * l + 1
        result[..., start:stop, start:stop] = matrices[l]
        start = stop
    return result


def spherical_harmonics(l, vectors):
    """Real spherical harmonics of directions, `Σ_m Y_lm² = 1`.

    Args:
        l: int. Degree.
        vectors: `(..., 3)` array. Directions (x, y, z) of any length but zero.

    Returns:
        `(..., 2l+1)` float64 array, components m = -l..l. The value in the
        direction of z is 1 for m = 0 and 0 elsewhere; multiply by
        `sqrt((2l+1)/4π)` for the orthonormal harmonics.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("A vector of length zero has no direction.")
    first = (vectors / lengths)[..., list(VECTOR_ORDER)]
    values = np.ones((*vectors.shape[:-1], 1))
    for degree in range(1, l + 1):
        coupling = clebsch_gordan(1, degree - 1, degree)
        # Coupled to the highest degree, unit vectors give the unit length
        # that the coefficient of (z, z, ..., z) has.
        norm = 1 / coupling[1, degree - 1, degree]
        values = norm * np.einsum(
            "abm,...a,...b->...m", coupling, first, values
        )
    return values
