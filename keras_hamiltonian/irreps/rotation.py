"""Rotation matrices: frames of edges and random rotations."""

import numpy as np


def edge_frames(vectors):
    """Rotations that bring each edge to the polar axis.

    The roll about the edge is arbitrary. Here the x axis of the frame is the
    same for `v` and `-v`, so the frames of an edge and its reverse differ by a
    half turn about that axis.

    Args:
        vectors: `(..., 3)` array. Edge vectors of any length but zero.

    Returns:
        `(..., 3, 3)` float64 array: `frame @ v = |v| (0, 0, 1)`; the rows are
        the axes x, y, z of the frame.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("A vector of length zero has no direction.")
    z = vectors / lengths
    along_x = np.abs(z[..., :1]) > 0.9
    helper = np.where(along_x, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    x = helper - (helper * z).sum(-1, keepdims=True) * z
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-2)


def random_rotations(num, seed=None):
    """Rotations drawn uniformly (Haar measure).

    Args:
        num: int. How many.
        seed: int, `numpy.random.Generator` or `None`.

    Returns:
        `(num, 3, 3)` float64 array of proper rotations.
    """
    quaternions = np.random.default_rng(seed).normal(size=(num, 4))
    a, b, c, d = (
        quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    ).T
    rows = [
        [
            a * a + b * b - c * c - d * d,
            2 * (b * c - a * d),
            2 * (b * d + a * c),
        ],
        [
            2 * (b * c + a * d),
            a * a - b * b + c * c - d * d,
            2 * (c * d - a * b),
        ],
        [
            2 * (b * d - a * c),
            2 * (c * d + a * b),
            a * a - b * b - c * c + d * d,
        ],
    ]
    return np.moveaxis(np.array(rows), 2, 0)
