"""Mini-batch trainings that experiments begin with: a plain one at a constant rate, and a long one whose rate falls to
0, for those about the bottom of the valley."""

import dataclasses
from typing import Annotated

import optax
from annotated_types import Ge, Gt

from experiments.common import descents, experiment
from experiments.common.bounds import BatchSize, Count
from experiments.common.descents import Method
from experiments.common.problem import Problem
from research.models import Params


@dataclasses.dataclass(frozen=True)
class PlainSettings(experiment.Settings):
    batch_size: BatchSize = 100
    """Examples in a mini-batch."""
    learning_rate: Annotated[float, Gt(0)] = 4.0
    """Learning rate; 4 was the best of full_batch_vs_sgd --tune for batches of 100."""
    num_epochs: Annotated[int, Ge(1)] = 6
    """Passes over the training set."""


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 2
    """How many runs, each with its own start and its own shuffles."""
    start_batch_size: BatchSize = 100
    """Batch size of the long training."""
    start_learning_rate: Annotated[float, Gt(0)] = 4.0
    """Its learning rate, which falls to 0 in the second half; 4 was the best of full_batch_vs_sgd --tune."""
    start_epochs: Annotated[int, Ge(1)] = 20
    """Its passes over the training set."""


def train(problem: Problem, settings: Settings) -> Params:
    """Where every seed's training ends."""
    start, order = descents.begin(problem, settings, settings.start_epochs)
    num_steps = descents.in_batches(order, settings.start_batch_size).shape[1]
    falling = descents.falling(settings.start_learning_rate, num_steps)
    method = Method("the long training", settings.start_batch_size, optax.sgd(falling))
    return descents.follow(problem, method, start, order, num_legs=2).end
