"""Traces of blocks, and the loss of a stage's own ones."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.losses import BlockMeanAbsoluteError
from keras_hamiltonian.losses import TraceLoss
from keras_hamiltonian.losses.trace_loss import normalized_traces
from keras_hamiltonian.orbitals.coupling import BlockCoupling

SHELLS = (0, 0, 1, 2)
ROWS, PAIRS = 10, 16
LOSS = BlockMeanAbsoluteError()


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def tensors(arrays):
    return keras.tree.map_structure(
        lambda x: keras.ops.convert_to_tensor(x, dtype="float32"), arrays
    )


@pytest.fixture
def batch():
    """Targets, outputs and weights of 3 atoms with 4 neighbours."""
    random = np.random.default_rng(0)
    shapes = {"onsite": (3,), "hopping": (3, 4)}
    targets, outputs, weights = {}, {}, {}
    for name, shape in shapes.items():
        targets[name] = random.normal(size=(*shape, ROWS, ROWS))
        outputs[name] = targets[name] + 0.01
        outputs[f"{name}_traces"] = random.normal(size=(*shape, PAIRS))
        weights[name] = random.uniform(size=(*shape, ROWS, ROWS)) / 1500
    return targets, outputs, weights


def test_a_trace_is_the_square_of_the_irreps_of_a_block():
    """METHOD 9: T = Σ |H_m1m2|² = Σ_L |x_L|², the same after a rotation."""
    blocks = np.random.default_rng(0).normal(size=(6, ROWS, ROWS))
    found = numpy(TraceLoss(SHELLS, LOSS).pair_sums(*tensors([blocks**2])))
    coupling = BlockCoupling(SHELLS)
    values = blocks.reshape(6, -1) @ coupling.matrix
    expected = np.zeros((6, 4, 4))
    start = 0
    channels = iter(coupling.channels)
    for mul, irrep in coupling.irreps:
        term = values[:, start : start + mul * irrep.dim]
        squares = (term.reshape(6, irrep.dim, mul) ** 2).sum(axis=1)
        for square in squares.T:
            p, q, *_ = next(channels)
            expected[:, p, q] += square
        start += mul * irrep.dim
    np.testing.assert_allclose(found, expected.reshape(6, -1), rtol=1e-5)


def test_spin_components_are_summed():
    blocks = np.random.default_rng(0).normal(size=(5, 2, 2, 2, ROWS, ROWS))
    loss = TraceLoss(SHELLS, LOSS)
    found = numpy(loss.pair_sums(*tensors([blocks])))
    parts = [
        numpy(loss.pair_sums(*tensors([blocks[(slice(None), *k)]])))
        for k in np.ndindex(2, 2, 2)
    ]
    np.testing.assert_allclose(found, sum(parts), rtol=1e-4, atol=1e-5)


def test_traces_are_compared_over_the_shells_that_there_are():
    traces = np.array([[4.0, 2.0, 999.0, 0.0]])
    weights = np.array([[0.1, 0.3, 0.0, 0.2]])
    found = numpy(normalized_traces(*tensors([traces, weights])))
    scatter = np.std([4.0, 2.0, 0.0])
    np.testing.assert_allclose(found, [[2 / scatter, 0, 0, -2 / scatter]])
    # Padding, and blocks far below 1 meV.
    none = numpy(normalized_traces(*tensors([traces, 0 * weights])))
    small = numpy(normalized_traces(*tensors([1e-9 * traces, weights])))
    assert not none.any() and 0 < np.abs(small).max() < 0.01


def test_it_is_a_fraction_of_the_loss_of_the_blocks(batch):
    value = float(TraceLoss(SHELLS, LOSS, 0.25)({}, *tensors(batch)))
    total = sum(weight.sum() for weight in batch[2].values())
    assert value == pytest.approx(0.25 * 10.0 * total, rel=1e-4)


def test_true_traces_cost_nothing(batch):
    targets, outputs, weights = tensors(batch)
    loss = TraceLoss(SHELLS, LOSS)
    for name, target in targets.items():
        outputs[f"{name}_traces"] = normalized_traces(
            loss.pair_sums(target**2), loss.pair_sums(weights[name])
        )
    assert float(loss({}, targets, outputs, weights)) == 0.0


def test_with_an_initial_hamiltonian_they_are_those_of_the_correction(batch):
    targets, outputs, weights = tensors(batch)
    loss = TraceLoss(SHELLS, LOSS)
    initial = {f"initial_{name}": x for name, x in targets.items()}
    for name in targets:
        outputs[f"{name}_traces"] = 0.0 * outputs[f"{name}_traces"]
    assert float(loss({}, targets, outputs, weights)) > 0
    # Nothing to correct, and zero was predicted.
    assert float(loss(initial, targets, outputs, weights)) == 0.0


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="torch differentiates"
)
def test_the_ratio_has_no_gradient(batch):
    import torch

    targets, outputs, weights = tensors(batch)
    for x in outputs.values():
        x.requires_grad_()
    found = TraceLoss(SHELLS, LOSS)({}, targets, outputs, weights)
    found.backward()
    assert outputs["hopping"].grad is None
    gradient = outputs["hopping_traces"].grad
    # That of an absolute error: sign times pair weight times the ratio.
    pairs = TraceLoss(SHELLS, LOSS).pair_sums(weights["hopping"])
    ratio = gradient.abs() / pairs
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio))
