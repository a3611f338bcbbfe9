"""A race down to a given cost: how many steps does every batch size need, each with the learning rate that suits it?

Each batch size has the learning rate of one grid with which starts that are not counted came down soonest (geometric
mean of their steps). "Down" is the first look at which the cost of the first 2,000 training images is at most the
target; a look is taken every 256 examples, or every step where a batch has more. The time to the target is what counts,
and a rate that takes half as long again as the best is given up: so this is no search of experiments/common/tune.py.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, MinLen
from jax import Array
from jaxtyping import Float, Int

from experiments.common import descents, experiment, runs
from experiments.common.bounds import Count, below_train, require, rising
from experiments.common.problem import Problem
from research import data, fits, gradients, statistics, training
from research.data import Examples
from research.models import Params
from research.training import TrainState

CHECKED = slice(2000)  # training images whose cost says whether the target is reached
LOOK_EVERY = 256  # examples
TUNING_SEEDS = 2  # starts on which rates are chosen, beside those that are counted
POINTS = 8  # of the way down at which the noise scale is measured
FEWEST = 3  # batch sizes that are no curve yet
FILMS_EXAMPLES = 60_000


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 3
    """How many starts are counted; two more, by which rates are chosen, are not."""
    batch_sizes: Annotated[tuple[int, ...], Ge(1), MinLen(3), rising, below_train] = (
        1, 2, 4, 16, 64, 256, 1024, 4096, 16384,
    )  # fmt: skip
    """Batch sizes; the full batch comes besides."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(3), rising] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    """The grid of learning rates, the same for every batch size."""
    target: Annotated[float, Gt(0)] = 0.5
    """The cost to come down to. At the start it is about 2.7; where all outputs are 0.1, it is 0.9."""
    max_steps: Annotated[int, Ge(LOOK_EVERY)] = 400
    """Steps after which a run is given up; small batches may take as many as one pass over the images."""


class Race(NamedTuple):
    """Steps to the target, how they were found, and the noise scale on the way."""

    sizes: Int[np.ndarray, "sizes"]  # of the batches, the full one last
    steps: Float[np.ndarray, "sizes seeds"]  # NaN where the target was not reached
    rates: Float[np.ndarray, "sizes"]  # the learning rate that was chosen
    tuning: Float[np.ndarray, "sizes grid"]  # geometric mean of the tuning starts' steps, at least
    noise: Float[np.ndarray, "seeds points"]  # B_simple along the way down of the batch size in the middle

    def medians(self) -> tuple[np.ndarray, np.ndarray]:
        """(sizes, median steps) of those batch sizes that reached the target from every start."""
        reached = np.isfinite(self.steps).all(axis=1)
        return self.sizes[reached], np.median(self.steps[reached], axis=1)

    @property
    def hyperbola(self) -> fits.Hyperbola:
        """S = S_min (1 + B_crit / B), fitted to the medians."""
        return fits.hyperbola(*self.medians())

    @property
    def noise_scale(self) -> float:
        """B_simple: the mean of the way, median of the seeds."""
        return float(np.median(self.noise.mean(axis=1)))

    @property
    def over_critical(self) -> float:
        """B_simple over B_crit."""
        return self.noise_scale / self.hyperbola.critical


# One batch size, one start.


def steps_to(problem: Problem, target: float, batch_size: int, num_examples: int) -> Callable:
    """(start, rows, train, rate, cap) -> steps until the target is reached, or `cap` where it is not reached before.
    `rows` (looks, steps, batch) are the examples of every step; ignored where a batch is everything."""
    whole = batch_size == num_examples
    objective = problem.cost if whole else gradients.mean_over_examples(problem.example_cost)

    def count(start: Params, rows: Array, train: Examples, rate: Array, cap: Array) -> Array:
        optimizer, checked = optax.sgd(rate), data.take(train, CHECKED)
        step, steps_per_look = training.make_step(objective, optimizer), 1 if whole else rows.shape[1]

        look = lambda state: problem.cost(state.params, checked)

        def to_the_next_look(carry: tuple[TrainState, Array, Array]) -> tuple[TrainState, Array, Array]:
            state, looks, _ = carry
            if whole:
                state, history = training.full_batch_descent(step, state, train, 1, 1, look)
            else:
                state, history = training.minibatch_descent(step, state, train, rows[looks][None], look)
            return state, looks + 1, history.observed[0]

        def goes_on(carry: tuple[TrainState, Array, Array]) -> Array:
            _, looks, cost = carry
            return ~(cost <= target) & (looks * steps_per_look < cap) & ~jnp.isnan(cost)

        carry = TrainState(start, optimizer.init(start)), jnp.zeros((), jnp.int32), jnp.full((), jnp.inf)
        _, looks, cost = jax.lax.while_loop(goes_on, to_the_next_look, carry)
        return jnp.where(cost <= target, jnp.minimum(looks * steps_per_look, cap), cap)

    return count


def race(count: Callable, start: Params, rows: Array, train: Examples, rates: Array, cap: Array) -> Array:
    """Steps to the target for every rate in turn; one that takes half as long again as the best is left.
    `cap` is how many steps any may take; one that was left counts as the steps after which it was."""
    cap = jnp.asarray(cap, jnp.int32)

    def with_rate(best: Array, rate: Array) -> tuple[Array, Array]:
        steps = count(start, rows, train, rate, jnp.minimum(cap, best + best // 2))
        return jnp.minimum(best, steps), steps

    return jax.lax.scan(with_rate, cap, rates)[1]


def most_steps(max_steps: int, num_examples: int, batch_size: int) -> int:
    """After so many steps a run is given up: max_steps, or one pass where that is more; a whole number of looks."""
    per_look = max(1, LOOK_EVERY // batch_size)
    return max(max_steps, num_examples // batch_size) // per_look * per_look


def rows_of(shuffle_keys: Array, num_examples: int, size: int, most: int) -> np.ndarray:
    """Every start's first `most` mini-batches, divided into looks: (starts, looks, steps, batch); nothing is drawn for
    the full batch."""
    if size == num_examples:
        return np.zeros((len(shuffle_keys), 1, 1, 1), np.int32)
    num_epochs = math.ceil(most * size / (num_examples // size * size))
    rows = descents.in_batches(descents.shuffles(shuffle_keys, num_examples, num_epochs), size)
    per_look = max(1, LOOK_EVERY // size)
    return rows[:, : most // per_look * per_look].reshape(len(rows), -1, per_look, size)


# All batch sizes, each with the rate that suits it.


def begin(problem: Problem, settings: Settings) -> tuple[Params, Array]:
    """(starts, shuffle keys): those by which rates are chosen first, then those that are counted."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds + TUNING_SEEDS)
    return jax.device_get(descents.starts(problem, init_keys)), shuffle_keys


def hold(problem: Problem, settings: Settings, starts: Params, shuffle_keys: Array) -> Race:
    """From the largest batch to the smallest: choose a rate on the first two starts, count on the others. Then measure
    the noise scale on the way down. The rate of the batch size before is tried first, so that slower ones are soon
    stopped."""
    num_examples = len(problem.train.inputs)
    tuning, counted = (data.take(starts, part) for part in (slice(TUNING_SEEDS), slice(TUNING_SEEDS, None)))
    grid, guess, found = np.array(settings.learning_rates, np.float32), 4.0, []
    sizes = [*settings.batch_sizes, num_examples]
    for size in reversed(sizes):
        cap = most_steps(settings.max_steps, num_examples, size)
        rows = rows_of(shuffle_keys, num_examples, size, cap)
        count = steps_to(problem, settings.target, size, num_examples)
        every_start = runs.over_seeds(partial(race, count), (0, 0, None, None, None))
        nearest_first = np.argsort(abs(np.log(grid / guess)), kind="stable")
        took = np.asarray(every_start(tuning, rows[:TUNING_SEEDS], problem.train, grid[nearest_first], cap))
        by_rate = np.exp(np.log(took).mean(axis=0))[np.argsort(nearest_first)]
        best = int(by_rate.argmin())
        guess = float(grid[best])
        needed = np.asarray(every_start(counted, rows[TUNING_SEEDS:], problem.train, grid[[best]], cap))[:, 0]
        found.append((np.where(needed < cap, needed, np.nan), guess, by_rate))
        runs.console.print(f"batches of {size:,}: rate {guess:g}, {np.median(needed):,.0f} steps")
    steps, rates, tried = map(np.stack, zip(*reversed(found), strict=True))
    require_a_curve(settings, np.array(sizes), steps)
    noise = noise_scales(problem, settings, steps, rates, counted, shuffle_keys)
    return Race(np.array(sizes), steps, rates, tried, noise)


def require_a_curve(
    settings: Settings, sizes: Int[np.ndarray, "sizes"], steps: Float[np.ndarray, "sizes seeds"]
) -> None:
    """Raises SettingsError where every mini-batch size is down at its first look: nobody saw when; or too few are."""
    first_looks = np.maximum(1, LOOK_EVERY // sizes[:-1])
    require(
        bool((steps[:-1] > first_looks[:, None]).any()) or not np.isfinite(steps[:-1]).all(),
        f"--target is {settings.target:g}, to which every batch size has come down at the first look, after "
        f"{LOOK_EVERY} examples or a step; give a lower --target",
    )
    reached = sizes[np.isfinite(steps).all(axis=1)]
    require(
        len(reached) > FEWEST,
        f"too few batch sizes came down to --target from every start ({', '.join(map(str, reached))}: {len(reached)}, "
        f"more than {FEWEST} are needed); give a higher --target, more --max-steps or other --learning-rates",
    )


def noise_scales(
    problem: Problem, settings: Settings, steps: np.ndarray, rates: np.ndarray, counted: Params, shuffle_keys: Array
) -> Float[np.ndarray, "seeds points"]:
    """B_simple along the way down of the middle batch size, with its rate, in its median of steps."""
    row = len(settings.batch_sizes) // 2
    size, took, num_examples = settings.batch_sizes[row], steps[row], len(problem.train.inputs)
    most = most_steps(settings.max_steps, num_examples, size)
    length = max(POINTS, int(np.nanmedian(took)) if np.isfinite(took).any() else most)
    rows = rows_of(shuffle_keys, num_examples, size, most).reshape(len(shuffle_keys), -1, size)[TUNING_SEEDS:, :length]
    measure = runs.over_seeds(partial(noise_on_the_way, problem, float(rates[row])), (0, 0, None))
    return np.asarray(measure(counted, rows, problem.train))


def noise_on_the_way(problem: Problem, rate: float, start: Params, rows: Array, train: Examples) -> Array:
    """B_simple at the start and at POINTS places, equally many steps apart, of one way down; `rows` (steps, batch)."""
    optimizer, some = optax.sgd(rate), data.take(train, CHECKED)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)
    scale = lambda state: jnp.asarray(statistics.noise_scale(problem.statistics.moments(state.params, some)))
    state = TrainState(start, optimizer.init(start))
    legs = rows[: len(rows) // POINTS * POINTS].reshape(POINTS, -1, rows.shape[-1])
    _, history = training.minibatch_descent(step, state, train, legs, scale)
    return jnp.concatenate([scale(state)[None], history.observed])
