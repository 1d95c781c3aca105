"""PySCF's mean-field objects: H(k) on a mesh becomes H(R).

A converged `pyscf.pbc` calculation knows H(k) on its mesh of wave vectors, in
Gaussian orbitals of pure l. The sum over the mesh gives H(R) plus the blocks of
all images that the mesh cannot tell apart; of these the nearest pair of atoms
gets the sum (images at equal distance share it). So the levels on the mesh are
those of PySCF, and those between are right if the mesh is so fine that one
image alone counts. S(R) is computed exactly, from sums over the lattice, and
tells how far off such a sum is: `source["folding"]`.

Checked: levels on the mesh, off the mesh and of molecules against PySCF's own;
its orbitals against polynomials.
"""

import importlib
import itertools

import ase
import numpy as np

from data_tools.cell_matrices import blocks_of_matrix
from data_tools.deeph_files import on_pairs
from data_tools.labels import element_of_label
from data_tools.plausibility import plausible
from data_tools.shells import element_shells
from data_tools.spin_blocks import join_spins
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import to_package_order

# Images at equal distance, in Å.
DISTANCE_TOLERANCE = 1e-5
# Of H(R) and S(R); they are real for a mesh with k and -k.
LARGEST_IMAGINARY = 1e-5
_KINDS = ("RHF", "UHF", "KRHF", "KUHF")
_OTHER_KINDS = ("ROHF", "KROHF", "GHF", "KGHF")


def import_pyscf():
    """The package pyscf, with its parts for crystals.

    Raises:
        ValueError: if it is not installed; the message says how to.
    """
    try:
        importlib.import_module("pyscf.data.nist")
        importlib.import_module("pyscf.pbc.gto")
        return importlib.import_module("pyscf")
    except ImportError as error:
        raise ValueError(
            f"This needs the package pyscf ({error}). Install it with: "
            "pip install 'keras-hamiltonian[pyscf]', or pip install pyscf."
        ) from error


@plausible
def from_pyscf(
    mean_field, initial="atom", cutoff=1e-9, tolerance=1e-3, name=""
):
    """A converged Kohn-Sham or Hartree-Fock object of PySCF as a calculation.

    Args:
        mean_field: object of `pyscf.pbc` with or without k-points (`KRKS`,
            `KUKS`, `RKS`, `KRHF`, ...), or of a molecule. Restricted, or
            unrestricted, which is collinear spin.
        initial: str. The guess whose Fock matrix is H⁰: `"atom"`, densities of
            spherical atoms, or `"minao"`; of two spins the mean. `None` for no
            H⁰. It costs as much as an SCF step.
        cutoff: float. Pairs whose numbers are all smaller, in eV and in S, are
            left out.
        tolerance: float. Largest folding, see below.
        name: str.

    Returns:
        `Calculation`, the energy zero being PySCF's; without a Fermi level
        where a fixed moment leaves none to both spins. Of a crystal,
        `source["mesh"]` holds the sizes of the mesh, and `source["folding"]`
        the largest difference between S(R), exact, and S(R) by the way of H.

    Raises:
        ValueError: if pyscf is missing, the object is not converged or of
            another kind, its orbitals are Cartesian, or the mesh is no regular
            one, lacks points or is too coarse.

    Example:

    >>> kpts = cell.make_kpts([6, 6, 1])  # doctest: +SKIP
    >>> mean_field = pyscf.pbc.dft.KRKS(cell, kpts).run()  # doctest: +SKIP
    >>> from_pyscf(mean_field).source["folding"]  # doctest: +SKIP
    2.1e-05
    """
    pyscf = import_pyscf()
    has_spin = _is_unrestricted(mean_field)
    mol = mean_field.mol
    atoms, basis = _structure(pyscf, mol)
    widths = np.array([basis.num_orbitals(z) for z in atoms.numbers])
    source = {"code": "PySCF", "version": pyscf.__version__}
    on_mesh = _overlap_on_mesh(mean_field, widths.sum())
    to_blocks = blocks_of_matrix
    if atoms.pbc.any():
        mesh = _Mesh(atoms, mol.get_scaled_kpts(_k_points(mean_field)))
        overlap = _lattice_overlap(pyscf, mol, widths)
        to_blocks = mesh.blocks
        source["mesh"] = " ".join(str(n) for n in mesh.sizes)
        source["folding"] = mesh.folding(on_mesh, overlap, widths, tolerance)
    else:
        overlap = blocks_of_matrix(on_mesh, widths)

    def blocks(fock):
        """Of one spin, or of both, in eV."""
        fock = np.asarray(fock) * pyscf.data.nist.HARTREE2EV
        if not has_spin:
            return to_blocks(fock, widths)
        return join_spins(*(to_blocks(part, widths) for part in fock))

    matrices = {"hamiltonian": blocks(mean_field.get_fock())}
    if initial is not None:
        density = _initial_density(mean_field, initial, has_spin)
        fock = mean_field.get_fock(dm=density)
        matrices["initial_hamiltonian"] = blocks(fock)
    matrices["overlap"] = overlap
    return Calculation(
        atoms,
        basis,
        spin="collinear" if has_spin else "none",
        fermi_level=_fermi_level(pyscf, mean_field, has_spin),
        num_electrons=float(mol.nelectron),
        name=name,
        source=source,
        **{
            field: to_package_order(matrix, "pyscf", basis, atoms.numbers)
            for field, matrix in _joined(matrices, widths, cutoff).items()
        },
    )


class _Mesh:
    """A regular mesh of wave vectors, and the cells that it tells apart.

    Args:
        atoms: `ase.Atoms`.
        k_points: `(num_k, 3)` array, fractional.

    Raises:
        ValueError: if points are missing, or the mesh is no regular one.
    """

    def __init__(self, atoms, k_points):
        self.atoms, self.k_points = atoms, k_points
        steps = np.round(k_points - k_points[0], 6) % 1.0
        self.sizes = [len(np.unique(x)) for x in steps.T]
        places = np.rint(steps * self.sizes)
        if (
            len(np.unique(places, axis=0)) != np.prod(self.sizes)
            or len(places) != np.prod(self.sizes)
            or np.abs(places - steps * self.sizes).max() > 1e-4
        ):
            raise ValueError(
                f"The {len(k_points)} k-points are no regular mesh; expected "
                "all points of cell.make_kpts([n1, n2, n3]). Those that "
                "symmetry leaves out come back with mean_field.to_khf()."
            )

    def blocks(self, matrix, widths):
        """`BlockMatrix` M(R) of `(num_k, n, n)` M(k), at the nearest images."""
        size = int(widths.sum())
        matrix = np.reshape(matrix, (len(self.k_points), size, size))
        cells = np.array(list(itertools.product(*map(range, self.sizes))))
        phases = np.exp(-2j * np.pi * cells @ self.k_points.T)
        folded = np.tensordot(phases, matrix, 1) / len(self.k_points)
        spans = [range(-2, 3) if x else (0,) for x in self.atoms.pbc]
        moves = np.array(list(itertools.product(*spans))) * self.sizes
        # The mesh need not hold Γ.
        turns = np.exp(-2j * np.pi * moves @ self.k_points[0])
        images = cells[:, None] + moves
        vectors = images @ np.asarray(self.atoms.cell)
        positions = self.atoms.positions
        pairs, blocks = [], []
        for i, j in itertools.product(range(len(widths)), repeat=2):
            edges = vectors + positions[j] - positions[i]
            lengths = np.linalg.norm(edges, axis=2)
            shortest = lengths.min(axis=1, keepdims=True)
            nearest = lengths < shortest + DISTANCE_TOLERANCE
            for cell, move in np.argwhere(nearest):
                weight = turns[move] / nearest[cell].sum()
                pairs.append((*images[cell, move], i, j))
                blocks.append(weight * folded[cell][_places(widths, i, j)])
        return _real(BlockMatrix.from_blocks(pairs, blocks))

    def folding(self, matrix, overlap, widths, tolerance):
        """Largest difference of S(R) from the mesh and exact S(R): float."""
        folded = self.blocks(matrix, widths)
        pairs = sorted({*folded.index, *overlap.index})
        folded, exact = (on_pairs(m, pairs, widths) for m in (folded, overlap))
        found = float(np.abs(folded.entries - exact.entries).max())
        if found > tolerance:
            raise ValueError(
                f"The mesh {self.sizes} is too coarse for the reach of the "
                "orbitals: blocks of different cells are added up, which is "
                f"off by up to {found:.1e} in S(R); at most {tolerance:g} is "
                "allowed. Repeat the calculation with more k-points, or give "
                "a larger `tolerance`."
            )
        return found


def _places(widths, i, j):
    """Rows and columns of a block in a whole matrix."""
    stops = np.cumsum(widths)
    return (
        slice(stops[i] - widths[i], stops[i]),
        slice(stops[j] - widths[j], stops[j]),
    )


def _real(matrix):
    largest = np.abs(matrix.entries.imag).max()
    if largest > LARGEST_IMAGINARY:
        raise ValueError(
            f"M(R) is complex, by up to {largest:.1e}: the k-points lack -k of "
            "some k. Take an unshifted mesh."
        )
    return matrix.with_entries(matrix.entries.real)


def _overlap_on_mesh(mean_field, num_orbitals):
    """S(k) of a crystal, S of a molecule."""
    matrix = np.asarray(mean_field.get_ovlp())
    if matrix.shape[-1] != num_orbitals:
        raise ValueError(
            f"S of the PySCF object has {matrix.shape[-1]} rows, and its atoms "
            f"have {num_orbitals} orbitals. Two-component calculations are "
            "not supported; expected RKS, UKS, KRKS or KUKS."
        )
    return matrix


def _lattice_overlap(pyscf, cell, widths):
    """S(R) of all cells within the reach of the orbitals."""
    mol = cell.to_mol()
    vectors = np.asarray(cell.lattice_vectors())
    shifts = np.asarray(cell.get_lattice_Ls())
    cells = np.rint(shifts @ np.linalg.inv(vectors)).astype(int)
    pairs, blocks = [], []
    for shift in cells:
        moved = mol.set_geom_(
            mol.atom_coords() + shift @ vectors, unit="Bohr", inplace=False
        )
        matrix = pyscf.gto.intor_cross("int1e_ovlp", mol, moved)
        home = blocks_of_matrix(matrix, widths)
        pairs.extend((*shift, i, j) for *_, i, j in home.atom_pairs.tolist())
        blocks.extend(home.blocks())
    return BlockMatrix.from_blocks(pairs, blocks)


def _joined(matrices, widths, cutoff):
    """All matrices on the pairs where one has a number above the cutoff."""
    pairs = sorted(
        {
            pair
            for matrix in matrices.values()
            for pair, block in zip(matrix.index, matrix.blocks())
            if np.abs(block).max() > cutoff
        }
    )
    return {
        field: on_pairs(
            matrix, pairs, matrix.shapes[0, 0] // widths[0] * widths
        )
        for field, matrix in matrices.items()
    }


def _is_unrestricted(mean_field):
    names = [kind.__name__ for kind in type(mean_field).__mro__]
    known = [name for name in names if name in _KINDS + _OTHER_KINDS]
    if not known or known[0] not in _KINDS:
        raise ValueError(
            f"{names[0]} is no restricted or unrestricted calculation of "
            "PySCF; expected RKS, UKS, KRKS, KUKS or their Hartree-Fock kin."
        )
    if not mean_field.converged:
        raise ValueError(
            f"The {names[0]} object is not converged. Call its kernel(), with "
            "a larger max_cycle where it stops."
        )
    return known[0] in ("UHF", "KUHF")


def _k_points(mean_field):
    k_points = mean_field.kpts
    if hasattr(k_points, "kpts_ibz"):
        raise ValueError(
            "The k-points are reduced by symmetry. Take those of all the "
            "mesh: mean_field.to_khf()."
        )
    return np.reshape(k_points, (-1, 3))


def _structure(pyscf, mol):
    """Atoms in Å, and the shells of each element in PySCF's order."""
    place = "The PySCF object"
    if mol.cart:
        raise ValueError(
            f"{place} has Cartesian orbitals, of which six make a d shell; "
            "expected those of pure l: cart=False."
        )
    labels = [mol.atom_symbol(n) for n in range(mol.natm)]
    symbols = [element_of_label(place, label) for label in labels]
    known = {}
    for label, symbol in zip(labels, symbols):
        parts = [
            getattr(mol, name, {}).get(
                label, getattr(mol, name, {}).get(symbol)
            )
            for name in ("_basis", "_pseudo", "_ecp")
        ]
        if known.setdefault(symbol, repr(parts)) != repr(parts):
            raise ValueError(
                f"{place} has two bases or potentials of {symbol}, one of "
                f"them for {label!r}. One model needs one basis per element."
            )
    degrees = [
        [
            mol.bas_angular(shell)
            for shell in range(first, last)
            for _ in range(mol.bas_nctr(shell))
        ]
        for first, last in mol.aoslice_by_atom()[:, :2]
    ]
    bohr = pyscf.data.nist.BOHR
    atoms = ase.Atoms(symbols, mol.atom_coords() * bohr)
    if isinstance(mol, pyscf.pbc.gto.Cell):
        atoms.cell = mol.lattice_vectors() * bohr
        atoms.pbc = np.arange(3) < mol.dimension
    return atoms, OrbitalBasis(element_shells(place, zip(symbols, degrees)))


def _initial_density(mean_field, guess, has_spin):
    """Density matrices of superposed atoms, without magnetisation."""
    if guess not in ("atom", "minao"):
        raise ValueError(
            "`initial` is 'atom', 'minao' or None: only these guesses are "
            f"superposed atoms. Received: {guess!r}."
        )
    density = np.asarray(mean_field.get_init_guess(key=guess))
    if has_spin:
        density = np.stack([density.mean(axis=0)] * 2)
    return density


def _fermi_level(pyscf, mean_field, has_spin):
    """Middle between the highest occupied and the lowest empty level, in eV.

    `None` where they are the other way round, as of two spins with a fixed
    moment.
    """
    energies, occupations = (
        np.concatenate([np.ravel(x) for part in parts for x in part])
        if np.ndim(parts[0])
        else np.ravel(parts)
        for parts in (mean_field.mo_energy, mean_field.mo_occ)
    )
    is_occupied = occupations > (0.5 if has_spin else 1.0)
    edges = []
    if is_occupied.any():
        edges.append(energies[is_occupied].max())
    if not is_occupied.all():
        edges.append(energies[~is_occupied].min())
    if edges != sorted(edges):
        return None
    return float(np.mean(edges)) * pyscf.data.nist.HARTREE2EV
