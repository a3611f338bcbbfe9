"""Networks of plain layers that are trained in two ways from one start: what avenues and repair share."""

import dataclasses
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt
from jax import Array
from jaxtyping import PyTree

from experiments.common import descents, experiment, runs
from experiments.common.bounds import of_train
from experiments.common.problem import Problem
from research import data, layerwise, training
from research.data import Examples
from research.models import Layer
from research.training import Step, TrainState


@dataclasses.dataclass(frozen=True)
class Legs(experiment.Settings):
    """A training that is looked at after every leg."""

    batch_size: Annotated[int, Ge(1), of_train] = 100
    """Examples in a mini-batch."""
    num_legs: Annotated[int, Ge(1)] = 12
    """How often a training is looked at."""
    steps_per_leg: Annotated[int, Ge(1)] = 100
    """Mini-batch steps between two looks."""
    num_looked_at: Annotated[int, Ge(1), of_train] = 5000
    """Training images, from the first on, on which costs and gradients are looked at; all are trained on."""


@dataclasses.dataclass(frozen=True)
class Settings(Legs):
    learning_rate: Annotated[float, Gt(0)] = 2.0
    """Learning rate of all descents."""


def follow(
    settings: Legs, train: Examples, look: Callable, step: Step, params: list[Layer], shuffle_key: Array
) -> tuple[list[Layer], PyTree]:
    """(where mini-batch descent by this step ends, what `look(params)` sees at the start and after every leg)."""
    num_legs, steps_per_leg, batch_size = settings.num_legs, settings.steps_per_leg, settings.batch_size
    rows = layerwise.batches(shuffle_key, len(train.inputs), batch_size, num_legs * steps_per_leg)
    schedule = rows.reshape(num_legs, steps_per_leg, batch_size)
    end, history = training.minibatch_descent(
        step, TrainState(params, ()), train, schedule, lambda state: look(state.params)
    )
    seen = jax.tree.map(lambda first, later: jnp.concatenate([first[None], later]), look(params), history.observed)
    return end.params, seen


def every_seed(problem: Problem, settings: Settings, of_seed: Callable) -> tuple:
    """What `of_seed(params, key, (train, few))` finds from every seed's start, first the costs (ways, looks).
    Raises Diverged if a cost is not finite."""
    few = data.take(problem.train, slice(settings.num_looked_at))
    init_keys, keys = runs.seed_keys(settings.seed, settings.num_seeds)
    found = runs.over_seeds(of_seed, (0, 0, None))
    costs, *others = jax.device_get(found(descents.starts(problem, init_keys), keys, (problem.train, few)))
    bad = ~np.isfinite(costs).all(axis=(0, 1))
    if bad.any():
        raise runs.Diverged("training", settings.steps_per_leg * int(bad.argmax()))
    return costs, *others
