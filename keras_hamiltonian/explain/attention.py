"""Where the second stage looks: its attention, edge by edge."""

import dataclasses

import ase
import numpy as np

from keras_hamiltonian.explain.inputs import as_calculation
from keras_hamiltonian.explain.inputs import inputs_of
from keras_hamiltonian.models.attention_backbone import AttentionBackbone

# An atom's own edges are those up to so many times its shortest one.
EDGEED = 1.25


@dataclasses.dataclass
class AttentionMaps:
    """Attention weights of a structure with the geometry of its edges.

    A row is what one atom, the first of an edge, hears of all others. Weights
    of `TransformerStage` sum to one, and what an atom hears fades out besides
    where orbitals end; those of `EquivariantTransformerStage` contain this
    fading and sum to less than one. `heard` is the same of both.

    Attributes:
        atoms: `ase.Atoms`.
        blocks: list of str. Names of the blocks, in the order of the model.
        weights: `(num_blocks, num_heads, N, M)`. Zero at padding.
        envelope: `(N, M)`. What multiplies the weights in the sum.
        neighbors: `(N, M)` ints. The second atom; at padding the atom itself.
        edge_vectors: `(N, M, 3)`, in Å, from the first atom to the second.
        edge_mask: `(N, M)` bools. False at padding.
    """

    atoms: ase.Atoms
    blocks: list
    weights: np.ndarray
    envelope: np.ndarray
    neighbors: np.ndarray
    edge_vectors: np.ndarray
    edge_mask: np.ndarray

    @property
    def heard(self):
        """Weights times `envelope`: `(num_blocks, num_heads, N, M)`."""
        return self.weights * self.envelope

    @property
    def lengths(self):
        """Lengths of the edges in Å: `(N, M)`, infinite at padding."""
        lengths = np.linalg.norm(self.edge_vectors, axis=-1)
        return np.where(self.edge_mask, lengths, np.inf)

    @property
    def angles(self):
        """Angle of each edge to the next of the atom's own ones, in degrees.

        The atom's own edges are those up to 1.25 times its shortest one, and
        the angle is the smallest between the edge and any of them. So no
        axis is singled out, neighbours that symmetry makes equal have one
        angle, and it moves smoothly with the atoms. In graphene the nearest
        neighbours are at 0°, the second ones at 30°, the third ones at 60°.

        Returns:
            `(N, M)`; NaN at padding.
        """
        lengths = self.lengths
        shortest = lengths.min(axis=1, keepdims=True)
        is_own = self.edge_mask & (lengths <= EDGEED * shortest)
        units = (
            self.edge_vectors
            / np.where(self.edge_mask, lengths, 1.0)[..., None]
        )
        cosines = np.einsum("nmx,nkx->nmk", units, units)
        cosines = np.where(is_own[:, None], cosines, -1.0).max(axis=2)
        angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
        return np.where(self.edge_mask, angles, np.nan)

    def against_distance(self, width=0.25):
        """What is heard of an edge of each length.

        Args:
            width: float. Width of a bin in Å.

        Returns:
            Dict of arrays: `from` and `to` (Å) of the bins that hold edges,
            `count` of edges; `mean` `(num_blocks, num_heads, bins)` of one
            edge and `share` of all edges of the bin in what is heard at all.
        """
        return self._binned(self.lengths, width)

    def against_angle(self, width=10.0):
        """What is heard of an edge at each of `angles`.

        Args:
            width: float. Width of a bin in degrees.

        Returns:
            Dict as of `against_distance`, `from` and `to` in degrees, and
            `relative` `(num_blocks, num_heads, bins)`: what is heard of the
            edges of a bin over what it were if their lengths and elements
            alone counted, see `heard_by_length`.
        """
        found = self._binned(self.angles, width)
        place = _places(_bins(self.angles[self.edge_mask], width))
        expected = _sums(self.heard_by_length()[:, :, self.edge_mask], place)
        total = found["mean"] * found["count"]
        found["relative"] = np.divide(
            total, expected, out=np.ones_like(total), where=expected > 0
        )
        return found

    def heard_by_length(self, width=0.25):
        """The mean of what is heard of all edges like an edge.

        Args:
            width: float. Edges between the same elements whose lengths are
                in one bin of this width, in Å, are alike.

        Returns:
            `(num_blocks, num_heads, N, M)`; zero at padding.
        """
        numbers = self.atoms.numbers
        first, second = np.broadcast_arrays(
            numbers[:, None], numbers[self.neighbors]
        )
        mask = self.edge_mask
        bins = _bins(self.lengths[mask], width)
        place = _places(np.stack([first[mask], second[mask], bins], axis=1))
        mean = _sums(self.heard[:, :, mask], place) / np.bincount(place)
        found = np.zeros_like(self.weights)
        found[:, :, mask] = mean[..., place]
        return found

    def num_attended(self):
        """To how many neighbours each head of each atom listens.

        It is the exponential of the entropy of what is heard: one if it is of
        a single neighbour, all of them if it is of all alike.

        Returns:
            `(num_blocks, num_heads, N)`; zero where nothing is heard.
        """
        heard = self.heard
        total = heard.sum(axis=-1, keepdims=True)
        share = np.divide(
            heard, total, out=np.zeros_like(heard), where=total > 0
        )
        log = np.log(share, out=np.zeros_like(share), where=share > 0)
        count = np.exp(-(share * log).sum(axis=-1))
        return np.where(total[..., 0] > 0, count, 0.0)

    def _binned(self, values, width):
        bins = _bins(values[self.edge_mask], width)
        place = _places(bins)
        found, count = np.unique(bins), np.bincount(place)
        sums = _sums(self.heard[:, :, self.edge_mask], place)
        total = sums.sum(axis=-1, keepdims=True)
        return {
            "from": found * width,
            "to": (found + 1) * width,
            "count": count,
            "mean": sums / count,
            "share": np.divide(
                sums, total, out=np.zeros_like(sums), where=total > 0
            ),
        }


def attention_maps(model, atoms):
    """Attention of the second stage in a structure.

    Args:
        model: `HamiltonianCascade`, or a `StandaloneTransformerStage`.
        atoms: `ase.Atoms`, or a `Calculation`, whose own pairs are taken.

    Returns:
        `AttentionMaps`.

    Raises:
        ValueError: if the model has no attention or does not know an
            element, or no atom has a neighbour.

    Example:

    >>> model = kh.load_model("graphene.keras")           # doctest: +SKIP
    >>> maps = kh.explain.attention_maps(model, atoms)    # doctest: +SKIP
    >>> maps.num_attended().mean(axis=-1)                 # doctest: +SKIP
    array([[14.2,  9.7,  6.1, 11.4], [...]])
    """
    calculation = as_calculation(atoms, model)
    inputs = inputs_of(calculation, model)
    # Where the backend compiles there are atoms of padding.
    atom = inputs["species"] >= 0
    mask = inputs["edge_mask"][atom] > 0
    if not mask.any():
        raise ValueError(
            f"No two atoms of {calculation.atoms.get_chemical_formula()} are "
            "within reach of each other: there is nobody to listen to. Give "
            "a structure with edges."
        )
    found, envelope = _attention_weights(model, inputs)
    weights = np.stack([w[atom].transpose(2, 0, 1) for w in found.values()])
    return AttentionMaps(
        calculation.atoms,
        list(found),
        np.where(mask, weights, 0.0).astype(np.float64),
        np.where(mask, envelope[atom], 0.0).astype(np.float64),
        inputs["neighbors"][atom],
        inputs["edge_vectors"][atom].astype(np.float64),
        mask,
    )


def _attention_weights(model, inputs):
    """What the last stage's backbone says of its attention."""
    first, last = model.stages()[0], model.stages()[-1]
    if not isinstance(getattr(last, "backbone", None), AttentionBackbone):
        raise ValueError(
            f"A {type(last).__name__} has no attention. Give a "
            "`HamiltonianCascade` whose second stage has, or a "
            "`StandaloneTransformerStage`."
        )
    if last is not first:
        features = model.feature_model.predict_on_batch(inputs)
        inputs = {**inputs, **features}
    return last.backbone.attention_weights(inputs)


def _bins(values, width):
    # The last digits must not decide about a bin.
    return np.floor((values + 1e-6) / width).astype(int)


def _places(kinds):
    """Place of each row among the different ones, in order."""
    return np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1)


def _sums(values, place):
    """Sums over the last axis by `place`."""
    sums = np.zeros((place.max() + 1, *values.shape[:-1]))
    np.add.at(sums, place, np.moveaxis(values, -1, 0))
    return np.moveaxis(sums, 0, -1)
