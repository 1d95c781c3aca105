"""H⁰, the zeroth-step Hamiltonian, as first features."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.layers.readout.two_centre_baseline import (
    TwoCentreBaseline,
)
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edge_blocks import edge_channels
from keras_hamiltonian.ops.edge_blocks import rotate_blocks_in
from keras_hamiltonian.ops.edge_blocks import shell_rotations
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.spin import without_spin
from keras_hamiltonian.orbitals.block_layout import BlockLayout
from keras_hamiltonian.orbitals.two_centre_fit import batches

# Added to the spread of a channel, eV: smaller parts of H⁰ are noise.
NOISE = 1e-4


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class InitialFeatures(Layer):
    """Adds features from the blocks of H⁰ to those of elements and lengths.

    Onsite blocks belong to atoms, hopping blocks to edges, in whose frame they
    are. Of each channel what two atoms alone explain is taken off, and the
    rest is divided by its spread (`TwoCentreBaseline`, adapted to H⁰); a
    linear map of the irreps follows. With spin only the part without it goes
    in: spin-orbit terms of H⁰ are those of the atoms.

    Args:
        basis: dict. Shells of each element.
        reaches: list of float. Reach of each element's orbitals in Å, in the
            order of the basis.
        irreps: str. Irreps of the atoms' features, of natural parity, scalars
            first; edges get those into which they split.

    Call arguments:
        atoms: `(N, channels)`, all the scalars of `irreps`.
        edges: edge features of the kind `"0+"`, as many as edges get.
        onsite, hopping: blocks of H⁰, eV, with or without spin.
        relative: `(N, M)`, length over the reach of the pair.
        species: `(N,)` int.
        neighbors: `(N, M)` int.
        edge_mask: `(N, M)`.
        wigner: list of tensors from `EdgeGeometry`.

    Output: a dict of `"atoms"` `(N, dim)`, `ir_mul` layout, and `"edges"`,
        edge features.

    Example:

    >>> layer = InitialFeatures({"H": "1s"}, [2.0], "4x0e")
    >>> found = layer(
    ...     keras.ops.ones((2, 4)),
    ...     {"0+": keras.ops.ones((2, 1, 1, 4))},
    ...     keras.ops.ones((2, 1, 1)),
    ...     keras.ops.ones((2, 1, 1, 1)),
    ...     relative=keras.ops.ones((2, 1)) * 0.5,
    ...     species=keras.ops.convert_to_tensor([0, 0]),
    ...     neighbors=keras.ops.convert_to_tensor([[1], [0]]),
    ...     edge_mask=keras.ops.ones((2, 1)),
    ...     wigner=[keras.ops.ones((2, 1, 1, 1))],
    ... )
    >>> tuple(found["atoms"].shape), tuple(found["edges"]["0+"].shape)
    ((2, 4), (2, 1, 1, 4))

    Reference: Yin et al., arXiv 2509.19877, for H⁰ as an input.
    """

    def __init__(self, basis, reaches, irreps, **kwargs):
        super().__init__(**kwargs)
        self.layout = BlockLayout(basis)
        self.irreps = Irreps(irreps)
        own = {"dtype": self.dtype_policy}
        self.baseline = TwoCentreBaseline(
            basis, reaches, name="baseline", **own
        )
        self.onsite = EquivariantLinear(
            str(self.layout.onsite["scalar"].irreps),
            str(self.irreps),
            num_species=len(self.layout.basis.symbols),
            name="onsite",
            **own,
        )
        self.hopping = SO2Linear(
            [self.layout.hopping["scalar"].channels],
            EdgeIrreps(self.irreps),
            name="hopping",
            **own,
        )

    def adapt(self, dataset):
        """Fits to H⁰ what two atoms alone explain, and the spread of the rest.

        Args:
            dataset: `HamiltonianDataset` with `initial=True`, or an iterable
                of its batches.
        """
        self.baseline.adapt(
            (inputs, _known_blocks(inputs)) for inputs, *_ in batches(dataset)
        )

    def build(self, *shapes):
        for layer in (self.baseline, self.onsite, self.hopping):
            layer.build()

    def call(
        self,
        atoms,
        edges,
        onsite,
        hopping,
        relative,
        species,
        neighbors,
        edge_mask,
        wigner,
    ):
        if len(onsite.shape) > 3:
            onsite, hopping = without_spin(onsite), without_spin(hopping)
        # Neighbours without edges may follow, see `pair_index`.
        rows = backend.shape(onsite)[0]
        atoms, own = atoms[:rows], species[:rows]
        known = self.baseline.call(
            relative, species, neighbors, edge_mask, wigner
        )
        known = {name: parts["scalar"] for name, parts in known.items()}
        # === Onsite blocks ===
        coupling = self.layout.onsite["scalar"]
        shape = (rows, coupling.num_rows**2)
        x = backend.dense(
            backend.reshape(onsite, shape),
            backend.constant(coupling.matrix, onsite),
        )
        x = _scaled(x - known["onsite_mean"], known["onsite_scale"])
        scalars = backend.shape(atoms)[1]
        added = self.onsite.call(x, own)
        sizes = [scalars, self.irreps.dim - scalars]
        same, more = backend.split(added, sizes, -1)
        atoms = join_channels([atoms + same, more])
        # === Hopping blocks ===
        layout = self.layout.hopping["scalar"]
        rotations = shell_rotations(wigner, layout)
        channels = edge_channels(rotate_blocks_in(hopping, rotations), layout)
        mean = known["hopping_mean"][:, :, None]
        channels["0+"] = channels["0+"] - mean
        sizes = list(layout.channels.values())
        scales = split_channels(known["hopping_scale"][:, :, None], sizes)
        channels = {
            kind: _scaled(channels[kind], scale)
            for kind, scale in zip(layout.channels, scales)
        }
        added = self.hopping.call([channels])
        added["0+"] = added["0+"] + edges["0+"]
        return {"atoms": atoms, "edges": added}

    def compute_output_shape(self, onsite_shape, hopping_shape):
        leading = tuple(hopping_shape[:2])
        return {
            "atoms": (onsite_shape[0], self.irreps.dim),
            "edges": self.hopping.irreps_out.shapes(leading),
        }


def _scaled(x, scale):
    return x / (scale + NOISE)


def _known_blocks(inputs):
    blocks = {name: inputs[f"initial_{name}"] for name in ("onsite", "hopping")}
    if blocks["onsite"].ndim > 3:
        blocks = {name: without_spin(x) for name, x in blocks.items()}
    return blocks
