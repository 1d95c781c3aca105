"""Spinful blocks from their scalar and vector parts."""

from keras_hamiltonian.ops import backend


def join_parts(parts, layout):
    """Table blocks from their real parts, the inverse of `BlockLayout.split`.

    Args:
        parts: dict from part to `(..., rows, rows)` tensors or, for vector
            parts, `(..., 3, rows, rows)` with components y, z, x.
        layout: `BlockLayout`.

    Returns:
        `(..., rows, rows)` tensor, or `(..., 2, 2, 2, rows, rows)` with spin.
    """
    if layout.spin == "none":
        return parts["scalar"]
    zero = backend.zeros_like(parts["scalar"])
    none = [zero, zero, zero]
    real, imag = parts["scalar"], parts.get("scalar_imag", zero)
    y_re, z_re, x_re = _components(parts.get("vector_real"), none)
    y_im, z_im, x_im = _components(parts.get("vector"), none)
    blocks = [
        [[real + z_re, x_re + y_im], [x_re - y_im, real - z_re]],
        [[imag + z_im, x_im - y_re], [x_im + y_re, imag - z_im]],
    ]
    stacked = [
        backend.stack([backend.stack(row, axis=-3) for row in matrix], axis=-4)
        for matrix in blocks
    ]
    return backend.stack(stacked, axis=-5) * 0.5**0.5


def _components(vector, none):
    if vector is None:
        return none
    return [vector[..., k, :, :] for k in range(3)]


def without_spin(blocks):
    """The part of blocks that is the same for both spins, and real.

    Args:
        blocks: `(..., 2, 2, 2, rows, rows)` tensor or array.

    Returns:
        `(..., rows, rows)`.
    """
    return 0.5 * (blocks[..., 0, 0, 0, :, :] + blocks[..., 0, 1, 1, :, :])


def both_spins(blocks):
    """Blocks with spin that are the same for both, the inverse of
    `without_spin`.

    Args:
        blocks: `(..., rows, rows)` tensor.

    Returns:
        `(..., 2, 2, 2, rows, rows)` tensor.
    """
    zero = backend.zeros_like(blocks)
    nothing = backend.stack([zero, zero], axis=-3)
    up = backend.stack([blocks, zero], axis=-3)
    down = backend.stack([zero, blocks], axis=-3)
    real = backend.stack([up, down], axis=-4)
    imag = backend.stack([nothing, nothing], axis=-4)
    return backend.stack([real, imag], axis=-5)


def hermitian_transpose(blocks, spin):
    """Transposes blocks; with spin also exchanges spins and conjugates.

    Args:
        blocks: `(..., rows, rows)` or `(..., 2, 2, 2, rows, rows)` tensor.
        spin: str. Spin layout.

    Returns:
        Tensor of the same shape.
    """
    swapped = backend.swapaxes(blocks, -1, -2)
    if spin == "none":
        return swapped
    swapped = backend.swapaxes(swapped, -3, -4)
    real, imag = swapped[..., 0, :, :, :, :], swapped[..., 1, :, :, :, :]
    return backend.stack([real, -imag], axis=-5)
