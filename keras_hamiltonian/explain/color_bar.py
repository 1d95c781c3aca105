"""The colour bar of all pictures."""

from matplotlib.cm import ScalarMappable

from keras_hamiltonian.evaluation.plots import INK


def add_color_bar(figure, axes, norm, colors, label, **options):
    """Adds the bar beside one or more axes.

    Args:
        figure: matplotlib figure.
        axes: matplotlib axes, or a list.
        norm, colors: matplotlib norm and colour map.
        label: str.
        **options: of `Figure.colorbar`.
    """
    options = {"shrink": 0.8, "pad": 0.02, **options}
    bar = figure.colorbar(ScalarMappable(norm, colors), ax=axes, **options)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK)
