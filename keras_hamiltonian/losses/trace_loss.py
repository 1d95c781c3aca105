"""Supervision by traces: how large the block of each pair of shells is."""

import keras
import numpy as np

# Scatter of an edge's traces below which they count less, (1 meV)² in eV².
SMALLEST_TRACE = 1e-6


class TraceLoss:
    """Loss of a stage's traces, a fixed fraction of that of its blocks.

    A stage with `tracegrad="trace"` or `"both"` predicts traces Σ |H_ab|² over
    the elements of each pair of shells. `loss_T` compares them with those of
    the target blocks, which of every atom and edge are less their mean and
    divided by their scatter. The result is `weight · loss_T · loss_H / loss_T`,
    without a gradient of the ratio: its share of the whole loss stays the
    same. If the inputs hold H⁰, traces are those of H - H⁰.

    Args:
        shells: sequence of int. Degrees of the table's shells.
        loss: `keras.losses.Loss` of the blocks.
        weight: float. Fraction of the loss of the blocks.

    Call arguments:
        inputs, targets, outputs, weights: dicts of a batch, see
            `Stage.compile`.

    Output: scalar, in the unit of `loss`.

    Reference: TraceGrad, Yin et al., arXiv 2405.05722.
    """

    def __init__(self, shells, loss, weight=0.25):
        self.loss = loss
        self.weight = weight
        rows = np.repeat(np.arange(len(shells)), [2 * l + 1 for l in shells])
        is_in_shell = np.eye(len(shells))[rows]
        self.is_in_pair = np.kron(is_in_shell, is_in_shell)

    def __call__(self, inputs, targets, outputs, weights):
        of_blocks = of_traces = 0.0
        for name in ("onsite", "hopping"):
            target, weight = targets[name], weights[name]
            found = keras.ops.stop_gradient(outputs[name])
            of_blocks += self.loss(target, found, sample_weight=weight)
            learnt = target - inputs.get(f"initial_{name}", 0.0)
            pair_weights = self.pair_sums(weight)
            of_traces += self.loss(
                normalized_traces(self.pair_sums(learnt**2), pair_weights),
                outputs[f"{name}_traces"],
                sample_weight=pair_weights,
            )
        floor = keras.config.epsilon()
        ratio = of_blocks / keras.ops.maximum(of_traces, floor)
        return self.weight * keras.ops.stop_gradient(ratio) * of_traces

    def pair_sums(self, blocks):
        """Sums over all elements of each pair of shells.

        Args:
            blocks: `(..., rows, rows)` tensor, with spin
                `(..., 2, 2, 2, rows, rows)`: onsite or hopping blocks, of
                which squares make traces, or weights.

        Returns:
            `(..., pairs)` tensor.
        """
        if len(blocks.shape) > 5:
            blocks = keras.ops.sum(blocks, axis=(-5, -4, -3))
        flat = keras.ops.reshape(blocks, (*keras.ops.shape(blocks)[:-2], -1))
        is_in_pair = keras.ops.convert_to_tensor(self.is_in_pair, flat.dtype)
        return keras.ops.einsum("...a,ap->...p", flat, is_in_pair)


def normalized_traces(traces, weights):
    """Traces less their mean, over their scatter, edge by edge.

    Args:
        traces: `(..., pairs)` tensor, eV².
        weights: tensor of its shape, zero where a pair of elements has no such
            shells.

    Returns:
        Tensor of the same shape, without unit.
    """
    is_real = keras.ops.cast(weights > 0, traces.dtype)
    number = keras.ops.sum(is_real, axis=-1, keepdims=True)
    number = keras.ops.maximum(number, 1.0)
    mean = keras.ops.sum(traces * is_real, axis=-1, keepdims=True) / number
    shifted = (traces - mean) * is_real
    variance = keras.ops.sum(shifted**2, axis=-1, keepdims=True) / number
    return shifted * keras.ops.rsqrt(variance + SMALLEST_TRACE**2)
