"""Closed-form fits of last linear maps, against the blocks themselves."""

import numpy as np
import pytest
from active_refit import Refit
from small_stages import small_stage

import keras_hamiltonian as kh

MEV_PER_EV = kh.conventions.MEV_PER_EV


@pytest.fixture(scope="module")
def refit(data_folder):
    store = kh.data.JoinedStore([data_folder / "graphene.h5"])
    names = store.names[:5]
    model = small_stage(store, projectors="")
    model.provenance = {"structures": names[:1]}
    split = kh.data.Split(names[:4], [], names[4:])
    return Refit(model, store, split, 1), model, store[names[4]]


def test_errors_are_those_of_the_blocks(refit):
    found, model, calculation = refit
    sums = found.sums[calculation.name]
    nothing = {kind: 0 * product for kind, (_, product, *_) in sums.items()}
    dataset = kh.HamiltonianDataset([calculation])
    inputs, targets, weights = dataset[0]
    blocks = model.predict_on_batch(inputs)
    total = number = 0
    for name, target in targets.items():
        is_there = weights[name] > 0
        total += ((np.asarray(blocks[name]) - target)[is_there] ** 2).sum()
        number += is_there.sum()
    expected = MEV_PER_EV * np.sqrt(total / number)
    error = found._error(calculation.name, nothing)
    assert error == pytest.approx(expected, rel=1e-4)


def test_fits_are_least_squares(refit):
    found, _, calculation = refit
    own = found._error(calculation.name, found._fit([calculation.name]))
    other = found._error(calculation.name, found._fit(found.start))
    assert own < other
    errors, names = found.active(3)
    assert len(errors) == 4 and sorted(names) == sorted(found.pool)
    # With the whole pool the order does not matter.
    np.testing.assert_allclose(errors[-1], found.random(3, 0)[-1], rtol=1e-6)
    assert errors[-1] < errors[0]
