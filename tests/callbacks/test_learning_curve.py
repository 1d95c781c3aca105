"""What each epoch cost and reached, in memory and in the file."""

import json

from small_model import X
from small_model import Y
from small_model import small_model

from keras_hamiltonian.callbacks import LearningCurve


def test_history_and_file(tmp_path):
    curve = LearningCurve(tmp_path / "run" / "curve.json")
    small_model().fit(
        X,
        Y,
        epochs=4,
        validation_data=(X, Y),
        validation_freq=2,
        verbose=0,
        callbacks=[curve],
    )
    history = curve.history
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["cpu_seconds"] == sorted(history["cpu_seconds"])
    assert [v is None for v in history["val_loss"]] == [True, False] * 2
    assert all(abs(r - 0.1) < 1e-6 for r in history["learning_rate"])
    written = json.loads((tmp_path / "run" / "curve.json").read_text())
    assert written == history


def test_the_file_has_no_nan(tmp_path):
    curve = LearningCurve(tmp_path / "curve.json")
    model = small_model()
    model.fit(X, Y * float("nan"), epochs=2, verbose=0, callbacks=[curve])
    assert str(curve.history["loss"][0]) == "nan"
    text = (tmp_path / "curve.json").read_text()
    assert "NaN" not in text and json.loads(text)["loss"] == [None, None]


def test_a_second_fit_continues():
    curve = LearningCurve()
    model = small_model()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[curve])
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[curve])
    assert curve.history["epoch"] == [1, 2, 3]
    assert curve.history["cpu_seconds"][2] > curve.history["cpu_seconds"][1]
