"""Files that were read as another crystal than the program computed."""

import gzip
import pathlib
import warnings

import ase
import h5py
import numpy as np
import pytest
from small_crystals import crystal
from small_crystals import overlap_at

import keras_hamiltonian as kh
from data_tools.abacus import read_abacus
from data_tools.abacus import write_abacus
from data_tools.abacus_input import read_log
from data_tools.check.__main__ import run
from data_tools.convert import convert
from data_tools.formats import find_sources
from data_tools.formats import read_calculation
from data_tools.formats import write_calculation
from data_tools.images import images_of_overlap
from data_tools.labels import element_of_label
from data_tools.openmx import read_scfout
from data_tools.plausibility import check_plausible
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

DATA = pathlib.Path(__file__).parents[1] / "data"


def misfit(calculation):
    """Largest difference between S and exp(-d²/2)."""
    overlap = calculation.overlap
    vectors = calculation.edge_vectors(overlap.atom_pairs)
    expected = overlap_at(np.linalg.norm(vectors, axis=1))
    return np.abs(overlap.entries - expected).max()


# === The structure in the input ===


@pytest.mark.parametrize("moved", [-1.0, 1.0, 3.0])
@pytest.mark.parametrize("digits", [0.0, 1e-13, -1e-13])
def test_images_that_abacus_moved(moved, digits, tmp_path):
    """ABACUS computes in [0, 1); STRU keeps what the user wrote."""
    # The second atom is at a face, where digits decide.
    known = crystal(positions=[[1.1, 1, 1], [0.0, 1, 1]])
    write_abacus(tmp_path / "run", known, layout="old")
    path = tmp_path / "run" / "STRU"
    lines = path.read_text().splitlines()
    rows = [n for n, line in enumerate(lines) if line.endswith(" 0 0 0")]
    words = lines[rows[1]].split()
    words[0] = repr(float(words[0]) + moved + digits)
    lines[rows[1]] = " ".join(words)
    path.write_text("\n".join(lines) + "\n")
    found = read_abacus(tmp_path / "run")
    assert misfit(found) < 1e-6
    assert found.overlap == read_abacus(tmp_path / "run").overlap


def test_images_of_real_overlaps_stay(data_folder):
    for name in ("reference_graphene", "reference_mos2"):
        known = kh.HamiltonianStore(data_folder / f"{name}.h5")[0]
        assert not images_of_overlap(known.atoms, known.overlap).any()
        moved = known.atoms.copy()
        moved.positions[1] += moved.cell[0] - moved.cell[1]
        images = images_of_overlap(moved, known.overlap)
        np.testing.assert_array_equal(
            images - images[0], np.eye(len(moved))[:, 1:2] * [-1, 1, 0]
        )


def test_another_structure_is_refused():
    # Each pair fits some images, and the three together none.
    atoms = ase.Atoms("HHeLi", cell=(3, 15, 15), pbc=True)
    pairs = [(0, 0, 0, 0, 1), (1, 0, 0, 1, 2), (-1, 0, 0, 0, 2)]
    overlap = BlockMatrix(pairs, [(1, 1)] * 3, [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="does not fall with their distance"):
        images_of_overlap(atoms, overlap)


# === Folded matrices ===


def folded(calculation):
    """What a run with the Γ point alone writes."""
    matrices = {}
    for field in ("hamiltonian", "overlap"):
        sums, matrix = {}, getattr(calculation, field)
        for pair, block in zip(matrix.atom_pairs.tolist(), matrix.blocks()):
            place = (0, 0, 0, *pair[3:])
            sums[place] = sums.get(place, 0) + block
        matrices[field] = BlockMatrix.from_blocks(list(sums), [*sums.values()])
    return matrices


@pytest.mark.parametrize(
    "length, reason",
    [(2.2, "with itself is"), (6.0, "have nearer images")],
)
@pytest.mark.parametrize("format", ["container", "deeph-legacy", "npz"])
def test_matrices_of_all_cells(format, length, reason, tmp_path):
    positions = [[0.1, 1, 1], [length - 0.9, 1, 1]]
    whole = crystal(positions=positions, cell=(length, 15, 15), reach=3.0)
    check_plausible(whole)
    bad = crystal(positions=positions, cell=(length, 15, 15), **folded(whole))
    path = tmp_path / ("x.npz" if format == "npz" else "x.h5")
    write_calculation(path, bad, format)
    message = f"No neighbours.*{reason}.*Γ point alone"
    with pytest.raises(ValueError, match=message):
        read_calculation(path)
    found = run([str(path)])["structures"][0]["findings"]
    assert "added up" in found[0]["message"]


def test_a_molecule_in_a_box_is_not_folded():
    check_plausible(crystal(cell=(15, 15, 15), cells=(0, 0, 0)))


# === Zeros ===


@pytest.mark.parametrize("format", ["container", "deeph-dock", "abacus"])
def test_a_hamiltonian_of_zeros(format, tmp_path):
    known = crystal()
    zeros = known.hamiltonian.with_entries(np.zeros(len(known.hamiltonian)))
    path = tmp_path / "x.h5"
    write_calculation(path, crystal(hamiltonian=zeros), format)
    with pytest.raises(ValueError, match="zero throughout|lists 0 of 0 cells"):
        read_calculation(path)


def test_an_overlap_alone_is_fine(tmp_path):
    write_calculation(tmp_path / "x", crystal(hamiltonian=None), "deeph-legacy")
    assert read_calculation(tmp_path / "x").hamiltonian is None


# === Kinds of atoms ===


@pytest.mark.parametrize("label", ["C", "C1", "Fe_surface", "Si-2", "H.pbe"])
def test_labels_of_elements(label):
    assert label.startswith(element_of_label("x", label))


@pytest.mark.parametrize(
    "label", ["C_ghost", "Si-ghost", "Hollow", "Bulk", "C1_empty", "1", ""]
)
def test_labels_of_no_elements(label):
    with pytest.raises(ValueError, match="x has atoms labelled"):
        element_of_label("x", label)


@pytest.mark.parametrize(
    "second, message",
    [
        ("EC C6.0-s2p2d1 E", "'EC' is an empty atom"),
        ("Cb C5.0-s2p2d1 C_PBE19", "two kinds of orbitals or potentials"),
        ("Cb C6.0-s2p2d1 C_PBE19S", "two kinds of orbitals or potentials"),
        ("Cb C6.0-s2p2d1 C_PBE19", None),
    ],
)
def test_species_of_openmx(second, message, tmp_path):
    (tmp_path / "in.dat").write_text(
        "<Definition.of.Atomic.Species\n C  C6.0-s2p2d1 C_PBE19\n"
        f" {second}\nDefinition.of.Atomic.Species>\n"
        "<Atoms.SpeciesAndCoordinates\n 1 C 0 0 0 2 2\n"
        f" 2 {second.split()[0]} 0 0 0 2 2\nAtoms.SpeciesAndCoordinates>\n"
    )
    path, options = DATA / "graphene_prim.scfout.gz", {}
    options["output"] = tmp_path / "in.dat"
    if message is None:
        assert read_scfout(path, **options).atoms.get_chemical_formula() == "C2"
        return
    with pytest.raises(ValueError, match=message):
        read_scfout(path, **options)


@pytest.mark.parametrize("label", ["C", "C_ghost", "Hollow"])
def test_species_of_siesta(label, tmp_path):
    sisl = pytest.importorskip("sisl")

    def kind(tag):
        orbital = sisl.AtomicOrbital(n=2, l=0, m=0, zeta=1, R=3.0)
        return sisl.Atom("C", [orbital], tag=tag)

    lattice = sisl.Lattice([9, 9, 9], nsc=[1, 1, 1])
    geometry = sisl.Geometry(
        [[0, 0, 0], [1.4, 0, 0]], [kind("C"), kind(label)], lattice=lattice
    )
    hamiltonian = sisl.Hamiltonian(geometry, orthogonal=False)
    hamiltonian[0, 0] = hamiltonian[1, 1] = (-5, 1)
    hamiltonian[0, 1] = hamiltonian[1, 0] = (-2, 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hamiltonian.write(tmp_path / "x.HSX")
    if label == "C":
        assert str(read_calculation(tmp_path / "x.HSX").atoms.symbols) == "C2"
        return
    with pytest.raises(ValueError, match=f"labelled '{label}'"):
        read_calculation(tmp_path / "x.HSX")


def test_two_bases_in_one_set(data_folder, tmp_path):
    """The second s function is mixed with the first: bands stay, S does not."""
    store = kh.HamiltonianStore(data_folder / "graphene.h5")
    first, second = store["050"], store["051"]
    mixed = second.overlap.find((0, 0, 0, 0, 0))[0, 1]
    turn = np.eye(13)
    turn[1, :2] = np.array([0.9, 1]) / np.sqrt(1.81 + 1.8 * mixed)

    def turned(matrix):
        return BlockMatrix.from_blocks(
            matrix.atom_pairs, [turn @ b @ turn.T for b in matrix.blocks()]
        )

    for change in (lambda x: x, turned):
        other = kh.data.Calculation(
            second.atoms,
            second.basis,
            hamiltonian=change(second.hamiltonian),
            overlap=change(second.overlap),
            name="051",
        )
        path = tmp_path / "set.h5"
        kh.HamiltonianStore.write(path, [first, other]).close()
        findings = run([str(path)])["structures"][1]["findings"]
        checks = [f["check"] for f in findings]
        assert ("bases" in checks) == (change is turned)
        # A training begins with this fit.
        if change is turned:
            with pytest.raises(ValueError, match="One element needs one basis"):
                kh.physics.TwoCentreOverlap.fit([first, other])


# === Dialects ===


def test_true_of_intels_compiler(tmp_path):
    pytest.importorskip("sisl")
    path = tmp_path / "x.HSX"
    write_calculation(path, crystal(), "siesta")
    expected = read_calculation(path)
    raw = bytearray(path.read_bytes())
    assert raw[16:20] == b"\1\0\0\0"
    raw[16:20] = b"\xff" * 4
    path.write_bytes(raw)
    found = read_calculation(path)
    assert found.hamiltonian == expected.hamiltonian and found.name == "x"


@pytest.mark.parametrize(
    "words",
    [
        "AUTOSET number of electrons:  = 16",
        "Autoset the number of electrons = 16",
        "nelec now = 16",
    ],
)
def test_electrons_of_abacus(words):
    assert read_log(f"  {words}\n EFERMI = 12.5 eV\n") == (12.5, 16.0)


@pytest.mark.parametrize("below, level", [(4.5, 4.5), (4.2, None)])
def test_fermi_levels_of_two_spins(below, level):
    """One level, or a fixed moment, for which there are two."""
    lines = f"E_Fermi_up 0.33 4.5\n E_Fermi_dw 0.33 {below}\n"
    assert read_log(lines) == (level, None)


def test_complex_blocks_without_spin(tmp_path):
    write_calculation(tmp_path / "x", crystal(), "deeph-legacy")
    with h5py.File(tmp_path / "x" / "hamiltonians.h5", "a") as root:
        for key in list(root):
            block = root[key][()]
            del root[key]
            root[key] = block * (1 + 1j)
    with pytest.raises(ValueError, match="complex and have no spin"):
        read_calculation(tmp_path / "x")


def test_single_precision_is_no_error_of_geometry(data_folder, tmp_path):
    known = kh.HamiltonianStore(data_folder / "graphene.h5")["050"]
    single = {
        field: getattr(known, field).with_entries(
            getattr(known, field).entries.astype("f4")
        )
        for field in ("hamiltonian", "overlap")
    }
    rounded = kh.data.Calculation(known.atoms, known.basis, **single)
    write_calculation(tmp_path / "x", rounded, "deeph-legacy")
    assert run([str(tmp_path / "x")])["num_errors"] == 0


def test_gzip_is_still_read():
    path = DATA / "graphene_prim.scfout.gz"
    assert gzip.decompress(path.read_bytes())[:4] == b"\2\0\0\0"
    assert len(read_scfout(path).atoms) == 2


# === What is passed over ===


def test_steps_in_the_names_of_files(tmp_path):
    write_abacus(tmp_path / "runs" / "a", crystal(), layout="new")
    write_abacus(tmp_path / "runs" / "b", crystal(), layout="new")
    output = tmp_path / "runs" / "b" / "OUT.ABACUS"
    for name in ("hrs1", "srs1"):
        file = output / f"{name}_nao.csr"
        file.rename(output / f"{name}g1_nao.csr")
    expected = read_calculation(tmp_path / "runs" / "a")
    found = read_calculation(tmp_path / "runs" / "b")
    assert found.hamiltonian == expected.hamiltonian
    for name in ("hrs1", "srs1"):
        copied = (output / f"{name}g1_nao.csr").read_bytes()
        (output / f"{name}g2_nao.csr").write_bytes(copied)
    with pytest.raises(ValueError, match="2 ionic steps"):
        read_abacus(tmp_path / "runs" / "b")


def test_steps_in_a_folder_of_matrices(tmp_path):
    write_abacus(tmp_path, crystal(), layout="old")
    expected = read_calculation(tmp_path).hamiltonian
    output = tmp_path / "OUT.ABACUS"
    (output / "matrix").mkdir()
    for file in output.glob("data-*"):
        file.rename(output / "matrix" / f"0_{file.name}")
    assert read_calculation(tmp_path).hamiltonian == expected


def test_what_is_passed_over_is_named(tmp_path):
    runs = tmp_path / "runs"
    write_abacus(runs / "a", crystal(), layout="new")
    write_abacus(runs / "b", crystal(), layout="new")
    (runs / "b" / "OUT.ABACUS" / "srs1_nao.csr").rename(runs / "b" / "S")
    (runs / "b" / "OUT.ABACUS" / "hrs1_nao.csr").rename(runs / "b" / "H")
    (runs / "x.TSHS").write_text("")
    write_calculation(runs / "damaged.npz", crystal(), "npz")
    data = bytearray((runs / "damaged.npz").read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    (runs / "damaged.npz").write_bytes(data)
    (runs / "notes.txt").write_text("no calculation")
    with pytest.warns(UserWarning, match="passed over") as warned:
        assert [s.name for s in find_sources(runs)] == ["a"]
    message = str(warned[0].message)
    for words in ("3 places", "b/OUT.ABACUS", "x.TSHS", "damaged.npz"):
        assert words in message
    assert "notes" not in message
    with pytest.raises(ValueError, match="x.TSHS"):
        find_sources(runs, strict=True)
    with pytest.raises(ValueError, match="x.TSHS .of SIESTA only the HSX"):
        find_sources(runs / "x.TSHS")
    with pytest.raises(ValueError, match="x.TSHS"):
        convert(runs, tmp_path / "set.h5", strict=True)
    assert not (tmp_path / "set.h5").exists()
