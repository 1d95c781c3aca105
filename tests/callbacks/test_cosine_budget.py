"""The learning rate follows the budget, and training ends with it."""

import time

import keras
import numpy as np
import pytest
from small_model import X
from small_model import Y
from small_model import small_model

from keras_hamiltonian.callbacks import BudgetBar
from keras_hamiltonian.callbacks import CosineBudget


class Rates(keras.callbacks.Callback):
    """Learning rate that the optimizer has after each step."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        rate = self.model.optimizer.learning_rate
        self.values.append(float(keras.ops.convert_to_numpy(rate)))


def fit(budget, *others):
    model = small_model()
    model.fit(
        X,
        Y,
        batch_size=4,
        epochs=10**6,
        verbose=0,
        callbacks=[budget, *others],
    )
    return model


def test_steps_are_counted_and_the_rate_is_the_cosine():
    rates = Rates()
    model = fit(CosineBudget(0.5, steps=7, warmup_steps=2), rates)
    cosine = 0.25 * (1 + np.cos(np.pi * np.arange(7) / 7))
    np.testing.assert_allclose(
        rates.values, cosine * [0.5, 1, 1, 1, 1, 1, 1], rtol=1e-5
    )
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 7


def test_seconds_are_kept_to_about_a_step():
    fit(CosineBudget(0.1, steps=2))  # the backend's own preparations
    rates = Rates()
    start = time.process_time()
    fit(CosineBudget(0.1, seconds=0.5, warmup_steps=1), rates)
    spent = time.process_time() - start
    assert 0.5 <= spent < 1.5
    assert rates.values[-1] < 0.01 < rates.values[1]


def test_time_before_fit_counts_from_start():
    budget = CosineBudget(0.1, seconds=1.0, start=time.process_time() - 5.0)
    rates = Rates()
    fit(budget, rates)
    assert len(rates.values) == 1


def test_the_next_validation_has_its_time():
    budget = CosineBudget(0.1, seconds=100.0)
    budget.on_train_begin()
    budget.on_test_begin()
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    before = budget.spent
    budget.on_test_end()
    assert budget.spent - before > 0.04 / 100


@pytest.mark.parametrize(
    "arguments", [{}, {"seconds": 1, "steps": 1}, {"seconds": 0}]
)
def test_one_positive_budget(arguments):
    with pytest.raises(ValueError, match="one positive budget"):
        CosineBudget(0.1, **arguments)


def test_bar_prints_tenths_where_there_is_no_terminal(caplog):
    budget = CosineBudget(0.1, steps=20)
    fit(budget, BudgetBar(budget))
    lines = caplog.messages
    assert len(lines) == 10
    assert lines[-1].startswith("20/20 step: loss ")
