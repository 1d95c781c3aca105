"""Structures that reduce the uncertainty of all others most."""

import dataclasses

import numpy as np

# Variance of a label's noise over that of the weights, where the features of
# a row have the norm one.
NOISE = 0.1
# Relative difference of the features' sizes below which structures are copies.
COPY = 1e-5
# Candidates that are looked at together.
CHUNK = 256


@dataclasses.dataclass
class Choice:
    """One chosen structure.

    Attributes:
        index: int. Its place among the candidates.
        variance: float. Of a prediction for it, before any was chosen, in
            units of the variance of a model without data: 0 known, 1 unknown.
        left: float. Mean variance of all candidates once this one and those
            chosen before are computed, in the same units.
    """

    index: int
    variance: float
    left: float


def choose(candidates, known, number, noise=NOISE):
    """Chooses structures, one after the other, that teach a model most.

    Blocks are linear maps of the last features f, so, for given features, the
    uncertainty of a prediction has a closed form: of Gaussian weights the
    posterior variance is f A⁻¹ fᵀ with A = Σ f fᵀ + noise over all that is
    known, and does not depend on the labels. Each step takes the candidate
    whose calculation lowers the sum of this variance over all candidates most:
    one that is uncertain, that many others resemble, and that those chosen
    before do not tell already. Copies, also of what is known, have nothing to
    tell, because calculations have no noise, and are left out.

    Args:
        candidates, known: lists of dicts, see `atom_features`: structures to
            choose from, and those that the model was trained on.
        number: int. At most as many are chosen.
        noise: float. Variance of a label over that of the weights.

    Returns:
        List of `Choice`, the first choice first.

    Raises:
        ValueError: if there is no candidate, all are known, or `number` is
            below one.

    Reference: the criterion is Bayesian A-optimality with the candidates as
    targets (transductive experimental design, Yu, Bi and Tresp, ICML 2006).

    Example:

    >>> x, y = {("H", "0e"): np.eye(2)[:1]}, {("H", "0e"): np.eye(2)[1:]}
    >>> [choice.index for choice in choose([x, x, y], [x], 1)]
    [2]
    """
    if number < 1 or not candidates:
        raise ValueError(
            "There is nothing to choose. Received: "
            f"{len(candidates)} candidates, number={number}."
        )
    kinds = sorted({kind for found in candidates for kind in found})
    parts = [_Part(kind, candidates, known, noise) for kind in kinds]
    num_irreps = len({irrep for _, irrep in kinds})
    variances = sum(part.variances() for part in parts) / num_irreps
    sizes = np.column_stack([part.sizes for part in parts])
    left = _without_copies(sizes, len(candidates))
    if not left:
        raise ValueError(
            f"All {len(candidates)} candidates are known already. Give others."
        )
    chosen = []
    for _ in range(min(number, len(left))):
        gains = sum(part.gains(left) for part in parts)
        best = left.pop(int(np.argmax(gains)))
        for part in parts:
            part.learn(best)
        mean = sum(part.total() for part in parts) / num_irreps
        chosen.append(Choice(best, float(variances[best]), float(mean)))
    return chosen


def _without_copies(sizes, number):
    """Those of the first structures that are no copies, of later ones too."""
    found = []
    for k in range(number):
        others = np.concatenate([sizes[number:], sizes[found]])
        if (np.abs(others - sizes[k]) > COPY * sizes[k]).any(axis=1).all():
            found.append(k)
    return found


class _Part:
    """Weights of one element and irrep, and what is known of them.

    Attributes:
        grams: `(candidates, D, D)`. Σ f fᵀ of each candidate.
        shares: `(candidates,)`. One over the number of rows of its irrep.
        sizes: `(candidates + known,)`. Σ |f|² of each structure.
    """

    def __init__(self, kind, candidates, known, noise):
        rows = [found.get(kind) for found in [*candidates, *known]]
        given = np.concatenate([x for x in rows if x is not None])
        # A bias is learnt at once.
        mean = given.mean(axis=0) if kind[1] == "0e" else 0.0
        scale = np.sqrt(((given - mean) ** 2).sum(axis=1).mean()) or 1.0
        size = given.shape[1]
        grams = np.zeros((len(rows), size, size))
        for gram, x in zip(grams, rows):
            if x is not None:
                x = (x - mean) / scale
                gram[:] = x.T @ x
        sizes = [
            sum(len(x) for other, x in found.items() if other[1] == kind[1])
            for found in candidates
        ]
        self.sizes = np.trace(grams, axis1=1, axis2=2)
        self.grams = grams[: len(candidates)]
        self.shares = 1 / np.array(sizes)
        self.target = np.einsum("c,cij->ij", self.shares, self.grams)
        self.target /= len(candidates)
        self.noise = noise
        self.known = grams[len(candidates) :].sum(axis=0)
        self.known += noise * np.eye(size)

    def variances(self):
        """Mean variance of each candidate's rows: `(candidates,)`."""
        posterior = self.noise * np.linalg.inv(self.known)
        return self.shares * np.einsum("cij,ij->c", self.grams, posterior)

    def total(self):
        """Mean variance over all candidates."""
        return self.noise * np.sum(self.target * np.linalg.inv(self.known))

    def gains(self, numbers):
        """How far each of some candidates would lower `total`."""
        before, found = self.total(), np.empty(len(numbers))
        for start in range(0, len(numbers), CHUNK):
            some = slice(start, start + CHUNK)
            after = np.linalg.inv(self.known + self.grams[numbers[some]])
            after = np.einsum("ij,cij->c", self.target, after)
            found[some] = before - self.noise * after
        return found

    def learn(self, number):
        """Adds a candidate to what is known."""
        self.known = self.known + self.grams[number]
