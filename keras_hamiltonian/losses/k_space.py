"""Loss between eigenstates: what errors of blocks do to levels."""

import keras

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.strategy import total

# In eV², inside of roots: their slope is finite where nothing is wrong.
SMALLEST = 1e-16
ROOT = SMALLEST**0.5


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class KSpaceLoss:
    """Errors of H(k) between eigenstates of the labels, in meV.

    Where orbitals are nearly dependent, errors of 1 meV can move levels by
    eV. Between the eigenstates C of the labels, `C^† S(k) C = 1`, this shows:
    the diagonal of `Z = C^† ΔH(k) C` is what levels move by in first order,
    the rest mixes states. No prediction is diagonalised. States are in P, up
    to an energy above the Fermi level, or in Q:

        loss = weight * (p |Z_PP| + q |Z_QQ| + pq |Z_PQ|)

    where |Z| is the root mean square of the elements. Unlike their mean
    absolute value it does not depend on the choice of states in a degenerate
    level. Errors in Q are tens of times those in P; hence the smaller weights.
    `KSpaceDataset` scales the states so that random errors of all
    blocks, 1 meV each, give |Z| = 1 meV if orbitals are orthogonal, in every
    material.

    Args:
        weight: float. Of the whole, beside the loss of the blocks.
        p, q, pq: floats. Of its parts.
        gauge: bool. Whether H and H + μS are the same. μ is the mean of the
            diagonal of Z_PP, its least-squares value; levels in Q are too far
            off to tell it. Z_PQ does not see μ.
        diagonal: bool. Takes the diagonals of Z_PP and Z_QQ alone; with
            `q=0` this is WALoss, but for the root mean square.

    Call arguments: inputs, targets, outputs and weights of a batch of
        `KSpaceDataset`; for the `joint_losses` of `Stage.compile`.
    Output: scalar, in meV.

    Reference: Yin et al., arXiv 2509.19877; Li et al., arXiv 2502.19227.
    """

    def __init__(
        self, weight=0.3, p=1.0, q=0.1, pq=0.3, gauge=False, diagonal=False
    ):
        self.weight = weight
        self.p = p
        self.q = q
        self.pq = pq
        self.gauge = gauge
        self.diagonal = diagonal

    def get_config(self):
        """The arguments: JSON values."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config):
        """The loss of `get_config`."""
        return cls(**config)

    def __call__(self, inputs, targets, outputs, weights=None):
        real, imag = between_states(inputs, targets, outputs)
        shares = keras.ops.cast(targets["k_shares"], real.dtype)
        in_p, in_q = shares[:, 0], shares[:, 1]
        if self.gauge:
            real = real - _gauge(real, in_p, targets["k_structure"])
        squares = keras.ops.square(real) + keras.ops.square(imag)
        if self.diagonal:
            squares = keras.ops.diagonal(squares)
            means = [(self.p, in_p * squares), (self.q, in_q * squares)]
        else:
            rows = keras.ops.einsum("ab,bx->ax", squares, shares)
            means = [
                (self.p, in_p * rows[:, 0]),
                (self.q, in_q * rows[:, 1]),
                (self.pq, in_p * rows[:, 1]),
            ]
        loss = sum(
            factor * (keras.ops.sqrt(total(keras.ops.sum(x)) + SMALLEST) - ROOT)
            for factor, x in means
        )
        return self.weight * MEV_PER_EV * loss


def between_states(inputs, targets, outputs):
    """Errors of H(k) between the states of a batch: `Z = C^† ΔH(k) C`.

    All numbers are real, so every backend takes the same steps.

    Args:
        inputs: dict. `edge_vectors` `(N, M, 3)` in Å, `neighbors` and
            `edge_mask` `(N, M)`.
        targets: dict. `onsite` and `hopping` in eV, `k_vectors` and
            `k_states`; see `KSpaceDataset`.
        outputs: dict. `onsite` and `hopping`, in eV.

    Returns:
        Two `(num_states, num_states)` tensors, in eV: real and imaginary part.
    """
    states = _cast(targets["k_states"], outputs)
    errors = _bloch_sum(
        *(
            outputs[name] - _cast(targets[name], outputs)
            for name in ("onsite", "hopping")
        ),
        *_phases(inputs, _cast(targets["k_vectors"], outputs)),
    )
    # o, p, q: real and imaginary part of H, of C, of C^†.
    terms = keras.ops.einsum("nokstij,kptjb->opnsib", errors, states)
    real = terms[0, 0] - terms[1, 1]
    imag = terms[0, 1] + terms[1, 0]
    terms = keras.ops.einsum(
        "nqsia,pnsib->pqab", states, keras.ops.stack([real, imag])
    )
    return terms[0, 0] + terms[1, 1], terms[1, 0] - terms[0, 1]


def _cast(x, outputs):
    return keras.ops.cast(x, outputs["onsite"].dtype)


def _phases(inputs, k_vectors):
    """`exp(i k·r)` of each edge in the column of the atom it ends at:
    `(N, M, N)` cosines and sines, and the `(N, N)` unit matrix."""
    vectors = keras.ops.cast(inputs["edge_vectors"], k_vectors.dtype)
    angles = keras.ops.einsum("nx,nmx->nm", k_vectors, vectors)[..., None]
    own = keras.ops.cumsum(keras.ops.ones_like(inputs["species"])) - 1
    ends = inputs["neighbors"][..., None] == own
    ends = keras.ops.cast(ends, k_vectors.dtype)
    ends = ends * keras.ops.cast(inputs["edge_mask"], ends.dtype)[..., None]
    same = keras.ops.cast(own[:, None] == own, ends.dtype)
    return keras.ops.cos(angles) * ends, keras.ops.sin(angles) * ends, same


def _bloch_sum(onsite, hopping, cosines, sines, same):
    """H(k) of blocks: `(N, 2, N, spin, spin, rows, rows)`, the first 2 being
    real and imaginary part."""
    rows = onsite.shape[-1]
    # Without spin blocks are real, and there is one spin.
    parts, spins = (1, 1) if len(onsite.shape) == 3 else (2, 2)
    size = spins * spins * rows * rows
    number = keras.ops.shape(onsite)[0]
    phases = keras.ops.stack(
        [
            keras.ops.stack([cosines, -sines][:parts], axis=2),
            keras.ops.stack([sines, cosines][:parts], axis=2),
        ],
        axis=1,
    )
    hopping = keras.ops.reshape(hopping, (number, -1, parts, size))
    onsite = keras.ops.reshape(onsite, (number, parts, 1, size))
    if parts == 1:
        onsite = keras.ops.concatenate(
            [onsite, keras.ops.zeros_like(onsite)], axis=1
        )
    total = keras.ops.einsum("nomck,nmcx->nokx", phases, hopping)
    total = total + same[:, None, :, None] * onsite
    return keras.ops.reshape(total, (number, 2, -1, spins, spins, rows, rows))


def _gauge(real, in_p, structure):
    """μ of each structure on the diagonal: `(num_states, num_states)`."""
    total = in_p * keras.ops.diagonal(real)
    # As many structures as states, at most.
    same = keras.ops.cast(structure[:, None] == structure, real.dtype)
    return keras.ops.diag(keras.ops.einsum("ab,b->a", same, total))
