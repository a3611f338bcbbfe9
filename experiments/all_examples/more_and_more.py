"""How much better does it get if more and more examples are asked?

From the same starts the network takes equally many steps of 10 examples: of one 2 alone, of a 2 and a 5, of one of each
digit, of a hundred, a thousand, and of all. A batch of fewer than ten examples holds each of them several times. What
every test digit is then called is counted.

Run:     python -m experiments more_and_more [--quick | --full]
Time:    default 12 s, --quick 7 s, --full 60 s on 2 cores, compilation included
Result:  taught by one 2 alone the network is right about the 2s and nothing else; every further example makes it better
         (10 seeds; results/README.md has the numbers).
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, MultipleOf
from jax import Array
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from experiments.all_examples import more_and_more_figures as drawn
from experiments.common import asking, descents, experiment, runs
from experiments.common.claims import Claim, about, at_least, prediction, within
from experiments.common.problem import Problem
from research import gradients, training
from research.data import Examples, unit_interval
from research.models import Params
from research.training import History, TrainState

BATCH = 10  # examples of every step
CHUNK = 1000  # test images looked at together


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of listening to more and more; every seed has its own start and its own examples."""

    num_seeds: Annotated[int, Ge(1)] = 3
    """How many runs, each with its own start and its own examples."""
    learning_rate: Annotated[float, Gt(0)] = 1.5
    """Learning rate; Nielsen's 3.0, who differentiates with a 1/2 that the film's cost does not have."""
    num_steps: Annotated[int, Ge(10), MultipleOf(10)] = 6000
    """Steps of 10 examples; 6,000 are one epoch."""


QUICK = Settings(num_seeds=1, num_steps=3000)
FULL = Settings(num_seeds=10, num_steps=30_000)


class Result(NamedTuple):
    """Confusion matrices at the end, for every number of examples listened to."""

    sizes: Int[np.ndarray, "sizes"]
    confusion: Float[np.ndarray, "sizes seeds true called"]
    classes: tuple[int, ...]  # in the order in which they are listened to

    @property
    def right(self) -> np.ndarray:
        """(sizes, seeds): right answers in per cent, the diagonal's sum."""
        return 100 * np.trace(self.confusion, axis1=-2, axis2=-1)


def verdict(apply: Callable, params: Params, example: Examples) -> Array:
    """(true class, called class), a table with a single 1 in it: its mean over examples is the confusion matrix.

    >>> example = Examples(jnp.array([0.2, 0.9]), jnp.array([1.0, 0.0]))
    >>> verdict(lambda params, inputs: inputs, (), example).tolist()  # a 0 that is called 1
    [[0.0, 1.0], [0.0, 0.0]]
    """
    output = apply(params, unit_interval(example.inputs))
    return jnp.outer(example.targets, jax.nn.one_hot(jnp.argmax(output), len(output), dtype=example.targets.dtype))


def confusion(apply: Callable, params: Params, examples: Examples) -> Array:
    """Share of the examples with this true class (row) that are called that class (column); all sum to 1."""
    tables = jax.lax.map(partial(verdict, apply, params), examples, batch_size=min(CHUNK, len(examples.inputs)))
    return jnp.mean(tables, axis=0)


def schedule_for(rng: np.random.Generator, listened: np.ndarray, num_steps: int) -> np.ndarray:
    """(steps, BATCH) rows of the examples listened to: shuffle after shuffle, cut into batches.

    A batch of fewer than BATCH examples holds each of them several times; its mean is then theirs.

    >>> schedule_for(np.random.default_rng(0), np.array([7]), 2).tolist()
    [[7, 7, 7, 7, 7, 7, 7, 7, 7, 7], [7, 7, 7, 7, 7, 7, 7, 7, 7, 7]]
    """
    num_shuffles = math.ceil(num_steps * BATCH / len(listened))
    rows = np.concatenate([rng.permutation(listened) for _ in range(num_shuffles)])
    return rows[: num_steps * BATCH].reshape(num_steps, BATCH)


def how_many(num_classes: int, num_examples: int) -> list[int]:
    """To how many examples the network listens: one, two, one of each class, a hundred, a thousand, all.

    >>> how_many(10, 60000), how_many(3, 50)
    ([1, 2, 10, 100, 1000, 60000], [1, 2, 3, 50])
    """
    return sorted({size for size in (1, 2, num_classes, 100, 1000, num_examples) if size <= num_examples})


def listen_to_many(problem: Problem, learning_rate: float, start: Params, schedules: np.ndarray) -> np.ndarray:
    """Confusion matrices (runs, true, called) after following each run's schedule (runs, steps, BATCH)."""

    optimizer = optax.sgd(learning_rate)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)

    def loop(state: TrainState, shared: tuple[Examples, Examples], schedule: Array) -> tuple[TrainState, History]:
        train, test = shared
        return training.minibatch_descent(
            step, state, train, schedule, lambda state: confusion(problem.model.apply, state.params, test)
        )

    state = TrainState(start, jax.vmap(optimizer.init)(start))
    parts = [(part,) for part in np.split(schedules[:, None], 10, axis=2)]
    history = runs.descend("more and more examples", loop, state, (problem.train, problem.test), parts).history
    return history.observed[:, -1]


def measure(problem: Problem, settings: Settings) -> Result:
    """All sizes and all seeds as runs of one descent."""
    num_examples, num_classes = problem.train.targets.shape
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    start = jax.tree.map(np.asarray, descents.starts(problem, init_keys))
    orders, classes = asking.listening(problem, settings)
    sizes, rng = how_many(num_classes, num_examples), np.random.default_rng(settings.seed)
    schedules = [schedule_for(rng, order[:size], settings.num_steps) for size in sizes for order in orders]
    every_run = jax.tree.map(lambda leaf: np.tile(leaf, (len(sizes),) + (1,) * (leaf.ndim - 1)), start)
    found = listen_to_many(problem, settings.learning_rate, every_run, np.stack(schedules))
    return Result(np.array(sizes), found.reshape(len(sizes), len(orders), num_classes, num_classes), tuple(classes))


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """T27 and T28, for the film's network, cost and data."""
    if not settings.is_the_films:
        return
    truth, answers = (result.confusion.sum(axis=axis) for axis in (-1, -2))  # sizes, seeds, classes
    twos = 100 * float(truth[0, 0, 2])
    others = 100 * (1 - answers[1][:, list(result.classes[:2])].sum(axis=1))
    yield prediction("T27", f"after {settings.num_steps:,} steps on one 2 the network is right about the 2s and "
                     "nothing else", result.right[0].mean(), about(twos, by=1), "% correct, mean",
                     "the film")  # fmt: skip
    yield prediction("T27", "listening to a 2 and a 5, it calls hardly any test image anything else", others.max(),
                     within(0, 1), "% called otherwise, largest", "the film, for two")  # fmt: skip
    yield prediction("T28", "listening to more examples makes it better, every time: 1, 2, one of each, 100, 1,000, "
                     "all", np.diff(np.median(result.right, axis=1)).min(), at_least(0),
                     "% points, smallest growth of the median", "the film")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """Right answers for every number of examples."""
    sizes = ", ".join(f"{size:,}" for size in result.sizes)
    right = ", ".join(f"{percent:.0f}" for percent in np.median(result.right, axis=1))
    return (
        f"{settings.num_steps:,} steps on {sizes} examples give {right} % right answers on the test images (medians)."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """Right answers against how many are listened to, and what every digit is then called."""
    return {"more_and_more": drawn.more(result, settings.num_steps, BATCH)}
