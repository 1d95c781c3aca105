"""Writes small scfout files from the definition of the format."""

import struct

import numpy as np

# Two atoms of two elements: 4 and 3 orbitals (s + p, and p).
INPUT = """System.Name  made
<Definition.of.Atomic.Species
 C1  C5.0-s1p1  C_PBE19  # a comment
 H   H5.0-p1    H_PBE19
Definition.of.Atomic.Species>
Atoms.Number 2
<Atoms.SpeciesAndCoordinates
  1 C1 0.0 0.0 0.0 2.0 2.0
  2 H  0.9 0.0 0.0 0.5 0.5
Atoms.SpeciesAndCoordinates>
"""
SIZES = (4, 3)
CELLS = [(0, 0, 0), (1, 0, 0), (-1, 0, 0)]
# Neighbours of each atom: (atom from 1, cell), the atom itself first.
NEIGHBORS = [[(1, 0), (2, 2)], [(2, 0), (1, 1)]]
PAIRS = [(0, 0, 0, 0, 0), (-1, 0, 0, 0, 1), (0, 0, 0, 1, 1), (1, 0, 0, 1, 0)]
LATTICE = np.diag([3.0, 10.0, 11.0])
POSITIONS = np.array([[0.1, 0.2, 0.3], [-3.5, 0.0, 25.0]])


def random_matrix(seed):
    """Blocks of PAIRS in OpenMX's order, and their flat numbers."""
    random = np.random.default_rng(seed)
    blocks = [random.normal(size=(SIZES[i], SIZES[j])) for *_, i, j in PAIRS]
    return blocks, np.concatenate([block.ravel() for block in blocks])


def scfout_bytes(
    spin=0,
    version=3,
    text=INPUT,
    leads=(0, 0),
    neighbors=NEIGHBORS,
    order="<",
    hamiltonian_shift=0.0,
):
    """A file; its matrices are `random_matrix(0)` and so on in turn.

    Hamiltonian parts first (spin + 1 real, 3 imaginary if spin is 3), then the
    overlap. The chemical potential is -0.25 and there are 7 electrons.
    `hamiltonian_shift` is added to every number of the Hamiltonian.
    """

    def integers(*values):
        return struct.pack(f"{order}{len(values)}i", *values)

    def reals(values):
        return np.asarray(values, dtype=order + "f8").tobytes()

    def padded(rows):
        return np.pad(np.asarray(rows), ((0, 0), (1, 0)))

    counts = [len(of_atom) - 1 for of_atom in neighbors]
    flat = [pair for of_atom in neighbors for pair in of_atom]
    num_hamiltonian = spin + 1 + (3 if spin == 3 else 0)
    # Then 3 of position, 3 of momentum, the density and 2 imaginary parts.
    num_matrices = num_hamiltonian + 1 + 3 + 3 + spin + 1 + 2
    lines = text.splitlines(keepends=True)
    return b"".join(
        [
            integers(2, 4 * version + spin, 2, *leads, len(CELLS) - 1, 1),
            reals(padded(np.array(CELLS) @ LATTICE)),
            integers(*padded(CELLS).ravel().tolist()),
            integers(*SIZES),
            integers(*counts),
            integers(*[atom for atom, _ in flat]),
            integers(*[cell for _, cell in flat]),
            reals(padded(LATTICE)),
            reals(padded(2 * np.pi * np.linalg.inv(LATTICE).T)),
            reals(padded(POSITIONS)),
            *[
                reals(
                    random_matrix(k)[1]
                    + (hamiltonian_shift if k < num_hamiltonian else 0)
                )
                for k in range(num_matrices)
            ],
            integers(3),
            reals([-0.25, 300, 0, 0, 0, 0, 0, 0, 7, 0]),
            integers(len(lines)),
            *[(line.encode() + b"\0").ljust(256, b"x") for line in lines],
        ]
    )
