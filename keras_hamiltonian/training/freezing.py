"""Layers whose weights stay as they are while others train."""


def freeze(stages, names):
    """Makes layers not trainable, with all layers inside them.

    Args:
        stages: dict from `"first"` and `"second"` to `Stage`.
        names: strs, `"first"`, the whole stage, or a stage and the path of a
            layer in it, such as `"second/backbone"`. Those of stages that are
            not here are left out.

    Raises:
        ValueError: naming the layers that there are, if one is missing.
    """
    for name in names:
        part, _, path = name.partition("/")
        if name != "first" and (part not in ("first", "second") or not path):
            raise ValueError(
                "`freeze` takes the stage and the path of a layer in it, such "
                f"as first/backbone, or first alone. Received: {name!r}."
            )
        if part not in stages:
            continue
        layers = _layers(stages[part])
        for layer in [stages[part]] if not path else layers.get(path, []):
            layer.trainable = False
        if path and path not in layers:
            known = sorted(k for k in layers if k.count("/") < 2)
            raise ValueError(
                f"The {part} stage has no layer {path!r} to freeze. It has "
                f"{', '.join(known)}, and layers inside them."
            )


def _layers(stage):
    """Lists of layers with weights, by their paths."""
    found = {}
    for layer in stage._flatten_layers(include_self=False):
        if layer.weights:
            found.setdefault(layer.path, []).append(layer)
    return found
