"""Bars of long work, and silence of short work."""

from keras_hamiltonian.cli import progress


def test_a_bar_from_a_few_seconds_on(monkeypatch, capsys):
    bar = progress.Bar("bulk")
    bar(0.5)
    bar.close()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    bar = progress.Bar("bulk")
    bar.num_atoms = 200
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for fraction in (0.25, 0.5, 1.0):
        bar(fraction)
    bar.close()
    shown = capsys.readouterr().err
    assert "bulk" in shown and "100/200" in shown and "atoms/s" in shown
