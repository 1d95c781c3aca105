"""Statistics of all atoms, or all edges, of a structure."""

import math

from keras_hamiltonian.ops import backend


def structure_normalize(x, mask, structure, epsilon, is_centered):
    """Unit mean square over a structure, and zero mean if asked for.

    Args:
        x: `(N, M, d, channels)` tensor; M is 1 for features of atoms.
        mask: `(N, M)` tensor, 1 for what counts, 0 for padding.
        structure: `(N,)` int tensor. Which structure an atom belongs to, less
            than N.
        epsilon: float. Added to the mean square.
        is_centered: bool. Whether the mean is taken out.

    Returns:
        Tensor of the shape of `x`.
    """
    number = backend.shape(x)[0]
    size = math.prod(x.shape[2:])

    def over_structure(rows):
        sums = backend.segment_sum(rows, structure, num_segments=number)
        return backend.take(sums, structure, axis=0)

    counts = over_structure(backend.sum(mask, axis=1))
    share = 1 / (size * backend.maximum(counts, 1))

    def mean(y):
        rows = backend.sum(y * mask[:, :, None, None], axis=(1, 2, 3))
        return (over_structure(rows) * share)[:, None, None, None]

    if is_centered:
        x = x - mean(x)
    return x * backend.rsqrt(mean(x * x) + epsilon)
