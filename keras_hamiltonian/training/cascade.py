"""Fits of both stages, each with checkpoints to resume from."""

import time

import keras

from keras_hamiltonian.callbacks.budget_bar import BudgetBar
from keras_hamiltonian.callbacks.callback_state import checkpoint_members
from keras_hamiltonian.callbacks.cosine_budget import CosineBudget
from keras_hamiltonian.callbacks.in_step import InStep
from keras_hamiltonian.callbacks.learning_curve import LearningCurve
from keras_hamiltonian.callbacks.revert_on_nan import RevertOnNaN
from keras_hamiltonian.callbacks.revert_on_spike import RevertOnSpike
from keras_hamiltonian.callbacks.training_checkpoint import TrainingCheckpoint
from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.losses.block_errors import BlockMeanSquaredError
from keras_hamiltonian.losses.k_space import KSpaceLoss
from keras_hamiltonian.losses.trace_loss import TraceLoss
from keras_hamiltonian.losses.training_error import TrainingError
from keras_hamiltonian.messages import logger
from keras_hamiltonian.models.k_space_dataset import KSpaceDataset
from keras_hamiltonian.models.stage_features import StageFeatures
from keras_hamiltonian.optimizers.adamw import AdamW
from keras_hamiltonian.optimizers.muon import Muon
from keras_hamiltonian.strategy import current
from keras_hamiltonian.training.freezing import freeze
from keras_hamiltonian.training.preparation import make_cascade
from keras_hamiltonian.training.preparation import make_states

# Folder of a run that a stopped training resumes from.
CHECKPOINTS = "checkpoint"
LOSSES = {
    "mean_absolute": BlockMeanAbsoluteError,
    "mean_squared": BlockMeanSquaredError,
}
OPTIMIZERS = {"muon": Muon, "adam": AdamW}


class CascadeFit:
    """Fits one stage after the other, with one learning curve.

    Args:
        training, validation: `HamiltonianDataset`; the second may be `None`.
        settings: `TrainingSettings`.
        folder: path. For `learning_curve.json` and checkpoints.
        fingerprint: str. Checksum of all that the training depends on.
        callbacks: see `kh.train`.
        start: float. Reading of `time.process_time()` at which the budget of
            seconds began.
        model: `Start`, the model that the training begins with, or `None`.

    Attributes:
        checkpoints: path of their folder.
        curve: `LearningCurve`.
        steps: dict. Optimizer steps of each stage: `"first"`, `"second"`,
            `"joint"`.
    """

    def __init__(
        self,
        training,
        validation,
        settings,
        folder,
        fingerprint,
        callbacks,
        start,
        model=None,
    ):
        self.training = training
        self.validation = validation
        self.settings = settings
        self.checkpoints = folder / CHECKPOINTS
        self.fingerprint = fingerprint
        self.callbacks = callbacks
        self.states = None
        self.start = start
        self.model = model
        self.curve = LearningCurve(folder / "learning_curve.json", start)
        self.budgets = settings.stage_budgets()
        self.steps = {}

    def prepare(self, stage):
        """Structures without an overlap get that of the stage; then the
        eigenstates that a loss needs are solved."""
        for data in (self.training, self.validation):
            if data is not None:
                data.overlap = stage.overlap
        # States belong to the data; solving them is not in the budget.
        now = time.process_time()
        with current().in_turn():
            self.states = make_states(self.training, self.settings, stage)
        seconds = time.process_time() - now
        self.start += seconds
        self.curve.start += seconds

    def first(self, stage):
        """The first stage, from the atoms."""
        data = self.training, self.validation
        self._freeze(first=stage)
        if "first" not in self.budgets:
            # All of it is frozen; what has a closed form is not.
            stage.adapt(self.training)
            self.steps["first"] = 0
            return
        self._fit("first", stage, *data, self.start, stage.adapt)

    def second(self, stage):
        """The second stage, on features of the first.

        Returns:
            `HamiltonianCascade`.
        """
        start = time.process_time()
        cascade = make_cascade(stage, self.settings, self.model)
        data = [
            d
            if d is None
            else StageFeatures(stage, d, cache=self.settings.cache)
            for d in (self.training, self.validation)
        ]
        refinement = cascade.refinement
        self._freeze(second=refinement)
        self._fit("second", refinement, *data, start, refinement.adapt)
        return cascade

    def joint(self, cascade):
        """Both stages together, from the atoms."""
        data = self.training, self.validation
        cascade.stage.trainable = True
        self._freeze(first=cascade.stage, second=cascade.refinement)
        self._fit("joint", cascade, *data, time.process_time())
        cascade.stage.trainable = False

    def _freeze(self, **stages):
        freeze(stages, self.settings.freeze)
        for part, stage in stages.items():
            if not stage.trainable_variables and part in self.budgets:
                raise ValueError(
                    f"`freeze` leaves nothing to train of the {part} stage. "
                    'Freeze fewer layers, or all of the first stage, "first".'
                )

    def _fit(self, part, model, training, validation, start, adapt=None):
        group = current()
        self.training.set_state({"epoch": 0})
        # All that has a closed form is fitted to all structures.
        self.training.take_part(0, 1)
        budget, checkpoint, callbacks = self._callbacks(part, start)
        is_finished, is_new = group.first(
            (checkpoint.is_finished, not checkpoint.path.is_file())
        )
        if is_finished:
            if group.is_first:
                checkpoint.restore(model)
            group.share(model.variables)
            self.steps[part] = budget.step
            return
        if not is_new:
            logger.info(f"Resumes with epoch {checkpoint.epoch + 1} ({part}).")
        elif adapt:
            adapt(training)
        self._compile(part, model)
        if self.states is not None:
            training = KSpaceDataset(training, self.states, self.settings.seed)
        self.training.take_part(group.rank, group.size)
        if not group.is_first:
            callbacks, validation = [], None
        if group.size > 1:
            callbacks.append(InStep(group, self.training))
        if is_new and keras.config.backend() != "torch":
            logger.info(
                f"{keras.config.backend()} compiles the network in the first "
                "step, which takes up to two minutes; for structures of other "
                "sizes again."
            )
        try:
            model.fit(
                training,
                validation_data=validation,
                validation_freq=self.settings.validation_freq,
                initial_epoch=checkpoint.epoch,
                epochs=10**9,
                shuffle=False,
                callbacks=callbacks,
                verbose=0,
            )
        except KeyboardInterrupt:
            logger.info(
                f"Stopped. {checkpoint.path} keeps the first "
                f"{checkpoint.epoch} epochs ({part}): the same command or call "
                "goes on from there. again=True (--again) begins anew."
            )
            raise
        self.steps[part] = budget.step

    def _callbacks(self, part, start):
        """The budget of a stage, its checkpoint, and all callbacks."""
        settings = self.settings
        unit, amount = "seconds", self.budgets[part]
        if settings.steps is not None:
            unit, amount = "steps", max(1, round(amount))
        budget = CosineBudget(
            settings.learning_rate(part),
            warmup_steps=settings.warmup_steps,
            start=start,
            **{unit: amount},
        )
        revert = RevertOnSpike()
        own = self._own_callbacks(part) if current().is_first else []
        self.curve.stage = part
        checkpoint = TrainingCheckpoint(
            self.checkpoints / f"{part}.npz",
            [
                self.training,
                budget,
                self.curve,
                revert,
                *checkpoint_members(own),
            ],
            settings.checkpoint_freq,
            self.fingerprint,
        )
        finite = RevertOnNaN(checkpoint, budget)
        ours = [budget, BudgetBar(budget), self.curve, revert]
        # The checkpoint is the last: it keeps what the others leave.
        return budget, checkpoint, [*ours, *own, finite, checkpoint]

    def _compile(self, part, model):
        settings, joint_losses = self.settings, []
        if self.states is not None:
            joint_losses = [KSpaceLoss(**settings.k_loss.loss_options())]
        model.compile(
            self._optimizer(part),
            loss=LOSSES[settings.loss](),
            joint_losses=[*joint_losses, *self._trace_losses(model)],
            joint_metrics=[TrainingError()],
            jit_compile=keras.config.backend() == "jax",
        )

    def _own_callbacks(self, part):
        """The user's callbacks of a stage."""
        found = self.callbacks
        found = keras.tree.flatten(found(part) if callable(found) else found)
        for callback in found:
            if not isinstance(callback, keras.callbacks.Callback):
                raise ValueError(
                    "`callbacks` are a list of `keras.callbacks.Callback`, or "
                    "a function from the name of a stage to such a list. "
                    f"Received: {callback!r}."
                )
        return found

    def _trace_losses(self, model):
        """Losses of what a model gives beside the blocks."""
        if "hopping_traces" not in model.output:
            return ()
        settings = self.settings
        return (
            TraceLoss(
                model.basis.table_shells,
                LOSSES[settings.loss](),
                settings.trace_weight,
            ),
        )

    def _optimizer(self, part):
        settings = self.settings
        return OPTIMIZERS[settings.optimizer](
            settings.learning_rate(part),
            weight_decay=settings.weight_decay(part),
            global_clipnorm=settings.clipnorm,
        )
