"""What two atoms alone explain, and how large the rest is."""

import keras
import numpy as np

from keras_hamiltonian.layers.geometry.species_pairs import pair_index
from keras_hamiltonian.layers.geometry.species_pairs import select_by_index
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.splines import cubic_splines
from keras_hamiltonian.orbitals.block_layout import BlockLayout
from keras_hamiltonian.orbitals.two_centre_fit import FITTED
from keras_hamiltonian.orbitals.two_centre_fit import Known
from keras_hamiltonian.orbitals.two_centre_fit import TwoCentreFit


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TwoCentreBaseline(Layer):
    """Two-centre Hamiltonian, and the spread of what it leaves to learn.

    In the edge frame the hopping block of two atoms alone has `"0+"` channels
    only: the integrals of Slater and Koster. Each is a function of distance,
    fitted by least squares; onsite blocks are an element's constant plus a sum
    of such functions over the neighbours. The root mean square of the residual
    of every channel, as a function of distance, scales what the network
    predicts. All of it vanishes smoothly at the reach of the orbitals.

    `adapt` fits to a data set, as Keras' `Normalization` does; before, the
    baseline is zero and the scales are one.

    Args:
        basis: dict. Shells of each element.
        reaches: list of float. Reach of each element's orbitals in Å, in the
            order of the basis.
        spin: str. Spin layout of the blocks.
        num_splines: int. Cubic B-splines between distance zero and the reach.
        two_centre: bool. If false, the baseline stays zero and the scales are
            those of the whole blocks.
        channel_scales: bool. If false, all channels of two elements, and all
            onsite ones of an element, share one scale.

    Call arguments:
        relative: `(N, M)`, length over the reach of the pair.
        species: `(N,)` int.
        neighbors: `(N, M)` int.
        edge_mask: `(N, M)`.
        wigner: list of tensors from `EdgeGeometry`.

    Output: a dict of dicts by part (see `BlockLayout`), in eV:
        `"hopping_mean"` `(N, M, channels)` of `"0+"`;
        `"hopping_scale"` `(N, M, channels)` of all kinds one after the other;
        `"onsite_mean"` and `"onsite_scale"` `(N, dim)`, `ir_mul` layout.

    Example:

    >>> layer = TwoCentreBaseline({"H": "1s"}, reaches=[2.0], num_splines=6)
    >>> baseline = layer(
    ...     relative=keras.ops.ones((2, 1)) * 0.5,
    ...     species=keras.ops.convert_to_tensor([0, 0]),
    ...     neighbors=keras.ops.convert_to_tensor([[1], [0]]),
    ...     edge_mask=keras.ops.ones((2, 1)),
    ...     wigner=[keras.ops.ones((2, 1, 1, 1))],
    ... )
    >>> tuple(baseline["hopping_mean"]["scalar"].shape)
    (2, 1, 1)

    Reference: Slater & Koster 1954.
    """

    def __init__(
        self,
        basis,
        reaches,
        spin="none",
        num_splines=32,
        two_centre=True,
        channel_scales=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.layout = BlockLayout(basis, spin)
        self.reaches = [float(r) for r in reaches]
        self.num_splines = num_splines
        self.two_centre = two_centre
        self.channel_scales = channel_scales
        self.num_species = len(self.layout.basis.symbols)
        self.kept = None

    def keep(self, is_known):
        """Keeps functions and scales of some elements: `adapt` then fits what
        these leave of the others, and those alone that the data contradict
        (`Known`).

        Args:
            is_known: `(species,)` bool array. A pair of two of them is kept
                where its scale is not zero, as it is without data.
        """
        scales = keras.ops.convert_to_numpy(self.scales["scalar"])
        pairs = np.logical_and.outer(is_known, is_known).ravel()
        self.kept = np.asarray(is_known), pairs & scales.any(axis=(0, 2))

    def adapt(self, dataset):
        """Fits baseline and scales to a data set, in float64.

        Args:
            dataset: iterable of `(inputs, targets, weights)` batches, such as
                a `HamiltonianDataset`; it is read once.
        """
        known = None
        if self.kept is not None:
            known = Known(*self.kept, self._values())
        fit = TwoCentreFit(
            self.layout,
            self.reaches,
            self.num_splines,
            self.two_centre,
            self.channel_scales,
        )
        found = fit.run(dataset, known)
        for name, parts in found.items():
            for part, value in parts.items():
                getattr(self, name)[part].assign(value)

    def shell_sizes(self):
        """What hopping leaves to learn for each shell of the first atom.

        Returns:
            `(shells,)` array in eV: root mean square over distances, those
            pairs of elements that the data have, and channels of the spinless
            part.
        """
        layout = self.layout.hopping["scalar"]
        shells = np.concatenate(
            [s[:, 0] for s in layout.channel_shells.values()]
        )
        scales = keras.ops.convert_to_numpy(self.scales["scalar"])
        is_known = scales.any(axis=(0, 2))
        # None, if atoms alone explain everything.
        number = max(1, len(scales) * is_known.sum())
        squares = (scales.astype(np.float64) ** 2).sum(axis=(0, 1)) / number
        counts = np.bincount(shells)
        return np.sqrt(np.bincount(shells, squares) / counts)

    def _values(self):
        """All that is fitted, float64, as `TwoCentreFit.run` returns it."""
        return {
            name: {
                part: keras.ops.convert_to_numpy(weight).astype(np.float64)
                for part, weight in getattr(self, name).items()
            }
            for name in FITTED
        }

    def build(self, *shapes):
        pairs = self.num_species**2
        self.means = {}
        self.scales = {}
        self.onsite_means = {}
        self.onsite_scales = {}
        self.onsite_functions = {}
        for part in self.layout.parts:
            hopping = self.layout.hopping[part]
            onsite = self.layout.onsite[part]
            shape = (self.num_splines, pairs, hopping.channels["0+"])
            self.means[part] = self._constant(f"{part}_mean", shape, "zeros")
            total = sum(hopping.channels.values())
            self.scales[part] = self._constant(
                f"{part}_scale", (self.num_splines, pairs, total), "ones"
            )
            shape = (self.num_species, onsite.irreps.dim)
            self.onsite_means[part] = self._constant(
                f"{part}_onsite_mean", shape, "zeros"
            )
            self.onsite_scales[part] = self._constant(
                f"{part}_onsite_scale", shape, "ones"
            )
            shape = (self.num_splines, pairs, self.layout.num_natural(part))
            self.onsite_functions[part] = self._constant(
                f"{part}_onsite_function", shape, "zeros"
            )

    def call(self, relative, species, neighbors, edge_mask, wigner):
        splines = cubic_splines(relative, self.num_splines)
        splines = splines * edge_mask[..., None]
        pairs = pair_index(species, neighbors, self.num_species)
        # Neighbours without edges may follow, see `pair_index`.
        own = species[: backend.shape(relative)[0]]
        elements = backend.maximum(own, 0)
        result = {
            "hopping_mean": {},
            "hopping_scale": {},
            "onsite_mean": {},
            "onsite_scale": {},
        }
        for part in self.layout.parts:
            result["hopping_mean"][part] = self._functions(
                self.means[part], splines, pairs
            )
            result["hopping_scale"][part] = self._functions(
                self.scales[part], splines, pairs
            )
            functions = self._functions(
                self.onsite_functions[part], splines, pairs
            )
            constant = _rows(self.onsite_means[part], elements)
            around = self._onsite_sum(part, functions, wigner)
            result["onsite_mean"][part] = constant + around
            result["onsite_scale"][part] = _rows(
                self.onsite_scales[part], elements
            )
        return result

    def compute_output_shape(self, relative_shape):
        leading = tuple(relative_shape)
        hopping, onsite = self.layout.hopping, self.layout.onsite
        atoms = {
            part: (leading[0], onsite[part].irreps.dim)
            for part in self.layout.parts
        }
        return {
            "hopping_mean": {
                part: (*leading, hopping[part].channels["0+"])
                for part in self.layout.parts
            },
            "hopping_scale": {
                part: (*leading, sum(hopping[part].channels.values()))
                for part in self.layout.parts
            },
            "onsite_mean": atoms,
            "onsite_scale": dict(atoms),
        }

    def _constant(self, name, shape, initializer):
        return self.add_weight(
            shape=shape, initializer=initializer, trainable=False, name=name
        )

    def _functions(self, coefficients, splines, pairs):
        """Values of the fitted functions: `(N, M, channels)`."""
        number, channels = coefficients.shape[1:]
        kernel = backend.reshape(coefficients.value, (self.num_splines, -1))
        values = backend.dense(splines, kernel)
        shape = (*backend.shape(values)[:2], number, channels)
        return select_by_index(backend.reshape(values, shape), pairs, number)

    def _onsite_sum(self, part, functions, wigner):
        """Sum over neighbours of functions times harmonics: `(N, dim)`."""
        irreps = self.layout.onsite[part].irreps
        sizes = [mul for mul, irrep in irreps if irrep.is_natural]
        pieces = iter(split_channels(functions, sizes))
        sums = []
        for mul, irrep in irreps:
            if not irrep.is_natural:
                shape = (backend.shape(functions)[0], mul * irrep.dim)
                total = backend.zeros(shape, dtype=functions.dtype)
            elif irrep.l == 0:
                total = backend.sum(next(pieces), axis=1)
            else:
                harmonics = wigner[irrep.l][:, :, 0]
                total = backend.swapaxes(harmonics, 1, 2) @ next(pieces)
                total = backend.reshape(total, (-1, irrep.dim * mul))
            sums.append(total)
        return join_channels(sums)


def _rows(table, index):
    return backend.take(table.value, index, axis=0)
