"""Explain one block of the model of `make train`, and what its stages do.

    python recipes/explain.py

Results are in runs/explain/graphene/. `keras-hamiltonian explain` takes other
models, structures and blocks. It needs TensorFlow and tf-keras-vis:
pip install -e ".[explain]".
"""

import pathlib

import keras_hamiltonian as kh

DATA = pathlib.Path(__file__).parent / "data" / "graphene.h5"
MODEL = pathlib.Path("runs/graphene/graphene.keras")
OUTPUT = pathlib.Path("runs/explain/graphene")

if __name__ == "__main__":
    kh.explain.use_tensorflow()  # before Keras is imported
    model = kh.load_model(MODEL)
    store = kh.HamiltonianStore(DATA)
    split = kh.data.Split.read(DATA.with_suffix(".split.json"), store.names)
    training = [store[name] for name in split.train]
    held_out = [store[name] for name in split.test]
    atoms = held_out[0].atoms

    target = kh.explain.BlockTarget(0, 1)
    print(kh.explain.explain_block(model, atoms, target, OUTPUT)["text"])
    print(
        kh.explain.explain_stages(model, atoms, OUTPUT, training, held_out)[
            "text"
        ]
    )
