"""Parts of one's own: how they are made, recorded and refused."""

import keras
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.layers.attention.neighbor_attention import (
    NeighborAttention,
)
from keras_hamiltonian.layers.geometry.radial_features import RadialFeatures

BASIS, REACHES = {"H": "1s 1p"}, {"H": 2.0}
SMALL = {"irreps": "4x0e + 2x1o + 2x2e", "num_groups": 1, "projectors": ""}


class Wider(RadialFeatures):
    """Hands all that it does not name on to its base class."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, lengths, species, neighbors):
        return self.scale * super().call(lengths, species, neighbors)


class SmallStage(kh.models.EquivariantStage):
    """The same of a stage."""

    def __init__(self, basis, reaches, extra=1, **kwargs):
        super().__init__(basis, reaches, **{**SMALL, **kwargs})
        self.extra = extra


class SmallTransformer(kh.models.TransformerStage):
    def __init__(self, basis, reaches, spin="none", extra=1, **kwargs):
        super().__init__(basis, reaches, spin, width=8, **kwargs)
        self.extra = extra


class Unnamed(kh.models.EquivariantStage):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


def radial_of_reach(reach):
    """A factory that takes neither name nor dtype."""
    return RadialFeatures(4, reach, 1, (6,))


def stage(**options):
    return kh.models.EquivariantStage(BASIS, REACHES, **{**SMALL, **options})


def test_further_arguments_of_a_layer_are_recorded():
    layer = Wider(2.0, num_gaussians=5, reach=3.0, num_species=1, units=(4,))
    again = Wider.from_config(layer.get_config())
    assert (again.scale, again.num_gaussians, again.units) == (2.0, 5, (4,))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_further_arguments_of_a_stage_are_recorded(dtype):
    model = SmallStage(BASIS, REACHES, extra=3, dtype=dtype)
    assert model.spin == "none"
    again = SmallStage.from_config(model.get_config())
    assert again.extra == 3 and again.arguments == model.arguments
    assert again.backbone.variable_dtype == dtype
    second = SmallTransformer.for_stage(model, extra=2, dtype=dtype)
    again = SmallTransformer.from_config(second.get_config())
    assert again.extra == 2
    assert again.count_params() == second.count_params()


def test_a_stage_names_its_arguments():
    with pytest.raises(ValueError, match=r"takes `\*args`"):
        Unnamed(BASIS, REACHES).get_config()


def test_a_factory_gets_what_it_names():
    assert stage(radial=radial_of_reach).backbone.geometry.radial_size == 6


def test_a_layer_is_used_itself():
    layer = RadialFeatures(4, 3.0, 1, (6,))
    assert stage(radial=layer).backbone.geometry.radial is layer
    second = kh.models.TransformerStage.for_stage(
        stage(), width=8, radial=layer
    )
    assert second.backbone.geometry.radial is layer


@pytest.mark.parametrize("factory", [lambda **options: None, "local"])
def test_what_no_file_can_name_is_refused(factory):
    if factory == "local":

        class Local(RadialFeatures):
            pass

        factory = Local
    arguments = {"basis": BASIS, "reaches": REACHES, **SMALL}
    with pytest.raises(ValueError, match="at the top of a module"):
        kh.models.EquivariantStage(**arguments, radial=factory).get_config()


def test_one_layer_does_not_stand_for_several():
    group = kh.layers.InteractionGroup("4x0e", "4x0+", "4x0e", 1)
    with pytest.raises(ValueError, match="`interaction` is needed several"):
        stage(interaction=group)
    first = stage()
    for kind in ("TransformerStage", "EquivariantTransformerStage"):
        with pytest.raises(ValueError, match="`attention` is needed several"):
            getattr(kh.models, kind).for_stage(
                first, attention=NeighborAttention(2)
            )


def test_other_things_are_refused():
    with pytest.raises(ValueError, match='under "class"'):
        stage(radial={"size": 3})
    with pytest.raises(ValueError, match="did you mean|Did you mean"):
        stage(radial="keras_hamiltonian.layers:RadialFeature")


def test_a_readout_that_is_not_hermitian_is_known():
    first = stage()
    readout = {"class": "keras_hamiltonian.models:BlockReadout"}
    second = kh.models.EquivariantTransformerStage.for_stage(
        first,
        readout={**readout, "hermitian": False},
        channels=4,
        irreps="4x0e + 2x1o + 2x2e",
        num_heads=2,
    )
    assert first.is_hermitian and not second.is_hermitian
    cascade = kh.models.HamiltonianCascade(first, second)
    assert not cascade.is_hermitian


def test_losses_of_ones_own_are_not_needed_to_predict(tmp_path):
    model = stage()
    model.compile("adam", loss="mse")
    model.save(tmp_path / "model.keras")
    assert isinstance(kh.load_model(tmp_path / "model.keras"), keras.Model)
