"""A model on one page: its parts and their sizes."""

import keras

OF_KERAS = set(dir(keras.layers.Layer))


def print_summary(model, print_fn=print):
    """Prints what a model is for, its parts, and how many weights they have.

    Args:
        model: `Stage`.
        print_fn: function of a str.
    """
    lines = [f"{model.name}: {type(model).__name__}, spin {model.spin}"]
    for symbol, shells in model.basis.to_dict().items():
        lines.append(f"{symbol}: {shells}, reach {model.reaches[symbol]:g} Å")
    rows = [("part", "class", "weights")]
    for stage in model.stages():
        rows.append(_row(stage.name, stage))
        for layer in stage.layers:
            _add_rows(rows, layer.name, layer, depth=1)
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines += [
        f"{part:<{widths[0]}}  {kind:<{widths[1]}}  {size:>{widths[2]}}"
        for part, kind, size in rows
    ]
    print_fn("\n".join(lines))


def _row(name, layer):
    size = layer.count_params() if layer.built else 0
    return name, type(layer).__name__, f"{size:,}"


def _add_rows(rows, name, layer, depth):
    """Parts that have weights, three levels of them."""
    if layer.weights and depth <= 3:
        rows.append(_row("  " * depth + name, layer))
        for inner_name, inner in _parts(layer):
            _add_rows(rows, inner_name, inner, depth + 1)


def _parts(layer):
    """Names and layers of what a layer consists of."""
    for name in sorted(set(dir(layer)) - OF_KERAS):
        value = None if name.startswith("_") else getattr(layer, name)
        if isinstance(value, keras.layers.Layer):
            yield name, value
        elif isinstance(value, list | tuple):
            for k, item in enumerate(value, start=1):
                if isinstance(item, keras.layers.Layer):
                    yield f"{name} {k}", item
