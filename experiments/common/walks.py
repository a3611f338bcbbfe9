"""Full-batch and mini-batch descents from one start, their paths remembered.

Every method carries an odometer (research.paths), so that length and turns of a path are those of all its steps. The
cost along a path is computed afterwards, at some of its points. Methods are compared when their clocks show the same:
equally many steps, examples or seconds.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge, Gt, MinLen
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from experiments.common import descents, experiment, hills, records, runs
from experiments.common.bounds import Count, below_train, different, require, typed
from experiments.common.descents import Method
from experiments.common.problem import Problem
from research import paths
from research.data import Examples
from research.training import TrainState

MOST_METHODS = 6  # so many line styles there are
LEAST_STEPS = 10  # of a path


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 2
    """How many starts, each with its own shuffles; pictures of paths show the first."""
    batch_sizes: Annotated[tuple[int, ...], Ge(1), below_train, MinLen(1), different] = (10, 100, 1000)
    """Mini-batch sizes."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1)] = (0.5, 4.0, 4.0)
    """Learning rate for each of the batch sizes; found by full_batch_vs_sgd --tune at commit 50088b6."""
    full_batch_learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1), different] = (4.0, 1.0)
    """Learning rates of full-batch descent; the first, found likewise, is the careful man's."""
    num_steps: Annotated[int, Ge(LEAST_STEPS)] = 100
    """Full-batch steps."""
    num_epochs: Annotated[int, Ge(1)] = 3
    """Passes over the training set for every mini-batch size."""
    num_points: Annotated[int, Ge(10)] = 100
    """Points of each path that are looked at, about."""

    def check(self) -> None:
        require(
            len(self.batch_sizes) == len(self.learning_rates),
            f"{typed('--batch-sizes', self.batch_sizes)} {typed('--learning-rates', self.learning_rates)}: "
            "give as many rates as sizes",
        )
        count = len(self.full_batch_learning_rates) + len(self.batch_sizes)
        said = f"--full-batch-learning-rates and --batch-sizes make {count} paths; at most {MOST_METHODS} can be drawn"
        require(count <= MOST_METHODS, said)


class Way(NamedTuple):
    label: str
    batch_size: int
    learning_rate: float
    is_full_batch: bool

    @property
    def name(self) -> str:
        return f"{'careful' if self.is_full_batch else 'drunk'}: {self.label}, rate {self.learning_rate:g}"

    @property
    def short(self) -> str:
        return f"{self.label.replace('batches of ', 'B = ')}\nrate {self.learning_rate:g}"

    @property
    def method(self) -> Method:
        return Method(self.label, self.batch_size, optax.chain(optax.sgd(self.learning_rate), paths.odometer()))


class Walk(NamedTuple):
    """One way's path, from its start on."""

    way: Way
    steps: np.ndarray  # points
    point: np.ndarray  # seeds, points, parameters
    length: np.ndarray  # seeds, points: of the path so far
    turns: np.ndarray  # seeds, points: sum of the cosines of successive steps so far
    logged: np.ndarray  # seeds, steps: the cost that training itself saw before every step


class Looks(NamedTuple):
    """The cost at some points of a path."""

    numbers: Int[np.ndarray, "looks"]  # of the points
    steps: Int[np.ndarray, "looks"]
    cost: Float[np.ndarray, "seeds looks"]  # on the training set


class Reading(NamedTuple):
    """Every way when all clocks show the same."""

    cost: Float[np.ndarray, "ways seeds"]
    tortuosity: Float[np.ndarray, "ways seeds"]  # length of the path over displacement, 1 for a straight line


def observe(problem: Problem, shared: tuple[Examples, Examples], state: TrainState) -> tuple[Array, Array, Array]:
    """The fields point, length and turns of Walk."""
    odometer: Any = state.opt_state[-1]  # pyright: ignore[reportIndexIssue]
    return ravel_pytree(state.params)[0], odometer.length, odometer.turns


def walk_all(problem: Problem, settings: Settings) -> list[Walk]:
    """Every way from the starts of all seeds, through the same shuffles: the full batch first. Raises Diverged."""
    num_examples = len(problem.train.inputs)
    ways = [Way("full batch", num_examples, rate, True) for rate in settings.full_batch_learning_rates]
    for size, rate in zip(settings.batch_sizes, settings.learning_rates, strict=True):
        num_steps = settings.num_epochs * (num_examples // size)
        said = f"--num-epochs is {settings.num_epochs}, in which batches of {size} make {num_steps} steps; raise it"
        require(num_steps >= LEAST_STEPS, f"{said}, to {LEAST_STEPS} steps or more")
        ways.append(Way(f"batches of {size:,}", size, rate, False))
    beginning = descents.begin(problem, settings, settings.num_epochs)
    return [walk(problem, way, beginning, settings) for way in ways]


def walk(problem: Problem, way: Way, beginning: descents.Beginning, settings: Settings) -> Walk:
    method, start, num_steps = way.method, beginning.params, settings.num_steps
    if way.is_full_batch:
        length = leg_length(num_steps, num_steps, settings.num_points)
        loop = descents.full_batch_leg(problem, method, observe, length)
        chunks = [()] * (num_steps // length)
    else:
        rows = descents.in_batches(beginning.order, method.batch_size)
        length = leg_length(rows.shape[1], num_steps, settings.num_points)
        loop, chunks = descents.minibatch_legs(problem, method, observe), legs_of(rows, length)
    state, shared = TrainState(start, jax.vmap(method.optimizer.init)(start)), (problem.train, problem.test)
    before = jax.jit(jax.vmap(partial(observe, problem, shared)))(state)
    run = runs.descend(method.label, loop, state, shared, chunks)
    then = zip(before, run.history.observed, strict=True)
    seen = (np.concatenate([np.asarray(first)[:, None], rest], axis=1) for first, rest in then)
    return Walk(way, np.concatenate([[0], run.steps]), *seen, logged=np.asarray(run.history.costs))


def leg_length(total: int, num_steps: int, num_points: int) -> int:
    """Steps between two looks: a divisor of `num_steps`, so that all methods are seen after equally many steps.
    The least that makes at most `num_points` legs of `total` steps; where none does, the longest that makes three."""
    lengths = [length for length in range(1, max(1, total // 3) + 1) if num_steps % length == 0]
    return next((length for length in lengths if total <= length * num_points), lengths[-1])


def legs_of(rows: np.ndarray, length: int) -> list[tuple[np.ndarray]]:
    """Schedules (seeds, 1, length, batch) of one leg each; steps that fill no leg are left out."""
    return [(rows[:, None, at : at + length],) for at in range(0, rows.shape[1] - length + 1, length)]


def walk_and_look(
    problem: Problem, settings: Settings
) -> tuple[list[Walk], list[Looks], list[float], dict[str, Reading]]:
    """(walks, looks, seconds of one step, timed with the first seed alone; all after equal steps, examples, seconds)"""
    walks = walk_all(problem, settings)
    looks = look_at(problem, walks, settings)
    runs.console.print("timing single steps ...")
    params, order = descents.begin(problem, dataclasses.replace(settings, num_seeds=1), 1)
    start, methods = jax.tree.map(lambda leaf: leaf[0], params), [path.way.method for path in walks]
    seconds = descents.seconds_per_step(problem, methods, start, order[0, 0])
    sizes = [float(path.way.batch_size) for path in walks]
    clocks = {"steps": [1.0] * len(walks), "examples": sizes, "seconds": seconds}
    return walks, looks, seconds, {clock: reading(walks, looks, per_step) for clock, per_step in clocks.items()}


def look_at(problem: Problem, walks: Sequence[Walk], settings: Settings) -> list[Looks]:
    """The cost along every path, of all seeds: where others have come as far too. Raises Diverged."""
    read = [path.steps * path.way.batch_size for path in walks]
    count, all_read, chosen = min(41, settings.num_points), min(examples[-1] for examples in read), []
    for path, examples in zip(walks, read, strict=True):
        meeting = [settings.num_steps, path.steps[examples <= all_read][-1]]
        chosen.append(places_to_look(path.steps, meeting, count))
    costs = heights(problem, [path.point[:, numbers] for path, numbers in zip(walks, chosen, strict=True)])
    for path, numbers, cost in zip(walks, chosen, costs, strict=True):
        if not np.isfinite(cost).all():  # training itself does not see the cost after its last step
            raise runs.Diverged(path.way.label, int(path.steps[numbers[-1]]))
    return [Looks(numbers, path.steps[numbers], cost) for path, numbers, cost in zip(walks, chosen, costs, strict=True)]


def places_to_look(steps: np.ndarray, also: Sequence[int], count: int) -> np.ndarray:
    """Numbers of points of a path: `count` all along it, some more at its beginning, and those after `also` steps."""
    last = len(steps) - 1
    spread = np.concatenate([np.linspace(0, last, count), np.geomspace(1, last, count // 3)]).astype(int)
    return np.unique(np.append(spread, np.flatnonzero(np.isin(steps, also))))


def heights(problem: Problem, points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The cost on the training set at several arrays of points (..., params), computed plainly, one by one."""
    unravel = hills.unravel_of(problem)

    def height(point: Array, train: Examples) -> Array:
        return problem.cost(unravel(point), train)

    heights_of = runs.over_seeds(height, (0, None))
    costs = []
    for each in points:  # one array is done before the next begins, for the memory's sake
        found = np.asarray(heights_of(each.reshape(-1, each.shape[-1]), problem.train))
        costs.append(found.reshape(each.shape[:-1]))
        records.trim_memory()
    return costs


def reading(walks: Sequence[Walk], looks: Sequence[Looks], per_step: Sequence[float]) -> Reading:
    """Cost and tortuosity of every way when all clocks show the same: as late as the first to end allows.
    `per_step` says how far each way's clock goes on in one step. Where nobody looked just then, the look before
    counts; the time is one at which the first way, looked at most rarely, was looked at. NaN where that is the start.
    """
    chosen = numbers_together([seen.steps for seen in looks], per_step)
    cost, tortuosity = [], []
    for number, path, seen in zip(chosen, walks, looks, strict=True):
        point, length = path.point, path.length[:, seen.numbers[number]]
        away = np.linalg.norm(point[:, seen.numbers[number]].astype(float) - point[:, 0], axis=1)
        cost.append(seen.cost[:, number] if chosen[0] else np.full(len(point), np.nan))
        tortuosity.append(np.divide(length, away, out=np.full(len(point), np.nan), where=away > 0))
    return Reading(np.stack(cost), np.stack(tortuosity))


def numbers_together(steps: Sequence[np.ndarray], per_step: Sequence[float]) -> list[int]:
    """Which look of every way, looked at after these steps, is its last when all clocks show the same.

    >>> numbers_together([np.array([0, 1, 2]), np.array([0, 4, 9, 12])], [10.0, 1.0])  # 10 examples: one ends at 12
    [1, 2]
    """
    clocks = [seen * each for seen, each in zip(steps, per_step, strict=True)]
    shortest = min(clock[-1] for clock in clocks) * (1 + 1e-9)
    time = clocks[0][clocks[0] <= shortest][-1] * (1 + 1e-9)
    return [int(np.sum(clock <= time)) - 1 for clock in clocks]


def drunkest(all_ways: Sequence[Way]) -> int:
    """The number of the way with the smallest batches."""
    return int(np.argmin([way.batch_size for way in all_ways]))
