"""Real spherical harmonics of vectors."""

import functools
import math

import keras
import numpy as np

from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.symbolic import is_symbolic


def spherical_harmonics(vectors, lmax, normalize=True):
    """Real spherical harmonics of all degrees to `lmax`.

    Component normalisation: the squares of the 2l+1 components of a degree
    sum to 2l+1. A vector of length zero has no direction: only its degree 0
    is not zero, and its gradient is zero.

    Args:
        vectors: `(..., 3)` tensor, x, y, z.
        lmax: int. Largest degree.
        normalize: bool. `False` gives the solid harmonics, homogeneous
            polynomials of x, y and z: the l-th power of the length times the
            harmonics of the direction. Defaults to `True`.

    Returns:
        `(..., (lmax+1)²)` tensor: l = 0..lmax, in each m = -l..l, so that l = 1
        is `sqrt(3) (y, z, x)`. Half precision is computed in float32 inside.

    Raises:
        ValueError: if the last axis is not 3, or `lmax` is negative.

    Example:

    >>> vectors = keras.ops.convert_to_tensor([[0.0, 0.0, 2.0]])
    >>> print(keras.ops.convert_to_numpy(spherical_harmonics(vectors, 1))[0])
    [1.        0.        1.7320508 0.       ]

    Reference: the recursion over l of associated Legendre functions, NIST DLMF
    14.10.3, in Cartesian form; checked against e3nn to l = 12.
    """
    if is_symbolic(vectors):
        return SphericalHarmonics(lmax, normalize)(vectors)
    return _harmonics(vectors, lmax, normalize)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class SphericalHarmonics(keras.Operation):
    """`spherical_harmonics` as a node of a graph."""

    def __init__(self, lmax, normalize=True, name=None):
        super().__init__(name=name)
        self.lmax = lmax
        self.normalize = normalize

    def call(self, vectors):
        return _harmonics(vectors, self.lmax, self.normalize)

    def compute_output_spec(self, vectors):
        _check(vectors, self.lmax)
        shape = (*vectors.shape[:-1], (self.lmax + 1) ** 2)
        return keras.KerasTensor(shape, vectors.dtype)


def _check(vectors, lmax):
    if lmax < 0:
        raise ValueError(f"`lmax` is at least 0. Received: {lmax}.")
    if vectors.shape[-1] != 3:
        raise ValueError(
            "The last axis of `vectors` holds x, y and z. Received the shape "
            f"{tuple(vectors.shape)}."
        )


def _harmonics(vectors, lmax, normalize):
    """Recursion over degrees; components are the first axis until the end.

    Every degree follows from the two before it, all m at once:
    `Y_l = a z Y_(l-1) - b r² Y_(l-2)`, and the components ±l, which have no
    predecessor, from rotating those of l-1 by x and y.
    """
    _check(vectors, lmax)
    dtype = vectors.dtype
    if keras.backend.standardize_dtype(dtype) in ("float16", "bfloat16"):
        vectors = keras.ops.cast(vectors, "float32")
    x, y, z = (vectors[..., k] for k in range(3))
    squared = x * x + y * y + z * z
    cosine, sine = backend.ones_like(x), None
    first = cosine
    if normalize:
        # Without a direction the recursion starts from zero.
        is_zero, none = squared == 0, backend.zeros_like(squared)
        length = backend.sqrt(backend.where(is_zero, cosine, squared))
        inverse = backend.where(is_zero, none, 1 / length)
        x, y, z = x * inverse, y * inverse, z * inverse
        first, squared = backend.where(is_zero, none, cosine), None
    before, last = None, first[None]
    degrees = [cosine[None]]
    for l in range(1, lmax + 1):
        top, a, b = _recursion(l)
        if sine is None:
            cosine, sine = x, y
        else:
            cosine, sine = x * cosine - y * sine, x * sine + y * cosine
        inner = z * last * _column(a, x)
        rows = [inner]
        if l > 1:
            second = before * _column(b, x)
            if squared is not None:
                second = second * squared
            rows = [inner[:1], inner[1:-1] - second, inner[-1:]]
        rows = [top * sine[None], *rows, top * cosine[None]]
        before, last = last, backend.concatenate(rows, axis=0)
        degrees.append(last)
    axes = (*range(1, len(vectors.shape)), 0)
    result = backend.concatenate(
        [backend.transpose(y, axes) for y in degrees], axis=-1
    )
    return result if result.dtype == dtype else backend.cast(result, dtype)


def _column(numbers, like):
    shape = (-1,) + (1,) * len(like.shape)
    return backend.constant(numbers.reshape(shape), like)


@functools.cache
def _recursion(l):
    """Number of component ±l, and the factors a (|m| < l) and b (|m| < l-1)."""

    def norm(degree, m):
        ratio = math.factorial(degree - m) / math.factorial(degree + m)
        return math.sqrt((2 * degree + 1) * ratio * (2 if m else 1))

    a = [
        norm(l, abs(m)) / norm(l - 1, abs(m)) * (2 * l - 1) / (l - abs(m))
        for m in range(1 - l, l)
    ]
    b = [
        norm(l, abs(m)) / norm(l - 2, abs(m)) * (l + abs(m) - 1) / (l - abs(m))
        for m in range(2 - l, l - 1)
    ]
    top = norm(l, l) * math.prod(range(1, 2 * l, 2))
    return top, np.array(a), np.array(b)
