import dataclasses
import json
import pathlib

import numpy as np
import pytest

from data_tools.check import examine
from data_tools.check.__main__ import main
from data_tools.check.finding import Finding
from data_tools.deeph import write_legacy
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.splits import Split
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.orbitals.orders import to_package_order

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
MATERIALS = {
    "graphene": ("graphene.h5", "050"),
    "mos2": ("mos2.h5", "018"),
    "ideal graphene": ("reference_graphene.h5", "000"),
    "ideal mos2": ("reference_mos2.h5", "000"),
    "bismuthene": ("bismuthene.h5", "008"),
}
_loaded = {}


def load(material):
    if material not in _loaded:
        file, name = MATERIALS[material]
        _loaded[material] = HamiltonianStore(DATA / file)[name]
    calculation = _loaded[material]
    return dataclasses.replace(calculation, atoms=calculation.atoms.copy())


def moved(calculation, positions=None, cell=None):
    atoms = calculation.atoms.copy()
    if cell is not None:
        atoms.set_cell(cell)
    if positions is not None:
        atoms.positions[:] = positions
    return dataclasses.replace(calculation, atoms=atoms)


def mapped(matrix, change):
    """The matrix with every block changed by a function."""
    blocks = [change(block) for block in matrix.blocks()]
    return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)


def changed(calculation, change, fields=("hamiltonian",)):
    return dataclasses.replace(
        calculation,
        **{f: mapped(getattr(calculation, f), change) for f in fields},
    )


def all_in_bohr(c):
    return moved(
        c, c.atoms.positions / BOHR_IN_ANGSTROM, c.atoms.cell / BOHR_IN_ANGSTROM
    )


def converted_from_bohr_twice(c):
    return moved(
        c, c.atoms.positions * BOHR_IN_ANGSTROM, c.atoms.cell * BOHR_IN_ANGSTROM
    )


def lattice_in_bohr(c):
    return moved(c, cell=c.atoms.cell / BOHR_IN_ANGSTROM)


def lattice_transposed(c):
    return moved(c, cell=np.asarray(c.atoms.cell).T)


def positions_transposed(c):
    return moved(c, c.atoms.positions.T.reshape(-1, 3))


def positions_fractional(c):
    return moved(c, c.atoms.get_scaled_positions(wrap=False))


def atom_left_the_cell(c):
    positions = c.atoms.positions.copy()
    positions[0] += np.asarray(c.atoms.cell)[0]
    return moved(c, positions)


def two_atoms_collide(c):
    positions = c.atoms.positions.copy()
    positions[0] = positions[1] + 0.4
    return moved(dataclasses.replace(c, overlap=None), positions)


def lattice_shifts_reversed(c):
    def reverse(matrix):
        pairs = matrix.atom_pairs * [-1, -1, -1, 1, 1]
        return BlockMatrix(pairs, matrix.shapes, matrix.entries)

    return dataclasses.replace(
        c, hamiltonian=reverse(c.hamiltonian), overlap=reverse(c.overlap)
    )


def not_a_number(c):
    entries = c.hamiltonian.entries.copy()
    entries[1234] = np.nan
    matrix = BlockMatrix(
        c.hamiltonian.atom_pairs, c.hamiltonian.shapes, entries
    )
    return dataclasses.replace(c, hamiltonian=matrix)


def not_hermitian(c):
    entries = c.hamiltonian.entries.copy()
    entries[1] += 1e-3
    matrix = BlockMatrix(
        c.hamiltonian.atom_pairs, c.hamiltonian.shapes, entries
    )
    return dataclasses.replace(c, hamiltonian=matrix)


def half_of_hamiltonian(c):
    keep = np.arange(len(c.hamiltonian)) <= c.hamiltonian.reverse_positions()
    return dataclasses.replace(c, hamiltonian=c.hamiltonian.select(keep))


def shorter(matrix, c):
    lengths = np.linalg.norm(c.edge_vectors(matrix.atom_pairs), axis=1)
    return matrix.select(lengths < lengths.max() - 0.5)


def shorter_overlap(c):
    return dataclasses.replace(c, overlap=shorter(c.overlap, c))


def shorter_hamiltonian(c):
    return dataclasses.replace(c, hamiltonian=shorter(c.hamiltonian, c))


def overlap_too_large(c):
    offsite = c.overlap.atom_pairs[:, :3].any(axis=1)
    entries = c.overlap.entries * np.where(
        np.repeat(offsite, c.overlap.shapes.prod(axis=1)), 3.0, 1.0
    )
    matrix = BlockMatrix(c.overlap.atom_pairs, c.overlap.shapes, entries)
    return dataclasses.replace(c, overlap=matrix)


def overlap_not_normalised(c):
    return changed(c, lambda block: 1.5 * block, ["overlap"])


def reordered(c, reorder, program):
    return dataclasses.replace(
        c,
        **{
            field: reorder(getattr(c, field), program, c.basis, c.atoms.numbers)
            for field in ("hamiltonian", "overlap")
        },
    )


def order_of_openmx(c):
    return reordered(c, from_package_order, "openmx")


def order_of_openmx_converted_twice(c):
    return reordered(c, to_package_order, "openmx")


def order_of_abacus(c):
    return reordered(c, from_package_order, "abacus")


def signs_of_siesta(c):
    return reordered(c, from_package_order, "siesta")


def p_in_order_zxy(c):
    def reorder(block):
        order = np.arange(block.shape[0])
        # 2s 2p 1d: two p shells from 2 and 5; (y, z, x) becomes (z, x, y).
        for start in (2, 5):
            order[start : start + 3] = start + np.array([1, 2, 0])
        return block[np.ix_(order, order)]

    return changed(c, reorder, ["hamiltonian", "overlap"])


def spin_interleaved(c):
    def reorder(block):
        rows, columns = (
            np.arange(n).reshape(2, -1).T.ravel() for n in block.shape
        )
        return block[np.ix_(rows, columns)]

    return changed(c, reorder)


def magnetic(c):
    def split(block):
        block = block.copy()
        rows, columns = block.shape[0] // 2, block.shape[1] // 2
        block[:rows, :columns] *= 1.1
        return block

    return changed(c, split)


def complex_conjugated(c):
    return changed(c, np.conj)


def exchanged(c, rows, columns):
    def exchange(block):
        n, m = block.shape[0] // 2, block.shape[1] // 2
        quadrants = block.reshape(2, n, 2, m).transpose(0, 2, 1, 3)
        quadrants = quadrants[rows, columns]
        return quadrants.transpose(0, 2, 1, 3).reshape(2 * n, 2 * m)

    return changed(c, exchange)


def spins_exchanged(c):
    return exchanged(c, [[1, 1], [0, 0]], [[1, 0], [1, 0]])


def ud_and_du_exchanged(c):
    return exchanged(c, [[0, 1], [0, 1]], [[0, 0], [1, 1]])


def complex_without_spin(c):
    return changed(c, lambda block: block + 1e-3j)


def collinear_but_interleaved(c):
    def double(block):
        n, m = block.shape
        spinful = np.zeros((n, 2, m, 2))
        spinful[:, 0, :, 0] = spinful[:, 1, :, 1] = block
        return spinful.reshape(2 * n, 2 * m)

    return dataclasses.replace(
        c,
        spin="collinear",
        hamiltonian=mapped(c.hamiltonian, double),
        initial_hamiltonian=mapped(c.initial_hamiltonian, double),
    )


def equal_to_initial(c):
    return dataclasses.replace(c, initial_hamiltonian=c.hamiltonian)


def initial_of_a_converged_run(c):
    rng = np.random.default_rng(0)

    def repeat(block):
        return block + rng.normal(scale=1e-7, size=block.shape)

    initial = mapped(c.hamiltonian, repeat)
    return dataclasses.replace(c, initial_hamiltonian=initial)


def initial_in_hartree(c):
    return changed(
        c, lambda block: block / HARTREE_IN_EV, ["initial_hamiltonian"]
    )


def initial_in_openmx_order(c):
    initial = from_package_order(
        c.initial_hamiltonian, "openmx", c.basis, c.atoms.numbers
    )
    return dataclasses.replace(c, initial_hamiltonian=initial)


def initial_of_another_structure(c):
    path = DATA / f"{MATERIALS['bismuthene'][0]}"
    other = HamiltonianStore(path)["000"]
    return dataclasses.replace(c, initial_hamiltonian=other.initial_hamiltonian)


def shorter_initial(c):
    initial = shorter(c.initial_hamiltonian, c)
    return dataclasses.replace(c, initial_hamiltonian=initial)


def initial_without_coupling(c):
    """H⁰ of a run without spin-orbit coupling: real, ud = du = 0."""

    def decouple(block):
        rows, columns = block.shape[0] // 2, block.shape[1] // 2
        block = block.real.astype(complex)
        block[:rows, columns:] = block[rows:, :columns] = 0
        return block

    return changed(c, decouple, ["initial_hamiltonian"])


def equal_to_overlap(c):
    return dataclasses.replace(c, hamiltonian=c.overlap)


def in_hartree(c):
    return changed(c, lambda block: block / HARTREE_IN_EV)


def in_rydberg(c):
    return changed(c, lambda block: 2 * block / HARTREE_IN_EV)


def converted_to_ev_twice(c):
    fermi = c.fermi_level * HARTREE_IN_EV
    scaled = changed(c, lambda block: block * HARTREE_IN_EV)
    return dataclasses.replace(scaled, fermi_level=fermi)


def fermi_level_far_below(c):
    return dataclasses.replace(c, fermi_level=c.fermi_level * HARTREE_IN_EV)


def fermi_level_of_another_run(c):
    return dataclasses.replace(c, fermi_level=c.fermi_level + 12.0)


FAULTS = [
    ("graphene", all_in_bohr, "bond_lengths", "bohr where Å"),
    ("mos2", all_in_bohr, "bond_lengths", "bohr where Å"),
    ("bismuthene", all_in_bohr, "bond_lengths", "bohr where Å"),
    ("graphene", converted_from_bohr_twice, "bond_lengths", "twice"),
    ("graphene", two_atoms_collide, "bond_lengths", "Atom 0"),
    ("graphene", lattice_in_bohr, "geometry", "lattice converted from bohr"),
    ("graphene", lattice_transposed, "geometry", "with the lattice transposed"),
    ("ideal graphene", lattice_transposed, "geometry", "lattice transposed"),
    ("bismuthene", lattice_transposed, "geometry", "lattice transposed"),
    ("mos2", positions_transposed, "geometry", "positions transposed"),
    ("graphene", positions_fractional, "geometry", "taken as fractional"),
    ("graphene", atom_left_the_cell, "geometry", "moved into the cell"),
    ("bismuthene", lattice_shifts_reversed, "geometry", "shifts R reversed"),
    ("graphene", not_a_number, "finite", "1 numbers of H"),
    ("graphene", not_hermitian, "hermitian", "1.0e-03 eV"),
    ("graphene", half_of_hamiltonian, "hermitian", "lack the partner"),
    ("graphene", shorter_overlap, "pairs", "in H but not in S"),
    ("graphene", shorter_hamiltonian, "pairs", "in S but not in H"),
    ("graphene", overlap_too_large, "overlap", "not positive"),
    ("graphene", overlap_not_normalised, "overlap", "not 1"),
    ("graphene", order_of_openmx, "orbital_order", "openmx, not converted"),
    ("ideal mos2", order_of_openmx, "orbital_order", "openmx, not converted"),
    ("bismuthene", order_of_openmx, "orbital_order", "openmx, not converted"),
    (
        "mos2",
        order_of_openmx_converted_twice,
        "orbital_order",
        "openmx, converted twice",
    ),
    ("mos2", order_of_abacus, "orbital_order", "abacus"),
    ("graphene", signs_of_siesta, "orbital_order", "siesta"),
    ("graphene", p_in_order_zxy, "orbital_order", "p orbitals"),
    ("bismuthene", spin_interleaved, "spin_layout", "interleaved"),
    ("bismuthene", magnetic, "time_reversal", "magnetic"),
    ("bismuthene", complex_conjugated, "spin_orbit", "complex conjugated"),
    ("bismuthene", spins_exchanged, "spin_orbit", "up and down are exch"),
    ("bismuthene", ud_and_du_exchanged, "spin_orbit", "ud and du are exch"),
    ("graphene", complex_without_spin, "spin_layout", "must be real"),
    ("graphene", collinear_but_interleaved, "spin_layout", "interleaved"),
    ("graphene", equal_to_initial, "baseline", "equal to H⁰"),
    ("graphene", equal_to_overlap, "baseline", "equal to S"),
    ("graphene", initial_of_a_converged_run, "initial", "µeV only"),
    ("graphene", initial_in_hartree, "initial", "is plausible"),
    ("mos2", initial_in_openmx_order, "initial", "is plausible"),
    ("bismuthene", initial_of_another_structure, "initial", "is plausible"),
    ("ideal mos2", shorter_initial, "initial_pairs", "in H but not in H⁰"),
    (
        "bismuthene",
        initial_without_coupling,
        "initial_spin_orbit",
        "differ by up to",
    ),
    ("graphene", in_hartree, "energy_unit", "hartree"),
    ("mos2", in_hartree, "energy_unit", "hartree"),
    ("bismuthene", in_hartree, "energy_unit", "hartree"),
    ("graphene", in_rydberg, "energy_unit", "rydberg"),
    ("graphene", converted_to_ev_twice, "energy_unit", "twice"),
    ("bismuthene", converted_to_ev_twice, "energy_unit", "twice"),
    ("graphene", fermi_level_far_below, "fermi_level", "converted to eV twice"),
    ("graphene", fermi_level_of_another_run, "fermi_level", "72.0"),
]


@pytest.mark.parametrize("material", MATERIALS)
def test_clean_structure_yields_nothing(material):
    assert examine(load(material)) == []


@pytest.mark.parametrize("material, fault, check, words", FAULTS)
def test_seeded_fault_is_found(material, fault, check, words):
    findings = examine(fault(load(material)), "set.h5")
    found = [f for f in findings if f.check == check]
    assert found, [f.check for f in findings]
    assert any(words in f.message for f in found), [f.message for f in found]
    assert all(f.file == "set.h5" and f.remedy for f in findings)


def test_coupling_of_a_magnetic_crystal_is_a_note():
    for fault, severity in (
        (magnetic, "note"),
        (initial_without_coupling, "warning"),
    ):
        found = examine(fault(load("bismuthene")))
        (finding,) = [f for f in found if f.check == "initial_spin_orbit"]
        assert finding.severity == severity


def test_initial_hamiltonian_of_a_set(tmp_path, capsys):
    """Missing in some structures, or with a zero of energy of its own."""
    store = HamiltonianStore(DATA / "bismuthene.h5")
    calculations = [store[k] for k in range(4)]
    path = tmp_path / "set.h5"
    HamiltonianStore.write(path, calculations)
    assert main([str(path)]) == 0
    words = capsys.readouterr().out
    assert "H⁰ in 4 of 4; mean |H - H⁰ - μS| 1.0 meV, μ 0.192" in words
    assert "WARNING" not in words
    overlap = calculations[1].overlap
    shifts = [
        np.kron(np.eye(2), overlap.find(pair)).ravel()
        for pair in calculations[1].initial_hamiltonian.index
    ]
    initial = calculations[1].initial_hamiltonian
    initial = initial.with_entries(initial.entries + np.concatenate(shifts))
    calculations[1] = dataclasses.replace(
        calculations[1], initial_hamiltonian=initial
    )
    calculations[2] = dataclasses.replace(
        calculations[2], initial_hamiltonian=None
    )
    HamiltonianStore.write(path, calculations)
    assert main([str(path)]) == 0
    words = capsys.readouterr().out
    assert "structure 002: initial_missing" in words
    assert "3 of 4 structures" in words
    assert "structure 001: initial_zero" in words
    assert words.count("WARNING") == 2
    without = [
        dataclasses.replace(c, initial_hamiltonian=None) for c in calculations
    ]
    HamiltonianStore.write(path, without)
    assert main([str(path)]) == 0
    assert "H⁰" not in capsys.readouterr().out


def test_structure_without_overlap_is_examined():
    calculation = dataclasses.replace(load("bismuthene"), overlap=None)
    assert examine(calculation) == []
    assert examine(complex_conjugated(calculation)) != []


def rotated_and_renumbered(calculation):
    """The same crystal, rotated and moved, its atoms in another order."""
    atoms = calculation.atoms.copy()
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    atoms.translate([0.3, 0.1, -0.2])
    return dataclasses.replace(
        calculation,
        atoms=atoms[::-1],
        hamiltonian=None,
        overlap=None,
        name="copy",
    )


def two_alike(path):
    store = HamiltonianStore(DATA / "bismuthene.h5")
    first, second = store[0], store[1]
    copy = rotated_and_renumbered(first)
    return HamiltonianStore.write(path, [first, second, copy])


def test_duplicates_are_found(tmp_path, capsys):
    path = two_alike(tmp_path / "set.h5").path
    assert main([str(path)]) == 0
    assert "same crystal as copy" in capsys.readouterr().out
    Split(["000"], ["001"], ["copy"]).write(tmp_path / "set.split.json")
    assert main([str(path)]) == 1
    assert "in train and test" in capsys.readouterr().out


def test_split_on_the_command_line_counts(tmp_path, capsys):
    path = two_alike(tmp_path / "set.h5").path
    split = tmp_path / "dataset_split.json"
    split.write_text('{"train": ["000", "copy"], "test": ["001"]}')
    assert main([str(path), "--split", str(split)]) == 0
    split.write_text('{"train": ["copy"], "test": ["000"]}')
    assert main([str(path), "--split", str(split)]) == 1


def test_command_on_container(tmp_path, capsys):
    report = tmp_path / "report.json"
    path = str(DATA / "reference_graphene.h5")
    assert main([path, "--json", str(report)]) == 0
    content = json.loads(report.read_text())
    assert content["num_errors"] == 0
    assert content["structures"][0]["name"] == "000"
    assert "1 clean, 0 errors, 0 warnings" in capsys.readouterr().out


def test_cells_in_which_images_move_together(tmp_path, capsys):
    """A cell longer than the reach of two orbitals hides nothing."""
    report = tmp_path / "report.json"
    HamiltonianStore.write(tmp_path / "small.h5", [load("graphene")])
    assert main([str(tmp_path / "small.h5"), "--json", str(report)]) == 0
    assert "images of an atom, 7.4 Å apart" in capsys.readouterr().out
    (cells,) = json.loads(report.read_text())["cells"]
    assert (cells["num_separated"], cells["num_influences"]) == (9, 19)
    assert main([str(DATA / "bilayer_graphene_twisted.h5")]) == 0
    assert "images" not in capsys.readouterr().out


def test_command_on_folders(tmp_path, capsys):
    good = load("ideal graphene")
    bad = order_of_openmx(dataclasses.replace(good, name="bad"))
    for calculation in (good, bad):
        write_legacy(tmp_path / "set" / calculation.name, calculation)
    report = tmp_path / "report.json"
    assert main([str(tmp_path / "set"), "--json", str(report)]) == 1
    (finding,) = [
        f
        for s in json.loads(report.read_text())["structures"]
        for f in s["findings"]
        if f["check"] == "orbital_order" and "p orbitals" in f["message"]
    ]
    assert finding["file"] == str(tmp_path / "set" / "bad")
    assert finding["structure"] == "bad"
    assert finding["severity"] == "error"
    assert main([str(tmp_path / "set" / "000")]) == 0


def test_command_on_scfout():
    folder = pathlib.Path(__file__).parents[1] / "data"
    assert main([str(folder / "graphene_prim.scfout.gz")]) == 0


def test_unreadable_structure_is_an_error(tmp_path, capsys):
    folder = tmp_path / "set"
    write_legacy(folder / "000", load("ideal graphene"))
    (folder / "001").mkdir()
    (folder / "001" / "element.dat").write_text("6\n")
    assert main([str(folder)]) == 1
    assert f"{folder / '001'}" in capsys.readouterr().out
    assert main([str(folder / "001")]) == 2


def test_unusable_input_is_told_apart(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "nothing that can be read" in capsys.readouterr().err


def test_unknown_severity_is_refused():
    with pytest.raises(ValueError, match="'fatal'"):
        Finding("bond_lengths", "fatal", "", "")
