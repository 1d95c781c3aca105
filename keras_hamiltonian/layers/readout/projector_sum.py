"""Three-centre blocks: products of two-centre ones over common neighbours."""

import keras
import numpy as np

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edge_blocks import frame_blocks
from keras_hamiltonian.ops.edge_blocks import rotate_blocks_out
from keras_hamiltonian.ops.edge_blocks import shell_rotations
from keras_hamiltonian.ops.spin import join_parts
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout
from keras_hamiltonian.orbitals.edge_blocks import EdgeBlockLayout

# Numbers in the products of the atoms that are looked at together.
LARGEST_PRODUCT = 2**23


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class ProjectorSum(Layer):
    """`H_ij = Σ_k X_ik W X_jkᵀ` over atoms k near both i and j.

    Non-local pseudopotentials, and neutral-atom potentials expanded in
    projectors, have this form exactly: X_ik holds the overlaps of the orbitals
    of atom i with projectors on atom k. Here X is linear in the features of the
    edge (k, i), so that the projectors see their surroundings. W is one number
    for each shell of projectors and element, with spin also one for its
    spin-orbit term L·S. k = i and k = j count, so that onsite blocks and
    two-centre terms are there too.

    Args:
        basis: dict. Shells of each element.
        irreps: str. `EdgeIrreps` of the edge features.
        projectors: str. Shells of the projectors on each atom.
        reach: float. Reach of projectors and orbitals, as a share of that of
            the pair of orbitals.
        spin: str. Spin layout of the blocks.
        radial_size: int. Numbers per edge from `RadialFeatures`.
        gain: float. Initial W; with 0 the layer returns zero until it is
            trained.

    Call arguments:
        edges: edge features, as `irreps` says.
        radial: `(N, M, radial_size)`.
        relative: `(N, M)`, length over the reach of the pair.
        edge_mask: `(N, M)`.
        wigner: list of tensors from `EdgeGeometry`.
        species: `(N,)` int.
        common_neighbors: `(N, M + 1, M + 1)` int, see
            `structures.common_neighbors`.

    Output: a dict of `"onsite"` and `"hopping"`, Hermitian, eV.
    Raises: `ValueError` if a kind of channel has no input.

    Example, a crystal of one atom with two neighbours, one s shell:

    >>> layer = ProjectorSum({"H": "1s"}, "4x0+", "1s", radial_size=3)
    >>> blocks = layer(
    ...     edges={"0+": keras.ops.ones((1, 2, 1, 4))},
    ...     radial=keras.ops.ones((1, 2, 3)),
    ...     relative=keras.ops.ones((1, 2)) * 0.5,
    ...     edge_mask=keras.ops.ones((1, 2)),
    ...     wigner=[keras.ops.ones((1, 2, 1, 1))],
    ...     species=keras.ops.convert_to_tensor([0]),
    ...     common_neighbors=keras.ops.convert_to_tensor(
    ...         [[[2, 3, 1], [3, 2, 0], [0, 1, 2]]]
    ...     ),
    ... )
    >>> {name: tuple(x.shape) for name, x in blocks.items()}
    {'onsite': (1, 1, 1), 'hopping': (1, 2, 1, 1)}

    Reference: Kleinman & Bylander 1982 for the form.
    """

    def __init__(
        self,
        basis,
        irreps,
        projectors="2s 2p 1d",
        reach=0.6,
        spin="none",
        radial_size=64,
        gain=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.layout = BlockLayout(basis, spin)
        self.irreps_in = EdgeIrreps(irreps)
        self.projectors = projectors
        self.reach = reach
        self.radial_size = radial_size
        self.gain = gain
        self.kept_rows = False
        self.shells = OrbitalBasis({"H": projectors}).table_shells
        self.blocks = EdgeBlockLayout(
            self.layout.basis.table_shells, column_shells=self.shells
        )
        missing = sorted(set(self.blocks.channels) - set(self.irreps_in))
        if missing:
            raise ValueError(
                f"Blocks between the basis {self.layout.basis.to_dict()} and "
                f"the projectors {projectors!r} have edge channels of kind "
                f"{', '.join(missing)}, the features have "
                f"{', '.join(self.irreps_in)}. Take projectors of lower "
                "degree, or irreps of higher degree or of the other parity."
            )
        self.linear = SO2Linear(
            [self.irreps_in, {"0+": radial_size}],
            self.blocks.channels,
            dtype=self.dtype_policy,
            name="linear",
        )

    def set_sizes(self, sizes):
        """Sets how large the blocks of each orbital shell are, but for
        `kept_rows`, a bool array of rows whose size stays.

        Args:
            sizes: `(shells,)` array, root mean square of the rows, eV.
        """
        sizes = np.asarray(sizes) / max(np.mean(sizes) ** 0.5, 1e-6)
        shells = self.layout.basis.table_shells
        sizes = np.repeat(sizes, [2 * l + 1 for l in shells])
        own = keras.ops.convert_to_numpy(self.row_sizes)
        self.row_sizes.assign(np.where(self.kept_rows, own, sizes))

    def build(self, *shapes):
        self.linear.build()
        num_species = len(self.layout.basis.symbols)
        self.row_sizes = self.add_weight(
            shape=(self.layout.basis.num_rows,),
            initializer="ones",
            trainable=False,
            name="row_sizes",
        )
        self.own = self.add_weight(
            shape=(num_species, len(self._units())),
            initializer=Normal(stddev=0.3),
            name="own",
        )
        self.middle = self.add_weight(
            shape=(num_species, len(self.shells)),
            initializer=keras.initializers.Constant(self.gain),
            name="middle",
        )
        if "vector" in self.layout.parts:
            self.spin_orbit = self.add_weight(
                shape=(num_species, len(self.shells)),
                initializer=keras.initializers.Constant(self.gain),
                name="spin_orbit",
            )

    def call(
        self,
        edges,
        radial,
        relative,
        edge_mask,
        wigner,
        species,
        common_neighbors,
    ):
        num_atoms, width = backend.shape(relative)
        rows = self.layout.basis.num_rows
        elements = backend.maximum(species, 0)
        # === X of each atom's near neighbours and of itself ===
        inside = backend.relu(1 - (relative / self.reach) ** 2) * edge_mask
        near = backend.used_columns(inside)
        edges = {kind: x[:, :near] for kind, x in edges.items()}
        wigner = [matrix[:, :near] for matrix in wigner]
        channels = self.linear.call([edges, {"0+": radial[:, :near, None]}])
        blocks = rotate_blocks_out(
            frame_blocks(channels, self.blocks),
            shell_rotations(wigner, self.blocks),
            shell_rotations(wigner, self.blocks.columns),
        )
        blocks = blocks * (inside * inside)[:, :near, None, None]
        own = self._own_blocks(elements)
        x = backend.concatenate([blocks, own], axis=1)
        x = x * self.row_sizes.value[:, None]
        # === X W Xᵀ on each atom, summed over the atoms ===
        x = backend.reshape(x, (num_atoms, (near + 1) * rows, -1))
        edge = _without(common_neighbors, near, width)
        # The last row takes what belongs to no edge.
        number, found = num_atoms * (width + 1) + 1, None
        for some in _pieces(num_atoms, ((near + 1) * rows) ** 2):
            found = self._sums(
                found, x[some], elements[some], edge[some], number, near
            )
        shape = (num_atoms, width + 1, rows, rows)
        found = [backend.reshape(total[:-1], shape) for total in found]
        envelope = self._envelope(relative, edge_mask)
        return {
            "onsite": self._join([f[:, width] for f in found]),
            "hopping": self._join([f[:, :width] * envelope for f in found]),
        }

    def compute_output_shape(
        self,
        edges_shape,
        radial_shape,
        relative_shape,
        edge_mask_shape,
        wigner_shape,
        species_shape,
        common_neighbors_shape,
    ):
        block = self.layout.basis.block_shape(self.layout.spin)
        return {
            "onsite": (relative_shape[0], *block),
            "hopping": (*relative_shape, *block),
        }

    def _own_blocks(self, elements):
        """X of an atom's own orbitals, `(N, 1, rows, columns)`."""
        units = self._units()
        flat = backend.constant(units.reshape(len(units), -1), self.own.value)
        blocks = backend.take(self.own.value @ flat, elements, axis=0)
        return backend.reshape(blocks, (-1, 1, *units.shape[1:]))

    def _units(self):
        """Unit blocks between shells of the same degree, of orbitals and of
        projectors: `(pairs, rows, columns)`."""
        shells = self.layout.basis.table_shells
        rows = np.cumsum([0] + [2 * l + 1 for l in shells])
        columns = np.cumsum([0] + [2 * l + 1 for l in self.shells])
        units = []
        for p, l in enumerate(shells):
            for q in np.flatnonzero(np.array(self.shells) == l):
                unit = np.zeros((rows[-1], columns[-1]))
                at = slice(rows[p], rows[p + 1])
                unit[at, columns[q] : columns[q + 1]] = np.eye(2 * l + 1)
                units.append(unit)
        return np.array(units)

    def _through_middle(self, x, elements):
        """X W of all parts: list of `(N, rows of all neighbours, columns)`."""
        sizes = [2 * l + 1 for l in self.shells]
        shell = np.repeat(np.arange(len(self.shells)), sizes)
        scalar = backend.take(self.middle.value, elements, axis=0)
        parts = [x * backend.take(scalar, shell, axis=1)[:, None]]
        if "vector" in self.layout.parts:
            factor = backend.take(self.spin_orbit.value, elements, axis=0)
            rotated = x * backend.take(factor, shell, axis=1)[:, None]
            coupling = backend.constant(self._angular_momentum(), x)
            parts += [backend.dense(rotated, coupling[k]) for k in range(3)]
        return parts

    def _angular_momentum(self):
        """i L_y, i L_z, i L_x of the projectors, `(3, columns, columns)`, up
        to one factor for each shell."""
        starts = np.cumsum([0] + [2 * l + 1 for l in self.shells])
        whole = np.zeros((3, starts[-1], starts[-1]))
        for l, start, stop in zip(self.shells, starts, starts[1:]):
            if l:
                coupling = clebsch_gordan(l, l, 1) * (2 * l + 1) ** 0.5
                whole[:, start:stop, start:stop] = coupling.transpose(2, 0, 1)
        return whole

    def _envelope(self, relative, edge_mask):
        """One for near pairs, zero at the reach of their orbitals."""
        inside = backend.relu(1 - relative**8)
        return (inside * inside * edge_mask)[..., None, None]

    def _sums(self, found, x, elements, edge, number, near):
        """X W Xᵀ of some atoms, added to what was found of others at the
        pairs of their neighbours: a `(number, rows²)` tensor for each part."""
        rows = self.layout.basis.num_rows
        sums = []
        for k, part in enumerate(self._through_middle(x, elements)):
            product = part @ backend.swapaxes(x, 1, 2)
            pairs = backend.transpose(
                backend.reshape(product, (-1, near + 1, rows, near + 1, rows)),
                (0, 1, 3, 2, 4),
            )
            pairs = backend.reshape(pairs, (-1, rows * rows))
            edges = backend.reshape(edge, (-1,))
            if found is None:
                sums.append(backend.segment_sum(pairs, edges, number))
            else:
                sums.append(backend.add_segments(found[k], pairs, edges))
        return sums

    def _join(self, found):
        parts = {"scalar": found[0]}
        if "vector" in self.layout.parts:
            parts["vector"] = backend.stack(found[1:], axis=-3)
        return join_parts(parts, self.layout)


def _pieces(num_atoms, size):
    """Slices of the atoms, so that not too much is in memory at a time."""
    known = isinstance(num_atoms, int) and isinstance(size, int)
    if not known:  # while compiling
        return [slice(None)]
    step = max(1, LARGEST_PRODUCT // size)
    return [slice(k, k + step) for k in range(0, num_atoms, step)]


def _without(common_neighbors, near, width):
    """Of each atom the pairs of its first `near` neighbours and itself."""
    x = common_neighbors
    x = backend.concatenate([x[:, :near], x[:, width:]], axis=1)
    return backend.concatenate([x[..., :near], x[..., width:]], axis=2)
