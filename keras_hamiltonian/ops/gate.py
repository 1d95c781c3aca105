"""The equivariant non-linearity: scalars through SiLU, the rest gated."""

from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.bonds import join_channels
from keras_hamiltonian.ops.bonds import split_channels


def gate(features, irreps):
    """SiLU of `0e`; all other channels times the sigmoid of a scalar.

    Args:
        features: `(N, dim + gates)` tensor, `ir_mul` layout. First the `0e`
            channels of `irreps`, then one `0e` gate for each channel that is
            not `0e`, then the rest of `irreps`.
        irreps: str or `Irreps`, sorted by degree, `0e` first.

    Returns:
        `(N, irreps.dim)` tensor.
    """
    irreps = Irreps(irreps)
    scalars = irreps.count("0e")
    rest = [(mul, irrep) for mul, irrep in irreps if irrep != Irrep(0, 1)]
    sizes = [mul for mul, _ in rest]
    pieces = split_channels(
        features,
        [scalars, *sizes, *(mul * irrep.dim for mul, irrep in rest)],
    )
    gates = pieces[1 : 1 + len(rest)]
    result = [backend.silu(pieces[0])]
    for (mul, irrep), g, x in zip(rest, gates, pieces[1 + len(rest) :]):
        x = backend.reshape(x, (-1, irrep.dim, mul))
        x = x * backend.sigmoid(g)[:, None]
        result.append(backend.reshape(x, (-1, irrep.dim * mul)))
    return join_channels(result)
