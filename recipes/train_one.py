"""Train both stages on graphene, as `make train` does.

    python recipes/train_one.py

The seconds are CPU seconds of this process after the imports: reading,
baseline, training and validation. All that is not said here is a default of
`kh.train`; `keras-hamiltonian train` takes it as an option. Everything lands
in runs/graphene/. A run that was stopped resumes; one that is done is not
repeated.
"""

import pathlib

import keras_hamiltonian as kh

DATA = pathlib.Path(__file__).parent / "data" / "graphene.h5"
FOLDER = pathlib.Path("runs/graphene")

if __name__ == "__main__":
    settings = kh.training.TrainingSettings(seconds=300)
    report = kh.train(DATA, settings=settings, folder=FOLDER)
    print(kh.evaluation.summary(report, FOLDER))
