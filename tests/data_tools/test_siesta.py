"""sisl is the outside truth: its bands, its files, its harmonics."""

import dataclasses
import struct
import sys
import warnings

import ase
import numpy as np
import pytest

from data_tools.siesta import read_siesta
from data_tools.siesta import write_siesta
from data_tools.sisl_hamiltonian import from_sisl
from data_tools.sisl_hamiltonian import to_sisl
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import shell_order
from keras_hamiltonian.physics import BlochMatrices
from keras_hamiltonian.physics import solve_bands

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sisl = pytest.importorskip("sisl")

K_POINTS = [[0.1, 0.23, 0.0], [-0.4, 0.3, 0.2]]
PAIRS = [(0, 0, 0, 0, 0), (0, 0, 0, 1, 1), (1, -1, 0, 0, 1), (-1, 1, 0, 1, 0)]


def bands(calculation):
    return solve_bands(BlochMatrices.from_calculation(calculation), K_POINTS)


def random_calculation(spin):
    """Hermitian, without any symmetry; the overlap is near one."""
    random = np.random.default_rng(1)
    basis = OrbitalBasis({"Mo": [0, 2, 1], "S": "1s 2p 1d"})
    atoms = ase.Atoms(
        "SMo", [[0, 0, 0], [1.2, 0.4, -0.3]], cell=[3, 4, 20], pbc=True
    )
    sizes = [basis.num_orbitals(z) for z in atoms.numbers]

    def hermitian(scale, factor, is_complex, is_one):
        blocks = []
        for *_, i, j in PAIRS:
            shape = (factor * sizes[i], factor * sizes[j])
            block = scale * random.normal(size=shape)
            if is_complex:
                block = block + 1j * scale * random.normal(size=shape)
            if spin == "collinear" and factor == 2:
                block[: sizes[i], sizes[j] :] = 0
                block[sizes[i] :, : sizes[j]] = 0
            blocks.append(block)
        for n in (0, 1):
            blocks[n] = (blocks[n] + blocks[n].conj().T) / 2
            blocks[n] += is_one * np.eye(len(blocks[n]))
        blocks[3] = blocks[2].conj().T
        return BlockMatrix.from_blocks(PAIRS, blocks)

    return Calculation(
        atoms,
        basis,
        spin=spin,
        hamiltonian=hermitian(
            1.0, 1 if spin == "none" else 2, spin == "noncollinear", 0
        ),
        overlap=hermitian(0.02, 1, False, 1),
    )


@pytest.fixture
def graphene(data_folder):
    return HamiltonianStore(data_folder / "reference_graphene.h5")[0]


@pytest.mark.parametrize("spin", ["none", "collinear", "noncollinear"])
def test_bands_of_sisl(spin):
    calculation = random_calculation(spin)
    hamiltonian = to_sisl(calculation)
    for k_point, expected in zip(K_POINTS, bands(calculation)):
        if spin == "collinear":
            found = [hamiltonian.eigh(k=k_point, spin=s) for s in (0, 1)]
        else:
            found = hamiltonian.eigh(k=k_point)
        np.testing.assert_allclose(np.sort(np.ravel(found)), expected)
    back = from_sisl(hamiltonian)
    assert back.spin == spin
    for field in ("hamiltonian", "overlap"):
        expected, found = getattr(calculation, field), getattr(back, field)
        assert set(found.index) == set(expected.index)
        for pair in PAIRS:
            np.testing.assert_array_equal(found.find(pair), expected.find(pair))


@pytest.mark.parametrize("spin", ["none", "collinear", "noncollinear"])
def test_random_file_comes_back(tmp_path, spin):
    calculation = random_calculation(spin)
    write_siesta(tmp_path / "x.HSX", calculation)
    found = read_siesta(tmp_path / "x.HSX")
    assert found.spin == spin
    assert found.num_electrons is None
    assert found.basis == calculation.basis
    np.testing.assert_allclose(
        found.atoms.positions, calculation.atoms.positions, atol=1e-12
    )
    for pair in PAIRS:
        np.testing.assert_allclose(
            found.hamiltonian.find(pair),
            calculation.hamiltonian.find(pair),
            atol=1e-12,
        )


def test_graphene_through_a_file(tmp_path, graphene):
    path = tmp_path / "graphene.HSX"
    write_siesta(path, graphene)
    found = read_siesta(path)
    np.testing.assert_allclose(bands(found), bands(graphene), atol=1e-9)
    assert found.fermi_level == pytest.approx(graphene.fermi_level, abs=1e-9)
    assert found.num_electrons == 8
    assert found.source["format"] == "HSX version 2"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graphene.HSX"]
    # What sisl itself makes of the file: energies from the Fermi level.
    hamiltonian = sisl.get_sile(path).read_hamiltonian()
    energies = hamiltonian.eigh(k=K_POINTS[0]) + graphene.fermi_level
    np.testing.assert_allclose(energies, bands(graphene)[0], atol=2e-6)


def test_single_precision_and_version_one(tmp_path, graphene):
    path = tmp_path / "x.HSX"
    sile = sisl.io.siesta.hsxSileSiesta(path, "w")
    sile.write_hamiltonian(to_sisl(graphene), version=1, dtype=np.float32)
    found = read_siesta(path)
    assert found.source["precision"] == "float32"
    assert found.source["format"] == "HSX version 1"
    np.testing.assert_allclose(
        found.hamiltonian.find((0, 0, 0, 0, 1)),
        graphene.hamiltonian.find((0, 0, 0, 0, 1)),
        atol=1e-5,
    )


@pytest.mark.parametrize("l", [0, 1, 2])
def test_orbitals_are_those_of_sisl(l):
    """sisl's harmonics against the package's, written out."""
    points = np.random.default_rng(0).normal(size=(20, 3))
    x, y, z = (points / np.linalg.norm(points, axis=1, keepdims=True)).T
    ours = {
        0: [np.ones_like(x)],
        1: [y, z, x],
        2: [
            np.sqrt(3) * x * y,
            np.sqrt(3) * y * z,
            (3 * z**2 - 1) / 2,
            np.sqrt(3) * x * z,
            np.sqrt(3) / 2 * (x**2 - y**2),
        ],
    }[l]
    radii = np.linspace(0, 10, 200)
    radial = sisl.SphericalOrbital(l, (radii, np.ones_like(radii)))
    values = np.array(
        [orbital.spher(*angles(points)) for orbital in radial.toAtomicOrbital()]
    )
    index, sign = shell_order("siesta", l)
    norm = np.sqrt((2 * l + 1) / (4 * np.pi))
    np.testing.assert_allclose(
        sign[:, None] * values[index], norm * np.array(ours), atol=1e-12
    )


def angles(points):
    x, y, z = points.T
    polar = np.arccos(z / np.linalg.norm(points, axis=1))
    return np.arctan2(y, x), polar


def test_noncollinear_without_spin_orbit():
    """sisl keeps four numbers; its spin box is Hermitian."""
    atom = sisl.Atom("H", [sisl.AtomicOrbital(n=1, l=0, m=0, zeta=1, R=2.0)])
    geometry = sisl.Geometry(
        [[0, 0, 0]], atom, sisl.Lattice([3, 9, 9], nsc=[3, 1, 1])
    )
    hamiltonian = sisl.Hamiltonian(
        geometry, spin="non-collinear", orthogonal=False
    )
    hamiltonian[0, 0] = [1.0, -1.0, 0.3, 0.2, 1.0]
    hamiltonian[0, 0, (1, 0, 0)] = [0.5, 0.4, 0.1, 0.05, 0.1]
    hamiltonian[0, 0, (-1, 0, 0)] = [0.5, 0.4, 0.1, 0.05, 0.1]
    found = from_sisl(hamiltonian)
    np.testing.assert_allclose(
        found.hamiltonian.find((0, 0, 0, 0, 0)),
        [[1, 0.3 + 0.2j], [0.3 - 0.2j, -1]],
    )
    np.testing.assert_allclose(
        solve_bands(BlochMatrices.from_calculation(found), K_POINTS[:1]),
        [hamiltonian.eigh(k=K_POINTS[0])],
    )


def test_without_sisl(monkeypatch, tmp_path, graphene):
    monkeypatch.setitem(sys.modules, "sisl", None)
    for call in (
        lambda: to_sisl(graphene),
        lambda: read_siesta(tmp_path / "x.HSX"),
        lambda: write_siesta(tmp_path / "x.HSX", graphene),
    ):
        with pytest.raises(ValueError, match=r"pip install.*\[siesta\]"):
            call()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(graphene, tmp_path):
    for change, message in (
        ({"overlap": None}, "no `overlap`"),
        ({"hamiltonian": None}, "no `hamiltonian`"),
    ):
        with pytest.raises(ValueError, match=message):
            to_sisl(dataclasses.replace(graphene, **change))
    basis = OrbitalBasis({"H": "1f"})
    matrix = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.eye(7)])
    atom = ase.Atoms("H", cell=[5, 5, 5], pbc=True)
    heavy = Calculation(atom, basis, hamiltonian=matrix, overlap=matrix)
    with pytest.raises(ValueError, match="l = 3 in siesta is not known"):
        write_siesta(tmp_path / "x.HSX", heavy)
    assert not list(tmp_path.iterdir())


def edited(data, position, value):
    return data[:position] + struct.pack("<i", value) + data[position + 4 :]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d[: len(d) // 2], r"ends within its record \d+.*cut short"),
        (lambda d: d[:-1], r"ends within its record"),
        (lambda d: d[:7], "has 7 bytes"),
        (lambda d: b"SystemLabel graphene\n", "no HSX file of a version"),
        (lambda d: struct.pack("<i4i", 16, 26, 234, 1, 9), "HSX format 0"),
        (lambda d: edited(d, 4, 3), "no HSX file of a version"),
        (lambda d: edited(d, 12, 8), "two marks of record 2 differ"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, graphene, change, message):
    path = tmp_path / "x.HSX"
    write_siesta(path, graphene)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as error:
        read_siesta(path)
    assert "x.HSX" in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="absent.HSX cannot be read"):
        read_siesta(tmp_path / "absent.HSX")


@pytest.mark.parametrize(
    "atom, options, message",
    [
        (sisl.Atom("C", R=2.0), {}, "not labelled with l and m"),
        (
            sisl.Atom("C", [sisl.AtomicOrbital(n=2, l=1, m=0, zeta=1, R=2.0)]),
            {},
            r"SIESTA's order m = -l..l. Received: \[\(1, 0\)\]",
        ),
        (sisl.Atom(-6, R=2.0), {}, "is no element"),
        (sisl.Atom("C", R=2.0), {"orthogonal": True}, "orthogonal orbitals"),
    ],
)
def test_objects_that_are_no_calculation(atom, options, message):
    geometry = sisl.Geometry([[0, 0, 0]], atom, sisl.Lattice([9, 9, 9]))
    options = {"orthogonal": False, **options}
    hamiltonian = sisl.Hamiltonian(geometry, **options)
    hamiltonian[0, 0] = [1.0] * hamiltonian.shape[-1]
    with pytest.raises(ValueError, match=message):
        from_sisl(hamiltonian)
