"""The contract of every layer of this package."""

import inspect
import json
import pathlib
import tempfile

import keras
import numpy as np


def check_layer(layer_class, arguments, inputs, is_trained=True):
    """Checks configuration, shapes, saving and training of a layer.

    - The configuration has every argument of the constructor, is JSON, and
      makes the same layer again.
    - The symbolic shape is that of the output, in float32 and float64.
    - A model with the layer is the same after it was saved and loaded.
    - A training step changes every weight.

    Args:
        layer_class: class. A `keras.layers.Layer`.
        arguments: dict. Constructor arguments, JSON values.
        inputs: dict. For each call argument an array, or arrays nested in
            lists and dicts, all with the same first axis.
        is_trained: bool. Whether to check a training step; `False` for layers
            whose gradient vanishes.

    Raises:
        AssertionError: names what is violated.

    Example:

    >>> from keras_hamiltonian.layers.linear.equivariant_linear import (
    ...     EquivariantLinear,
    ... )
    >>> check_layer(
    ...     EquivariantLinear,
    ...     {"irreps_in": "2x0e+1x1o", "irreps_out": "3x0e"},
    ...     {"features": np.ones((4, 5))},
    ... )
    """
    _check_config(layer_class, arguments)
    for dtype in ("float32", "float64"):
        _check_shapes(layer_class, arguments, _cast(inputs, dtype), dtype)
    inputs = _cast(inputs, "float32")
    model = _functional(layer_class(**arguments), inputs)
    _check_saving(model, inputs)
    if is_trained and model.trainable_weights:
        _check_training(model, inputs)


def _check_config(layer_class, arguments):
    layer = layer_class(**arguments)
    config = layer.get_config()
    of_keras = set(inspect.signature(keras.layers.Layer).parameters)
    expected = {
        p.name
        for p in inspect.signature(layer_class).parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    missing = expected - of_keras - set(config)
    _require(
        not missing,
        f"{layer_class.__name__}.get_config() lacks {sorted(missing)}.",
    )
    text = json.dumps(config)
    again = layer_class.from_config(json.loads(text))
    _require(
        json.dumps(again.get_config()) == text,
        f"{layer_class.__name__} made from its configuration has another "
        f"configuration: {again.get_config()} instead of {config}.",
    )


def _check_shapes(layer_class, arguments, inputs, dtype):
    name = layer_class.__name__
    layer = layer_class(**arguments, dtype=dtype)
    symbolic = layer(**_symbols(inputs))
    if keras.config.backend() != "jax":
        # JAX would compile every operation separately, which takes minutes.
        keras.tree.assert_same_structure(symbolic, layer(**inputs))
    found = _run(_functional(layer, inputs), inputs)
    for s, array in zip(keras.tree.flatten(symbolic), found):
        _require(
            tuple(s.shape) == array.shape,
            f"{name}: symbolic shape {tuple(s.shape)}, real {array.shape}.",
        )
        _require(
            array.dtype == dtype, f"{name} of {dtype} returned {array.dtype}."
        )


def _check_saving(model, inputs):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        again = keras.models.load_model(path)
    for a, b in zip(_run(model, inputs), _run(again, inputs)):
        _require(
            np.array_equal(a, b),
            f"The loaded model differs by up to {np.abs(a - b).max()}.",
        )


def _check_training(model, inputs):
    flat = keras.tree.flatten(inputs)
    random = np.random.default_rng(0)
    targets = [random.normal(size=a.shape) for a in _run(model, inputs)]
    before = [
        np.array(keras.ops.convert_to_numpy(w)) for w in model.trainable_weights
    ]
    model.compile(keras.optimizers.Adam(1e-2), loss=["mse"] * len(targets))
    # Entries of the batch may be neighbours, so the batch stays whole.
    history = model.fit(
        flat, targets, batch_size=len(flat[0]), shuffle=False, verbose=0
    )
    _require(
        np.isfinite(history.history["loss"]).all(), "The loss is not finite."
    )
    for weight, old in zip(model.trainable_weights, before):
        new = keras.ops.convert_to_numpy(weight)
        _require(
            np.isfinite(new).all() and not np.array_equal(new, old),
            f"A training step did not change the weight {weight.path}, or made "
            "it infinite.",
        )


def _functional(layer, inputs):
    symbols = _symbols(inputs)
    outputs = keras.tree.flatten(layer(**symbols))
    return keras.Model(keras.tree.flatten(symbols), outputs)


def _symbols(inputs):
    return keras.tree.map_structure(
        lambda a: keras.Input(
            batch_shape=a.shape, dtype=keras.backend.standardize_dtype(a.dtype)
        ),
        inputs,
    )


def _cast(inputs, dtype):
    def cast(array):
        array = np.asarray(array)
        is_float = np.issubdtype(array.dtype, np.floating)
        return keras.ops.convert_to_tensor(
            array, dtype=dtype if is_float else "int32"
        )

    return keras.tree.map_structure(cast, inputs)


def _run(model, inputs):
    return keras.tree.flatten(
        model.predict_on_batch(keras.tree.flatten(inputs))
    )


def _require(condition, message):
    if not condition:
        raise AssertionError(message)
