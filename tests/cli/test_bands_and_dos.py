"""Bands, density of states and exports, of calculations and predictions."""

import dataclasses
import json
import re

import ase.build
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

import keras_hamiltonian as kh
from data_tools.formats import read_calculation
from keras_hamiltonian.physics import BandStructure
from keras_hamiltonian.physics import DensityOfStates
from keras_hamiltonian.physics import OpticalConductivity
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import REFERENCE_COLOR

HARTREE = 27.2113845


def number_after(text, words):
    return float(re.search(rf"{words}\s*(-?[\d.]+)", text)[1])


def test_gap_is_that_of_openmx(command, folder, data_folder):
    """Between the bands that OpenMX printed for MoS2."""
    theirs = np.load(data_folder / "reference_mos2.bands.npz")
    bands = HARTREE * theirs["eig_hartree"]
    level = HARTREE * float(theirs["chemp_hartree"])
    gap = bands[bands > level].min() - bands[bands < level].max()
    mos2 = data_folder / "reference_mos2.h5"
    text = command("bands", mos2, "--path", "GMKG", "-o", "a.npz").stdout
    assert number_after(text, "along the path:") == pytest.approx(gap, abs=2e-3)
    assert number_after(text, "Fermi level:") == pytest.approx(level, abs=1e-4)
    found = BandStructure.load(folder / "a.npz")
    assert [name for _, name in found.labels] == ["G", "M", "K", "G"]
    assert (folder / "a.png").stat().st_size > 10_000


def test_few_bands_are_those_at_the_level(command, folder, data_folder):
    mos2 = data_folder / "reference_mos2.h5"
    command("bands", mos2, "--points", 5, "-o", "all.npz")
    words = ("--points", 5, "-o", "few.npz", "--num-bands", 4)
    command("bands", mos2, *words)
    everything = BandStructure.load(folder / "all.npz")
    few = BandStructure.load(folder / "few.npz").energies
    for all_here, here in zip(everything.energies, few):
        distance = np.abs(all_here - everything.fermi_level)
        expected = np.sort(all_here[np.argsort(distance)[:4]])
        assert here[~np.isnan(here)] == pytest.approx(expected, abs=1e-8)


def test_large_cells_go_through_the_sparse_solver(
    command, folder, data_folder, monkeypatch
):
    from keras_hamiltonian.cli import bands
    from keras_hamiltonian.physics import hamiltonian
    from keras_hamiltonian.physics import states

    solved = []
    solve = hamiltonian.factorize
    monkeypatch.setattr(
        hamiltonian, "factorize", lambda *a: solved.append(a) or solve(*a)
    )
    monkeypatch.setattr(states, "SMALLEST_SPARSE", 100)
    monkeypatch.setattr(bands, "MOST_ORBITALS", 100)
    twisted = data_folder / "bilayer_graphene_twisted.h5"
    words = ("bands", twisted, "--path", "GM", "--points", 2)
    result = command(*words, "-o", "a.npz")
    assert len(solved) == 2
    assert "364 orbitals: the 40 bands" in result.stderr
    assert BandStructure.load(folder / "a.npz").energies.shape[1] >= 40
    result = command(*words, "-o", "b.npz", "--memory", "9MB", code=1)
    assert "A limit of 9 MB cannot be kept" in result.stderr
    assert not (folder / "b.npz").exists()
    result = command(*words, "-o", "b.npz", "--memory", "much", code=2)
    assert "4GB" in result.stderr


def test_dos_holds_the_electrons(command, folder, data_folder):
    mos2 = data_folder / "reference_mos2.h5"
    words = ("--grid", 5, 5, 1, "--window", -70, 6, "--broadening", 0.2)
    text = command("dos", mos2, *words, "-o", "a.json").stdout
    dos = DensityOfStates.load(folder / "a.json")
    # In the middle of the gap; 14 of Mo, 6 of each S.
    middle = dos.integrate(dos.fermi_level)
    assert middle == pytest.approx(26, abs=0.05)
    assert set(dos.projections) == {"Mo s", "Mo p", "Mo d", "S s", "S p", "S d"}
    assert sum(dos.projections.values()) == pytest.approx(dos.total, abs=1e-6)
    assert number_after(text, "on this grid:") > 1.5
    command("dos", mos2, "-o", "b.npz", "--grid", 3, 3, 1, "--no-projected")
    assert not DensityOfStates.load(folder / "b.npz").projections


def test_optics(command, folder, data_folder):
    cell = data_folder / "reference_graphene.h5"
    words = ("--grid", 36, 36, 1, "--broadening", 0.4, "-o", "light.npz")
    printed = command("optics", cell, "--window", 0.5, 1.5, *words)
    # A coarse grid, broad lines.
    percent = number_after(printed.stdout, r"Absorption at 1.00 eV:")
    assert percent == pytest.approx(2.4, abs=0.3)
    assert "--species" in printed.stderr
    found = OpticalConductivity.load(folder / "light.npz")
    assert found.energies[0] == 0.5 and found.energies[-1] == 1.5
    assert (folder / "light.png").stat().st_size > 5_000
    wrong = command("optics", cell, "--species", folder, "-o", "a.npz", code=1)
    assert "holds species files of no program" in wrong.stderr


def test_levels_are_found_or_asked_for(command, folder, data_folder):
    calculation = kh.HamiltonianStore(data_folder / "reference_mos2.h5")[0]
    known = calculation.fermi_level
    calculation.fermi_level = calculation.num_electrons = None
    kh.HamiltonianStore.write(folder / "a.h5", [calculation])
    words = ("bands", "a.h5", "--points", 4, "--overwrite", "-o", "a.json")
    assert "--electrons" in command(*words, code=1).stderr
    text = command(*words, "--fermi-level", -4.5).stdout
    assert number_after(text, "Fermi level:") == -4.5
    text = command(*words, "--electrons", 26).stdout
    options = ("--electrons", "Mo=14,S=6", "--overwrite")
    assert command(*words, *options).stdout == text
    assert (
        "whose valence"
        in command(*words, *options[2:], "--electrons", "S=6", code=1).stderr
    )
    assert (
        "such as Mo=14"
        in command(*words, *options[2:], "--electrons", "S", code=2).stderr
    )
    # Anywhere in the gap.
    assert abs(number_after(text, "Fermi level:") - known) < 1


def test_prediction_over_calculation(
    command, folder, data_folder, untrained_file
):
    cell = data_folder / "reference_graphene.h5"
    words = ("--path", "GMKG", "--points", 9)
    text = command("bands", cell, "--model", untrained_file, *words).stdout
    assert "Gap along the path" in text
    known = kh.HamiltonianStore(cell)[0]
    level = number_after(text, "Fermi level of the calculation:")
    assert level == pytest.approx(known.fermi_level, abs=1e-4)
    found = BandStructure.load(folder / f"{known.name}.bands.json")
    exact = kh.ElectronicStructure(known).bands("GMKG", 9)
    near = abs(exact.energies - known.fermi_level) < 3
    error = 1000 * abs(found.energies - exact.energies)[near].mean()
    words = "Levels within 3 eV of it: off by"
    assert number_after(text, words) == pytest.approx(error, abs=0.1)
    expected = kh.predict(untrained_file, known.atoms)
    expected = expected.bands("GMKG", 9).energies
    # Without training there are ghost states far below, which magnify rounding.
    assert found.energies == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_bands_of_a_structure_file(command, folder, untrained_file):
    ase.build.graphene(vacuum=7.5).write(folder / "new.xyz")
    text = command(
        "bands", "new.xyz", "--model", untrained_file, "--points", 4
    ).stdout
    assert "Fermi level" in text
    assert "without matrices" in command("dos", "new.xyz", code=1).stderr
    command("dos", "new.xyz", "--model", untrained_file, "--grid", 3, 3, 1)
    assert (folder / "new.dos.png").is_file()


def test_warnings_of_predictions_are_said_and_kept(command, folder):
    """Diamond, for a model that has seen sheets alone."""
    ase.build.bulk("C", cubic=False).write(folder / "diamond.xyz")
    given = ("diamond.xyz", "--model", "graphene", "--fermi-level", 0)
    words = {
        "bands": ("--points", 4, "-o", "bands.json"),
        "dos": ("--grid", 2, 2, 2, "--no-projected", "-o", "dos.json"),
        "optics": ("--grid", 2, 2, 2),
        "export": (),
    }
    for name, options in words.items():
        file, *rest = given
        target = ("out.npz",) if name == "export" else ()
        text = command(name, file, *target, *rest, *options).stderr
        assert "Warning (environment): 2 of 2 atoms" in text, name
    for name in ("bands", "dos"):
        kept = json.loads((folder / f"{name}.json").read_text())["warnings"]
        assert kept[0]["kind"] == "environment"
        assert sorted(kept[0]["atoms"]) == [0, 1]


def test_numbers_of_files_are_numbers(command, folder, data_folder):
    """As another program reads them, which knows JSON alone."""
    cell = data_folder / "reference_graphene.h5"
    command("bands", cell, "--path", "GMKG", "--points", 6, "-o", "a.json")
    bands = json.loads((folder / "a.json").read_text())
    level = kh.HamiltonianStore(cell)[0].fermi_level
    assert bands["fermi_level"] == pytest.approx(level)
    assert [name for _, name in bands["labels"]] == ["G", "M", "K", "G"]
    assert [place for place, _ in bands["labels"]][0] == 0
    command("dos", cell, "--grid", 2, 2, 1, "-o", "b.json")
    dos = json.loads((folder / "b.json").read_text())
    assert dos["fermi_level"] == pytest.approx(level)
    assert dos["names"] == ["C s", "C p", "C d"]
    assert isinstance(dos["below"], float) and "errors" not in dos


@pytest.mark.parametrize(
    "words, expected",
    [
        (("bands", "--fermi-level", 0, "--electrons", "C=4"), "--electrons"),
        (("dos", "--fermi-level", 0, "--electrons", 8), "--electrons"),
        (("optics", "--fermi-level", 0, "--electrons", 8), "--electrons"),
        (("dos", "--vectors", 3), "--method kpm"),
    ],
)
def test_options_that_would_not_count_are_refused(
    command, data_folder, words, expected
):
    name, *options = words
    cell = data_folder / "reference_graphene.h5"
    assert expected in command(name, cell, *options, code=2).stderr


def test_a_prediction_read_back_is_drawn_as_one(
    command, folder, data_folder, untrained_file
):
    """H⁰ of the package has the same code in its source, and is none."""
    cell = data_folder / "reference_graphene.h5"
    known = kh.HamiltonianStore(cell)[0]
    found = kh.predict(untrained_file, known.atoms)
    found.write(folder / "folder")
    found.write(folder / "file.h5", "container")
    found.write(folder / "file.npz")
    first_step = dataclasses.replace(
        known, source={"code": "keras_hamiltonian", "hamiltonian": "H0"}
    )
    kh.HamiltonianStore.write(folder / "h0.h5", [first_step])
    expected = {
        "folder": 1,
        "file.h5": 1,
        "file.npz": 1,
        cell: 0,
        "h0.h5": 0,
    }
    for source, is_red in expected.items():
        options = ("--points", 9, "--window", -20, 5, "-o", "a.npz")
        command("bands", source, *options, "--overwrite")
        picture = imread(folder / "a.png")[..., :3]
        near = [
            int((abs(picture - to_rgb(c)).max(axis=-1) < 0.02).sum())
            for c in (PREDICTED_COLOR, REFERENCE_COLOR)
        ]
        assert (near[0] > 100) == is_red and near[1] < 100, source


def test_exports_say_how_good_they_are(
    command, folder, data_folder, untrained_file
):
    cell = data_folder / "reference_graphene.h5"
    result = command("export", cell, "a_hr.dat", "--grid", 4, 4, 1)
    assert "Bands between the points of the grid are off by" in result.stdout
    assert "denser grid" in result.stderr
    command("export", cell, "a.npz")
    command("export", cell, "a", "--format", "deeph-dock")
    command("export", cell, "b.npz", "--model", untrained_file)
    known = kh.HamiltonianStore(cell)[0]
    for name in ("a.npz", "a"):
        again = read_calculation(folder / name)
        assert again.fermi_level == pytest.approx(known.fermi_level)
        block = known.hamiltonian.find((0, 0, 0, 0, 1))
        assert np.array_equal(again.hamiltonian.find((0, 0, 0, 0, 1)), block)
    predicted = read_calculation(folder / "b.npz")
    assert predicted.source != known.source
    assert predicted.fermi_level is not None


def test_export_for_sisl(command, folder, data_folder):
    sisl = pytest.importorskip("sisl")
    command("export", data_folder / "reference_mos2.h5", "a.HSX")
    hamiltonian = sisl.get_sile("a.HSX").read_hamiltonian()
    assert (
        len(hamiltonian)
        == kh.HamiltonianStore(data_folder / "reference_mos2.h5")[
            0
        ].num_orbitals.sum()
    )


@pytest.mark.slow
def test_predictions_are_read_as_calculations(
    command, folder, data_folder, untrained_file
):
    cell = data_folder / "reference_graphene.h5"
    name = kh.HamiltonianStore(cell).names[0]
    text = command("predict", untrained_file, cell).stdout
    assert "MAE_all" in text and "Fermi level" in text
    errors = json.loads(
        (folder / "predictions" / f"{name}.errors.json").read_text()
    )
    place = f"predictions/{name}"
    command("bands", place, "--points", 4, "-o", "a.npz")
    command(
        "bands", cell, "--model", untrained_file, "--points", 4, "-o", "b.npz"
    )
    a, b = (BandStructure.load(folder / f"{n}.npz").energies for n in "ab")
    assert a[:, :8] == pytest.approx(b[:, :8], abs=1e-4)
    command("convert", "predictions", "all.h5", "--predictions")
    assert kh.HamiltonianStore(folder / "all.h5").names == (name,)
    command("evaluate", untrained_file, cell, "-o", "report")
    report = json.loads((folder / "report" / "report.json").read_text())
    found = report["errors"]["mae_all"]
    assert found == pytest.approx(errors["errors"]["mae_all"], rel=1e-3)
    assert "exists" in command("predict", untrained_file, cell, code=1).stderr
    command("predict", untrained_file, cell, "--overwrite")
    words = ("--format", "npz", "-o", "other")
    command("predict", untrained_file, cell, *words)
    assert (folder / "other" / f"{name}.npz").is_file()


@pytest.mark.slow
def test_full_report(command, folder, data_folder, untrained_file):
    cell = data_folder / "reference_graphene.h5"
    text = command(
        "evaluate", untrained_file, cell, "--full", "-o", "all"
    ).stdout
    assert "report.html" in text
    report = json.loads((folder / "all" / "report.json").read_text())
    assert report["equivariance"]["relative"] < 1e-4
    words = ("evaluate", untrained_file, cell, "--path", "GMKG", "-o", "short")
    command(*words)
    report = json.loads((folder / "short" / "report.json").read_text())
    assert report["equivariance"] is None and report["bands"]["band_mae"] > 0
