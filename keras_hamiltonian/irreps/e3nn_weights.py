"""Features and weights of e3nn's modules in the order of this package.

e3nn keeps the components of each channel together (`mul_ir`), this package the
channels of each component (`ir_mul`). Components have the same order and signs
where e3nn is given vectors as (y, z, x).

Weights of a tensor product convert one to one: `ProductPaths` has e3nn's order
and normalisation, so that `FullyConnectedTensorProduct.weight` is the `weights`
of `ops.tensor_product` unchanged. Arrays are NumPy's; e3nn is not needed.
"""

import math

import numpy as np

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.so2_coupling import path_couplings
from keras_hamiltonian.irreps.so2_coupling import terms_of_kinds


def to_ir_mul(features, irreps):
    """From e3nn's layout to that of this package.

    Args:
        features: `(..., dim)` array, `mul_ir` layout.
        irreps: str or `Irreps`.

    Returns:
        `(..., dim)` array, `ir_mul` layout.

    Example:

    >>> to_ir_mul(np.array([1, 2, 3, 10, 20, 30]), "2x1o").tolist()
    [1, 10, 2, 20, 3, 30]
    """
    return np.asarray(features)[..., _layout(Irreps(irreps))]


def to_mul_ir(features, irreps):
    """From the layout of this package to e3nn's, the inverse of `to_ir_mul`."""
    return np.asarray(features)[..., np.argsort(_layout(Irreps(irreps)))]


def linear_from_e3nn(weight, irreps_in, irreps_out, bias=None):
    """Weights of `EquivariantLinear` from those of `e3nn.o3.Linear`.

    Args:
        weight: `(weight_numel,)` array, `Linear.weight`.
        irreps_in, irreps_out: str or `Irreps`. Each irrep of the output in one
            term, as `EquivariantLinear` has it.
        bias: `(bias_numel,)` array, `Linear.bias`, or `None`.

    Returns:
        Dict of `"kernel"` and, if given, `"bias"`: arrays to assign to the
        weights of the layer.

    Raises:
        ValueError: if the number of weights is wrong.

    Example:

    >>> linear_from_e3nn(np.arange(8.0), "4x0e", "2x0e")["kernel"]
    array([[0. , 0.5, 1. , 1.5, 2. , 2.5, 3. , 3.5]])
    """
    irreps_in, irreps_out = Irreps(irreps_in), Irreps(irreps_out)
    blocks, used = _linear_blocks(irreps_in, irreps_out)
    _check_number(weight, used, f"Linear from {irreps_in} to {irreps_out}")
    weight = np.asarray(weight)
    kernel = []
    for k, (mul, irrep) in enumerate(irreps_out):
        rows = [
            weight[start : start + n * mul].reshape(n, mul)
            for (_, out), (start, n) in blocks.items()
            if out == k
        ]
        scale = math.sqrt(irreps_in.count(irrep))
        kernel.append((np.concatenate(rows) / scale).ravel())
    result = {"kernel": np.concatenate(kernel)[None]}
    if bias is not None:
        _check_number(bias, irreps_out.count("0e"), f"Bias of {irreps_out}")
        result["bias"] = np.asarray(bias)[None]
    return result


def linear_to_e3nn(kernel, irreps_in, irreps_out, bias=None):
    """The inverse of `linear_from_e3nn`.

    Args:
        kernel: `(1, ...)` array, the weight of `EquivariantLinear`.
        irreps_in, irreps_out: str or `Irreps`.
        bias: `(1, ...)` array, or `None`.

    Returns:
        Dict of `"weight"` and, if given, `"bias"`: flat arrays.
    """
    irreps_in, irreps_out = Irreps(irreps_in), Irreps(irreps_out)
    blocks, used = _linear_blocks(irreps_in, irreps_out)
    _check_number(kernel, used, f"Linear from {irreps_in} to {irreps_out}")
    kernel = np.asarray(kernel).ravel()
    weight = np.empty_like(kernel)
    begin = 0
    for k, (mul, irrep) in enumerate(irreps_out):
        scale = math.sqrt(irreps_in.count(irrep))
        for (_, out), (start, n) in blocks.items():
            if out == k:
                size = n * mul
                part = kernel[begin : begin + size]
                weight[start : start + size] = scale * part
                begin += size
    result = {"weight": weight}
    if bias is not None:
        result["bias"] = np.asarray(bias).ravel()
    return result


def product_from_so2(kernels, paths):
    """Weights of a full product that make given kernels of an SO(2) map.

    The inverse of `ops.so2_kernels`.

    Args:
        kernels: dict from kind to `(channels in, channels out)` array.
        paths: `ProductPaths.fully_connected` with spherical harmonics.

    Returns:
        `(num_weights,)` float64 array.

    Raises:
        ValueError: if no weights make these kernels, because the harmonics do
            not reach all degrees up to the sum of those of input and output.
    """
    irreps1, irreps = paths.irreps_in1, paths.irreps_out
    weights = np.zeros(paths.num_weights)
    couplings = path_couplings(paths)
    left = {kind: np.array(k, dtype="float64") for kind, k in kernels.items()}
    for (term1, term), (used, kinds, numbers) in couplings.items():
        where = [_block(irreps1, irreps, term1, term, kind) for kind in kinds]
        rows = np.array(
            [left[kind][w].ravel() for kind, w in zip(kinds, where)]
        )
        found = np.linalg.lstsq(numbers, rows, rcond=None)[0]
        for path, row in zip(used, found):
            weights[path.weight_slice] = row
        for kind, w, row in zip(kinds, where, numbers @ found):
            left[kind][w] -= row.reshape(left[kind][w].shape)
    size = max([np.abs(k).max(initial=0.0) for k in kernels.values()])
    error = max([np.abs(k).max(initial=0.0) for k in left.values()])
    if error > 1e-5 * size:
        raise ValueError(
            f"Harmonics of {paths.irreps_in2} do not make these kernels "
            f"(relative error {error / size:.1e}). Take those of all degrees "
            f"to {irreps1.lmax + irreps.lmax}."
        )
    return weights


def _layout(irreps):
    """Positions in `mul_ir` order of the components in `ir_mul` order."""
    return np.concatenate(
        [np.arange(0)]
        + [
            where.start
            + np.arange(mul * irrep.dim).reshape(mul, irrep.dim).T.ravel()
            for (mul, irrep), where in zip(irreps, irreps.slices())
        ]
    )


def _linear_blocks(irreps_in, irreps_out):
    """Begin and rows of the weights from each term to each, in e3nn's order."""
    outputs = [irrep for _, irrep in irreps_out]
    missing = [str(i) for i in outputs if not irreps_in.count(i)]
    if missing or len(set(outputs)) < len(outputs):
        raise ValueError(
            "Every irrep of the output is one term, and the input has it. "
            f"Received: irreps_in={irreps_in}, irreps_out={irreps_out}."
        )
    blocks, start = {}, 0
    for i, (n, irrep_in) in enumerate(irreps_in):
        for k, (mul, irrep) in enumerate(irreps_out):
            if irrep == irrep_in:
                blocks[i, k] = start, n
                start += n * mul
    return blocks, start


def _block(irreps1, irreps, term1, term, kind):
    """Rows and columns of two terms in the matrix of a kind."""
    slices = []
    for which, k in ((irreps1, term1), (irreps, term)):
        terms = terms_of_kinds(which)[kind]
        start = sum(which[t][0] for t in terms[: terms.index(k)])
        slices.append(slice(start, start + which[k][0]))
    return tuple(slices)


def _check_number(array, number, what):
    if np.size(array) != number:
        raise ValueError(
            f"{what}: {number} numbers are expected. Received: "
            f"{np.size(array)}."
        )
