"""The whole report: every section, in one file, for every kind of model."""

import copy
import dataclasses
import html.parser
import json

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.evaluation.cost import growing_cells
from keras_hamiltonian.evaluation.cost import prediction_costs
from keras_hamiltonian.models.hamiltonian_cascade import HamiltonianCascade

SECTIONS = {
    "overview",
    "bands",
    "matrix",
    "states",
    "stages",
    "expectation",
    "symmetry",
    "cost",
    "training",
}
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new shape is compiled"
)
CHEAP = {"largest_cell": 12, "num_k_points": 8, "num_rotations": 1}


class Reader(html.parser.HTMLParser):
    """Sections, figures and foreign addresses; tags must close in order."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.sections, self.images, self.foreign = [], {}, [], []
        self.feed(text)
        self.close()
        if self.open:
            raise ValueError(f"{self.open} is not closed")

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attributes["id"]
            self.sections[self.section] = ""
        if tag == "img":
            self.images.append(attributes)
        if tag in ("link", "script", "iframe"):
            self.foreign.append(tag)
        for name in ("src", "href"):
            value = attributes.get(name, "#")
            if not value.startswith(("#", "data:")):
                self.foreign.append(value)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if "section" in self.open:
            self.sections[self.section] += data


def cascade_of(store, kind, **options):
    """A cascade whose second stage, not trained, adds something small."""
    stage = small_stage(store)
    refinement = kind.for_stage(stage, num_heads=2, **options)
    cascade = HamiltonianCascade(stage, refinement)
    random = np.random.default_rng(0)
    for weight in refinement.trainable_weights:
        noise = 0.02 * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    return cascade


def read(folder):
    text = (folder / "report.html").read_text()
    assert len(text) < 2_000_000
    return Reader(text)


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_mos2.h5")


@pytest.fixture(scope="module")
def cascade_report(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cascade")
    cascade = cascade_of(
        store,
        kh.models.EquivariantTransformerStage,
        channels=8,
        hidden=12,
        irreps="8x0e + 4x1o + 4x2e",
        num_gaussians=8,
    )
    history = {"cpu_seconds": [1.0, 2.0], "loss": [3.0, 2.0]}
    report = kh.evaluate(
        cascade, [store[0]], folder, history=history, title="<MoS2>", **CHEAP
    )
    return cascade, folder, report


def test_the_reader_of_these_tests_sees_faults():
    with pytest.raises(ValueError):
        Reader("<section id='a'><p>text</section>")
    page = Reader('<img src="https://example.org/a.png"><script></script>')
    assert page.foreign == ["https://example.org/a.png", "script"]


@pytest.mark.slow
def test_cascade(cascade_report, store):
    cascade, folder, report = cascade_report
    assert json.loads((folder / "report.json").read_text()) == report
    calculation = store[0]
    for stage, key in (
        (cascade, "errors"),
        (cascade.stage, "first_stage_errors"),
    ):
        alone = kh.evaluate(stage, [calculation])["errors"]
        assert report[key]["mae_all"] == pytest.approx(alone["mae_all"])
    assert report["levels"]["occupied_mae"] > 0
    second = report["second_stage"]["all"]
    assert second["correction"] > 0
    changed = report["levels"]["occupied_mae"]
    assert changed != report["first_stage_levels"]["occupied_mae"]
    assert report["equivariance"]["averaged"] is None  # exactly symmetric
    sizes = [c["num_atoms"] for c in report["prediction_costs"]]
    assert sizes == [3, 6, 12]
    assert report["files"]["page"] == "report.html"
    text = kh.evaluation.summary(report)
    assert "occupied levels" in text and "first stage" in text
    assert "levels without energy zero" in text
    old = copy.deepcopy(report)
    del old["levels"]["gauge_free_window_mae"]
    assert "levels without energy" not in kh.evaluation.summary(old)


def test_page_of_a_cascade(cascade_report):
    _, folder, report = cascade_report
    page = read(folder)
    assert set(page.sections) == SECTIONS
    assert page.foreign == []
    assert len(page.images) == 12
    for image in page.images:
        assert image["src"].startswith("data:image/svg+xml;base64,")
        assert len(image["alt"]) > 30
    # Not trained: spurious levels.
    assert report["levels"]["structures"][0]["occupied_largest"] > 1
    assert "spurious" in page.sections["states"]
    overview = page.sections["overview"]
    for value in (
        report["errors"]["mae_all"],
        report["errors"]["gauge_free_mae"],
        report["levels"]["occupied_mae"],
        report["first_stage_levels"]["window_mae"],
    ):
        value *= 1000
        text = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
        assert text in overview
    assert "&lt;MoS2&gt;" in (folder / "report.html").read_text()


def test_errors_of_each_cell(data_folder, tmp_path):
    small = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    large = kh.HamiltonianStore(data_folder / "graphene.h5")
    stage = small_stage(small)
    report = kh.evaluate(
        stage,
        [small[0], large["050"], large["051"]],
        tmp_path,
        num_spectra=0,
        num_rotations=0,
        largest_cell=0,
        num_k_points=0,
    )
    numbers = [s["mae"] for s in report["errors"]["structures"]]
    cells = {k: v["errors"]["mae_all"] for k, v in report["cells"].items()}
    assert cells == {
        "C2, 2.5 x 2.5 x 15.0 Å": pytest.approx(numbers[0]),
        "C18, 7.4 x 7.4 x 15.0 Å": pytest.approx(sum(numbers[1:]) / 2),
    }
    assert "C18, 7.4 x 7.4 x 15.0 Å: MAE_all" in kh.evaluation.summary(report)
    overview = read(tmp_path).sections["overview"]
    assert "MAE_all of C2, 2.5 x 2.5 x 15.0 Å" in overview
    assert "cells" not in kh.evaluate(stage, [large["050"], large["051"]])


@pytest.mark.slow
def test_a_model_that_is_not_symmetric_is_averaged(store, tmp_path):
    cascade = cascade_of(
        store, kh.models.TransformerStage, width=16, num_blocks=1
    )
    options = {**CHEAP, "num_k_points": 0, "num_spectra": 0}
    report = kh.evaluate(cascade, [store[0]], tmp_path, **options)
    averaged = report["equivariance"]["averaged"]
    assert averaged["8"]["mae_mev"] < averaged["1"]["mae_mev"]
    assert report["levels"] is None
    assert "Before averaging" in read(tmp_path).sections["symmetry"]


@pytest.mark.slow
def test_spin_orbit_without_second_stage(data_folder, tmp_path):
    store = kh.HamiltonianStore(data_folder / "reference_bismuthene.h5")
    report = kh.evaluate(
        small_stage(store), [store[0]], tmp_path, num_spectra=1, **CHEAP
    )
    assert report["second_stage"] is None
    assert report["first_stage_levels"] is None
    assert report["levels"]["similarity"] <= 1
    page = read(tmp_path)
    assert set(page.sections) == SECTIONS
    assert "one stage" in page.sections["stages"]


@pytest.mark.slow
def test_without_overlap_the_page_says_so(store, tmp_path):
    stage = small_stage(store)
    stage.overlap = None
    bare = dataclasses.replace(store[0], overlap=None)
    report = kh.evaluate(
        stage,
        [bare],
        tmp_path,
        num_rotations=0,
        largest_cell=0,
    )
    assert report["levels"] is None and report["bands"] is None
    assert report["equivariance"] is report["prediction_costs"] is None
    page = read(tmp_path)
    assert set(page.sections) == SECTIONS
    assert "no overlap" in page.sections["states"]
    assert "need an overlap" in page.sections["bands"]
    assert "not measured" in page.sections["cost"]
    assert page.foreign == []


def test_nothing_to_report_on_leaves_nothing(store, tmp_path):
    with pytest.raises(ValueError, match="no calculation"):
        kh.evaluate(small_stage(store), [], tmp_path / "run")
    without = dataclasses.replace(store[0], hamiltonian=None)
    with pytest.raises(ValueError, match="no Hamiltonian"):
        kh.evaluate(small_stage(store), [without], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_costs_of_growing_cells(store):
    cells = growing_cells(store[0].atoms, largest=13)
    assert [len(cell) for cell in cells] == [3, 6, 12]
    heights = {float(cell.cell.lengths()[2]) for cell in cells}
    assert len(heights) == 1  # never along the vacuum
    costs = prediction_costs(small_stage(store), cells, num_repeats=1)
    assert [c["num_atoms"] for c in costs] == [3, 6, 12]
    blocks = [c["num_blocks"] for c in costs]
    assert blocks == [blocks[0], 2 * blocks[0], 4 * blocks[0]]
    assert all(c["cpu_seconds"] > 0 for c in costs)
