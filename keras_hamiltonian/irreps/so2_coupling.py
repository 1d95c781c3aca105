"""Coupling to the spherical harmonics of an axis, in the frame of that axis."""

import functools
import math

import numpy as np

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.irreps.edge import irrep_kinds
from keras_hamiltonian.irreps.irreps import Irreps


@functools.cache
def so2_coupling(irrep1, degree, irrep):
    """What the product with harmonics along z does to each kind.

    There `Y_lm` is `sqrt(2l+1)` for m = 0 and else zero, so each kind of the
    input is only multiplied by a number.

    Args:
        irrep1: `Irrep` of the input.
        degree: int. Degree of the harmonics, whose parity is natural.
        irrep: `Irrep` of the output.

    Returns:
        Dict from kind to float, for the kinds that both irreps have.

    Example:

    >>> from keras_hamiltonian.irreps.irreps import Irrep
    >>> numbers = so2_coupling(Irrep(1, -1), 0, Irrep(1, -1))
    >>> {kind: round(number, 3) for kind, number in numbers.items()}
    {'0+': 0.577, '1': 0.577}
    """
    tensor = clebsch_gordan(irrep1.l, degree, irrep.l)[:, degree]
    rows1 = frame_rows(irrep1.l, irrep1.is_natural)
    rows = frame_rows(irrep.l, irrep.is_natural)
    numbers = math.sqrt(2 * degree + 1) * np.diag(rows1 @ tensor @ rows.T)
    kinds1, kinds = irrep_kinds(irrep1), irrep_kinds(irrep)
    shared = [k for k in kinds1 if k in kinds]
    return {
        kind: float(numbers[0 if kind in ("0+", "0-") else 2 * int(kind) - 1])
        for kind in shared
    }


@functools.cache
def path_couplings(paths):
    """The couplings of all paths of a product with spherical harmonics.

    Args:
        paths: `ProductPaths`, fully connected; the second input has each
            degree at most once, with natural parity.

    Returns:
        Dict from (term of the input, term of the output) to a tuple: the list
        of `ProductPath`s, the list of kinds, and the array `(kinds, paths)` of
        couplings, coefficients included.

    Raises:
        ValueError: if the second input is not made of spherical harmonics, or
            paths keep channels apart.
    """
    degrees = [irrep.l for _, irrep in paths.irreps_in2]
    is_harmonic = all(mul == 1 and i.is_natural for mul, i in paths.irreps_in2)
    if not is_harmonic or len(set(degrees)) < len(degrees):
        raise ValueError(
            "In the frame of an edge the second input is the spherical "
            'harmonics of the edge, each degree once, such as "0e+1o+2e". '
            f"Received: irreps_in2={paths.irreps_in2}."
        )
    if any(path.is_channelwise for path in paths.paths):
        raise ValueError(
            "Channel-wise paths have no kernels that mix channels. Make the "
            "paths by `ProductPaths.fully_connected`, or use "
            "`channelwise_convolution`."
        )
    pairs = {}
    for path in paths.paths:
        pairs.setdefault((path.term1, path.term_out), []).append(path)
    result = {}
    for (term1, term), used in pairs.items():
        columns = [
            so2_coupling(
                paths.irreps_in1[term1][1],
                paths.irreps_in2[path.term2][1].l,
                paths.irreps_out[term][1],
            )
            for path in used
        ]
        kinds = list(columns[0])
        numbers = [
            [path.coefficient * c[kind] for path, c in zip(used, columns)]
            for kind in kinds
        ]
        array = np.array(numbers).reshape(len(kinds), len(used))
        result[term1, term] = used, kinds, array
    return result


def terms_of_kinds(irreps):
    """For each kind, the terms that have it, in order.

    Example:

    >>> terms_of_kinds(Irreps("2x0e + 3x1o + 1x1e"))
    {'0+': [0, 1], '1': [1, 2], '0-': [2]}
    """
    terms = {}
    for k, (_, irrep) in enumerate(Irreps(irreps)):
        for kind in irrep_kinds(irrep):
            terms.setdefault(kind, []).append(k)
    return terms
