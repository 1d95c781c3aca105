"""A report as one HTML page that needs no other file."""

import jinja2

from keras_hamiltonian import plots
from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.files import write_text
from keras_hamiltonian.plots.style import drawn

# A larger error of a level is a spurious one rather than a shift.
SPURIOUS_IN_EV = 1.0


def write_page(
    path, report, bands=None, first_bands=None, history=None, elements=None
):
    """Writes a report as one HTML file.

    The file contains the figures; sections without data name the reason.
    Errors are in meV. Templates are in the folder `templates`.

    Args:
        path: str or path. The file appears when it is complete.
        report: dict, of `write_report`.
        bands: what `compare_bands` returned, or `None`.
        first_bands: the same for the first stage alone.
        history: dict for `plot_learning_curve`, or `None`.
        elements: data of `plot_elements`, or `None`.
    """
    names = ["model"]
    if report.get("first_stage_errors"):
        names = ["both stages", "first stage"]

    def of_stages(key):
        return [report.get(key), report.get(f"first_stage_{key}")][: len(names)]

    has_bands = bands and bands[1].fermi_level is not None
    page = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            names=names,
            errors=of_stages("errors"),
            levels=of_stages("levels"),
            bands=[b for b in (bands, first_bands) if b] if has_bands else [],
            history=history,
            elements=elements,
            spurious=SPURIOUS_IN_EV,
        )
    )
    write_text(path, page)


def _environment():
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_hamiltonian.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(draw=drawn, plots=plots, zip=zip)
    environment.filters.update(
        digits=_digits,
        fixed=lambda x, places: "?" if x is None else f"{x:.{places}f}",
        mev=lambda x: "?" if x is None else _digits(MEV_PER_EV * x),
        pick=_pick,
        short=lambda x: f"{x:g}",
        words=_words,
    )
    return environment


def _pick(entries, key):
    """One value of each entry, `None` of `None`."""
    return [entry and entry[key] for entry in entries]


def _digits(number):
    """Three digits, or all before the point."""
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"


def _words(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_words(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
