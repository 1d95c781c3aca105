"""Distance of atoms from those that a model was trained on."""

import numpy as np

from keras_hamiltonian.encoded_arrays import decode_array
from keras_hamiltonian.encoded_arrays import encode_array
from keras_hamiltonian.irreps.irreps import Irreps

# Variances that are added, as shares of the largest one. Below the first is
# rounding in single precision.
SHARES = 10.0 ** np.arange(-12, 0)
# Where no two structures have the element.
UNKNOWN_SHARE = 1e-4
# The largest variance of features that are all zero, by symmetry.
SMALLEST = np.finfo(np.float32).tiny


class FeatureDistance:
    """Mahalanobis distance in the features of all groups of updates.

    Features of an irrep from all groups are one long vector x, with a constant
    beside the scalars. If blocks were linear in them, x (C + λ)⁻¹ xᵀ, with
    the second moments C of the training atoms, would be the variance of their
    prediction (Bayesian linear regression). What no training structure told
    apart has tiny moments, so a new combination of known environments is far
    away, where the distance to the nearest one is small. Rotated crystals have
    equal distances. λ is the one that makes features of every fifth structure
    most likely under a normal distribution with the moments of the others.

    Args:
        irreps: list of str. Irreps of the features of each group.
        whitening: dict from element symbol to a dict from irrep to the
            `(n, n)` array by which features become uncorrelated ones of mean
            square `1 / n` over the training atoms.

    Example, scalars of three atoms alone:

    >>> known = [np.array([[1.0], [2.0], [3.0]])]
    >>> distance = FeatureDistance.fit(["1x0e"], [(["H"] * 3, known)] * 2)
    >>> distance(["H", "H"], [np.array([[2.0], [9.0]])]).round(1)
    array([0.7, 6.1])

    Reference: Lee et al., arXiv 1807.03888, for features of several layers.
    """

    def __init__(self, irreps, whitening):
        self.irreps = [str(i) for i in irreps]
        self.whitening = whitening

    @classmethod
    def fit(cls, irreps, structures):
        """From features of structures.

        Args:
            irreps: list of str. Irreps of the features of each group.
            structures: list of `(symbols, features)`: element of each atom,
                and a list of `(N, dim)` arrays, `ir_mul` layout.

        Returns:
            `FeatureDistance`.

        Raises:
            ValueError: if there is no training structure.
        """
        if not structures:
            raise ValueError("A distance needs at least one structure.")
        known, held_out = (
            _gathered(
                irreps,
                [x for k, x in enumerate(structures) if (k % 5 == 1) is i],
            )
            for i in (False, True)
        )
        whitening = {}
        for symbol, parts in _gathered(irreps, structures).items():
            whitening[symbol] = {
                irrep: _whitening(
                    rows,
                    known.get(symbol, {}).get(irrep),
                    held_out.get(symbol, {}).get(irrep),
                )
                for irrep, rows in parts.items()
            }
        return cls(irreps, whitening)

    def __call__(self, symbols, features):
        """Distance of each atom: about one for training atoms, less if they
        are few.

        Args:
            symbols: `(N,)` element symbols.
            features: list of `(N, dim)` arrays, one for each group.

        Returns:
            `(N,)` array; infinite for an element without training atoms.
        """
        symbols = np.asarray(symbols)
        found = np.full(len(symbols), np.inf)
        parts = _by_irrep(self.irreps, features)
        for symbol, whitening in self.whitening.items():
            chosen = symbols == symbol
            squares = [
                ((parts[irrep][chosen] @ matrix) ** 2).sum(-1).mean(-1)
                for irrep, matrix in whitening.items()
            ]
            found[chosen] = np.sqrt(np.mean(squares, axis=0))
        return found

    def to_dict(self):
        """JSON values of which `from_dict` makes the same."""
        return {
            "irreps": self.irreps,
            "whitening": {
                symbol: {k: encode_array(x) for k, x in parts.items()}
                for symbol, parts in self.whitening.items()
            },
        }

    @classmethod
    def from_dict(cls, values):
        """The `FeatureDistance` of `to_dict`."""
        whitening = {
            symbol: {k: decode_array(x) for k, x in parts.items()}
            for symbol, parts in values["whitening"].items()
        }
        return cls(values["irreps"], whitening)


def _by_irrep(irreps, features):
    """Dict from irrep to `(N, dim of the irrep, channels of all groups)`."""
    found = {}
    for group, x in zip(irreps, features):
        group, x = Irreps(group), np.asarray(x, np.float64)
        for (mul, irrep), where in zip(group, group.slices()):
            piece = x[:, where].reshape(len(x), irrep.dim, mul)
            found.setdefault(str(irrep), []).append(piece)
    if "0e" in found:
        found["0e"].append(np.ones((len(found["0e"][0]), 1, 1)))
    return {k: np.concatenate(pieces, axis=2) for k, pieces in found.items()}


def _gathered(irreps, structures):
    """Dict from element to a dict from irrep to rows, `(rows, channels)`."""
    found = {}
    for symbols, features in structures:
        symbols = np.asarray(symbols)
        parts = _by_irrep(irreps, features)
        for symbol in np.unique(symbols):
            for irrep, x in parts.items():
                rows = x[symbols == symbol].reshape(-1, x.shape[-1])
                own = found.setdefault(str(symbol), {})
                own.setdefault(irrep, []).append(rows)
    return {
        symbol: {k: np.concatenate(rows) for k, rows in parts.items()}
        for symbol, parts in found.items()
    }


def _whitening(rows, known, held_out):
    moments, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    added = _added(known, held_out) * max(moments[-1], SMALLEST)
    variances = np.maximum(moments, 0) + added
    return axes / np.sqrt(len(axes) * variances)


def _added(known, held_out):
    """The share of the largest moment that is added to all of them."""
    if known is None or held_out is None:
        return UNKNOWN_SHARE
    moments, axes = np.linalg.eigh(known.T @ known / len(known))
    largest = max(moments[-1], SMALLEST)
    variances = np.maximum(moments, 0) + SHARES[:, None] * largest
    squares = ((held_out @ axes) ** 2).mean(axis=0)
    costs = (squares / variances + np.log(variances)).sum(axis=1)
    return SHARES[np.argmin(costs)]
