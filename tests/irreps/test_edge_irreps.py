import pytest

from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps

CROWD = "64x0e + 32x1o + 8x1e + 2x0o + 4x2e"
TEXTS = [
    ("4x0+", {"0+": 4}),
    ("96x0+ + 8x0- + 40x1", {"0+": 96, "0-": 8, "1": 40}),
    ("3x12 + 0- + 2 x 0+ + 5x0-", {"0+": 2, "0-": 6, "12": 3}),
    ("0x1 + 2x2", {"2": 2}),
    ("", {}),
]


@pytest.mark.parametrize("text, channels", TEXTS)
def test_text_is_read_and_written(text, channels):
    irreps = EdgeIrreps(text)
    assert dict(irreps) == channels
    assert list(irreps) == list(channels)  # kinds come in their order
    for again in (str(irreps), dict(irreps), irreps):
        assert EdgeIrreps(again) == irreps
        assert str(EdgeIrreps(again)) == str(irreps)


def test_irreps_of_space_split():
    for irreps in (CROWD, Irreps(CROWD)):
        found = EdgeIrreps(irreps)
        assert found == {"0+": 100, "0-": 10, "1": 44, "2": 4}
        assert list(found) == ["0+", "0-", "1", "2"]
        assert found.dim == Irreps(CROWD).dim
    assert str(EdgeIrreps("2x1e")) == "2x0- + 2x1"
    assert str(EdgeIrreps("2x2o")) == "2x0- + 2x1 + 2x2"


def test_shapes():
    irreps = EdgeIrreps("4x0+ + 3x0- + 2x1")
    shapes = {"0+": (5, 7, 1, 4), "0-": (5, 7, 1, 3), "1": (5, 7, 2, 2)}
    assert irreps.shapes((5, 7)) == shapes
    assert irreps.dim == sum(d * n for _, _, d, n in shapes.values())


def test_sum():
    found = EdgeIrreps("4x0+ + 2x2") + "1x0+ + 3x0-" + Irreps("2x1o")
    assert str(found) == "7x0+ + 3x0- + 2x1 + 2x2"
    assert sum([found, found], EdgeIrreps()) == found + found
    assert (found + found).dim == 2 * found.dim


def test_a_value_that_does_not_change():
    irreps = EdgeIrreps({"1": 2, "0+": 4})
    assert len({irreps, EdgeIrreps("4x0+ + 2x1"), EdgeIrreps("4x0+")}) == 2
    with pytest.raises(TypeError):
        irreps["1"] = 3
    assert irreps.get("2", 0) == 0
    with pytest.raises(KeyError):
        irreps["2"]


@pytest.mark.parametrize(
    "received, message",
    [
        ("4x0 + 2x1", "such as \"96x0.*Received: '4x0 . 2x1'"),
        ("4x0++2x1", "Received: '4x0..2x1'"),
        ("4x0+ - 2x1", "Received: '4x0. - 2x1'"),
        ("4x0e + 2x1", "Cannot read the term .2x1"),
        ({"0+": 4, "m": 2}, "Kinds are \"0.\".*Received: '0.', 'm'"),
        ({"0+": 4, "1": -2}, "not negative.*'1': -2"),
        ({1: 2}, "Received: 1"),
    ],
)
def test_errors(received, message):
    with pytest.raises(ValueError, match=message):
        EdgeIrreps(received)
