"""Calculations from PySCF's objects, against what PySCF itself computes."""

import numpy as np
import pytest

from data_tools.pyscf_objects import from_pyscf
from keras_hamiltonian.irreps.wigner import spherical_harmonics
from keras_hamiltonian.orbitals.orders import shell_order
from keras_hamiltonian.physics import BlochMatrices
from keras_hamiltonian.physics import solve_bands

pyscf = pytest.importorskip("pyscf")
gto = pytest.importorskip("pyscf.pbc.gto")
dft = pytest.importorskip("pyscf.pbc.dft")

HARTREE = 27.21138602
# Compact Gaussians: three cells of the chain hold all neighbours.
BASIS = {"H": [[0, [0.6, 1.0]], [1, [1.0, 1.0]]]}


def chain(**options):
    defaults = {
        "a": [[2.6, 0, 0], [0.3, 4.2, 0], [0, 0, 4.5]],
        "atom": "H 0.1 2 2.2; H 0.95 2.3 2.0",
        "basis": BASIS,
        "pseudo": "gth-pade",
        "mesh": [15, 17, 17],
        "verbose": 0,
    }
    return gto.M(**{**defaults, **options})


def solved(mean_field):
    mean_field.xc = "lda,pz"
    mean_field.conv_tol = 1e-12
    mean_field.kernel()
    return mean_field


@pytest.fixture(scope="module")
def crystal():
    cell = chain()
    return solved(dft.KRKS(cell, cell.make_kpts([3, 1, 1])))


def levels(calculation, k_points):
    matrices = BlochMatrices.from_calculation(calculation)
    return solve_bands(matrices, k_points) / HARTREE


def test_levels_of_a_crystal(crystal):
    found = from_pyscf(crystal, initial=None)
    assert found.basis.to_dict() == {"H": "1s 1p"}
    assert (found.spin, found.num_electrons) == ("none", 2.0)
    assert found.source["mesh"] == "3 1 1"
    assert found.source["folding"] < 1e-6
    k_points = crystal.cell.get_scaled_kpts(crystal.kpts)
    expected = np.array(crystal.mo_energy)
    assert np.abs(levels(found, k_points) - expected).max() < 1e-8
    occupied, empty = expected[:, 0].max(), expected[:, 1].min()
    assert occupied < found.fermi_level / HARTREE < empty
    # Between the points of the mesh, along all three axes.
    off = np.array([[0.137, 0.21, -0.3], [0.5, 0.5, 0.1]])
    expected, _ = crystal.get_bands(crystal.cell.get_abs_kpts(off))
    assert np.abs(levels(found, off) - np.array(expected)).max() < 2e-6


def test_a_mesh_without_gamma(crystal):
    """Even too: at half the mesh two images share a block."""
    points = crystal.cell.make_kpts([4, 1, 1], with_gamma_point=False)
    mean_field = solved(dft.KRKS(crystal.cell, points))
    found = from_pyscf(mean_field, initial=None)
    k_points = crystal.cell.get_scaled_kpts(points)
    assert k_points[0, 0] == pytest.approx(-0.375)
    error = levels(found, k_points) - np.array(mean_field.mo_energy)
    assert np.abs(error).max() < 1e-8
    turned = dft.KRKS(crystal.cell, points[:1] * 0.3)
    assert "lack -k" in refused(turned, initial=None, tolerance=1.0)


def test_blocks_point_along_their_edges(crystal):
    """S of s and p is along the edge: p is (y, z, x)."""
    calculation = from_pyscf(crystal, initial=None)
    overlap = calculation.overlap
    edges = calculation.edge_vectors(overlap.atom_pairs)
    checked = 0
    for edge, block in zip(edges, overlap.blocks()):
        length = np.linalg.norm(edge)
        if not 0.1 < length < 4.0:
            continue
        along = edge[[1, 2, 0]] / length
        vector = block[0, 1:]
        # The lobe that looks back to the s orbital is the negative one.
        expected = -np.linalg.norm(vector) * along
        np.testing.assert_allclose(vector, expected, atol=1e-12)
        checked += 1
    assert checked >= 6


def test_a_mesh_that_folds_is_refused(crystal):
    gamma = solved(dft.RKS(chain()))
    with pytest.raises(ValueError, match=r"\[1, 1, 1\] is too coarse.*S\(R\)"):
        from_pyscf(gamma, initial=None)
    found = from_pyscf(gamma, initial=None, tolerance=1.0)
    assert found.source["folding"] > 0.01
    at_gamma = levels(found, [[0, 0, 0]])
    assert np.abs(at_gamma - gamma.mo_energy).max() < 1e-7
    # The control: of the other points a folded H knows nothing.
    off = [[0.5, 0, 0]]
    expected = from_pyscf(crystal, initial=None)
    assert np.abs(levels(found, off) - levels(expected, off)).max() > 0.05


def test_initial_hamiltonian(crystal):
    for guess in ("atom", "minao"):
        found = from_pyscf(crystal, initial=guess)
        assert set(found.initial_hamiltonian.index) == set(
            found.hamiltonian.index
        )
        fock = crystal.get_fock(dm=crystal.get_init_guess(key=guess))
        expected = [
            np.linalg.eigvals(np.linalg.solve(s, h)).real
            for h, s in zip(fock, crystal.get_ovlp())
        ]
        first = BlochMatrices(
            found.initial_hamiltonian, found.overlap, found.num_orbitals
        )
        k_points = crystal.cell.get_scaled_kpts(crystal.kpts)
        energies = solve_bands(first, k_points) / HARTREE
        assert np.abs(energies - np.sort(expected)).max() < 1e-8
        # It is another Hamiltonian, and near.
        change = found.initial_hamiltonian.entries - found.hamiltonian.entries
        assert 0.01 < np.abs(change).max() < 5.0


def test_collinear_spin():
    cell = chain(atom="H 0.1 2 2.2", spin=None)
    mean_field = dft.KUKS(cell, cell.make_kpts([3, 1, 1]))
    mean_field.nelec = (2, 1)
    found = from_pyscf(solved(mean_field))
    assert found.spin == "collinear" and found.num_electrons == 1.0
    assert found.hamiltonian.entries.dtype == float
    k_points = cell.get_scaled_kpts(mean_field.kpts)
    up, down = np.array(mean_field.mo_energy)
    assert np.abs(up - down).max() > 0.05
    expected = np.sort(np.concatenate([up, down], axis=1))
    assert np.abs(levels(found, k_points) - expected).max() < 1e-8
    # Superposed atoms have no moment.
    for block in found.initial_hamiltonian.blocks():
        half = len(block) // 2
        np.testing.assert_allclose(block[:half, :half], block[half:, half:])
        assert not block[:half, half:].any()


def test_a_molecule():
    mol = pyscf.gto.M(atom="Li 0 0 0; H 0.3 0.5 1.5", basis="sto-3g", verbose=0)
    mean_field = solved(pyscf.dft.RKS(mol))
    found = from_pyscf(mean_field)
    assert not found.atoms.pbc.any() and "mesh" not in found.source
    assert found.basis.to_dict() == {"H": "1s", "Li": "2s 1p"}
    error = levels(found, [[0, 0, 0]]) - mean_field.mo_energy
    assert np.abs(error).max() < 1e-7


@pytest.mark.parametrize("spin", [0, 2])
def test_a_fixed_moment_may_leave_no_fermi_level(spin):
    """In the triplet of H₂ a full level lies above an empty one."""
    mol = pyscf.gto.M(
        atom="H 0 0 0; H 0 0 0.74", basis="sto-3g", spin=spin, verbose=0
    )
    found = from_pyscf(solved(pyscf.dft.UKS(mol)))
    assert (found.fermi_level is None) == (spin == 2)


def test_orbitals_are_spherical_harmonics():
    shells = [[l, [0.7, 1.0]] for l in range(5)]
    mol = pyscf.gto.M(atom="H 0 0 0", basis={"H": shells}, spin=1)
    points = np.random.default_rng(0).normal(size=(6, 3))
    values = mol.eval_gto("GTOval_sph", points)
    start = 0
    for l in range(5):
        index, signs = shell_order("pyscf", l)
        shell = values[:, start : start + 2 * l + 1]
        start += 2 * l + 1
        ratio = shell[:, index] * signs / spherical_harmonics(l, points)
        np.testing.assert_allclose(ratio, ratio[:, :1].repeat(2 * l + 1, 1))
        assert (ratio > 0).all()
        if l == 1:  # the control: PySCF's own order is another one
            assert np.ptp(shell / spherical_harmonics(l, points), 1).max() > 0.1


def refused(mean_field, **options):
    mean_field.converged = options.pop("converged", True)
    with pytest.raises(ValueError) as error:
        from_pyscf(mean_field, **options)
    return str(error.value)


def test_what_is_refused(crystal):
    cell = chain()
    points = cell.make_kpts([3, 1, 1])
    assert "is not converged" in refused(dft.KRKS(cell), converged=False)
    assert "KGKS is no restricted" in refused(dft.KGKS(cell))
    assert "KROKS is no restricted" in refused(dft.KROKS(cell))
    assert "2 k-points are no regular" in refused(dft.KRKS(cell, points[:2]))
    symmetric = chain(
        a=np.diag([2.6, 4.2, 4.5]),
        atom="H 0 0 0; H 0.9 0 0",
        space_group_symmetry=True,
        symmorphic=False,
    )
    points = symmetric.make_kpts([3, 1, 1], space_group_symmetry=True)
    assert "to_khf" in refused(dft.KRKS(symmetric, points))
    assert "Cartesian orbitals" in refused(dft.KRKS(chain(cart=True)))
    ghost = chain(atom="H 0 2 2; H 0.9 2 2; GHOST-H 1.5 2 2")
    assert "GHOST-H" in refused(dft.KRKS(ghost))
    two = {"H1": BASIS["H"], "H2": [[0, [0.5, 1.0]], [1, [1.0, 1.0]]]}
    labels = chain(atom="H1 0 2 2; H2 0.9 2 2", basis=two)
    assert "two bases or potentials of H" in refused(dft.KRKS(labels))
    assert "Received: '1e'" in refused(crystal, initial="1e")
    atom = pyscf.gto.M(atom="He", basis="sto-3g", verbose=0)
    assert "S of the PySCF object has 2 rows" in refused(pyscf.x2c.UHF(atom))
