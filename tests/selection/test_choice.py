"""Variances against fits of drawn labels; batches that are not alike."""

import numpy as np
import pytest

from keras_hamiltonian.selection import choose

KIND = ("C", "1o")
SIZE = 6


def crystals(number, seed, rows=12):
    """Features whose directions differ in how often they occur."""
    random = np.random.default_rng(seed)
    scales = 2.0 ** -np.arange(SIZE)
    return [
        {KIND: scales * random.normal(size=(rows, SIZE))} for _ in range(number)
    ]


def test_variance_is_the_error_of_a_fit():
    """Weights and labels are drawn as the formula says, and fitted."""
    known, candidates, noise = crystals(1, 0, rows=4), crystals(3, 1), 0.05
    chosen = choose(candidates, known, 3, noise)
    x = np.concatenate([found[KIND] for found in [*candidates, *known]])
    scale = np.sqrt((x**2).sum(axis=1).mean())
    random = np.random.default_rng(2)

    def error(train, test):
        train, test = (
            np.concatenate([f[KIND] for f in part]) / scale
            for part in (train, test)
        )
        weights = random.normal(size=(SIZE, 4000))
        labels = train @ weights
        labels += np.sqrt(noise) * random.normal(size=labels.shape)
        gram = train.T @ train + noise * np.eye(SIZE)
        fitted = np.linalg.solve(gram, train.T @ labels)
        return ((test @ (fitted - weights)) ** 2).mean()

    for count, choice in enumerate(chosen, start=1):
        own = [candidates[choice.index]]
        assert choice.variance == pytest.approx(error(known, own), rel=0.05)
        train = [candidates[c.index] for c in chosen[:count]]
        left = error([*known, *train], candidates)
        assert choice.left == pytest.approx(left, rel=0.05)
    assert chosen[0].left > chosen[1].left > chosen[2].left


def test_each_step_is_the_best_one():
    known, candidates = crystals(1, 0, rows=3), crystals(6, 1, rows=3)
    first, second = choose(candidates, known, 2)
    for number in range(6):
        [alone] = choose(candidates[number : number + 1], known, 1)
        assert alone.left > 0
    # Put among the known, the first leaves the second to be chosen.
    known.append(candidates[first.index])
    [again] = choose(candidates, known, 1)
    assert again.index == second.index


def test_copies_are_left_out():
    new, other = (
        {KIND: size * np.eye(SIZE)[[k, k, k]]} for k, size in ((0, 1), (1, 0.7))
    )
    turned = {KIND: new[KIND][::-1] * (1 + 1e-7)}
    known = crystals(1, 0)
    candidates = [new, turned, other, known[0]]
    chosen = choose(candidates, known, 4)
    assert sorted(choice.index for choice in chosen) == [0, 2]
    with pytest.raises(ValueError, match="All 2 candidates are known"):
        choose([known[0]] * 2, known, 1)


def test_a_batch_is_diverse():
    """The most uncertain ones are alike: a ranking would take them all."""
    random = np.random.default_rng(0)
    alike = [
        {KIND: np.eye(SIZE)[[0, 0, 0]] + 0.01 * random.normal(size=(3, SIZE))}
        for _ in range(3)
    ]
    other = {KIND: 0.7 * np.eye(SIZE)[[1, 1, 1]]}
    known = [{KIND: np.eye(SIZE)[2:]}]
    chosen = choose([*alike, other], known, 4)
    assert 3 in {choice.index for choice in chosen[:2]}
    ranked = sorted(chosen, key=lambda choice: -choice.variance)
    assert ranked[-1].index == 3


def test_what_many_resemble_comes_first():
    random = np.random.default_rng(0)
    rare, *common = (
        {KIND: np.eye(SIZE)[[k]] + 0.01 * random.normal(size=(1, SIZE))}
        for k in (0, 1, 1, 1)
    )
    known = [{KIND: np.eye(SIZE)[[2]]}]
    chosen = choose([rare, *common], known, 2)
    assert chosen[0].index > 0 and chosen[1].index == 0
    assert chosen[0].variance == pytest.approx(chosen[1].variance, rel=0.1)


def test_elements_are_learnt_apart():
    known = [{KIND: np.eye(SIZE)}]
    same, other = ({(e, "1o"): 0.9 * np.eye(SIZE)} for e in ("C", "N"))
    first, second = choose([same, other], known, 2)
    assert first.index == 1
    assert first.variance > 5 * second.variance


def test_nothing_to_choose_is_refused():
    with pytest.raises(ValueError, match="0 candidates"):
        choose([], crystals(1, 0), 1)
    with pytest.raises(ValueError, match="number=0"):
        choose(crystals(1, 0), [], 0)
    assert len(choose(crystals(2, 0), [], 5)) == 2
