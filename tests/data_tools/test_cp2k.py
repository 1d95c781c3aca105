"""CP2K's own runs: what it printed, and S by PySCF's integrals."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
from cp2k_runs import printed_bands
from cp2k_runs import printed_levels
from cp2k_runs import unpack

from data_tools.convert import convert
from data_tools.cp2k import read_cp2k
from data_tools.formats import find_sources
from data_tools.formats import read_calculation
from data_tools.spin_blocks import spin_part
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.physics.hamiltonian import BlochMatrices

BASIS = "gth-dzvp-molopt-sr"


@pytest.fixture
def run(request, tmp_path):
    return unpack(request.param, tmp_path)


def levels(calculation, k_point, spin=1):
    if calculation.is_spinful:
        part = spin_part(calculation.hamiltonian, spin - 1, spin - 1)
        calculation = dataclasses.replace(
            calculation, spin="none", hamiltonian=part
        )
    matrices = BlochMatrices.from_calculation(calculation)
    return scipy.linalg.eigh(*matrices.dense_at(k_point), eigvals_only=True)


@pytest.mark.parametrize(
    "run, basis, spin, electrons",
    [
        # Text; s, p and d in a triclinic cell, one atom outside.
        ("hf", {"F": "2s 2p 1d", "H": "2s 1p"}, "none", 8),
        # Records, upper triangles, two spins.
        ("heh", {"H": "2s 1p", "He": "2s 1p"}, "collinear", 3),
    ],
    indirect=["run"],
)
def test_bands_that_cp2k_printed(run, basis, spin, electrons):
    calculation = read_calculation(run)
    assert calculation.basis.to_dict() == basis
    assert calculation.spin == spin
    assert calculation.num_electrons == electrons
    assert calculation.source["version"] == "2023.1"
    points = printed_bands(run)
    assert len(points) == 5 * (1 + calculation.is_spinful)
    for number, k_point, expected in points:
        found = levels(calculation, k_point, number)[: len(expected)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    # At another wave vector they are others.
    others = levels(calculation, k_point + 0.1, number)[: len(expected)]
    assert np.abs(others - expected).max() > 0.01


def overlaps_of_pyscf(gto, calculation, pairs):
    """Blocks of S, of CP2K's basis as PySCF has it."""
    atoms = calculation.atoms
    found = []
    for *shift, i, j in pairs:
        vectors = atoms.positions[[i, j]]
        vectors[1] += shift @ np.asarray(atoms.cell)
        left, right = (
            gto.M(
                atom=[(atoms.symbols[atom], vector)],
                basis=BASIS,
                spin=None,
                verbose=0,
            )
            for atom, vector in zip((i, j), vectors)
        )
        block = gto.intor_cross("int1e_ovlp", left, right)
        order = [in_order_of_m(atoms.symbols[atom]) for atom in (i, j)]
        found.append(block[np.ix_(*order)])
    return found


def in_order_of_m(symbol):
    """PySCF has p as x, y, z."""
    order = [0, 1, 3, 4, 2] if symbol == "H" else [0, 1, 3, 4, 2, 6, 7, 5]
    return order + list(range(len(order), 13 if symbol == "F" else 0))


@pytest.mark.parametrize("run", ["hf"], indirect=True)
def test_overlap_by_pyscf(run):
    gto = pytest.importorskip("pyscf.gto")
    calculation = read_cp2k(run)
    pairs = calculation.overlap.atom_pairs[::7]
    expected = overlaps_of_pyscf(gto, calculation, pairs)
    found = [calculation.overlap.find(tuple(pair)) for pair in pairs]
    errors = [np.abs(a - b).max() for a, b in zip(found, expected)]
    assert max(errors) < 1e-4  # CP2K cuts its functions off
    # With the translations the other way round all goes wrong.
    turned = overlaps_of_pyscf(gto, calculation, pairs * (-1, -1, -1, 1, 1))
    assert max(np.abs(a - b).max() for a, b in zip(found, turned)) > 0.1


@pytest.mark.parametrize("run", ["water"], indirect=True)
def test_molecule_without_k_points(run, tmp_path):
    calculation = read_cp2k(run)
    expected = printed_levels(run)
    assert len(expected) == 21
    found = levels(calculation, (0, 0, 0))[:21]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    # The input has its atoms at three corners of the box.
    distances = calculation.atoms.get_all_distances()
    assert distances.max() < 1.6
    # A search from above finds it, and it goes into a set.
    assert [s.format for s in find_sources(tmp_path)] == ["cp2k"]
    convert(tmp_path, tmp_path / "set.h5")
    assert HamiltonianStore(tmp_path / "set.h5").names == ("water",)


@pytest.mark.parametrize("run", ["hf"], indirect=True)
def test_crystal_without_k_points_is_refused(run):
    for kind in ("KS", "S"):
        total = np.zeros((18, 18))
        for path in run.glob(f"hf-{kind}_SPIN_1_R_*.csr"):
            for line in path.read_text().splitlines():
                row, column, value = line.split()
                total[int(row) - 1, int(column) - 1] += float(value)
            path.unlink()
        lines = [
            f"{i + 1} {j + 1} {x}\n" for (i, j), x in np.ndenumerate(total)
        ]
        (run / f"hf-{kind}_SPIN_1-1_0.csr").write_text("".join(lines))
    with pytest.raises(ValueError, match="all cells are added up"):
        read_cp2k(run)


def change(name, old, new):
    def damage(run):
        path = run / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return damage


def rename(old, new):
    return lambda run: (run / old).rename(run / new)


def without_down(run):
    for path in run.glob("*-KS_SPIN_2_*"):
        path.unlink()


def at_home_alone(run):
    home = (run / "heh-S_SPIN_1_R_1-1_0.csr").read_bytes()
    for path in run.glob("*-S_SPIN_1_*"):
        path.unlink()
    (run / "heh-S_SPIN_1-1_0.csr").write_bytes(home)


def cut_record(run):
    path = run / "water-KS_SPIN_1-1_0.csr"
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize(
    "run, damage, message",
    [
        (
            "hf",
            lambda run: (run / "hf-S_SPIN_1_R_7-1_0.csr").unlink(),
            "124 files S_SPIN_1_R_.*lists 125 periodic images",
        ),
        (
            "water",
            rename("water-S_SPIN_1-1_0.csr", "water-S_SPIN_1_K_1-1_0.csr"),
            "at a wave vector.*REAL_SPACE .TRUE.",
        ),
        (
            "water",
            lambda run: (run / "water-S_SPIN_1-1_1.csr").touch(),
            "several runs or steps",
        ),
        (
            "water",
            lambda run: (run / "water-S_SPIN_1-1_0.csr").unlink(),
            "expected S_SPIN_1",
        ),
        ("heh", without_down, "of 1 spins, and the log heh.out is of 2"),
        ("heh", at_home_alone, "at other translations"),
        ("water", rename("water.out", "water.dat"), "needs the log of the run"),
        ("water", rename("water.inp", "other.inp"), "the input file, is miss"),
        ("water", change("water.inp", "ABC 8.0", "ABC 8.1"), "the log water"),
        ("water", change("water.inp", "ABC", "A [nm]"), "other units"),
        (
            "water",
            change("water.out", "486000   1.0000", "486000   0.0000"),
            "ghost",
        ),
        (
            "water",
            change("water.out", "    ENERGY", "    GEO_OPT"),
            "GEO_OPT, which moves atoms",
        ),
        (
            "water",
            change("water.out", "  4d", "  4f"),
            "does not list the shells",
        ),
        ("water", cut_record, "cut short"),
        (
            "water",
            change("water-S_SPIN_1-1_0.csr", " 1       1 ", " 1      99 "),
            "from 1 to 99; expected 1 to 23",
        ),
        (
            "water",
            change("water-S_SPIN_1-1_0.csr", " 1       2 ", " 1       1 "),
            "lists an element twice",
        ),
        (
            "water",
            change("water-S_SPIN_1-1_0.csr", "0.10000000017641E+001", "nan"),
            "not finite",
        ),
    ],
    indirect=["run"],
)
def test_what_does_not_fit_is_said(run, damage, message):
    damage(run)
    with pytest.raises(ValueError, match=f"(?s){run.name}.*{message}"):
        read_cp2k(run)


@pytest.mark.parametrize("run", ["water"], indirect=True)
def test_cell_and_log_can_be_given(run):
    expected = read_cp2k(run)
    (run / "water.inp").unlink()
    (run / "water.out").rename(run / "printed")
    found = read_cp2k(run, log=run / "printed", cell=np.diag([8.0] * 3))
    np.testing.assert_array_equal(
        found.atoms.positions, expected.atoms.positions
    )
    assert found.hamiltonian == expected.hamiltonian


@pytest.mark.parametrize("run", ["water"], indirect=True)
def test_fermi_level_of_a_run_with_smearing(run):
    assert read_cp2k(run).fermi_level is None
    with open(run / "water.out", "a") as log:
        log.write("\n  Fermi energy:               -0.09561613585346\n")
    assert read_cp2k(run).fermi_level == pytest.approx(-2.60184737, abs=1e-8)
