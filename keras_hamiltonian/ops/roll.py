"""Edge features as functions of the roll angle about the edge.

The frame of an edge is free to roll about it. The pairs (m, -m) of an edge
feature are the Fourier coefficients of a function of that angle, and a roll
shifts the function. So whatever is done angle by angle commutes with the roll.
Sampled at finitely many angles this holds exactly for polynomials, as long as
there are more angles than components, and otherwise up to aliasing (the
circle's version of the grid activations of EquiformerV2, Liao et al. 2023).
"""

import functools

import numpy as np

from keras_hamiltonian.ops import backend


def roll_kinds(mmax):
    """Kinds that are functions of the roll angle: `"0+"`, `"1"`, ..."""
    return ["0+", *(str(m) for m in range(1, mmax + 1))]


def roll_samples(edges, mmax, num_angles):
    """Values at evenly spaced angles.

    Args:
        edges: dict with the kinds `"0+"`, `"1"`, ..., `str(mmax)`, each
            `(N, M, d, channels)` with equal channels.
        mmax: int.
        num_angles: int.

    Returns:
        `(N, M, num_angles, channels)` tensor.
    """
    kinds = roll_kinds(mmax)
    packed = backend.concatenate([edges[kind] for kind in kinds], axis=2)
    basis = backend.constant(_roll_basis(mmax, num_angles), packed)
    return basis @ packed


def roll_coefficients(samples, mmax):
    """Edge features from values at angles, the inverse of `roll_samples`.

    Args:
        samples: `(N, M, num_angles, channels)` tensor.
        mmax: int. Higher components are left out.

    Returns:
        Dict of edge features.
    """
    num_angles = samples.shape[2]
    basis = _roll_basis(mmax, num_angles).T / num_angles
    packed = backend.constant(basis, samples) @ samples
    pieces = backend.split(packed, [1] + [2] * mmax, axis=2)
    return dict(zip(roll_kinds(mmax), pieces))


@functools.cache
def _roll_basis(mmax, num_angles):
    """1, √2 cos mφ, √2 sin mφ: `(num_angles, 2 mmax + 1)`."""
    angles = 2 * np.pi * np.arange(num_angles) / num_angles
    columns = [np.ones(num_angles)]
    for m in range(1, mmax + 1):
        columns += [np.cos(m * angles), np.sin(m * angles)]
    basis = np.stack(columns, axis=1)
    basis[:, 1:] *= 2**0.5
    return basis
