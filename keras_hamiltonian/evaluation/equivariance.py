"""Deviations of a model from rotational symmetry."""

import numpy as np

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.data.batch import batch_weights
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.models.rotation_average import rotated_predictions
from keras_hamiltonian.network_outputs import model_inputs


def equivariance_error(model, structure, num_rotations=4, seed=0):
    """Rotates a structure, predicts, rotates back, and compares.

    Args:
        model: `Stage`.
        structure: `ase.Atoms`; or `Calculation` with H⁰, for a model that
            takes it.
        num_rotations: int. Number of random rotations, each compared with the
            structure as it is.
        seed: int. Seed of the rotations.

    Returns:
        Dict of `mae_mev`, the mean absolute difference of all matrix elements
        in meV, `largest_mev`, the largest one, and `relative`, the mean
        difference over the mean absolute element.

    Raises:
        ValueError: for an element the model was not made for.
    """
    inputs, weights = _inputs(model, structure)
    rotations = [np.eye(3), *random_rotations(num_rotations, seed)]
    plain, *rotated = rotated_predictions(model, inputs, rotations)
    errors = _Errors(weights)
    for found in rotated:
        errors.add(found, plain)
    return errors.result(_mean_size(plain, weights))


def averaged_equivariance_error(
    model, structure, numbers=(1, 2, 4, 8, 16, 32), seed=0
):
    """Equivariance error of means over rotations, by their number.

    `average_over_rotations` averages a rotated crystal over other orientations
    than the original one. So two means of n predictions each, over different
    rotations, are compared. Independent deviations fall as 1/√n.

    Args:
        model: `Stage`.
        structure: `ase.Atoms`; or `Calculation` with H⁰, for a model that
            takes it.
        numbers: sequence of int. Numbers of rotations. Twice the largest
            number is drawn, and all of these are used for each number.
        seed: int. Seed of the rotations.

    Returns:
        Dict from number to a dict of `mae_mev`, `largest_mev`, `relative`
        (see `equivariance_error`) and `of_correction`, the mean difference
        over the mean absolute element of the second stage's correction;
        `None` unless the model is a `HamiltonianCascade`.

    Raises:
        ValueError: for an element the model was not made for, or a number
            less than one.

    Example:

    >>> errors = averaged_equivariance_error(    # doctest: +SKIP
    ...     "cascade.keras", atoms
    ... )
    >>> kh.plots.plot_equivariance({"Transformer": errors}, "errors.png")
    ...                                          # doctest: +SKIP
    """
    if not numbers or min(numbers) < 1:
        raise ValueError(
            "A mean needs at least one rotation. Received: numbers="
            f"{list(numbers)}."
        )
    inputs, weights = _inputs(model, structure)
    rotations = random_rotations(2 * max(numbers), seed)
    pairs = {n: _PairsOfMeans(n, weights) for n in numbers}
    for found in rotated_predictions(model, inputs, rotations):
        for means in pairs.values():
            means.add(found)
    size = _mean_size(found, weights)
    correction = None
    if len(model.stages()) > 1:
        last = rotated_predictions(model.stage, inputs, rotations[-1:])
        baseline = next(iter(last))
        added = {name: found[name] - baseline[name] for name in found}
        correction = _mean_size(added, weights)
    result = {}
    for n, means in pairs.items():
        error = means.errors.result(size)
        error["of_correction"] = None
        if correction is not None:
            mean = error["mae_mev"] / MEV_PER_EV
            error["of_correction"] = mean / max(correction, 1e-30)
        result[n] = error
    return result


def _inputs(model, structure):
    inputs, _ = model_inputs(model, structure)
    return inputs, batch_weights(inputs, model.basis, model.spin)


def _mean_size(blocks, weights):
    return sum((np.abs(blocks[k]) * weights[k]).sum() for k in blocks)


class _Errors:
    """Mean and largest difference over many comparisons."""

    def __init__(self, weights):
        self.weights = weights
        self.total, self.largest, self.number = 0.0, 0.0, 0

    def add(self, first, second):
        self.number += 1
        for name, weight in self.weights.items():
            error = np.abs(first[name] - second[name])
            self.total += float((error * weight).sum())
            largest = error[weight > 0].max(initial=0.0)
            self.largest = max(self.largest, float(largest))

    def result(self, size):
        mean = self.total / self.number
        return {
            "mae_mev": float(mean * MEV_PER_EV),
            "largest_mev": float(self.largest * MEV_PER_EV),
            "relative": float(mean / max(size, 1e-30)),
        }


class _PairsOfMeans:
    """Compares the means of successive groups of n predictions, in pairs."""

    def __init__(self, number, weights):
        self.number = number
        self.errors = _Errors(weights)
        self.count, self.sums, self.before = 0, None, None

    def add(self, blocks):
        if self.sums is None:
            self.sums = dict(blocks)
        else:
            self.sums = {k: self.sums[k] + x for k, x in blocks.items()}
        self.count += 1
        if self.count < self.number:
            return
        mean = {k: x / self.number for k, x in self.sums.items()}
        self.count, self.sums = 0, None
        if self.before is None:
            self.before = mean
        else:
            self.errors.add(mean, self.before)
            self.before = None
