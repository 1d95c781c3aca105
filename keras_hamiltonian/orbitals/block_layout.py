"""How the blocks of a basis split into real parts with a symmetry each."""

import numpy as np

from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.irreps.wigner import shell_rotations
from keras_hamiltonian.irreps.wigner import wigner_d_matrix
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.coupling import BlockCoupling
from keras_hamiltonian.orbitals.coupling import spin_parts
from keras_hamiltonian.orbitals.edge_blocks import EdgeBlockLayout


class BlockLayout:
    """Parts of a block, their edge channels and their irreps.

    Without spin there is one part, the block itself. With spin–orbit coupling
    a block is `(c_0 + c·σ)/√2`; time reversal makes c_0 real and c imaginary,
    which leaves two real parts of the four.

    Args:
        basis: dict or `OrbitalBasis`. Shells of each element.
        spin: str. `"none"` or `"noncollinear"`.
        time_reversal: bool. Whether the crystal has no magnetism.

    Attributes:
        parts: tuple of str: `"scalar"` (c_0 real), `"vector"` (c imaginary);
            without time reversal also `"scalar_imag"`, `"vector_real"`.
        hopping: dict from part to `EdgeBlockLayout`.
        onsite: dict from part to `BlockCoupling`.

    Raises:
        ValueError: for collinear spin, which no model covers yet.
    """

    def __init__(self, basis, spin="none", time_reversal=True):
        if not isinstance(basis, OrbitalBasis):
            basis = OrbitalBasis(basis)
        if spin not in ("none", "noncollinear"):
            raise ValueError(
                'Models cover spin="none" and spin="noncollinear". Received: '
                f"spin={spin!r}. Collinear calculations can be read, written "
                "and diagonalised, but not learnt; train on each spin channel "
                "as a spinless Hamiltonian."
            )
        self.basis = basis
        self.spin = spin
        self.time_reversal = time_reversal
        self.parts = ("scalar",)
        if spin == "noncollinear":
            self.parts += ("vector",)
            if not time_reversal:
                self.parts += ("scalar_imag", "vector_real")
        shells = basis.table_shells
        kinds = {part: part.split("_")[0] for part in self.parts}
        self.hopping = {
            part: EdgeBlockLayout(shells, kind) for part, kind in kinds.items()
        }
        self.onsite = {
            part: BlockCoupling(shells, kind) for part, kind in kinds.items()
        }

    @property
    def lmax(self):
        """Largest degree that a block of this layout holds."""
        return max(c.irreps.lmax for c in self.onsite.values())

    def num_natural(self, part):
        """Onsite channels that neighbours alone can make: those of natural
        parity."""
        return sum(m for m, i in self.onsite[part].irreps if i.is_natural)

    def split(self, blocks):
        """Real parts of table blocks.

        Args:
            blocks: `(E, rows, rows)` array, or `(E, 2, 2, 2, rows, rows)`
                with spin: real and imaginary part, spin of row and column.

        Returns:
            Dict from part to `(E, rows, rows)` or, for vector parts,
            `(E, 3, rows, rows)` (components y, z, x).
        """
        if self.spin == "none":
            return {"scalar": np.asarray(blocks)}
        scalar, vector = spin_parts(blocks[:, 0] + 1j * blocks[:, 1])
        found = {
            "scalar": scalar.real,
            "vector": vector.imag,
            "scalar_imag": scalar.imag,
            "vector_real": vector.real,
        }
        return {part: found[part] for part in self.parts}

    def edge_channels(self, part, blocks, frames):
        """Edge channels of one part of hopping blocks.

        Args:
            part: str.
            blocks: as `split` returns them for this part.
            frames: `(E, 3, 3)` array of edge frames.

        Returns:
            Dict from kind to `(E, d, channels)` arrays.
        """
        layout = self.hopping[part]
        rotation = shell_rotations(layout.shells, frames)
        rotation = layout.frame_transform @ rotation
        if layout.part == "vector":
            axial = frame_rows(1, natural=False) @ wigner_d_matrix(1, frames)
            blocks = np.einsum("est,etab->esab", axial, blocks)
            rotation = rotation[:, None]
        return layout.to_channels(
            rotation @ blocks @ np.swapaxes(rotation, -1, -2)
        )
