"""The common look of all pictures, and how they are written."""

import base64
import pathlib
import tempfile

from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.ticker import LogLocator

from keras_hamiltonian.files import replacing

REFERENCE_COLOR = "#9aa3ad"
PREDICTED_COLOR = "#c8352b"
TRAINING_COLOR = "#3b6ea5"
GREEN = "#2e8b57"
INK = "#22272e"
OUTLINE = "#8a9199"
NO_DATA = "#eceff1"
DOTTED = (0, (1, 2))
# From little to much.
COLORS = "YlOrRd"
# Text on a picture keeps a light ground.
TEXT_BOX = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.8}
DOTS_PER_INCH = 200
# Formats of pictures, and what they would say of the day and the program.
DATED = {
    "png": ("Software",),
    "svg": ("Creator", "Date", "Format", "Type"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


def new_axes(width, height):
    """A figure with one pair of axes.

    Args:
        width, height: float. In inches.

    Returns:
        matplotlib figure and axes.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def plain(name):
    """A name of users as matplotlib writes it: its dollars begin no formula."""
    return str(name).replace("$", r"\$")


def draw_grid(axes, axis="y"):
    """Draws light lines behind the data at the ticks of one axis."""
    axes.grid(axis=axis, color="#e4e7ea", linewidth=0.7)
    axes.set_axisbelow(True)


def plain_log_labels(axis):
    """Labels 1, 2, 5, 10 instead of powers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def use_log_scale(axes):
    """A logarithmic vertical axis with plain labels and a grid."""
    axes.set_yscale("log")
    plain_log_labels(axes.yaxis)
    draw_grid(axes)


def add_color_bar(figure, axes, norm, colors, label, **options):
    """Adds a colour bar beside one or more axes.

    Args:
        figure: matplotlib figure.
        axes: matplotlib axes, or a list.
        norm, colors: matplotlib norm and colour map.
        label: str.
        **options: of `Figure.colorbar`.

    Returns:
        matplotlib colour bar.
    """
    options = {"shrink": 0.8, "pad": 0.02, **options}
    bar = figure.colorbar(ScalarMappable(norm, colors), ax=axes, **options)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK)
    return bar


def style_axes(axes, is_boxed=False):
    """Colours of axes and ticks; no frame unless boxed."""
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.tick_params(colors=INK)
    if not is_boxed:
        axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(OUTLINE)
    axes.spines[:].set_linewidth(0.8)


def finish_axes(figure, axes, title, path, is_boxed=False):
    """Gives axes the common look and writes the file."""
    style_axes(axes, is_boxed)
    if title:
        look = {"fontsize": 11, "color": INK}
        axes.set_title(plain(title), loc="left", **look)
    save_figure(figure, path)


def finish_panels(figure, title, path):
    """Gives a figure of several axes its title and writes the file."""
    if title:
        look = {"fontsize": 11, "color": INK}
        figure.suptitle(plain(title), x=0.01, ha="left", **look)
    save_figure(figure, path)


def save_figure(figure, path):
    """Writes a PNG, SVG or PDF file, as the path ends.

    The file appears when it is complete; equal figures are equal files.

    Raises:
        ValueError: if the path ends otherwise.
    """
    format = pathlib.Path(path).suffix.lower().removeprefix(".")
    if format not in DATED:
        raise ValueError(
            f"A picture ends in .{', .'.join(DATED)}. Received: {path}."
        )
    look = {"svg.hashsalt": "keras_hamiltonian", "pdf.fonttype": 42}
    with replacing(path) as place, rc_context(look):
        figure.savefig(
            place,
            format=format,
            dpi=DOTS_PER_INCH,
            metadata=dict.fromkeys(DATED[format]),
        )


def drawn(plot, *data, **options):
    """Address of an SVG picture, which holds the picture itself.

    Args:
        plot: function that draws into `path`, such as those of `kh.plots`.
        *data, **options: of the function.

    Returns:
        str, for the `src` of an `img` in HTML.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "figure.svg"
        plot(*data, path=path, **options)
        data = base64.b64encode(path.read_bytes()).decode()
    return f"data:image/svg+xml;base64,{data}"
