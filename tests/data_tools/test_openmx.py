"""The raw fixtures are described in tests/data/README.md."""

import gzip

import numpy as np
import pytest
import scfout_writer as made
import scipy.linalg
from printed_bands import DATA
from printed_bands import NAMES
from printed_bands import printed_bands

from data_tools.openmx import read_scfout
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV

# OpenMX's s and p order to m = -1, 0, 1: p is (x, y, z) there.
TO_M = {4: [0, 2, 3, 1], 3: [1, 2, 0]}


@pytest.fixture(scope="module", params=NAMES)
def calculation(request):
    return read_scfout(DATA / f"{request.param}.scfout.gz")


@pytest.fixture
def write(tmp_path):
    def write_file(data, name="made.scfout"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write_file


def bloch_sum(calculation, matrix, k_point, is_spinful):
    """`Σ_R exp(2πi k·R) M(R)`, the spin of each atom beside the atom."""
    sizes = calculation.num_orbitals * (1 + calculation.is_spinful)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    result = np.zeros((starts[-1], starts[-1]), complex)
    for (*shift, i, j), block in zip(matrix.atom_pairs, matrix.blocks()):
        if calculation.is_spinful and not is_spinful:
            block = np.kron(np.eye(2), block)
        phase = np.exp(2j * np.pi * np.dot(k_point, shift))
        rows = slice(starts[i], starts[i + 1])
        result[rows, starts[j] : starts[j + 1]] += phase * block
    return result


def test_bands_that_openmx_printed(calculation):
    fermi_level, k_points, expected = printed_bands(calculation.name)
    assert calculation.fermi_level == pytest.approx(
        fermi_level * HARTREE_IN_EV, abs=1e-10
    )
    for k_point, energies in list(zip(k_points, expected))[::3]:
        hamiltonian = bloch_sum(
            calculation, calculation.hamiltonian, k_point, True
        )
        overlap = bloch_sum(calculation, calculation.overlap, k_point, False)
        found = scipy.linalg.eigh(hamiltonian, overlap, eigvals_only=True)
        np.testing.assert_allclose(
            found[: len(energies)] / HARTREE_IN_EV, energies, rtol=0, atol=2e-9
        )


def test_matrices_are_hermitian(calculation):
    assert calculation.hamiltonian.hermitian_error() < 2e-8
    assert calculation.overlap.hermitian_error() < 1e-9
    assert (calculation.hamiltonian.reverse_positions() >= 0).all()


def test_structure(calculation):
    symbol, side, electrons, spin, shells = {
        "graphene_prim": ("C", 2.46, 8, "none", "2s 2p 1d"),
        "bismuthene_prim_soc": ("Bi", 4.35, 30, "noncollinear", "3s 2p 2d"),
    }[calculation.name]
    assert list(calculation.atoms.symbols) == [symbol] * 2
    assert calculation.basis.to_dict() == {symbol: shells}
    assert calculation.spin == spin
    assert calculation.num_electrons == pytest.approx(electrons)
    cell = calculation.atoms.cell.cellpar()
    np.testing.assert_allclose(cell[[0, 1, 5]], [side, side, 120])
    np.testing.assert_allclose(
        calculation.atoms.get_scaled_positions()[:, :2],
        [[1 / 3, 2 / 3], [2 / 3, 1 / 3]],
        atol=1e-9,
    )
    pairs = calculation.hamiltonian.atom_pairs
    lengths = np.linalg.norm(calculation.edge_vectors(pairs), axis=1)
    radius = {"C": 6.0, "Bi": 8.0}[symbol] * BOHR_IN_ANGSTROM
    assert lengths.max() < 2 * radius


def test_overlap_follows_the_harmonics_of_the_edge(calculation):
    """Order, sign and edge direction: S_sp and S_sd go as Y_1m and Y_2m."""
    pairs = calculation.overlap.atom_pairs
    vectors = calculation.edge_vectors(pairs)
    degrees = calculation.basis.shells[calculation.atoms.symbols[0]]
    starts = np.cumsum([0] + [2 * l + 1 for l in degrees])
    # Near neighbours only: overlaps of long edges are small.
    p, d = (starts[degrees.index(l)] for l in (1, 2))
    for vector, block in zip(vectors, calculation.overlap.blocks()):
        length = np.linalg.norm(vector)
        if not 0.1 < length < 3.5:
            continue
        x, y, z = vector / length
        for harmonics, start in (
            ([y, z, x], p),
            (
                [
                    x * y,
                    y * z,
                    (3 * z**2 - 1) / np.sqrt(12),
                    x * z,
                    (x**2 - y**2) / 2,
                ],
                d,
            ),
        ):
            harmonics = np.array(harmonics) / np.linalg.norm(harmonics)
            row = block[0, start : start + len(harmonics)]
            strength = row @ harmonics
            assert abs(strength) > 1e-3
            np.testing.assert_allclose(row, strength * harmonics, atol=1e-7)
            # `<s at i | p at j>` is negative for a p that points away.
            if start == p:
                assert strength < 0


@pytest.mark.parametrize("spin", [0, 1, 3])
def test_every_spin_switch(write, spin):
    found = read_scfout(write(made.scfout_bytes(spin)))
    parts = [made.random_matrix(k)[0] for k in range(spin + 5)]
    factor = 1 if spin == 0 else 2
    for k, pair in enumerate(made.PAIRS):
        real = [part[k] for part in parts]
        if spin == 0:
            expected = real[0]
        elif spin == 1:
            expected = np.kron([[1, 0], [0, 0]], real[0])
            expected += np.kron([[0, 0], [0, 1]], real[1])
        else:
            partner = [part[[0, 3, 2, 1][k]] for part in parts]
            mixed = real[2] + 1j * (real[3] + real[6])
            reverse = partner[2].T - 1j * (partner[3] + partner[6]).T
            expected = np.block(
                [
                    [real[0] + 1j * real[4], mixed],
                    [reverse, real[1] + 1j * real[5]],
                ]
            )
        rows, columns = (
            np.concatenate([np.array(TO_M[n]) + s * n for s in range(factor)])
            for n in (made.SIZES[pair[3]], made.SIZES[pair[4]])
        )
        np.testing.assert_allclose(
            found.hamiltonian.find(pair),
            expected[np.ix_(rows, columns)] * HARTREE_IN_EV,
            rtol=1e-14,
        )
    number = 7 if spin == 3 else spin + 1
    overlap = made.random_matrix(number)[0][1]
    np.testing.assert_array_equal(
        found.overlap.find(made.PAIRS[1]), overlap[np.ix_(TO_M[4], TO_M[3])]
    )
    assert found.spin == {0: "none", 1: "collinear", 3: "noncollinear"}[spin]
    assert np.iscomplexobj(found.hamiltonian.entries) == (spin == 3)
    assert found.fermi_level == -0.25 * HARTREE_IN_EV
    assert found.num_electrons == 7


def test_positions_stay_where_openmx_put_them(write):
    found = read_scfout(write(made.scfout_bytes()))
    np.testing.assert_allclose(
        found.atoms.positions, made.POSITIONS * BOHR_IN_ANGSTROM
    )
    np.testing.assert_allclose(
        found.atoms.cell, made.LATTICE * BOHR_IN_ANGSTROM
    )
    assert list(found.atoms.symbols) == ["C", "H"]
    assert found.basis.to_dict() == {"C": "1s 1p", "H": "1p"}


@pytest.mark.parametrize("place", ["appended", "beside", "argument"])
def test_species_from_the_output_file(write, place):
    data = made.scfout_bytes(text="")
    with pytest.raises(ValueError, match="no input text.*as `output`"):
        read_scfout(write(data))
    output = None
    if place == "appended":
        data += made.INPUT.encode()
    elif place == "beside":
        write(made.INPUT.encode(), "made.out")
    else:
        output = write(made.INPUT.encode(), "elsewhere.txt")
    assert read_scfout(write(data), output).basis.symbols == ("C", "H")


def test_contracted_orbitals(write):
    text = made.INPUT.replace("s1p1", "s3>1p4>1")
    found = read_scfout(write(made.scfout_bytes(text=text)))
    assert found.basis.to_dict() == {"C": "1s 1p", "H": "1p"}


@pytest.mark.parametrize("version", [0, 1, 2, 4])
def test_other_versions_are_refused_by_name(write, version):
    name = {0: "3.7, 3.8 or older", 4: "newer than 4.0"}.get(version, "3.7.x")
    with pytest.raises(ValueError, match=f"format {version}.*{name}.*3.9"):
        read_scfout(write(made.scfout_bytes(version=version)))


def test_version_in_a_patched_fixture(write):
    data = bytearray(
        gzip.decompress((DATA / f"{NAMES[0]}.scfout.gz").read_bytes())
    )
    assert data[4] == 12
    data[4] = 0
    with pytest.raises(ValueError, match="scfout format 0.*with OpenMX 3.9"):
        read_scfout(write(bytes(data)))


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "ends before the header.*0 of 28 bytes"),
        (b"# just some text, not a binary file", "no OpenMX scfout file"),
        (made.scfout_bytes(order=">"), "big-endian.*little-endian"),
        (made.scfout_bytes(spin=2), "spin switch 2; expected 0"),
        (made.scfout_bytes(leads=(4, 3)), "transport.*4 and 3 atoms"),
        (
            made.scfout_bytes(neighbors=[[(1, 0), (5, 2)], [(2, 0), (1, 1)]]),
            "neighbours from 0 to 4; expected 0 to 1",
        ),
        (
            made.scfout_bytes(
                3, neighbors=[[(1, 0), (2, 2)], [(2, 0), (1, 0)]]
            ),
            "2 of 4 pairs lack the partner",
        ),
        (
            made.scfout_bytes(text=made.INPUT.replace("1 C1", "1 N1")),
            "species C1, H, but an atom is of 'N1'",
        ),
        (
            made.scfout_bytes(text=made.INPUT.replace("H5.0-p1", "C5.0-p1")),
            r"two kinds of orbitals.*one basis",
        ),
        (
            made.scfout_bytes(text=made.INPUT.replace("H5.0-p1", "E5.0-p1")),
            "'E5.0-p1'.*Empty atoms are not supported",
        ),
        (
            made.scfout_bytes(text=made.INPUT.replace("H5.0-p1", "H5.0-d1")),
            "3 orbitals for an atom whose orbitals are 'H5.0-d1'",
        ),
        (
            made.scfout_bytes(text=made.INPUT.replace("  2 H", "# 2 H")),
            "lists 1 atoms; the file has 2",
        ),
    ],
)
def test_files_that_cannot_be_read(write, data, message):
    with pytest.raises(ValueError, match=message) as error:
        read_scfout(write(data))
    assert "made.scfout" in str(error.value)


def test_every_cut_is_noticed(write):
    data = made.scfout_bytes(3)
    for size in range(0, len(data) - 1, 97):
        with pytest.raises(ValueError, match="made.scfout ends before"):
            read_scfout(write(data[:size]))


def test_cut_gzip_and_missing_files(write, tmp_path):
    data = (DATA / f"{NAMES[0]}.scfout.gz").read_bytes()
    with pytest.raises(ValueError, match="damaged gzip file"):
        read_scfout(write(data[: len(data) // 2], "cut.scfout.gz"))
    with pytest.raises(ValueError, match="cannot be read"):
        read_scfout(tmp_path / "absent.scfout")
    with pytest.raises(ValueError, match="no file .*absent.out"):
        read_scfout(write(made.scfout_bytes()), tmp_path / "absent.out")
