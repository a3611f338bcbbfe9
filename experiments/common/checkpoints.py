"""Checkpoints on the drunk man's way: the settings, and the walk, of experiments that look at gradients in training."""

import dataclasses
import math

import jax
import numpy as np
import optax
from jaxtyping import PyTree

from experiments.common import descents, runs
from experiments.common import settings as common
from experiments.common.descents import Method, Problem


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of a training with batches of 100, looked at on the way."""

    num_seeds: int = 3
    """How many runs, each with its own start and its own shuffles, 1 or more."""
    learning_rate: float = 4.0
    """Learning rate, above 0; the best that full_batch_vs_sgd found for batches of 100."""
    checkpoints: tuple[float, ...] = (0.1, 1, 5, 20)
    """After how many epochs the gradients are looked at, besides the start; rising, above 0. Within the first epoch the
    nearest hundredth is taken, in whole steps; after it the nearest whole epoch."""

    @property
    def num_epochs(self) -> int:
        """Passes over the training set."""
        return math.ceil(self.checkpoints[-1])

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rate", [self.learning_rate])
        common.check_positive("--checkpoints", self.checkpoints)
        common.require(
            self.checkpoints == tuple(sorted(set(self.checkpoints))) != (),
            f"{common.typed('--checkpoints', self.checkpoints)}: give one or more, rising, such as 0.1 1 5",
        )


def walk(settings: Settings, problem: Problem, batch_size: int) -> tuple[list[int], np.ndarray, list[PyTree]]:
    """(which points of `descents.places`, their epochs, their parameters): the start and every checkpoint, trained."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_epochs)
    method = Method(f"batches of {batch_size}", batch_size, optax.sgd(settings.learning_rate))
    epochs, params = descents.places(problem, method, descents.starts(problem, init_keys), order)
    points = nearest(epochs, (0, *settings.checkpoints))
    if len(points) <= len(settings.checkpoints):
        taken = ", ".join(f"{epochs[point]:.3g}" for point in points)
        runs.console.print(
            f"{common.typed('--checkpoints', settings.checkpoints)}: some fall together; looked at: {taken} epochs"
        )
    return points, epochs[points], [jax.tree.map(lambda leaf, at=point: leaf[:, at], params) for point in points]


def stop_if_stuck(epochs: np.ndarray, over_gradient: np.ndarray) -> None:
    """Raises runs.Stuck for the first checkpoint at which a seed's number (seeds, checkpoints), something over |G|^2 or
    |G|^2 over something, is none, there being no gradient."""
    none = ~np.isfinite(over_gradient).all(axis=0)
    if none.any():
        raise runs.Stuck(float(epochs[none][0]))


def nearest(epochs: np.ndarray, wanted: tuple[float, ...]) -> list[int]:
    """The places nearest to those wanted, each once.

    >>> nearest(np.array([0, 0.5, 1]), (0, 0.1, 0.6, 1))
    [0, 1, 2]
    """
    return sorted({int(np.argmin(np.abs(epochs - when))) for when in wanted})
