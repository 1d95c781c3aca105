"""Least-squares fit of the two-centre Hamiltonian, and of what it leaves."""

import dataclasses

import numpy as np

from keras_hamiltonian.irreps.rotation import edge_frames
from keras_hamiltonian.irreps.wigner import spherical_harmonics
from keras_hamiltonian.messages import counted
from keras_hamiltonian.orbitals.splines import spline_penalty
from keras_hamiltonian.orbitals.splines import spline_values

# Relative weight of the second differences: enough for smooth functions at
# distances without data, too little to matter where there are data.
SMOOTHING = 1e-6
# Smallest scale of a channel that exists, eV: below, numbers are noise.
SMALLEST_SCALE = 1e-5
# What is known counts no longer where it leaves more than this times what it
# left in its own data: crystals of another kind. Other structures of a set have
# ratios up to 1.1 and, of onsite blocks, 1.4; bilayer graphene with functions
# of the monolayer 1.4 and 120.
LARGEST_RATIO = {"hopping": 1.25, "onsite": 2.0}
# What a fit finds.
FITTED = (
    "means",
    "scales",
    "onsite_means",
    "onsite_scales",
    "onsite_functions",
)


@dataclasses.dataclass
class Known:
    """What a fit leaves as it is, unless the data differ from it by more than
    `LARGEST_RATIO` times the scales; a pair also with fewer edges than splines.

    Attributes:
        species: `(species,)` bool array: elements whose constants and scales
            are known.
        pairs: `(species²,)` bool array: pairs whose functions are.
        values: dict of dicts of arrays, as `TwoCentreFit.run` returns it.
    """

    species: np.ndarray
    pairs: np.ndarray
    values: dict


class TwoCentreFit:
    """Fits functions of distance to the blocks of many structures.

    Args:
        layout: `BlockLayout`.
        reaches: list of float. Reach of each element's orbitals, Å.
        num_splines: int.
        two_centre: bool. If false, nothing is fitted: all means and functions
            are zero, and the scales are those of the blocks themselves.
        channel_scales: bool. If false, all channels of a pair of elements, and
            all onsite ones of an element, share one scale.
    """

    def __init__(
        self,
        layout,
        reaches,
        num_splines,
        two_centre=True,
        channel_scales=True,
    ):
        self.layout = layout
        self.reaches = np.asarray(reaches, dtype=np.float64)
        self.num_splines = num_splines
        self.two_centre = two_centre
        self.channel_scales = channel_scales
        self.num_species = len(reaches)

    def run(self, dataset, known=None):
        """Reads all batches and fits.

        Args:
            dataset: iterable of `(inputs, targets, weights)`.
            known: `Known`. What is fitted explains what this leaves. Defaults
                to nothing.

        Returns:
            Dict of `means`, `scales`, `onsite_means`, `onsite_scales`,
            `onsite_functions`, each a dict from part to an array shaped as in
            `TwoCentreBaseline`.

        Raises:
            ValueError: if an edge is longer than the reach of its pair.
        """
        known = known or self._nothing()
        samples = [self._edges(batch) for batch in batches(dataset)]
        edges = _joined([s[0] for s in samples])
        atoms = _joined([s[1] for s in samples])
        result = {name: {} for name in FITTED}
        for part in self.layout.parts:
            hopping = self._fit_hopping(part, edges, known)
            onsite = self._fit_onsite(part, atoms, known)
            for name, value in zip(FITTED, (*hopping, *onsite)):
                result[name][part] = value
        return result

    def _nothing(self):
        """`Known` of nothing: zeros."""
        size, pairs = self.num_species, self.num_species**2
        values = {name: {} for name in FITTED}
        for part in self.layout.parts:
            channels = self.layout.hopping[part].channels
            dim = self.layout.onsite[part].irreps.dim
            natural = self.layout.num_natural(part)
            shapes = (
                (self.num_splines, pairs, channels["0+"]),
                (self.num_splines, pairs, sum(channels.values())),
                (size, dim),
                (size, dim),
                (self.num_splines, pairs, natural),
            )
            for name, shape in zip(FITTED, shapes):
                values[name][part] = np.zeros(shape)
        return Known(np.zeros(size, bool), np.zeros(pairs, bool), values)

    def _edges(self, batch):
        inputs, targets = batch[0], batch[1]
        real = np.asarray(inputs["edge_mask"]) > 0
        species = np.maximum(np.asarray(inputs["species"]), 0)
        vectors = np.asarray(inputs["edge_vectors"], dtype=np.float64)[real]
        first = np.broadcast_to(species[:, None], real.shape)[real]
        second = species[np.asarray(inputs["neighbors"])][real]
        reach = self.reaches[first] + self.reaches[second]
        relative = np.linalg.norm(vectors, axis=1) / reach
        if len(relative) and relative.max() > 1:
            k = int(relative.argmax())
            raise ValueError(
                f"An edge of {relative[k] * reach[k]:.4f} Å is longer than the "
                f"orbitals reach ({reach[k]:.4f} Å). Raise `reaches`."
            )
        pairs = first * self.num_species + second
        hopping = self.layout.split(np.asarray(targets["hopping"])[real])
        frames = edge_frames(vectors)
        edges = {"splines": spline_values(relative, self.num_splines)}
        edges["pairs"] = pairs
        for part, blocks in hopping.items():
            for kind, x in self.layout.edge_channels(
                part, blocks, frames
            ).items():
                edges[part, kind] = x
        is_atom = np.asarray(inputs["species"]) >= 0
        owner = np.nonzero(real)[0]
        atoms = self._atoms(edges, vectors, owner, len(species))
        atoms = {name: x[is_atom] for name, x in atoms.items()}
        atoms["species"] = species[is_atom]
        onsite = self.layout.split(np.asarray(targets["onsite"])[is_atom])
        for part, blocks in onsite.items():
            atoms[part] = self.layout.onsite[part].to_irreps(blocks)
        return edges, atoms

    def _atoms(self, edges, vectors, owner, size):
        """Sums over neighbours of splines times harmonics, per element pair:
        what onsite blocks are fitted with."""
        shape = self.num_species**2, self.num_splines
        spread = np.zeros((len(owner), *shape))
        spread[np.arange(len(owner)), edges["pairs"]] = edges["splines"]
        sums = {}
        for l in range(self.layout.lmax + 1):
            harmonics = spherical_harmonics(l, vectors)[:, :, None, None]
            product = harmonics * spread[:, None]
            total = np.zeros((size, 2 * l + 1, *shape))
            np.add.at(total, owner, product)
            sums["design", l] = total
        return sums

    def _fit_hopping(self, part, edges, known):
        channels = self.layout.hopping[part].channels
        pairs, splines = edges["pairs"], edges["splines"]
        mean, scale = (
            np.where(known.pairs[:, None], known.values[name][part], 0.0)
            for name in ("means", "scales")
        )
        for pair in np.unique(pairs):
            rows = pairs == pair
            basis = splines[rows]
            own = {kind: edges[part, kind][rows] for kind in channels}
            if known.pairs[pair]:
                left = _squares(own, basis @ mean[:, pair])
                is_few = len(basis) < self.num_splines
                if is_few or _holds("hopping", left, basis @ scale[:, pair]):
                    continue
            if self.two_centre:
                mean[:, pair] = _fit_splines(basis, own["0+"][:, 0])
            squares = _squares(own, basis @ mean[:, pair])
            if self.channel_scales:
                scale[:, pair] = _local_scale(basis, squares)
            else:
                scale[:, pair] = _common_scale(squares)
        return mean, scale

    def _fit_onsite(self, part, atoms, known):
        coupling = self.layout.onsite[part]
        mean, scale = (
            np.where(known.species[:, None], known.values[name][part], 0.0)
            for name in ("onsite_means", "onsite_scales")
        )
        functions = np.where(
            known.pairs[:, None], known.values["onsite_functions"][part], 0.0
        )
        is_kept = known.species.copy()
        # Atoms with unknown neighbours say nothing of what is known.
        unknown = atoms["design", 0][:, 0, ~known.pairs].any(axis=(1, 2))
        for s in np.flatnonzero(is_kept):
            rows = (atoms["species"] == s) & ~unknown
            if rows.any():
                left = self._onsite_rest(part, atoms, rows, mean[s], functions)
                is_kept[s] = _holds("onsite", left**2, scale[s])
        natural = 0
        for (mul, irrep), where in zip(
            coupling.irreps, coupling.irreps.slices()
        ):
            x = atoms[part][:, where].reshape(-1, irrep.dim, mul)
            for s in np.unique(atoms["species"]):
                rows = atoms["species"] == s
                residual = x[rows]
                if irrep.is_natural and self.two_centre:
                    columns = slice(natural, natural + mul)
                    pairs = slice(
                        s * self.num_species, (s + 1) * self.num_species
                    )
                    constant, found, residual = self._fit_functions(
                        residual,
                        atoms["design", irrep.l][rows][..., pairs, :],
                        mean[s, where] if is_kept[s] else None,
                        functions[:, pairs, columns],
                        known.pairs[pairs] & is_kept[s],
                    )
                    functions[:, pairs, columns] = found
                    if irrep.l == 0:
                        mean[s, where] = constant
                if is_kept[s]:
                    continue
                size = np.sqrt((residual**2).mean(axis=(0, 1)))
                exists = (x[rows] != 0).any(axis=(0, 1))
                size = np.where(exists, np.maximum(size, SMALLEST_SCALE), 0)
                scale[s, where] = np.tile(size, irrep.dim)
            natural += mul if irrep.is_natural else 0
        if not self.channel_scales:
            for row in scale:
                row[:] = _common_scale(row[None] ** 2)
        return mean, scale, functions

    def _onsite_rest(self, part, atoms, rows, mean, functions):
        """What constants and functions leave of some atoms' blocks."""
        irreps = self.layout.onsite[part].irreps
        rest = atoms[part][rows] - mean
        natural = 0
        for (mul, irrep), where in zip(irreps, irreps.slices()):
            if irrep.is_natural:
                design = atoms["design", irrep.l][rows]
                own = functions[:, :, natural : natural + mul]
                found = np.einsum("admk,kmc->adc", design, own, optimize=True)
                rest[:, where] -= found.reshape(len(rest), -1)
                natural += mul
        return rest

    def _fit_functions(self, x, design, constant, functions, is_known):
        """Constant (degree 0) and functions of distance for one element."""
        dim, mul = x.shape[1:]
        columns = self.num_species * self.num_splines
        matrix = design.reshape(-1, columns)
        penalty = np.kron(
            np.eye(self.num_species), spline_penalty(self.num_splines)
        )
        penalty = penalty + 1e-3 * np.eye(columns)
        found = functions.transpose(1, 0, 2).reshape(columns, mul)
        is_free = np.repeat(~is_known, self.num_splines)
        if dim == 1:
            matrix = np.column_stack([matrix, np.ones(len(matrix))])
            penalty = np.pad(penalty, (0, 1))
            is_free = np.append(is_free, constant is None)
            last = np.zeros(mul) if constant is None else constant
            found = np.vstack([found, last])
        target = x.reshape(-1, mul)
        rest = target - matrix[:, ~is_free] @ found[~is_free]
        found[is_free] = _smooth(
            matrix[:, is_free], penalty[np.ix_(is_free, is_free)], rest
        )
        residual = (target - matrix @ found).reshape(x.shape)
        constant = found[columns] if dim == 1 else np.zeros(mul)
        functions = found[:columns].reshape(
            self.num_species, self.num_splines, mul
        )
        return constant, functions.transpose(1, 0, 2), residual


def _smooth(matrix, penalty, values):
    """Least squares with more smoothing than for edges: atoms are few."""
    gram = matrix.T @ matrix + 1e-4 * len(matrix) * penalty
    gram += 1e-12 * len(matrix) * np.eye(len(gram))
    return np.linalg.solve(gram, matrix.T @ values)


def _squares(channels, mean):
    """Mean squares of all channels of each edge, without the mean."""
    squares = []
    for kind, x in channels.items():
        if kind == "0+":
            x = x - mean[:, None]
        squares.append((x * x).mean(axis=1))
    return np.concatenate(squares, axis=1)


def _holds(what, squares, scale):
    """Whether what is left is as large as the scales say."""
    expected = np.broadcast_to(scale, squares.shape) ** 2
    return squares.sum() <= LARGEST_RATIO[what] ** 2 * expected.sum()


def _fit_splines(basis, values):
    """Coefficients of smooth functions through values at many edges."""
    size = basis.shape[1]
    gram = basis.T @ basis
    gram += SMOOTHING * len(basis) * spline_penalty(size)
    gram += 1e-12 * len(basis) * np.eye(size)
    return np.linalg.solve(gram, basis.T @ values)


def _common_scale(squares):
    """Root mean square over all channels that are not zero throughout."""
    exists = (squares > 0).any(axis=0)
    if not exists.any():
        return 0.0
    return max(np.sqrt(squares[:, exists].mean()), SMALLEST_SCALE)


def _local_scale(basis, squares):
    """Root mean square near each spline's centre; nearest where no data."""
    weight = basis.sum(axis=0)
    has_data = weight > 1e-3 * max(weight.max(), 1e-30)
    mean = basis.T @ squares / np.maximum(weight, 1e-30)[:, None]
    known = np.flatnonzero(has_data)
    if not len(known):
        return np.zeros_like(mean)
    nearest = known[
        np.abs(np.arange(len(weight))[:, None] - known).argmin(axis=1)
    ]
    exists = (squares > 0).any(axis=0)
    floor = np.where(exists, SMALLEST_SCALE, 0)
    return np.maximum(np.sqrt(mean[nearest]), floor)


def batches(dataset):
    """Batches of a `PyDataset`, which iterates without end, or an iterable."""
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        numbers = counted(range(len(dataset)), "fit of the scales", "batches")
        return (dataset[k] for k in numbers)
    return iter(dataset)


def _joined(parts):
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
