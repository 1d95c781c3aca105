"""The six benchmark materials: data, published errors, budgets."""

import dataclasses

# Hidden irreps of DeepH-E3 (its default, and that for bilayer graphene).
DEFAULT_IRREPS = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e"
BILAYER_IRREPS = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e + 4x5o"
# https://zenodo.org/records/7553640 and 7553843; Bi2Se3 is in 7553827. Which
# of the two holds which material was not looked up.
ZENODO_REST = (7553640, 7553843)
# Budget of the published sets, not tried yet: 2000 epochs of the largest one.
PUBLISHED_STEPS = 600_000


@dataclasses.dataclass(frozen=True)
class Figures:
    """Published errors of one set, each `(MAE_all, MAE_cha)` in meV.

    Attributes:
        deeph_e3: The first stage alone.
        no_cascade: Ablation A, the second stage alone.
        no_covariant_features: Ablation B.
        no_attention: Ablation C.
        cascade: Both stages.
    """

    deeph_e3: tuple
    no_cascade: tuple
    no_covariant_features: tuple
    no_attention: tuple
    cascade: tuple


@dataclasses.dataclass(frozen=True)
class Preset:
    """One benchmark material of Yin et al., arXiv 2401.00744 (version 5).

    Attributes:
        code: str. Its name in the paper.
        material: str. Name in words.
        name: str. Name of the small data set in `recipes/data`.
        elements: tuple of str. Chemical symbols.
        num_layers: int. Layers of the crystal, between vacuum: a quintuple
            layer is one.
        spin: str. Spin layout of the blocks.
        num_atoms: int. Atoms in the published cells.
        counts: tuple of int. Published structures that train, validate, test.
        figures: `Figures` on the published test set.
        zenodo: tuple of int. Zenodo records in which the published data are.
        steps: int. Budget for the small set, in optimizer steps of both
            stages.
        irreps: str. Hidden irreps of the first stage for the published set.
        num_twisted: int. Published twisted structures, which test only.
        twisted_figures: `Figures` on them, or `None`.
        twisted_name: str, or `None`. Small set of twisted structures.
    """

    code: str
    material: str
    name: str
    elements: tuple
    num_layers: int
    spin: str
    num_atoms: int
    counts: tuple
    figures: Figures
    zenodo: tuple
    steps: int
    irreps: str = DEFAULT_IRREPS
    num_twisted: int = 0
    twisted_figures: Figures | None = None
    twisted_name: str | None = None

    def settings(self, published=False, scale=1.0):
        """Arguments of `TrainingSettings`.

        Args:
            published: bool. Those of the published set instead of the small
                one. It may be larger than memory, so nothing is cached.
            scale: float. Factor of the budget.

        Returns:
            Dict.
        """
        steps = PUBLISHED_STEPS if published else self.steps
        settings = {"steps": max(2, round(scale * steps))}
        if published:
            settings["first_options"] = {"irreps": self.irreps}
            settings["cache"] = False
            settings["checkpoint_freq"] = 1
        return settings


PRESETS = {
    preset.code: preset
    for preset in (
        Preset(
            "MG",
            "monolayer graphene",
            "graphene",
            ("C",),
            1,
            "none",
            72,
            (270, 90, 90),
            Figures(
                (0.251, 0.357),
                (0.774, 0.880),
                (0.243, 0.328),
                (0.221, 0.297),
                (0.176, 0.267),
            ),
            ZENODO_REST,
            2000,
        ),
        Preset(
            "MM",
            "monolayer MoS2",
            "mos2",
            ("Mo", "S"),
            1,
            "none",
            75,
            (300, 100, 100),
            Figures(
                (0.406, 0.574),
                (0.927, 0.958),
                (0.384, 0.414),
                (0.319, 0.366),
                (0.233, 0.293),
            ),
            ZENODO_REST,
            1400,
        ),
        Preset(
            "BG",
            "bilayer graphene",
            "bilayer_graphene",
            ("C",),
            2,
            "none",
            64,
            (180, 60, 60),
            Figures(
                (0.389, 0.453),
                (0.854, 0.920),
                (0.365, 0.427),
                (0.348, 0.419),
                (0.287, 0.362),
            ),
            ZENODO_REST,
            1200,
            irreps=BILAYER_IRREPS,
            num_twisted=9,
            twisted_figures=Figures(
                (0.264, 0.429),
                (0.801, 0.863),
                (0.312, 0.441),
                (0.278, 0.428),
                (0.227, 0.403),
            ),
            twisted_name="bilayer_graphene_twisted",
        ),
        Preset(
            "BB",
            "bilayer bismuthene",
            "bismuthene",
            ("Bi",),
            2,
            "noncollinear",
            36,
            (231, 113, 113),
            Figures(
                (0.274, 0.304),
                (0.802, 0.873),
                (0.249, 0.281),
                (0.243, 1.326),
                (0.172, 0.198),
            ),
            ZENODO_REST,
            1500,
            num_twisted=4,
            twisted_figures=Figures(
                (0.468, 0.602),
                (1.213, 1.569),
                (0.530, 0.697),
                (0.504, 0.669),
                (0.438, 0.578),
            ),
        ),
        Preset(
            "BT",
            "bilayer Bi2Te3",
            "bi2te3",
            ("Bi", "Te"),
            2,
            "noncollinear",
            90,
            (204, 38, 12),
            Figures(
                (0.447, 0.480),
                (0.930, 1.026),
                (0.439, 0.466),
                (0.385, 0.414),
                (0.294, 0.321),
            ),
            ZENODO_REST,
            500,
            num_twisted=2,
            twisted_figures=Figures(
                (0.831, 0.850),
                (1.892, 1.937),
                (0.928, 0.943),
                (0.837, 0.846),
                (0.774, 0.794),
            ),
        ),
        Preset(
            "BS",
            "bilayer Bi2Se3",
            "bi2se3",
            ("Bi", "Se"),
            2,
            "noncollinear",
            90,
            (231, 113, 113),
            Figures(
                (0.397, 0.424),
                (0.898, 0.960),
                (0.392, 0.401),
                (0.348, 0.375),
                (0.282, 0.308),
            ),
            (7553827,),
            500,
            num_twisted=2,
            twisted_figures=Figures(
                (0.370, 0.390),
                (1.569, 1.892),
                (0.415, 0.456),
                (0.392, 0.421),
                (0.336, 0.365),
            ),
        ),
    )
}
