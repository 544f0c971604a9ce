"""The best model of a run so far; before the first validation, the latest."""

from __future__ import annotations

from typing import Any

from ..engines.weights import Weights
from ..model.model import Model
from ..model.oddity.calibration import Calibration
from ..model.storage.provenance import Provenance
from .plan import Plan
from .position import Position
from .saving import Saving
from .trainer import Trainer


class Best:
    """Keeps the best weights, and makes a model of them when it is asked for."""

    def __init__(self, plan: Plan, trainer: Trainer, saving: Saving | None) -> None:
        """Of a run that goes on, the model that was saved, or the weights of its checkpoint."""
        self._plan, self._trainer = plan, trainer
        self._model: Model | None = None
        self._weights: Weights | None = None
        self._calibration: Calibration | None = None
        if saving is not None and not trainer.start.is_best:
            self._model = saving.best_model(plan, trainer.start)
        elif trainer.start.best_step is not None:
            self.keep()

    def keep(self) -> None:
        """The network as it is now is the best."""
        self._weights = self._trainer.weights()
        self._calibration = self._trainer.calibration()

    def model(self, position: Position) -> Model:
        """The same object until there is a better one."""
        step = position.step if position.best_step is None else position.best_step
        if self._model is None or self._model.provenance.step != step:
            self._model = self._made(position, step)
        return self._model

    def _made(self, position: Position, step: int) -> Model:
        plan, engine = self._plan, self._trainer.engine
        perhaps: dict[str, Any] = {"base": plan.base, "calibration": self._calibration}
        provenance = Provenance(
            step=step,
            steps=position.steps,
            validation=position.best,
            precision=engine.precision,
            kernels=engine.kernels,
            text=plan.text,
            training=plan.training,
            corpus=plan.corpus,
            split=plan.split,
            **{name: known for name, known in perhaps.items() if known is not None},
        )
        return Model(
            plan.model,
            plan.vocabulary,
            self._trainer.weights() if self._weights is None else self._weights,
            provenance,
            precision=engine.precision,
            threads=plan.training.threads,
            engine=plan.training.engine,
            device=plan.training.device,
        )
