"""Settings say what is wrong with them."""

import pathlib

import pytest

from keras_hamiltonian.models import EquivariantStage as Stage
from keras_hamiltonian.training import TrainingSettings
from keras_hamiltonian.training.stage_classes import stage_class


class Mine(Stage):
    """Arguments of its own, the rest goes to the base class."""

    def __init__(self, basis, reaches, num_groups=1, extra=0, **options):
        super().__init__(basis, reaches, num_groups=num_groups, **options)


def test_every_setting_has_a_default_and_a_description():
    assert TrainingSettings().seconds == 600
    for name, field in TrainingSettings.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name


@pytest.mark.parametrize(
    "text, ending",
    [
        ("steps = 7\n[first_options]\nnum_groups = 2\n", ".toml"),
        ("steps: 7\nfirst_options: {num_groups: 2}\n", ".yaml"),
        ("steps: 7\nfirst_options:\n  num_groups: 2\n", ".yml"),
    ],
)
def test_files(tmp_path, text, ending):
    path = tmp_path / f"settings{ending}"
    path.write_text(text)
    expected = TrainingSettings(steps=7, first_options={"num_groups": 2})
    assert TrainingSettings.read(path) == expected
    assert expected.seconds is None
    path.write_text(text.replace("steps", "stepps"))
    with pytest.raises(ValueError, match=r"settings\.\w+: .*'stepps'.*'steps'"):
        TrainingSettings.read(path)
    path.write_text(text.replace("7", "0"))
    with pytest.raises(ValueError, match="`steps`: .* Received: 0.$"):
        TrainingSettings.read(path)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"sedd": 1}, "'sedd'.*Did you mean 'seed'.*Allowed: .*warmup_steps"),
        ({"second_stage": "third"}, "second_stage.*'transformer' or 'none'"),
        ({"second_stage": "transfomer"}, "Did you mean 'transformer'"),
        ({"first_stage": "none"}, "'none' is no stage.*'equivariant', or your"),
        ({"first_stage": "no_module:A"}, "no module 'no_module'"),
        ({"first_stage": "test_settings:Stgae"}, "Did you mean 'Stage'"),
        ({"first_stage": "math:sqrt"}, "math:sqrt is no subclass of `kh.mod"),
        ({"second_stage": "test_settings:Mine"}, "no method `for_stage`"),
        (
            {
                "first_stage": "test_settings:Mine",
                "first_options": {"num_grops": 1},
            },
            "arguments of Mine: 'num_grops'. Did you mean 'num_groups'",
        ),
        ({"first_share": 1.5}, "first_share.*less than 1.*1.5"),
        ({"steps": 0}, "steps.*greater than or equal to 1.*0"),
        ({"steps": "many"}, "steps.*integer.*many"),
        ({"seconds": 3, "steps": 3}, "one budget"),
        ({"first_share": 0.5, "joint_share": 0.5}, "leave nothing"),
        ({"second_stage": "none", "joint_share": 0.1}, "Without a second"),
        ({"first_options": {"reaches": {}}}, "EquivariantStage: 'reaches'"),
        ({"reaches": {"C": -3.0}}, "reaches.C.*greater than 0.*-3.0"),
        ({"reaches": {"C": "6 bohr"}}, "reaches.C.*valid number.*6 bohr"),
        ({"reaches": {"C": 3}, "species": "DFT_DATA19"}, "species` say them"),
        (
            {"second_options": {"widht": 3}, "second_stage": "transformer"},
            "'widht'. Did you mean 'width'",
        ),
    ],
)
def test_what_is_wrong_is_named(settings, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        TrainingSettings(**settings)


@pytest.mark.parametrize(
    "text, words",
    [("- 1\n- 2\n", "no settings"), ("a: [", "cannot be read")],
)
def test_files_without_settings(tmp_path, text, words):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError, match=words):
        TrainingSettings.read(tmp_path / "a.yaml")
    with pytest.raises(ValueError, match="Received: .*a.json"):
        TrainingSettings.read(tmp_path / "a.json")


def test_shares_add_up_to_the_budget():
    settings = TrainingSettings(steps=1000, first_share=0.3, joint_share=0.1)
    assert settings.stage_budgets() == pytest.approx(
        {"first": 300, "second": 600, "joint": 100}
    )
    alone = TrainingSettings(seconds=60, second_stage="none")
    assert alone.stage_budgets() == {"first": 60}
    assert TrainingSettings().learning_rate("second") == 0.01
    other = TrainingSettings(second_stage="transformer")
    assert other.learning_rate("second") == 0.001
    assert TrainingSettings().weight_decay("first") == 0
    assert TrainingSettings(initial="input").weight_decay("first") == 0
    for initial in ("correct", "both"):
        found = TrainingSettings(initial=initial)
        assert found.weight_decay("first") == 0.3
        assert found.weight_decay("joint") == found.second_weight_decay
    own = TrainingSettings(initial="both", first_weight_decay=0.0)
    assert own.weight_decay("first") == 0


def test_own_stages():
    options = {"extra": 2, "num_groups": 3, "irreps": "8x0e"}
    name = "test_settings:Mine"
    settings = TrainingSettings(first_stage=name, first_options=options)
    assert settings.own_files() == [pathlib.Path(__file__)]
    assert stage_class("first_stage", name) is Mine
    own = TrainingSettings(
        second_stage="keras_hamiltonian.models:TransformerStage"
    )
    assert own.learning_rate("second") == 0.01
    # Options name parts in the same way.
    parts = {
        "radial": "textwrap:wrap",
        "interaction": {"class": "bisect:bisect"},
    }
    parts = TrainingSettings(first_options=parts)
    files = [path.name for path in parts.own_files()]
    assert files == ["bisect.py", "textwrap.py"]
