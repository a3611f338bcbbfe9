"""Is one step on k batches, with k times the learning rate, worth k steps on one batch each, and until when?

From one point the film's network (784-16-16-10) takes k steps on batches of B with the learning rate eta, and, from the
same point, one step on all k B examples with k eta (the linear scaling rule; Goyal et al., arXiv:1706.02677). To
second order in eta the two ends differ by

    eta^2 sum_j H_j sum_{i<j} g_i,     g_j, H_j: gradient and Hessian of batch j's cost at the common start,

since step j sees its gradient not at the start but eta sum_{i<j} g_i further down. The distance is measured in float64
for rates eta = x / (k lambda), lambda the sharpness of the k B examples' cost: for x << 1 the second order rules; at
x = 2, where k eta = 2/lambda, the one large step leaps over the valley, on a parabola to the height that it came from.
Then whole trainings, equal examples in equal order, on a grid of batch sizes and rates.

Run:     python -m experiments.linear_scaling [--quick | --full]
Time:    default 23 s, --quick 13 s, --full 3 min, on 2 cores, compilation included
Result:  slope 2.000 at the start and 1.999 after training, with the theory's vector to 6e-5 (6 seeds, k = 2, 8, 32).
         Whole trainings agree to 2 % up to 0.1 of 2/sharpness, cost 10 % more from 0.54 to 1.02 of it on, and at least
         3.5 times as much from twice it on. One claim does not hold, by 2 %: from eta = 0.125 the cost is up by 10 %
         only beyond 2/sharpness, since steps so large end where it is less steep (0.43, not 0.51; 2/eta is 0.5).
"""

import dataclasses
import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import linear_scaling as figures
from research import curvature, gradients, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
XS = np.logspace(-4, 1, 31)  # k eta lambda: from where the second order is all, to five times where the rule must break
SMALL = XS < 1.001e-2  # there the third order is about a hundredth, and rounding in float64 far smaller
FAR_BELOW = 0.1  # of 2/lambda; there k small steps and one large one differ by about k eta lambda / 2 = 10 %
LANCZOS = 40  # products with H for each sharpness; half of them where whole trainings end
CURVED = 10_000  # examples of the sharpness there


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the linear scaling rule; the first batch size and the first rates are those that are scaled up."""

    num_seeds: int = 2
    """How many runs, each with its own start and its own shuffles, 1 or more."""
    local_batch_size: int = 100
    """Examples in each of the k batches that one step is compared with, 1 or more."""
    num_batches: tuple[int, ...] = (2, 8, 32)
    """k, how many batches are taken together, each 2 or more; all of them must fit into the training set."""
    batch_sizes: tuple[int, ...] = (10, 40, 160, 640)
    """Batch sizes of the trainings, two or more, growing, 1 or more, at most the training examples."""
    learning_rates: tuple[float, ...] = (0.125, 0.5, 2.0, 8.0, 32.0)
    """Learning rates of the trainings, growing, above 0; with batches k times as large, k times the rate is looked for
    among them."""
    num_epochs: int = 2
    """Passes over the training set of every training, 1 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rates", self.learning_rates)
        check_growing("--learning-rates", self.learning_rates)
        check_growing("--batch-sizes", self.batch_sizes)
        for flag, least, values in (
            ("--local-batch-size", 1, [self.local_batch_size]),
            ("--num-batches", 2, self.num_batches),
            ("--batch-sizes", 1, self.batch_sizes),
            ("--num-epochs", 1, [self.num_epochs]),
        ):
            common.require(len(values) > 0, f"{flag} is empty; give one value or more")
            common.require(min(values) >= least, f"{common.typed(flag, values)}: it must be {least} or more")
        common.require(
            bool(diagonals(self)),
            f"{common.typed('--learning-rates', self.learning_rates)}: for one of them at least, all its multiples by "
            "--batch-sizes over the first of these must be among them, such as 0.5 2 8 for the batch sizes 10 40 160",
        )


QUICK = Settings(num_batches=(8,), batch_sizes=(20, 320), learning_rates=(1.0, 4.0, 16.0), num_epochs=1)
FULL = Settings(
    num_seeds=6,
    batch_sizes=(10, 20, 40, 80, 160, 320, 640, 1280),
    learning_rates=tuple(2.0**power for power in range(-3, 7)),
)


def check_growing(flag: str, values: tuple) -> None:
    """Raises common.SettingsError unless there are two values or more, each above the one before."""
    growing = len(values) >= 2 and all(a < b for a, b in itertools.pairwise(values))
    common.require(growing, f"{common.typed(flag, values)}: give two or more, each larger than the one before")


# From one point: k steps on B examples each against one step on all of them.


class Local(NamedTuple):
    """k steps and one, from one point; arrays over XS where nothing else is said."""

    rates: Array  # eta
    distance: Array  # between the two ends
    error: Array  # |difference - eta^2 times the theory's vector| / |the latter|
    theory: Array  # number: |sum_j H_j sum_{i<j} g_i|
    sharpness: Array  # number: of the cost of all k B examples
    along_gradient: Array  # number: their Hessian along their gradient
    start: Array  # number: their cost at the point
    after_many: Array  # and after the k steps
    after_one: Array  # and after the one


def compare(one: Callable, num_batches: int, params: PyTree, examples: Examples, key: Array) -> Local:
    """Goes both ways from `params`, for every rate; `examples` are divided into `num_batches` in their order."""
    objective = gradients.mean_over_examples(one)
    schedule = jnp.arange(len(examples.inputs)).reshape(1, num_batches, -1)
    term = second_order(objective, params, jax.tree.map(lambda leaf: leaf[schedule[0]], examples))
    steepest = curvature.sharpness(objective, params, examples, key, num_iterations=LANCZOS)

    def both(rate: Array) -> tuple[Array, Array, Array, Array]:
        many = after(objective, rate, params, examples, schedule)
        one_step = after(objective, num_batches * rate, params, examples, schedule.reshape(1, 1, -1))
        difference = ravel_pytree(many)[0] - ravel_pytree(one_step)[0]
        error = jnp.linalg.norm(difference - rate**2 * term) / jnp.linalg.norm(rate**2 * term)
        return jnp.linalg.norm(difference), error, objective(many, examples), objective(one_step, examples)

    rates = jnp.asarray(XS) / (num_batches * steepest)
    distance, error, after_many, after_one = jax.lax.map(both, rates)
    return Local(
        rates=rates,
        distance=distance,
        error=error,
        theory=jnp.linalg.norm(term),
        sharpness=steepest,
        along_gradient=curvature.batch_sharpness(objective, params, examples, schedule.reshape(1, -1)),
        start=objective(params, examples),
        after_many=after_many,
        after_one=after_one,
    )


def second_order(objective: Callable, params: PyTree, batches: Examples) -> Array:
    """sum_j H_j sum_{i<j} g_i, flat: what the ends differ by, over eta^2, as eta goes to 0; batches: (k, B, ...)."""
    product = curvature.hessian_vector_product(objective)

    def add(sums: tuple[PyTree, PyTree], batch: Examples) -> tuple[tuple[PyTree, PyTree], None]:
        so_far, term = sums
        term = jax.tree.map(jnp.add, term, product(params, batch, so_far))
        return (jax.tree.map(jnp.add, so_far, jax.grad(objective)(params, batch)), term), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    return ravel_pytree(jax.lax.scan(add, (zeros, zeros), batches)[0][1])[0]


def after(objective: Callable, rate: Array, params: PyTree, examples: Examples, schedule: Array) -> PyTree:
    """The parameters after one pass through the schedule by plain descent."""
    optimizer = optax.sgd(rate)
    state = TrainState(params, optimizer.init(params))
    step = training.make_step(objective, optimizer)
    return training.minibatch_descent(step, state, examples, schedule, lambda state: ())[0].params


def compare_in_float64(
    settings: Settings, problem: Problem, places: dict[str, PyTree], order: np.ndarray
) -> dict[str, list[Local]]:
    """At every place, for every k: each seed from its own parameters on its own examples, the first of its `order`.

    All leaves lead with a seed axis.
    """
    found = {place: [] for place in places}
    with jax.enable_x64(True):
        exact = {place: jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), at) for place, at in places.items()}
        keys = jax.random.split(jax.random.key(settings.seed), settings.num_seeds)
        for num_batches in settings.num_batches:
            few = in_float64(problem.train, order[:, 0, : num_batches * settings.local_batch_size])
            every_seed = jax.jit(runs.over_seeds(partial(compare, problem.example_cost, num_batches), (0, 0, 0)))
            for place, params in exact.items():
                found[place].append(jax.tree.map(np.asarray, every_seed(params, few, keys)))
    return found


def in_float64(examples: Examples, rows: np.ndarray) -> Examples:
    """The examples of these rows, pixels from 0 to 1."""
    inputs, targets = (np.asarray(leaf)[rows] for leaf in examples)
    inputs = inputs / 255.0 if inputs.dtype == np.uint8 else inputs
    return Examples(jnp.asarray(inputs, float), jnp.asarray(targets, float))


# Whole trainings on a grid of batch sizes and learning rates.


class Grid(NamedTuple):
    """What every training ended with; NaN where its cost was no finite number any more."""

    cost: np.ndarray  # seeds, batch sizes, learning rates; on the training set
    accuracy: np.ndarray  # likewise; on the test set
    ends: PyTree  # the parameters; leaves lead with seeds, batch sizes, learning rates


def train_with(
    problem: Problem, params: PyTree, shared: tuple[Examples, Examples], rows: Array, rates: Array
) -> tuple[Array, Array, PyTree]:
    """(cost, accuracy, params) at the end of one training for each rate, all through the same `rows` (steps, batch)."""
    objective = gradients.mean_over_examples(problem.example_cost)

    def of_rate(rate: Array) -> tuple[Array, Array, PyTree]:
        optimizer = optax.sgd(rate)
        state, step = TrainState(params, optimizer.init(params)), training.make_step(objective, optimizer)
        look = partial(descents.look, problem, shared)
        state, history = training.minibatch_descent(step, state, shared[0], rows[None], look)
        (cost,), (accuracy,) = history.observed
        return cost, accuracy, state.params

    return jax.lax.map(of_rate, rates)


def train_all(settings: Settings, problem: Problem, params: PyTree, order: np.ndarray) -> Grid:
    """Every batch size with every rate, from the same start, through the same order of the examples."""
    every_seed = jax.jit(runs.over_seeds(partial(train_with, problem), (0, None, 0, None)))
    shared, rates, found = (problem.train, problem.test), jnp.asarray(settings.learning_rates, jnp.float32), []
    for size in settings.batch_sizes:
        found.append(every_seed(params, shared, descents.in_batches(order, size), rates))
        best = np.nanmax(np.median(found[-1][1], axis=0))
        runs.console.print(f"batches of {size:,}: {len(rates)} learning rates, the best: {100 * best:.1f} % correct")
    cost, accuracy = (np.stack([np.asarray(row[index]) for row in found], axis=1) for index in (0, 1))
    finite = np.isfinite(cost)
    ends = jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *(row[2] for row in found))
    return Grid(np.where(finite, cost, np.nan), np.where(finite, accuracy, np.nan), ends)


def diagonals(settings: Settings) -> list[list[int]]:
    """For every rate that can be scaled up with all the batch sizes: which rate goes with each of them."""
    sizes, rates = np.array(settings.batch_sizes), np.array(settings.learning_rates)
    scaled = rates[:, None] * sizes / sizes[0]
    near = np.isclose(scaled[..., None], rates, rtol=1e-6)
    return [matches.argmax(axis=1).tolist() for matches in near if matches.any(axis=1).all()]


def sharpness_at(problem: Problem, ends: list[PyTree], keys: Array) -> np.ndarray:
    """(diagonals, seeds, batch sizes): the sharpness of the cost of the first CURVED training examples, at every end;
    leaves of `ends` lead with (seeds, batch sizes)."""
    few = common.first(problem.train, CURVED)

    def of_seed(path: PyTree, few: Examples, key: Array) -> Array:
        return curvature.sharpness_along(problem.cost, path, few, key, num_iterations=LANCZOS // 2)

    every_seed = jax.jit(runs.over_seeds(of_seed, (0, None, 0)))
    return np.stack([np.asarray(every_seed(path, few, keys)) for path in ends])


# What comes of it.


class Measured(NamedTuple):
    """All that the claims are about."""

    places: dict[str, list[Local]]  # at the start and after training, for every k
    grid: Grid
    diagonals: list[list[int]]  # for every rate that is scaled up, which rate goes with each batch size
    sharpness: np.ndarray  # diagonals, seeds, batch sizes: where the trainings ended


def measure(settings: Settings, problem: Problem) -> Measured:
    """Trains on the grid, takes the sharpness at the ends of its diagonals, compares the steps at both places."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    start = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_epochs)
    grid = train_all(settings, problem, start, order)
    runs.console.print("sharpness where the trainings ended, k steps against one ...")
    lines = diagonals(settings)
    ends = [jax.tree.map(lambda leaf, line=line: leaf[:, np.arange(len(line)), line], grid.ends) for line in lines]
    if not np.isfinite(grid.cost[:, 0, lines[-1][0]]).all():
        rate, num_steps = settings.learning_rates[lines[-1][0]], order[0].size // settings.batch_sizes[0]
        raise runs.Diverged(f"batches of {settings.batch_sizes[0]}, rate {rate:g}", num_steps)
    steepest = sharpness_at(problem, ends, shuffle_keys)
    trained = jax.tree.map(lambda leaf: leaf[:, 0], ends[-1])
    places = compare_in_float64(settings, problem, {"at the start": start, "after training": trained}, order)
    stop_if_stuck(settings, places)
    return Measured(places, grid, lines, steepest)


def stop_if_stuck(settings: Settings, places: dict[str, list[Local]]) -> None:
    """Raises runs.Stuck where k steps and one have no distance that is a positive number, there being no gradient."""
    for place, epochs in zip(places, (0, settings.num_epochs), strict=True):
        for local in places[place]:
            if not (np.isfinite(local.distance[:, SMALL]) & (local.distance[:, SMALL] > 0)).all():
                raise runs.Stuck(epochs)


def slopes(local: Local) -> np.ndarray:
    """Of every seed: d log(distance) / d log(eta) over the small rates, by least squares."""
    return np.array([
        np.polyfit(np.log(rates[SMALL]), np.log(distance[SMALL]), 1)[0]
        for rates, distance in zip(local.rates, local.distance, strict=True)
    ])  # fmt: skip


def first_rise(local: Local) -> np.ndarray:
    """Of every seed: the first k eta, in units of 2/lambda, with which the large step raises its own cost; at least the
    largest that was tried, where none does."""
    raised = local.after_one > local.start[:, None]
    return np.where(raised.any(axis=1), XS[raised.argmax(axis=1)], XS[-1]) / 2


def cost_ratios(settings: Settings, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """For every diagonal and batch size: (k eta in units of 2/lambda, cost over the smallest batch's); medians.

    A training whose cost was no finite number at its end counts as infinitely dear.
    """
    rates = np.array(settings.learning_rates)[measured.diagonals]
    cost = np.stack([measured.grid.cost[:, np.arange(len(line)), line] for line in measured.diagonals])
    ratio = np.nan_to_num(cost / cost[..., :1], nan=np.inf)
    return rates * np.median(measured.sharpness, axis=1)[:, :1] / 2, np.median(ratio, axis=1)


def breaks(units: np.ndarray, ratios: np.ndarray, tolerance: float = 0.1) -> float:
    """Where, growing, the ratio first is more than `tolerance` above 1, interpolated in the logarithm of `units`.

    NaN if it never is.

    >>> breaks(np.array([0.1, 0.2, 0.4]), np.array([1.0, 1.0, 1.2]))
    0.28...
    """
    worse = ratios > 1 + tolerance
    if not worse.any():
        return float("nan")
    at = int(worse.argmax())
    share = (1 + tolerance - ratios[at - 1]) / (ratios[at] - ratios[at - 1])
    return float(units[at - 1] * (units[at] / units[at - 1]) ** share)


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory or the literature and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    return [*local_claims(measured, claim), *training_claims(settings, measured, claim)]


def local_claims(measured: Measured, claim: Callable) -> list[Claim]:
    """E10 from one point: slope, constant, and how far one large step still goes down."""
    found = []
    for place, locals_ in measured.places.items():
        slope = np.concatenate([slopes(local) for local in locals_])
        error = max(float(local.error[:, 0].max()) for local in locals_)
        rise = min(float(first_rise(local).min()) for local in locals_)
        found += [
            claim("E10", f"k steps on B examples and one on k B with k times the rate end a distance apart that is of "
                  f"second order in the rate, {place}", float(slope[np.abs(slope - 2).argmax()]), 2.0, 1.9, 2.1,
                  "log-log slope, farthest from 2 of all seeds and k"),
            claim("E10", f"namely eta^2 sum_j H_j sum_(i<j) g_i, {place} (k eta lambda = {XS[0]:g})", error, 0.0, 0.0,
                  1e-3, "largest relative error of the vector"),
            claim("E10", f"below k eta = 2/sharpness the one large step lowers its cost, {place}", rise, None, 1.0,
                  None, "least k eta that raises it, in 2/sharpness"),
        ]  # fmt: skip
    return found


def training_claims(settings: Settings, measured: Measured, claim: Callable) -> list[Claim]:
    """E10 in whole trainings: the rule far below 2/sharpness, beyond it, and where it breaks.

    Asked where the smallest batch's own rate is far below 2/sharpness, else there is nothing to scale up.
    """
    units, ratios = cost_ratios(settings, measured)
    asked = units[:, 0] <= FAR_BELOW
    rates = np.array([settings.learning_rates[line[0]] for line in measured.diagonals])
    units, ratios = units[asked], ratios[asked]
    below, beyond = ratios[units <= FAR_BELOW], ratios[units >= 2]
    found = []
    if len(below) > len(units):  # more than the smallest batches themselves
        found.append(
            claim("E10", f"trainings with (B, eta) and (k B, k eta) end alike up to {FAR_BELOW:g} of 2/sharpness",
                  float(below[np.abs(np.log(below)).argmax()]), 1.0, 0.9, 1.1, "ratio of costs, farthest from 1")
        )  # fmt: skip
    if len(beyond):
        found.append(
            claim("E10", "and no longer beyond it: from twice 2/sharpness on, the cost is at least 10 % higher",
                  float(beyond.min()), None, 1.1, None, "least ratio of costs")
        )  # fmt: skip
    settled = (np.array(settings.learning_rates)[measured.diagonals] * np.median(measured.sharpness, axis=1) / 2)[asked]
    if len(kept := settled[ratios <= 1.1]):
        found.append(
            claim("E10", "no training that keeps the cost within 10 % ends where k eta is above 2/sharpness",
                  float(kept.max()), None, None, 1.0, "largest k eta in 2/sharpness at its own end")
        )  # fmt: skip
    return found + [
        claim("E10", f"scaled up from B = {settings.batch_sizes[0]}, eta = {rate:g}, the cost is 10 % higher from this "
              "k eta on", breaks(unit, ratio), 1.0, 0.1, 1.0, "k eta in 2/sharpness")
        for rate, unit, ratio in zip(rates[asked], units, ratios, strict=True)
        if unit[-1] >= 1
    ]  # fmt: skip


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    slope = np.median([slopes(local) for locals_ in measured.places.values() for local in locals_])
    text = f"One step on k batches at k times the rate is k steps on one, up to order {slope:.2f} in the rate"
    units, ratios = cost_ratios(settings, measured)
    found = [breaks(unit, ratio) for unit, ratio in zip(units, ratios, strict=True) if unit[0] <= FAR_BELOW]
    if not np.isfinite(found).any():
        broken = units[ratios > 1.1]
        seen = f", but that it is broken at {broken.min():.2g} of 2/sharpness" if broken.size else ""
        return f"{text}; the trainings tried do not show from where on they cost more{seen}."
    low, high = np.nanmin(found), np.nanmax(found)
    at = f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"
    return (
        f"{text}; whole trainings cost the same until k times the rate is {at} of 2/sharpness, where it is 10 % more."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    began = time.perf_counter()
    train, test = common.load(settings)
    check_sizes(settings, len(train.inputs))
    problem = descents.problem_of(settings, train, test)
    facts = records.describe_data(settings.dataset, train=train, test=test)
    with records.divergence_recorded(settings.out / NAME, settings, **facts):
        measured = measure(settings, problem)
    claims = make_claims(settings, measured) if common.is_the_films(settings) else []
    finding = sentence(settings, measured)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        arrays_for_figures(settings, measured),
        **facts,
        finding=finding,
        layer_sizes=settings.sizes_for(train),
        places=list(measured.places),
        slopes={place: [slopes(local).tolist() for local in found] for place, found in measured.places.items()},
        base_rates=[settings.learning_rates[line[0]] for line in measured.diagonals],
        seconds=time.perf_counter() - began,
    )


def check_sizes(settings: Settings, num_examples: int) -> None:
    """Raises common.SettingsError unless all the batches fit into the data."""
    for flag, needed in (
        ("--batch-sizes", settings.batch_sizes[-1]),
        ("--local-batch-size times --num-batches", settings.local_batch_size * max(settings.num_batches)),
    ):
        common.require(
            needed <= num_examples,
            f"{flag} comes to {needed} examples; {settings.dataset} has {num_examples} for training, so take fewer",
        )


def arrays_for_figures(settings: Settings, measured: Measured) -> dict[str, np.ndarray]:
    """What the figures show; the distances in units in which the theory is x^2, the costs over that at the start."""
    arrays = {"x": XS, "cost": measured.grid.cost, "accuracy": measured.grid.accuracy}
    arrays["sharpness"] = measured.sharpness
    arrays["rates"] = np.array(settings.learning_rates)[measured.diagonals]
    arrays["units"], arrays["ratios"] = cost_ratios(settings, measured)
    for place, locals_ in enumerate(measured.places.values()):
        for num_batches, local in zip(settings.num_batches, locals_, strict=True):
            of = f"{place}_{num_batches}"
            unit = (local.theory / (num_batches * local.sharpness) ** 2)[:, None]
            arrays[f"{of}_distance"] = local.distance / unit
            arrays[f"{of}_after_many"] = local.after_many / local.start[:, None]
            arrays[f"{of}_after_one"] = local.after_one / local.start[:, None]
    return arrays


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.steps_figure(record, arrays), out / NAME / "k_steps_and_one.png")
    plots.save(figures.trainings_figure(record, arrays), out / NAME / f"{NAME}.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.linear_scaling"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
