"""How many steps, and how many examples, does it take to reach a target cost with mini-batches of every size?

The film's network (784-16-16-10) on MNIST, from batches of 1 to the full batch. "Reached" means: the cost on a fixed
part of the training set, its first 2,000 images, is at or below the target for the first time; it is looked at every so
many steps that one look is about 2 % of the way. The learning rate is tuned for every batch size on one grid of factors
of 2: the whole grid for the smallest batch, then upwards and downwards from the best rate of the size before, until
both neighbours take more steps (median of the seeds). Theory (McCandlish et al., arXiv:1812.06162): with S steps and
E = B S examples, (S/S_min - 1)(E/E_min - 1) = 1, that is S = S_min (1 + B_crit/B) with B_crit = E_min/S_min, which is
the average of B_simple = tr Sigma / |G|^2 over the steps of a large batch, if the Hessian does not prefer directions.

Run:     python -m experiments.batch_frontier [--quick | --full]
Time:    TIME
Result:  RESULT
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import PyTree

from experiments.common import descents, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import batch_frontier as figures
from research import data, gradients, plots, statistics, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
GRID = tuple(2.0**power for power in range(-6, 7))  # learning rates, the same for every batch size
TESTED = 2000  # images on which the target is looked at
RESOLUTION = 50  # looks on the way, about
STEPS, EXAMPLES = (
    150,
    3000,
)  # what S_min and E_min are about, for the film's network: how often is looked, and the budget
BUDGET = 8  # a run that has not reached the target after so many times as long is given up
PRUNED = 1.25  # and so is one that takes so many times as many steps as the best rate (median)
EPOCHS = 20  # shuffles, which begin again where they end
REFERENCE = 4096  # the largest batch along whose way B_simple is averaged


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the search; every seed has its own start and its own shuffles, the same for every batch size."""

    num_seeds: int = 2
    """How many runs, each with its own start and its own shuffles, 1 or more."""
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 64, 256, 1024, 4096)
    """Batch sizes, growing, four or more, 1 or more, fewer than the training examples."""
    full_batch: bool = True
    """Whether the full batch comes last."""
    target: float = 0.5
    """The cost to be reached, above 0."""
    num_points: int = 6
    """Places on the way, at equal distances in steps, where B_simple is measured, 1 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--target", [self.target])
        sizes = self.batch_sizes
        common.require(
            len(sizes) >= 4 and sizes[0] >= 1 and all(a < b for a, b in pairwise(sizes)),
            f"--batch-sizes is {sizes}; give four or more, each at least 1 and larger than the one before",
        )
        common.require(self.num_points >= 1, f"--num-points is {self.num_points}; it must be 1 or more")


QUICK = Settings(batch_sizes=(1, 2, 4, 16, 64, 256), full_batch=False, num_points=2)
FULL = Settings(num_seeds=6, num_points=5, batch_sizes=(1, 2, 4, 8, 16, 32, 64, 256, 1024, 4096))


def budget(batch_size: int) -> tuple[int, int]:
    """(steps between two looks, looks): a look at 2 % of what the hyperbola with STEPS and EXAMPLES demands, and up to
    BUDGET times as many steps as that."""
    expected = STEPS + EXAMPLES / batch_size
    interval = max(1, round(expected / RESOLUTION))
    return interval, -int(-BUDGET * expected // interval)


# Running until the target is reached.


class Walk(NamedTuple):
    """Where a run is, after so many looks."""

    state: TrainState
    looks: Array
    cost: Array  # on the images that are tested


def make_leg(problem: Problem, batch_size: int, rate: Array) -> tuple[Callable, Callable]:
    """(params -> state, (state, examples, rows) -> state after a step for each row); the full batch gathers nothing."""
    optimizer, whole = optax.sgd(rate), batch_size == len(problem.train.inputs)
    objective = problem.cost if batch_size > descents.CHUNK else gradients.mean_over_examples(problem.one)
    step = training.make_step(objective, optimizer)

    def leg(state: TrainState, examples: Examples, rows: Array) -> TrainState:
        if whole:
            return training.full_batch_descent(step, state, examples, 1, len(rows), lambda state: ())[0]
        return training.minibatch_descent(step, state, examples, rows[None], lambda state: ())[0]

    return lambda params: TrainState(params, optimizer.init(params)), leg


def until_reached(
    problem: Problem, batch_size: int, target: float, params: PyTree, train: Examples, rows: Array, rate: Array,
    limit: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """(looks, the cost at the last one): the first at or below the target, or number `limit`, or no finite cost.

    `rows` (looks, interval, batch) are the examples that every step sees.
    """
    start, leg = make_leg(problem, batch_size, rate)
    tested = jax.tree.map(lambda leaf: leaf[:TESTED], train)

    def go_on(walk: Walk) -> Array:
        return (walk.cost > target) & (walk.looks < limit)  # not for NaN

    def walk_on(walk: Walk) -> Walk:
        state = leg(walk.state, train, rows[walk.looks % len(rows)])
        return Walk(state, walk.looks + 1, problem.cost(state.params, tested))

    end = jax.lax.while_loop(go_on, walk_on, Walk(start(params), jnp.int32(0), jnp.float32(jnp.inf)))
    return end.looks, end.cost


def schedule(order: np.ndarray, batch_size: int) -> np.ndarray:
    """(seeds, looks, interval, batch) from every seed's shuffles (seeds, epochs, examples); where they end, they begin
    again. For the full batch, which needs none, a single row of nothing."""
    interval, looks = budget(batch_size)
    if batch_size == order.shape[-1]:
        return np.zeros((len(order), 1, interval, 0), np.int32)
    rows = descents.in_batches(order, batch_size)
    chosen = np.arange(interval * looks) % rows.shape[1]
    return rows[:, chosen].reshape(len(order), looks, interval, batch_size)


def steps_with(settings: Settings, problem: Problem, params: PyTree, order: np.ndarray, batch_size: int) -> Callable:
    """(rate, most steps) -> the steps of every seed, infinite where the target is not reached; compiled once."""
    fun = partial(until_reached, problem, batch_size, settings.target)
    every_seed = jax.jit(runs.over_seeds(fun, (0, None, 0, None, None)))
    rows, (interval, most) = jnp.asarray(schedule(order, batch_size)), budget(batch_size)

    def steps(rate: float, limit: float) -> np.ndarray:
        looks = most if np.isinf(limit) else min(most, int(np.ceil(limit / interval)))
        made, cost = every_seed(params, problem.train, rows, jnp.float32(rate), jnp.int32(looks))
        return np.where(np.asarray(cost) <= settings.target, interval * np.asarray(made), np.inf)

    return steps


# The search for the best rate.


def climb(steps: Callable, first: Sequence[int]) -> dict[int, np.ndarray]:
    """Steps of every seed for the rates tried, by their number in GRID: those of `first`, then the neighbours of the
    best until both have been tried. `steps(rate, limit)` gives up where it is not worth it."""
    tried = {}

    def attempt(number: int) -> None:
        if 0 <= number < len(GRID) and number not in tried:
            limit = PRUNED * min(map(np.median, tried.values()), default=np.inf)
            tried[number] = steps(GRID[number], limit)

    for number in first:
        attempt(number)
    while True:
        before, centre = len(tried), best(tried)
        attempt(centre + 1)
        attempt(centre - 1)
        if len(tried) == before:
            return tried


def best(tried: dict[int, np.ndarray]) -> int:
    """The number of the rate with the fewest steps, median of the seeds."""
    return min(tried, key=lambda number: float(np.median(tried[number])))


class Found(NamedTuple):
    """What one batch size needs."""

    steps: np.ndarray  # seeds; with the best rate
    rate: float
    inside: bool  # whether the rate has neighbours on both sides in the grid


def search(settings: Settings, problem: Problem, params: PyTree, order: np.ndarray) -> dict[int, Found]:
    """Every batch size with its best rate. Raises common.SettingsError where no rate of the grid reaches the target."""
    found, first = {}, sorted(range(len(GRID)), key=lambda number: abs(number - len(GRID) // 2))
    num_examples = len(problem.train.inputs)
    for size in (*settings.batch_sizes, *([num_examples] if settings.full_batch else [])):
        steps_of = steps_with(settings, problem, params, order, size)
        tried = climb(steps_of, first)
        first = [best(tried)]
        steps, rate = tried[first[0]], GRID[first[0]]
        if not np.isfinite(steps).all():  # a seed that was given up for another rate's sake
            steps = steps_of(rate, np.inf)
        reached = float(np.median(steps))
        common.require(
            math.isfinite(reached),
            f"--target is {settings.target}, which batches of {size:,} reach with no learning rate from {GRID[0]:g} to "
            f"{GRID[-1]:g} in {math.prod(budget(size)):,} steps; take a higher one",
        )
        runs.console.print(f"batches of {size:,}: {reached:,.0f} steps with rate {rate:g}, {len(tried)} tried")
        found[size] = Found(steps, rate, 0 < first[0] < len(GRID) - 1)
    return found


# The noise scale along the way, and the hyperbola.


def noise_scales(
    problem: Problem, batch_size: int, num_points: int, params: PyTree, train: Examples, rows: Array, rate: Array,
    looks: Array,
) -> Array:  # fmt: skip
    """B_simple at `num_points` places at equal distances on the way of so many looks with this rate."""
    start, leg = make_leg(problem, batch_size, rate)
    moments = statistics.moments(problem.one)

    def at(point: Array) -> Array:
        legs = ((point + 0.5) * looks / num_points).astype(jnp.int32)
        go = lambda number, state: leg(state, train, rows[number % len(rows)])  # noqa: E731
        return statistics.noise_scale(moments(jax.lax.fori_loop(0, legs, go, start(params)).params, train))

    return jax.lax.map(at, jnp.arange(num_points, dtype=jnp.float32))


class Hyperbola(NamedTuple):
    """S = S_min (1 + B_crit / B)."""

    min_steps: float
    critical: float  # B_crit
    r_squared: float  # of log S


def fit(batch_sizes: np.ndarray, steps: np.ndarray) -> Hyperbola:
    """Least squares of log S = log S_min + log(1 + B_crit/B): for every B_crit the best S_min is a mean; B_crit is
    looked for from 0.01 to 10^7 in steps of 0.1 %."""
    critical = np.exp(np.arange(np.log(1e-2), np.log(1e7), 1e-3))
    rest = np.log(steps)[None] - np.log1p(critical[:, None] / batch_sizes)
    levels, errors = rest.mean(axis=1), rest.var(axis=1)
    at = errors.argmin()
    return Hyperbola(float(np.exp(levels[at])), float(critical[at]), float(1 - errors[at] / np.log(steps).var()))


# What comes of it.


class Measured(NamedTuple):
    """All that the claims are about."""

    sizes: np.ndarray
    found: list[Found]  # for every size
    noise: np.ndarray  # seeds, points: B_simple
    reference: int  # batch size on whose way

    @property
    def steps(self) -> np.ndarray:
        """(sizes): median of the seeds."""
        return np.median([found.steps for found in self.found], axis=1)

    @property
    def noise_scale(self) -> float:
        """B_simple, mean over the way, median of the seeds."""
        return float(np.median(self.noise.mean(axis=1)))


def measure(settings: Settings, problem: Problem) -> Measured:
    """The search for every batch size, and the noise scale on the way of a large one."""
    num_examples = len(problem.train.inputs)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    params = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, num_examples, EPOCHS)
    found = search(settings, problem, params, order)
    reference = max((size for size in settings.batch_sizes if size <= REFERENCE), default=settings.batch_sizes[0])
    runs.console.print(f"B_simple on the way with batches of {reference:,} ...")
    steps, rate, _ = found[reference]
    finite = np.where(np.isfinite(steps), steps, np.median(steps))
    look = partial(noise_scales, problem, reference, settings.num_points)
    noise = jax.jit(runs.over_seeds(look, (0, None, 0, None, 0)))(
        params, problem.train, jnp.asarray(schedule(order, reference)), jnp.float32(rate),
        jnp.asarray(finite / budget(reference)[0], jnp.float32),
    )  # fmt: skip
    return Measured(np.array(list(found), float), list(found.values()), np.asarray(noise), reference)


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory and the literature and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    hyperbola, steps = fit(measured.sizes, measured.steps), measured.steps
    smallest, largest = measured.sizes[:3], measured.sizes >= 1000
    claims = [
        claim("E9", "steps and examples to the target lie on (S/S_min - 1)(E/E_min - 1) = 1, fitted in logarithms",
              hyperbola.r_squared, 1.0, 0.95, 1.0, "R^2 of the steps, medians"),
        claim("E9", f"for the smallest batches ({', '.join(f'{size:g}' for size in smallest)}) twice the batch, half "
              "the steps", slope(smallest, steps[:3]), -1.0, -1.2, -0.8, "slope of steps against B, medians"),
        claim("E9", "B_simple, averaged along the way, is B_crit = E_min/S_min within a factor of 5",
              measured.noise_scale / hyperbola.critical, 1.0, 0.2, 5.0, "B_simple / B_crit"),
        claim("E9", "the best learning rate lies inside the grid for every batch size",
              float(sum(found.inside for found in measured.found)), float(len(steps)), float(len(steps)),
              float(len(steps)), "batch sizes"),
        claim("E9", "tuned, a larger batch never takes more steps", most_more(steps), None, None, 1.1,
              "steps over the fewest of any smaller batch, largest"),
    ]  # fmt: skip
    if largest.sum() >= 2:
        claims.append(
            claim("E9", "for batches of 1,000 and more a larger batch does not help any more",
                  slope(measured.sizes[largest], steps[largest]), 0.0, -0.1, 0.1, "slope of steps against B, medians")
        )  # fmt: skip
    return claims


def slope(batch_sizes: np.ndarray, steps: np.ndarray) -> float:
    """Of the logarithms."""
    return float(np.polyfit(np.log(batch_sizes), np.log(steps), 1)[0])


def most_more(steps: np.ndarray) -> float:
    """How many times more steps a batch takes than the best of the smaller ones, at most."""
    return float(np.max(steps[1:] / np.minimum.accumulate(steps)[:-1]))


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    hyperbola, steps = fit(measured.sizes, measured.steps), measured.steps
    what = "single images" if measured.sizes[0] == 1 else f"batches of {measured.sizes[0]:,.0f}"
    return (
        f"To the cost {settings.target:g}, batches of {measured.sizes[-1]:,.0f} take {steps[-1]:,.0f} steps, "
        f"{what} {steps[0] / steps[-1]:,.0f} times as many, but of the examples 1/"
        f"{steps[-1] * measured.sizes[-1] / (steps[0] * measured.sizes[0]):,.0f}. Both take twice their least at "
        f"B_crit = {hyperbola.critical:.0f}; B_simple is {measured.noise_scale:.0f} on average."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    began, cost_fn = time.perf_counter(), common.cost_function(settings)
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    check_sizes(settings, len(train.inputs))
    model = common.make_model(settings, train)
    common.check_cost(cost_fn, model, train)
    measured = measure(settings, descents.make_problem(model, cost_fn, train, test))
    claims = make_claims(settings, measured) if common.is_the_films(settings) else []
    finding, columns = sentence(settings, measured), list(zip(*measured.found, strict=True))
    records.write_run(
        settings.out / NAME,
        settings,
        claims,
        {"sizes": measured.sizes, "steps": np.array(columns[0]).T, "rates": np.array(columns[1]),
         "noise": measured.noise},
        **records.describe_data(settings.dataset, train=train, test=test),
        finding=finding,
        layer_sizes=settings.sizes_for(train),
        hyperbola=fit(measured.sizes, measured.steps)._asdict(),
        noise_scale=measured.noise_scale,
        reference=measured.reference,
        tested=min(TESTED, len(train.inputs)),
        intervals=[budget(int(size))[0] for size in measured.sizes],
        rates_inside_the_grid=columns[2],
        seconds=time.perf_counter() - began,
    )  # fmt: skip
    records.print_claims(claims)
    print(finding)


def check_sizes(settings: Settings, num_examples: int) -> None:
    """Raises common.SettingsError unless every mini-batch is smaller than the data."""
    largest = settings.batch_sizes[-1]
    common.require(
        largest < num_examples, f"--batch-sizes has {largest}; {settings.dataset} has {num_examples}, so take smaller"
    )


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.frontier_figure(record, arrays), out / NAME / f"{NAME}.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.batch_frontier"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
