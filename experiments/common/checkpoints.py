"""Checkpoints on the way of a mini-batch training, for experiments that look at gradients in training."""

import dataclasses
import math
from typing import Annotated

import jax
import numpy as np
import optax
from annotated_types import Gt, MinLen
from jaxtyping import PyTree

from experiments.common import descents, experiment, runs
from experiments.common.bounds import Count, rising
from experiments.common.descents import Method
from experiments.common.problem import Problem
from research.training import TrainState


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of a training with batches of 100, looked at on the way."""

    num_seeds: Count = 3
    """How many runs, each with its own start and its own shuffles."""
    learning_rate: Annotated[float, Gt(0)] = 4.0
    """Learning rate; the best that full_batch_vs_sgd found for batches of 100."""
    checkpoints: Annotated[tuple[float, ...], Gt(0), MinLen(1), rising] = (0.1, 1, 5, 20)
    """After how many epochs the gradients are looked at, besides the start. Within the first epoch the nearest
    hundredth is taken, in whole steps; after it the nearest whole epoch."""

    @property
    def num_epochs(self) -> int:
        return max(1, math.ceil(self.checkpoints[-1] - 0.5))  # the nearest whole number, down from a half


def walk(settings: Settings, problem: Problem, batch_size: int) -> tuple[list[int], np.ndarray, list[PyTree]]:
    """(which points of `places`, their epochs, their parameters): the start and every checkpoint, trained."""
    start, order = descents.begin(problem, settings, settings.num_epochs)
    method = Method(f"batches of {batch_size}", batch_size, optax.sgd(settings.learning_rate))
    epochs, params = places(problem, method, start, order)
    points = nearest(epochs, (0, *settings.checkpoints))
    return points, epochs[points], [jax.tree.map(lambda leaf, at=point: leaf[:, at], params) for point in points]


def places(problem: Problem, method: Method, start: PyTree, order: np.ndarray) -> tuple[np.ndarray, PyTree]:
    """(epochs (points), params (seeds, points, ...)) along a training, the start included: about a hundred in the first
    epoch, every step where it has fewer, then one an epoch. `order` (seeds, epochs, examples): shuffles."""
    first, *rest = (descents.in_batches(order[:, [epoch]], method.batch_size) for epoch in range(order.shape[1]))
    legs = [*first_epoch(first), *(rows[:, None] for rows in rest)]
    loop = descents.minibatch_legs(problem, method, lambda problem, data, state: state.params)
    state, data = TrainState(start, jax.vmap(method.optimizer.init)(start)), (problem.train, problem.test)
    run = runs.descend(method.label, loop, state, data, [(schedule,) for schedule in legs])
    joined = jax.tree.map(lambda begun, seen: np.concatenate([begun[:, None], seen], 1), start, run.history.observed)
    return np.concatenate([[0], run.steps / first.shape[1]]), joined


def first_epoch(rows: np.ndarray) -> list[np.ndarray]:
    """Schedules (seeds, legs, steps, batch) of one epoch's rows (seeds, steps, batch): equal legs of a hundredth of it,
    rounded up to whole steps, and a shorter one for what is left.

    >>> [schedule.shape for schedule in first_epoch(np.zeros((2, 203, 5)))]
    [(2, 67, 3, 5), (2, 1, 2, 5)]
    """
    num_seeds, steps, batch_size = rows.shape
    length = math.ceil(steps / 100)
    whole = steps // length * length
    left = [rows[:, None, whole:]] if whole < steps else []
    return [rows[:, :whole].reshape(num_seeds, -1, length, batch_size), *left]


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
