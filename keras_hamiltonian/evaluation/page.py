"""A report as one HTML page that needs no other file."""

import base64
import html
import pathlib
import string
import tempfile

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.files import write_text
from keras_hamiltonian.plots.bands import plot_bands
from keras_hamiltonian.plots.blocks import plot_block_errors
from keras_hamiltonian.plots.blocks import plot_improved_blocks
from keras_hamiltonian.plots.costs import plot_costs
from keras_hamiltonian.plots.errors import plot_equivariance
from keras_hamiltonian.plots.errors import plot_errors_by_distance
from keras_hamiltonian.plots.errors import plot_errors_by_energy
from keras_hamiltonian.plots.errors import plot_errors_by_structure
from keras_hamiltonian.plots.learning_curve import plot_learning_curve

PAGE = string.Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #22272e; --soft: #5b6470;
  --line: #d9dde1; --ground: #f5f6f7; --card: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e6ea;
  --soft: #a3acb7; --line: #3a424c; --ground: #171b20; --card: #20262d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 16px 24px 48px;
  background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 24px; margin: 8px 0 2px; }
h2 { font-size: 18px; margin: 0 0 10px; }
h3 { font-size: 15px; margin: 14px 0 4px; }
p { margin: 4px 0 8px; max-width: 80ch; }
.soft, figcaption, caption { color: var(--soft); font-size: 13px; }
nav { margin: 6px 0 12px; font-size: 14px; }
nav a { margin-right: 14px; color: inherit; }
section { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 14px 18px; margin: 0 0 14px; }
.tiles { display: grid; gap: 10px;
  grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); }
.tile { border: 1px solid var(--line); border-radius: 8px;
  padding: 8px 12px; }
.tile b { display: block; font-size: 25px; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tile small { font-size: 14px; font-weight: 400; }
.row { display: flex; flex-wrap: wrap; gap: 16px 28px;
  align-items: flex-start; }
.row > * { flex: 0 1 auto; min-width: 0; }
.row > figure { flex: 1 1 420px; max-width: 520px; margin: 6px 0; }
figure img { display: block; width: 100%; height: auto;
  background: #ffffff; border-radius: 6px; }
figcaption { margin-top: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 6px 0 10px; font-size: 14px;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 4px; }
th, td { padding: 3px 12px 3px 0; text-align: right;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
.words td { white-space: normal; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); font-size: 13px; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="soft">$subtitle</p>
<nav>$links</nav>
$sections
</body>
</html>
""")

# A larger error of a level is a spurious one rather than a shift.
SPURIOUS_IN_EV = 1.0
# Longer tables are folded.
LONG_TABLE = 20
NAMES = {"model": "model", "first": "first stage", "cascade": "both stages"}


def write_page(path, report, bands=None, first_bands=None, history=None):
    """Writes a report as one HTML file.

    Figures are inside the file; what the report lacks is said so. Errors are
    in meV.

    Args:
        path: str or path. The file appears when it is complete.
        report: dict, of `write_report`.
        bands: what `compare_bands` returned, or `None`.
        first_bands: the same for the first stage alone.
        history: dict for `plot_learning_curve`, or `None`.
    """
    with tempfile.TemporaryDirectory() as folder:
        page = _Page(report, folder)
        sections = [
            ("overview", "Overview", page.overview()),
            ("bands", "Bands", page.bands(bands, first_bands)),
            ("matrix", "Matrix elements", page.matrix()),
            ("states", "Levels and wave functions", page.states()),
            ("stages", "What the second stage does", page.stages()),
            ("symmetry", "Symmetry", page.symmetry()),
            ("cost", "Cost of a prediction", page.cost()),
            ("training", "Training", page.training(history)),
        ]
    names = [(name, title) for name, title, _ in sections]
    text = PAGE.substitute(
        title=_text(page.title),
        subtitle=_text(page.subtitle()),
        links=" ".join(f'<a href="#{n}">{_text(t)}</a>' for n, t in names),
        sections="\n".join(
            f'<section id="{name}">\n<h2>{_text(title)}</h2>\n{body}</section>'
            for name, title, body in sections
        ),
    )
    write_text(path, text)


class _Page:
    """The sections of one report."""

    def __init__(self, report, folder):
        self.report = report
        self.folder = pathlib.Path(folder)
        self.title = report.get("title") or "Predicted Hamiltonians"
        self.first = report.get("first_stage_errors")
        self.model = NAMES["cascade" if self.first else "model"]
        self.stage_names = [self.model] + [NAMES["first"]] * bool(self.first)
        self.errors = [report["errors"]] + [self.first] * bool(self.first)
        levels = [report.get("levels"), report.get("first_stage_levels")]
        self.levels = levels[: len(self.errors)]

    def subtitle(self):
        number = len(self.errors[0]["structures"])
        plural = "structure" if number == 1 else "structures"
        return (
            f"{number} {plural} the model was not trained on. "
            f"{self.report['date']}."
        )

    def overview(self):
        errors = self.errors[0]
        tiles = [
            (
                "MAE_all",
                [e["mae_all"] for e in self.errors],
                "mean over structures of the mean error of all elements",
            ),
            (
                "MAE_cha",
                [e["mae_cha"] for e in self.errors],
                f"worst structure, {errors['worst_structure']}",
            ),
            (
                "MAE_all, gauge-free",
                [e["gauge_free_mae"] for e in self.errors],
                "after the best shift of the energy zero",
            ),
            (
                "occupied levels",
                [x and x["occupied_mae"] for x in self.levels],
                "mean error of their energies",
            ),
            (
                "bands near E_F",
                [x and x["window_mae"] for x in self.levels],
                self._window_text(),
            ),
        ]
        body = "".join(_tile(*tile, self.stage_names) for tile in tiles)
        rows = [
            ("wave functions, occupied", *map(_similarity, self.levels)),
            *self._rows("worst structure, gauge-free", "gauge_free_mae_cha"),
            (
                f"worst pair of shells, {errors['worst_block']['shells']}",
                *(_mev(self._worst_shells(e)) for e in self.errors),
            ),
            *self._rows("onsite", "onsite_mae"),
            *self._rows("hopping", "hopping_mae"),
        ]
        return f'<div class="tiles">{body}</div>\n' + _table(
            ["", *self.stage_names],
            rows,
            "Mean absolute errors in meV; similarity of wave functions is 1 "
            "where they agree.",
        )

    def bands(self, bands, first_bands):
        if not bands or bands[1].fermi_level is None:
            return _missing(
                "No bands: they need an overlap and a Fermi level, of the "
                "calculation or of the model."
            )
        body = ""
        for name, found in zip(self.stage_names, (bands, first_bands)):
            if found is None:
                continue
            window = found[2]["window"]

            def draw(path, found=found, window=window):
                plot_bands(*found[:2], path, window)

            body += self._figure(
                draw,
                f"{name.capitalize()}, structure {found[2]['structure']}: "
                "predicted (red, dashed) over DFT (grey), in eV from the "
                f"Fermi level of DFT; mean error {_mev(found[2]['band_mae'])} "
                "meV in this window.",
            )
        return f'<div class="row">{body}</div>\n'

    def matrix(self):
        errors = self.errors[0]
        curves = {
            name: e["distance_bins"]
            for name, e in zip(self.stage_names, self.errors)
        }
        body = self._figure(
            lambda path: plot_block_errors(
                _numbers(errors["block_mae"]), errors["block_names"], path
            ),
            "Mean absolute error of each orbital block, in meV: shell of one "
            "atom, shell of the other; worst "
            f"{errors['worst_block']['shells']}.",
        )
        if all(curves.values()):
            body += self._figure(
                lambda path: plot_errors_by_distance(curves, path),
                "Mean absolute error of hoppings in meV by distance (bins of "
                "0.5 Å), and below the number of atom pairs.",
            )
        structures = {
            name: e["structures"]
            for name, e in zip(self.stage_names, self.errors)
        }
        body += self._figure(
            lambda path: plot_errors_by_structure(structures, path),
            "Mean absolute error of each structure, in meV.",
        )
        pairs = [
            (pair, *(_mev(e["element_pair_mae"][pair]) for e in self.errors))
            for pair in errors["element_pair_mae"]
        ]
        tables = _table(
            ["elements", *self.stage_names], pairs, "By pair of elements, meV."
        )
        tables += _places(errors["worst_places"], ["mae"], ["error"])
        distances = _table(
            ["from (Å)", "to (Å)", "pairs", *self.stage_names],
            [
                (
                    f"{bins[0]['from']:g}",
                    f"{bins[0]['to']:g}",
                    bins[0]["blocks"],
                    *(_mev(b["mae"]) for b in bins),
                )
                for bins in zip(*(e["distance_bins"] for e in self.errors))
            ],
            "By distance, meV.",
        )
        body += f"<div>{tables}</div>{distances}"
        return f'<div class="row">{body}</div>\n'

    def states(self):
        found = self.levels[0]
        if not found:
            skipped = self.report.get("levels_skipped") or {}
            reason = next(iter(skipped.values()), "none were asked for")
            return _missing(f"No levels were solved: {reason}.")
        curves = {
            name: x["energy_bins"]
            for name, x in zip(self.stage_names, self.levels)
            if x
        }
        body = self._figure(
            lambda path: plot_errors_by_energy(curves, path),
            "By energy from the Fermi level, in bins of 1 eV: mean absolute "
            "error of the levels in meV (above), and 1 minus the similarity "
            "of their wave functions, without unit (below).",
        )
        rows = []
        for entries in zip(*(x["structures"] for x in self.levels if x)):
            for name, entry in zip(self.stage_names, entries):
                rows.append(
                    (
                        entry["name"],
                        *([name] if len(entries) > 1 else []),
                        "×".join(str(n) for n in entry["grid"]),
                        _mev(entry["occupied_mae"]),
                        _mev(entry["occupied_shift"]),
                        _mev(entry["occupied_largest"]),
                        _mev(entry["window_mae"]),
                        _plain(entry["similarity"], 5),
                        _plain(entry["lowest_similarity"], 3),
                    )
                )
        header = [
            "structure",
            *(["stage"] if len(self.errors) > 1 else []),
            "k grid",
            "occupied",
            "shift",
            "largest",
            "window",
            "similarity",
            "lowest",
        ]
        tolerance = _mev(found["degeneracy_tolerance"])
        shared = found["shared"] or 0.0
        text = (
            "<p>H c = E S c with the overlap of DFT (of the model where DFT "
            "has none), on a grid about Γ. Wave functions are compared as "
            "|&lt;c|S|c'&gt;|; of levels less than "
            f"{tolerance} meV apart ({100 * shared:.1f} % of the occupied "
            "ones) the spaces are compared, by the mean cosine of the angles "
            "between them.</p>\n"
        )
        threshold = self.report.get("overlap_threshold")
        if threshold is not None:
            text += (
                "<p>Predicted levels leave out combinations of orbitals whose "
                f"norm, an eigenvalue of S(k), is below {threshold:g}: errors "
                f"of H count more than {1 / threshold:.0f} times there.</p>\n"
            )
        largest = [e["occupied_largest"] or 0.0 for e in found["structures"]]
        if max(largest) > SPURIOUS_IN_EV:
            text += (
                "<p>Level n is compared with level n. Some occupied levels "
                f"are off by more than {SPURIOUS_IN_EV:g} eV: where orbitals "
                "are nearly dependent, errors of a few blocks make spurious "
                "levels, and each moves the number of all above it.</p>\n"
            )
        for name, reason in found["skipped"].items():
            text += f"<p>{_text(name)} was left out: {_text(reason)}.</p>\n"
        table = _table(header, rows, f"Errors in meV; {self._window_text()}.")
        return f'{text}<div class="row">{body}{table}</div>\n'

    def stages(self):
        found = self.report.get("second_stage")
        if not found:
            return _missing("The model has one stage.")
        everything = found["all"]
        body = self._figure(
            lambda path: plot_block_errors(
                _numbers(found["block_correction"]),
                found["block_names"],
                path,
                quantity="correction",
            ),
            "Mean absolute size of what the second stage adds to each orbital "
            "block, in meV.",
        )
        body += self._figure(
            lambda path: plot_improved_blocks(
                found["block_improved"], found["block_names"], path
            ),
            "Per cent of the orbital blocks whose error the second stage "
            "lowered: purple helps, orange hurts.",
        )
        if found["distance_bins"]:
            curves = {
                name: found["distance_bins"]
                for name in ("both stages", "first stage", "correction")
            }
            fields = dict(
                zip(curves, ("refined_mae", "baseline_mae", "correction"))
            )
            body += self._figure(
                lambda path: plot_errors_by_distance(curves, path, fields),
                "By distance, in meV: error of both stages, of the first one, "
                "and mean absolute correction; below the number of orbital "
                "blocks.",
            )
        groups = {
            "all": everything,
            "onsite": found["onsite"],
            "hopping": found["hopping"],
            **found["element_pairs"],
            **{
                f"{b['from']:g} to {b['to']:g} Å": b
                for b in found["distance_bins"]
            },
        }
        table = _table(
            ["", "blocks", "correction", "before", "after", "improved"],
            [
                (
                    name,
                    group["count"],
                    _mev(group["correction"]),
                    _mev(group["baseline_mae"]),
                    _mev(group["refined_mae"]),
                    f"{100 * group['improved']:.1f} %",
                )
                for name, group in groups.items()
                if group
            ],
            "Means over orbital blocks in meV, and how many of them improved.",
        )
        harmed = _places(
            found["harmed"],
            ["baseline_mae", "refined_mae"],
            ["before", "after"],
            "The orbital blocks that it harmed most; errors in meV.",
        )
        text = (
            f"<p>It lowers the error of {100 * everything['improved']:.1f} % "
            f"of {everything['count']} orbital blocks; its mean correction is "
            f"{_mev(everything['correction'])} meV.</p>\n"
        )
        return f'{text}<div class="row">{body}{table}{harmed}</div>\n'

    def symmetry(self):
        found = self.report.get("equivariance")
        if not found:
            return _missing("The equivariance error was not measured.")
        body = (
            f"<p>Structure {_text(found['structure'])} rotated at random "
            f"{found['num_rotations']} times, predicted, and rotated back: "
            f"matrix elements change by {_mev(found['mae_mev'] / MEV_PER_EV)} "
            "meV on average and "
            f"{_mev(found['largest_mev'] / MEV_PER_EV)} meV at most, "
            f"{found['relative']:.1e} of their mean size.</p>\n"
        )
        averaged = found.get("averaged")
        if not averaged:
            return body + _missing(
                "That is rounding: averaging over rotations has nothing to "
                "mend."
            )
        curve = {int(n): values for n, values in averaged.items()}
        figure = self._figure(
            lambda path: plot_equivariance({self.model: curve}, path),
            "Equivariance error in meV of the mean over n rotations; "
            "independent deviations fall as 1/√n.",
        )
        table = _table(
            ["rotations", "mean", "largest"],
            [
                (
                    n,
                    _mev(e["mae_mev"] / MEV_PER_EV),
                    _mev(e["largest_mev"] / MEV_PER_EV),
                )
                for n, e in sorted(curve.items())
            ],
            "Before averaging (1 rotation) and after, meV.",
        )
        return f'{body}<div class="row">{figure}{table}</div>\n'

    def cost(self):
        costs = self.report.get("prediction_costs")
        if not costs:
            return _missing("Time and memory were not measured.")
        figure = self._figure(
            lambda path: plot_costs(costs, path),
            "CPU seconds (all threads) and peak of the memory in MB over that "
            "before, of predicting all blocks from the atoms.",
        )
        table = _table(
            ["atoms", "atom pairs", "wall (s)", "CPU (s)", "memory (MB)"],
            [
                (
                    c["num_atoms"],
                    c["num_blocks"],
                    f"{c['seconds']:.3g}",
                    f"{c['cpu_seconds']:.3g}",
                    "?"
                    if c["peak_megabytes"] is None
                    else f"{c['peak_megabytes']:.0f}",
                )
                for c in costs
            ],
            "Time: the fastest of two runs, after one that warms up.",
        )
        return f'<div class="row">{figure}{table}</div>\n'

    def training(self, history):
        body = ""
        if history:
            body = self._figure(
                lambda path: plot_learning_curve(history, path),
                "Error of training and validation in meV against CPU time.",
            )
        words = {
            "CPU seconds": self.report.get("cpu_seconds"),
            "steps": self.report.get("steps"),
            **(self.report.get("settings") or {}),
            "machine": self.report["machine"],
            "versions": self.report["versions"],
        }
        rows = [(k, _words(v)) for k, v in words.items() if v is not None]
        table = _table(["", ""], rows, kind="words")
        return f'<div class="row">{body}{table}</div>\n'

    def _rows(self, text, key):
        yield text, *(_mev(errors.get(key)) for errors in self.errors)

    def _worst_shells(self, errors):
        """Error of the pair of shells that is the model's worst."""
        names = errors["block_names"]
        pair = self.errors[0]["worst_block"]["shells"].split("-")
        row, column = (names.index(name) for name in pair)
        return errors["block_mae"][row][column]

    def _window_text(self):
        levels = self.levels[0]
        if not levels:
            return "not known"
        return f"window: within {levels['window'][1]:g} eV of the Fermi level"

    def _figure(self, draw, caption):
        path = self.folder / "figure.svg"
        draw(path)
        data = base64.b64encode(path.read_bytes()).decode()
        return (
            f'<figure><img alt="{_text(caption)}" '
            f'src="data:image/svg+xml;base64,{data}">'
            f"<figcaption>{_text(caption)}</figcaption></figure>\n"
        )


def _tile(title, values, text, names):
    value = _mev(values[0])
    unit = " <small>meV</small>" if value != "?" else ""
    other = ""
    if len(values) > 1:
        other = f"<div>{names[1]} {_mev(values[1])}</div>"
    return (
        f'<div class="tile">{_text(title)}<b>{value}{unit}</b>{other}'
        f'<div class="soft">{_text(text)}</div></div>\n'
    )


def _table(header, rows, caption="", kind=""):
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    is_long = len(rows) > LONG_TABLE
    top = f"<caption>{_text(caption)}</caption>" if not is_long else ""
    head = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    table = (
        f'<div class="scroll"><table class="{kind}">{top}{head}\n'
        f"<tbody>{lines}</tbody></table></div>\n"
    )
    if not is_long:
        return table
    summary = f"{caption} {len(rows)} rows."
    return f"<details><summary>{_text(summary)}</summary>{table}</details>\n"


def _places(
    places,
    fields,
    names,
    caption="The orbital blocks with the largest errors; mean over their "
    "elements in meV.",
):
    if not places:
        return ""
    return _table(
        ["structure", "atoms", "cell", "shells", "distance (Å)", *names],
        [
            (
                place["structure"],
                " ".join(place["atoms"]),
                " ".join(str(n) for n in place["cell"]),
                place["shells"],
                f"{place['distance']:.2f}",
                *(_mev(place[field]) for field in fields),
            )
            for place in places
        ],
        caption,
    )


def _missing(text):
    return f'<p class="soft">{_text(text)}</p>\n'


def _text(value):
    return html.escape(str(value))


def _mev(value):
    """An energy in eV as meV with three digits."""
    if value is None:
        return "?"
    number = MEV_PER_EV * value
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"


def _plain(value, digits):
    return "?" if value is None else f"{value:.{digits}f}"


def _similarity(levels):
    return _plain(levels and levels["similarity"], 5)


def _numbers(table):
    return [[float("nan") if x is None else x for x in row] for row in table]


def _words(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_words(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
