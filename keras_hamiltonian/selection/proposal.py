"""`kh.selection.propose`: which structures to compute next."""

import keras

from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.selection.choice import choose
from keras_hamiltonian.selection.features import atom_features


def propose(model, candidates, known, number=10):
    """Chooses the structures from whose calculation a model learns most.

    Args:
        model: `Stage`, or the path of its `.keras` file.
        candidates: iterable of `ase.Atoms` or `Calculation`: what may be
            computed, and what predictions are wanted for. A model that takes
            H⁰ and does not compute it needs calculations with H⁰.
        known: iterable of the same: what the model was trained on.
        number: int. How many to choose.

    Returns:
        List of `Choice`, see `choose`, the first choice first.

    Raises:
        ValueError: for elements the model was not made for, a missing H⁰, or
            nothing to choose from.

    Example:

    >>> pool = ase.io.read("candidates.extxyz", ":")     # doctest: +SKIP
    >>> known = (store[name] for name in split.train)    # doctest: +SKIP
    >>> chosen = kh.selection.propose(model, pool, known, 3)  # doctest: +SKIP
    >>> [choice.index for choice in chosen]              # doctest: +SKIP
    [17, 4, 30]
    """
    if not isinstance(model, keras.Model):
        model = load_model(model)
    known = list(atom_features(model, known))
    return choose(list(atom_features(model, candidates)), known, number)
