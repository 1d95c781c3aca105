"""Products of the features of an atom with themselves."""

import functools

import keras
import numpy as np

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.symmetric_couplings import count_symmetric_paths
from keras_hamiltonian.irreps.symmetric_couplings import symmetric_couplings
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.symbolic import is_symbolic
from keras_hamiltonian.ops.tensor_product import check_size


def symmetric_contraction(
    x, weights, irreps_in, irreps_out, correlation, species=None
):
    """Polynomials of the features of each channel, to a given order.

    `out[k] = Σ_ν Σ_η weights[η] Σ_ij... U_η[k, i, j, ...] x[i] x[j] ...`, in
    every channel, with ν = 1..correlation factors. The U are all symmetric
    couplings, orthonormal (`irreps.symmetric_couplings`).

    Args:
        x: `(N, irreps_in.dim)` tensor, `ir_mul` layout.
        weights: `(num_paths, channels)` tensor, or with `species`
            `(num_species, num_paths, channels)`. Paths follow the terms of
            `irreps_out`, within a term the orders.
        irreps_in, irreps_out: str or `Irreps`. All terms of both have the same
            multiplicity, the channels.
        correlation: int. Highest order.
        species: `(N,)` int tensor. Which weights each atom has.

    Returns:
        `(N, irreps_out.dim)` tensor.

    Raises:
        ValueError: if shapes and irreps do not fit.

    Example:

    >>> x = keras.ops.ones((5, 32))
    >>> weights = keras.ops.ones((5, 8))  # orders: 1 + 2 + 2
    >>> out = symmetric_contraction(x, weights, "8x0e + 8x1o", "8x0e", 3)
    >>> tuple(out.shape)
    (5, 8)

    Reference: MACE, Batatia et al. 2022, eq. 10-11.
    """
    if is_symbolic(x, weights, species):
        operation = SymmetricContraction(irreps_in, irreps_out, correlation)
        return operation(x, weights, species)
    irreps = Irreps(irreps_in), Irreps(irreps_out)
    return _contract(x, weights, *irreps, correlation, species)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class SymmetricContraction(keras.Operation):
    """`symmetric_contraction` as a node of a graph."""

    def __init__(self, irreps_in, irreps_out, correlation, name=None):
        super().__init__(name=name)
        self.irreps_in = Irreps(irreps_in)
        self.irreps_out = Irreps(irreps_out)
        self.correlation = correlation

    def call(self, x, weights, species=None):
        irreps = self.irreps_in, self.irreps_out
        return _contract(x, weights, *irreps, self.correlation, species)

    def compute_output_spec(self, x, weights, species=None):
        irreps = self.irreps_in, self.irreps_out
        _check(x, weights, *irreps, self.correlation, species)
        shape = (*x.shape[:-1], self.irreps_out.dim)
        return keras.KerasTensor(shape, x.dtype)

    def get_config(self):
        return {
            "name": self.name,
            "irreps_in": str(self.irreps_in),
            "irreps_out": str(self.irreps_out),
            "correlation": self.correlation,
        }


def check_contraction(irreps_in, irreps_out, correlation):
    """Raises an error where there is no such contraction.

    Returns:
        The number of paths.
    """
    channels = {mul for mul, _ in irreps_in + irreps_out}
    if len(channels) != 1 or not irreps_in or not irreps_out:
        raise ValueError(
            "All terms of both irreps have the same multiplicity, because "
            f"channels stay apart. Received: irreps_in={irreps_in}, "
            f"irreps_out={irreps_out}. Put an `EquivariantLinear` before."
        )
    if correlation < 1:
        raise ValueError(
            f"`correlation` is at least 1. Received: {correlation}."
        )
    counts = count_symmetric_paths(irreps_in, irreps_out, correlation)
    missing = [str(irreps_out[k][1]) for k, n in counts.items() if not sum(n)]
    if missing:
        raise ValueError(
            f"No product of up to {correlation} factors of {irreps_in} "
            f"reaches {', '.join(missing)}. Remove it from `irreps_out`, or "
            "raise `correlation`."
        )
    return sum(map(sum, counts.values()))


def _check(x, weights, irreps_in, irreps_out, correlation, species):
    num_paths = check_contraction(irreps_in, irreps_out, correlation)
    check_size(x, irreps_in.dim, "x", irreps_in)
    channels = irreps_in[0][0]
    rank = 2 if species is None else 3
    shape = tuple(weights.shape)
    if len(shape) != rank or shape[-2:] != (num_paths, channels):
        leading = "" if species is None else "num_species, "
        raise ValueError(
            f"`weights` have the shape ({leading}{num_paths}, {channels}), "
            f"paths and channels. Received: {shape}."
        )


def _contract(x, weights, irreps_in, irreps_out, correlation, species):
    _check(x, weights, irreps_in, irreps_out, correlation, species)
    channels = irreps_in[0][0]
    factors, terms = _plan(irreps_in, irreps_out, correlation)
    num_species = 1 if species is None else weights.shape[0]
    # Polynomial of every output component, channel and element.
    weights = backend.reshape(weights, (num_species, -1, channels))
    weights = backend.transpose(weights, (2, 0, 1))
    polynomials = []
    for (_, irrep), (where, constant) in zip(irreps_out, terms):
        rows = backend.dense(
            weights[:, :, where], backend.constant(constant, x)
        )
        shape = (channels, num_species, irrep.dim, -1)
        polynomials.append(backend.reshape(rows, shape))
    joined = backend.concatenate(polynomials, axis=2)
    num_rows = joined.shape[2]
    joined = backend.reshape(joined, (channels, num_species * num_rows, -1))
    # Their variables: products of components, all channels and atoms at once.
    num_atoms = backend.shape(x)[0]
    x = backend.reshape(x, (num_atoms, irreps_in.dim // channels, channels))
    x = backend.transpose(x, (1, 2, 0))
    products = [x]
    for before, component in factors:
        last = backend.take(products[-1], before, axis=0)
        products.append(last * backend.take(x, component, axis=0))
    variables = backend.concatenate(products, axis=0)
    y = joined @ backend.transpose(variables, (1, 0, 2))
    if species is not None:
        y = backend.reshape(y, (channels, num_species, num_rows, num_atoms))
        is_species = [backend.equal(species, k) for k in range(num_species)]
        chosen = backend.cast(backend.stack(is_species, axis=0), y.dtype)
        y = backend.sum(y * chosen[:, None], axis=1)
    y = backend.transpose(y, (2, 1, 0))
    return backend.reshape(y, (num_atoms, num_rows * channels))


@functools.cache
def _plan(irreps_in, irreps_out, correlation):
    """Which products are needed, and the couplings in terms of them.

    Returns:
        For each order from 2 a pair of index arrays: the product of one order
        less, and the component by which it is multiplied. For each term of the
        output its slice of paths, and couplings `(paths, (2 l + 1) products)`.
    """
    single = Irreps([(1, irrep) for _, irrep in irreps_in])
    orders = range(1, correlation + 1)
    couplings = {
        (irrep, order): symmetric_couplings(single, irrep, order)
        for _, irrep in irreps_out
        for order in orders
    }
    needed = {order: set() for order in orders}
    for (_, order), coupling in couplings.items():
        needed[order].update(map(tuple, coupling.monomials.tolist()))
    needed[1] = {(k,) for k in range(single.dim)}
    for order in reversed(orders[1:]):
        needed[order - 1].update(key[:-1] for key in needed[order])
    keys = {order: sorted(needed[order]) for order in orders}
    places = {o: {key: q for q, key in enumerate(keys[o])} for o in orders}
    factors = [
        (
            np.array([places[o - 1][key[:-1]] for key in keys[o]], "int64"),
            np.array([key[-1] for key in keys[o]], "int64"),
        )
        for o in orders[1:]
    ]
    starts = np.cumsum([0] + [len(keys[order]) for order in orders])
    terms, begin = [], 0
    for _, irrep in irreps_out:
        rows = []
        for order in orders:
            coupling = couplings[irrep, order]
            row = np.zeros((coupling.num_paths, irrep.dim, starts[-1]))
            columns = [places[order][tuple(k)] for k in coupling.monomials]
            columns = np.array(columns, "int64") + starts[order - 1]
            row[:, :, columns] = coupling.coefficients
            rows.append(row)
        constant = np.concatenate(rows)
        where = slice(begin, begin + len(constant))
        terms.append((where, constant.reshape(len(constant), -1)))
        begin = where.stop
    return factors, terms
