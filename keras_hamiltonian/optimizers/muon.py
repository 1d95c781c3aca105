"""Muon for kernels that hold many matrices in one flat weight."""

import math

import keras

from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.optimizers.adamw import AdamW
from keras_hamiltonian.optimizers.polar import polar_factors

# Root mean square of the elements of a kernel's step, in units of the learning
# rate: about that of Adam.
STEP_SIZE = 0.2


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class Muon(AdamW):
    """Orthogonal steps for the matrices of equivariant layers, Adam's for all
    other weights.

    A kernel moves along U Vᵀ of its momentum U S Vᵀ: all directions of a matrix
    learn at one rate, also those with small gradients. `SO2Linear` and
    `EquivariantLinear` keep the matrices of all irreps in one flat weight, and
    say in its `matrix_shapes` where each begins; each is taken by itself. That
    is what `keras.optimizers.Muon` cannot do. Kernels of read-outs, and weights
    without `matrix_shapes`, get Adam's steps.

    Args:
        learning_rate: float or schedule. Of both kinds of steps.
        momentum: float. Of the gradients of kernels, Nesterov's.
        exclude: sequence of str. Parts of paths: kernels whose path has one
            of them get Adam's steps.
        **kwargs: of `keras.optimizers.AdamW`.

    Example:

    >>> stage.compile(                                  # doctest: +SKIP
    ...     kh.optimizers.Muon(1e-2), loss=kh.losses.BlockMeanAbsoluteError()
    ... )

    Reference: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon;
    size of the step: Liu et al., arXiv 2502.16982.
    """

    def __init__(
        self,
        learning_rate=1e-2,
        momentum=0.95,
        exclude=("readout",),
        **kwargs,
    ):
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum
        self.exclude = list(exclude)

    def build(self, variables):
        if not self.built:
            # Later TensorFlow passes its own variables, which know no shapes.
            self._shapes = [self._matrix_shapes(v) for v in variables]
        super().build(variables)

    def _matrix_shapes(self, variable):
        if any(part in variable.path for part in self.exclude):
            return None
        return getattr(variable, "matrix_shapes", None)

    def _is_kernel(self, variable):
        return self._shapes[self._get_variable_index(variable)] is not None

    def update_step(self, gradient, variable, learning_rate):
        if self._is_kernel(variable):
            self._kernel_steps([gradient], [variable], learning_rate)
        else:
            super().update_step(gradient, variable, learning_rate)

    def _parallel_update_step(self, grads, variables, learning_rate):
        """All steps, on torch."""
        kernels, others = [], []
        for pair in zip(grads, variables):
            (kernels if self._is_kernel(pair[1]) else others).append(pair)
        if kernels:
            self._kernel_steps(*zip(*kernels), learning_rate)
        if others:
            super()._parallel_update_step(*zip(*others), learning_rate)

    def _kernel_steps(self, grads, variables, learning_rate):
        indices = [self._get_variable_index(v) for v in variables]
        matrices = []
        for gradient, index in zip(grads, indices):
            momentum = self._momentums[index]
            self.assign(momentum, self.momentum * momentum.value + gradient)
            direction = gradient + self.momentum * momentum.value
            matrices += _split(direction, self._shapes[index])
        factors = iter(polar_factors(matrices))
        for gradient, variable, index in zip(grads, variables, indices):
            shapes = self._shapes[index]
            num_elements = sum(math.prod(shape) for shape in shapes)
            # As many times as there are elements with weights of their own.
            shapes = shapes * (math.prod(gradient.shape) // num_elements)
            step = backend.concatenate(
                [
                    backend.reshape(
                        STEP_SIZE * math.sqrt(max(shape)) * next(factors), (-1,)
                    )
                    for shape in shapes
                ],
                axis=0,
            )
            rate = keras.ops.cast(learning_rate, gradient.dtype)
            self.assign_sub(
                variable, rate * backend.reshape(step, gradient.shape)
            )

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "exclude": self.exclude,
        }


def _split(kernel, shapes):
    """The matrices of a flat kernel `(..., total)`, row by row."""
    sizes = [math.prod(shape) for shape in shapes]
    flat = backend.reshape(kernel, (-1,))
    num_rows = math.prod(kernel.shape) // sum(sizes)
    pieces = split_channels(flat, sizes * num_rows)
    return [
        backend.reshape(piece, shape)
        for piece, shape in zip(pieces, shapes * num_rows)
    ]
