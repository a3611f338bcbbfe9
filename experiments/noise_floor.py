"""Does SGD converge to a local minimum, or does it stumble on a floor above it, and how high is the floor?

First the case that can be solved: C_i = h/2 (theta - x_i)^2. A step on a batch of B drawn with replacement makes theta
the number (1 - eta h) theta + eta h mean(x_batch), whose last term has the variance (eta h)^2 Var(x) / B. A variance V
that stays as it is satisfies V = (1 - eta h)^2 V + (eta h)^2 Var(x)/B, hence

    V = eta h Var(x) / (B (2 - eta h)) = eta sigma^2 / (B h (2 - eta h)),     sigma^2 = h^2 Var(x),

since h Var(x) h is the variance of one example's gradient h (theta - x_i) (Liu, Ziyin, Ueda, arXiv:2012.03636). It is
run through research.training.minibatch_descent, as the network is. Then the film's network (784-16-16-10) from the end
of a long training whose rate fell to 0: constant rates eta with batches of B, and from halfway on the same batches once
more with a rate that falls to 0. What the cost lies higher with the constant rate (its mean over the second half, less
the end of the falling one) is the floor; both had travelled equally far, eta summed over the steps, so that progress
along the valley cancels. Small steps in a parabola of any dimension: floor = eta tr(Sigma) / (4 B), Sigma the
covariance of one example's gradient. Is the end of the long training a minimum or a saddle? Lanczos' iteration says.

Run:     python -m experiments.noise_floor [--quick | --full]
Time:    default 37 s, --quick 14 s, --full 3 min, on 2 cores, compilation included
Result:  the solved case within 0.5 % (6 seeds). The network's floor grows with eta/B in every seed, from 5e-6 to 0.04;
         for batches of 10 and of 160 with the same eta/B it is the same within 11 %. A falling rate always ends lower
         than a constant one is on average.
         Two claims do not hold: |G| on the floor grows with eta/B too, but not up to 0.4, where single gradients
         scatter less than half as much as at 0.1; and the long training ends at no minimum, in no seed: the smallest
         curvature is -0.2 to -0.6 % of the largest, though the cost falls that way by 1.4e-5 at most, from 0.035, and
         the gradient is less than half of what the choice of the training images alone would make of 0.
"""

import dataclasses
import math
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
from jax.typing import ArrayLike
from jaxtyping import PyTree

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Method, Problem
from experiments.common.records import Claim
from experiments.figures import noise_floor as figures
from research import curvature, gradients, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
CURVATURE = 2.0  # h of the scalar case
ETA_H = (0.05, 0.2, 1.0, 1.5, 1.9)  # eta h there: from where 2 - eta h is nearly 2 to the edge of stability
SCALAR_BATCHES = (1, 10)
SCALAR_EXAMPLES = 500
CHAINS = 256  # independent runs of the scalar case for every seed
BURN_IN = 400  # steps after which the start is forgotten: (1 - eta h)^(2 * 400) < 1e-16 for all ETA_H
TOLERANCE = (
    1e-3  # of the sharpness: with 2/sharpness as its rate, descent needs 500 steps to leave such a saddle e-fold
)
SLICE = np.linspace(-1, 1, 21)  # lengths along the directions of the extreme curvatures
CHUNK = 100  # per-example gradients that stand in memory together


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the noise floor; every seed has its own start and its own shuffles."""

    num_seeds: int = 2
    """How many runs, each with its own start and its own shuffles, 1 or more."""
    scalar_steps: int = 2000
    """Steps of the scalar case whose variance is taken, after 400 that are not, 1 or more."""
    start_batch_size: int = 100
    """Batch size of the long training that all begins with, 1 or more, at most the training examples."""
    start_learning_rate: float = 4.0
    """Its learning rate, above 0, which falls to 0 in the second half; 4 was the best of full_batch_vs_sgd --tune."""
    start_epochs: int = 20
    """Its passes over the training set, 1 or more."""
    batch_sizes: tuple[int, ...] = (10, 160)
    """Batch sizes of the grid, one or more, 1 or more, at most the training examples."""
    learning_rates: tuple[float, ...] = (0.0625, 0.25, 1.0, 4.0)
    """Constant learning rates of the grid, one or more, above 0."""
    num_epochs: int = 2
    """Passes over the training set in each half of a run, 1 or more."""
    num_looks: int = 4
    """How often cost and gradient are looked at in each half of a run, 1 or more."""
    lanczos_iterations: int = 60
    """Products with the Hessian in the search for its smallest and its largest eigenvalue, 2 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rates", self.learning_rates)
        common.check_positive("--start-learning-rate", [self.start_learning_rate])
        for flag, least, values in (
            ("--scalar-steps", 1, [self.scalar_steps]),
            ("--start-batch-size", 1, [self.start_batch_size]),
            ("--start-epochs", 1, [self.start_epochs]),
            ("--batch-sizes", 1, self.batch_sizes),
            ("--learning-rates", 0, self.learning_rates),
            ("--num-epochs", 1, [self.num_epochs]),
            ("--num-looks", 1, [self.num_looks]),
            ("--lanczos-iterations", 2, [self.lanczos_iterations]),
        ):
            common.require(len(values) > 0, f"{flag} is empty; give one value or more")
            common.require(min(values) >= least, f"{common.typed(flag, values)}: it must be {least} or more")


QUICK = Settings(
    num_seeds=1,
    scalar_steps=1000,
    start_epochs=2,
    batch_sizes=(40,),
    learning_rates=(0.25, 2.0),
    num_epochs=1,
    num_looks=2,
    lanczos_iterations=5,
)
FULL = Settings(num_seeds=6, start_epochs=60, lanczos_iterations=140)


# The case that can be solved: one number, a parabola for every example.


def parabola(theta: Array, example: Examples) -> Array:
    """C_i = h/2 (theta - x_i)^2; its gradient has the variance h^2 Var(x)."""
    return CURVATURE / 2 * (theta - example.inputs[0]) ** 2


def scalar_variances(examples: Examples, rows: Array) -> Array:
    """The variance of theta about mean(x) for every ETA_H, over all chains and the steps after BURN_IN; `rows`
    (chains, steps, batch) are the examples that every step sees."""
    middle = jnp.mean(examples.inputs)

    def of_rate(eta_h: Array) -> Array:
        optimizer = optax.sgd(eta_h / CURVATURE)
        step = training.make_step(gradients.mean_over_examples(parabola), optimizer)

        def chain(rows: Array) -> Array:
            state, legs = TrainState(middle, optimizer.init(middle)), rows[:, None]  # every step is observed
            history = training.minibatch_descent(step, state, examples, legs, lambda state: state.params)[1]
            return jnp.mean((history.observed[BURN_IN:] - middle) ** 2)

        return jnp.mean(jax.vmap(chain)(rows))

    return jax.lax.map(of_rate, jnp.array(ETA_H))


def scalar_ratios(settings: Settings) -> np.ndarray:
    """(batches, eta h): the measured variance, of all seeds together, over the theory's; nothing is fitted."""
    rng = np.random.default_rng(settings.seed)
    x = rng.standard_normal((SCALAR_EXAMPLES, 1), dtype=np.float32)
    examples, variances = (
        Examples(jnp.asarray(x), jnp.zeros_like(x)),
        jax.jit(runs.over_seeds(scalar_variances, (None, 0))),
    )
    ratios = []
    for batch_size in SCALAR_BATCHES:
        size = (settings.num_seeds, CHAINS, BURN_IN + settings.scalar_steps, batch_size)
        rows = rng.integers(SCALAR_EXAMPLES, size=size, dtype=np.int32)  # with replacement
        measured = np.asarray(variances(examples, rows)).mean(axis=0)
        theory = [stationary_variance(eta_h / CURVATURE, batch_size, float(x.var())) for eta_h in ETA_H]
        ratios.append(measured / theory)
    return np.array(ratios)


def stationary_variance(rate: float, batch_size: int, variance: float) -> float:
    """eta sigma^2 / (B h (2 - eta h)) with sigma^2 = h^2 Var(x).

    >>> stationary_variance(1 / CURVATURE, 5, 3.0)  # eta h = 1: theta is the mean of its last batch
    0.6
    """
    sigma_squared = CURVATURE**2 * variance
    return rate * sigma_squared / (batch_size * CURVATURE * (2 - rate * CURVATURE))


# The network: constant rates from the end of a long training, and from halfway on rates that fall to 0 besides.


class Floor(NamedTuple):
    """What one batch size did with every rate; leaves lead with learning rates (seeds first, once mapped)."""

    cost: Array  # looks; on the training set, constant rate, both halves
    gradient_norm: Array  # looks; likewise
    falling_cost: Array  # looks in the second half, with the falling rate
    falling_gradient_norm: Array  # likewise
    scatter: Array  # tr(Sigma) at the end, with the constant rate


def look(problem: Problem, train: Examples, state: TrainState) -> tuple[Array, Array]:
    """(cost, |G|) on the whole training set."""
    cost, gradient = jax.value_and_grad(problem.cost)(state.params, train)
    return cost, jnp.asarray(optax.tree.norm(gradient))


def scatter(problem: Problem, params: PyTree, train: Examples, norm: Array) -> Array:
    """tr(Sigma) = mean |g_i|^2 - |G|^2 over the training set, in chunks of examples; `norm` is |G|."""

    def squared_norm(params: PyTree, example: Examples) -> Array:
        return jnp.asarray(optax.tree.norm(jax.grad(problem.example_cost)(params, example), squared=True))

    return gradients.mean_over_examples(squared_norm, chunk_size=CHUNK)(params, train) - norm**2


def falling(rate: Array, share: Array, num_steps: int, count: ArrayLike) -> Array:
    """The rate at step number `count`, when on its straight way it has lost `share` of itself after `num_steps`."""
    return rate * (1 - share * jnp.asarray(count, rate.dtype) / num_steps)


def stumble(problem: Problem, params: PyTree, train: Examples, rows: Array, rates: Array) -> Floor:
    """From `params` through both halves of `rows` (2, looks, steps, batch), for every rate."""
    objective = gradients.mean_over_examples(problem.example_cost)
    observe = partial(look, problem, train)

    def half(rate: Array, share: Array, params: PyTree, rows: Array) -> tuple[PyTree, tuple[Array, Array]]:
        optimizer = optax.sgd(partial(falling, rate, share, rows[..., 0].size))
        state, step = TrainState(params, optimizer.init(params)), training.make_step(objective, optimizer)
        state, history = training.minibatch_descent(step, state, train, rows, observe)
        return state.params, history.observed

    def of_rate(rate: Array) -> Floor:
        constant_and_falling = jnp.arange(2, dtype=rate.dtype)
        middle, first = half(rate, constant_and_falling[0], params, rows[0])
        ends, second = jax.lax.map(lambda share: half(rate, share, middle, rows[1]), constant_and_falling)
        end = jax.tree.map(lambda leaf: leaf[0], ends)
        cost, norm = (jnp.concatenate([early, late[0]]) for early, late in zip(first, second, strict=True))
        return Floor(cost, norm, second[0][1], second[1][1], scatter(problem, end, train, norm[-1]))

    return jax.lax.map(of_rate, rates)


def in_halves(order: np.ndarray, batch_size: int, num_looks: int) -> np.ndarray:
    """(seeds, epochs, examples) -> (seeds, 2, looks, steps, batch); steps that do not divide are left out at the end of
    each half."""
    rows = descents.in_batches(order, batch_size)
    steps = rows.shape[1] // (2 * num_looks)
    return rows[:, : 2 * num_looks * steps].reshape(len(rows), 2, num_looks, steps, batch_size)


def drawn(seed: int, size: tuple[int, int, int]) -> np.ndarray:
    """Examples drawn with replacement: (seeds, epochs, examples), `size`."""
    return np.random.default_rng(seed).integers(size[-1], size=size, dtype=np.int32)


def settled(looks: Array) -> np.ndarray:
    """The mean over the second half of a run, by the trapezoid rule through its looks, the last axis.

    So the middle of what is averaged is the middle of the half, which is how far the falling rate goes.

    >>> float(settled(np.array([9.0, 1.0, 2.0, 3.0])))  # from the look at halftime on
    2.0
    """
    second = np.asarray(looks)[..., looks.shape[-1] // 2 - 1 :]
    return (second[..., :-1] + second[..., 1:]).mean(axis=-1) / 2


def stumble_all(
    settings: Settings, problem: Problem, params: PyTree, orders: dict[str, np.ndarray]
) -> dict[str, Floor]:
    """For each way of sampling every batch size with every rate; leaves lead with (seeds, batch sizes, rates).

    Raises Diverged.
    """
    every_seed = jax.jit(runs.over_seeds(partial(stumble, problem), (0, None, 0, None)))
    rates = jnp.asarray(settings.learning_rates, jnp.float32)

    def with_size(order: np.ndarray, size: int) -> Floor:
        halves = in_halves(order, size, settings.num_looks)
        floor = jax.tree.map(np.asarray, every_seed(params, problem.train, halves, rates))
        both = np.concatenate([floor.cost, floor.falling_cost], axis=-1)
        lost = ~np.isfinite(both).all(axis=0)  # rates, looks
        if lost.any():
            rate, look = np.argwhere(lost)[0]  # the falling rate's looks are those of the second half
            look = look if look < 2 * settings.num_looks else look - settings.num_looks
            label = f"batches of {size}, rate {settings.learning_rates[rate]:g}, from a trained start"
            raise runs.Diverged(label, (look + 1) * halves.shape[3])
        medians = ", ".join(f"{cost:.4f}" for cost in np.median(settled(floor.cost), axis=0))
        runs.console.print(f"batches of {size:,}: cost {medians}")
        return floor

    floors = {}
    for name, order in orders.items():
        runs.console.print(f"from there with the constant rates {settings.learning_rates}, batches {name}")
        found = [with_size(order, size) for size in settings.batch_sizes]
        floors[name] = jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *found)
    return floors


# Where a long training ends: a minimum, or a saddle?


class Ground(NamedTuple):
    """The end of the long training; leaves lead with a seed axis."""

    cost: Array
    gradient_norm: Array
    largest: Array  # eigenvalues of the Hessian of the training set's cost
    smallest: Array
    residuals: Array  # 2: |H v - lambda v| of the two
    missed: Array  # bound on the probability that the smallest lies lower, by TOLERANCE of the spectrum's width
    slopes: Array  # 2: the gradient along their directions
    along: Array  # 2, points: the cost along their directions, at the lengths SLICE
    scatter: Array  # tr(Sigma)


def chance_of_missing(num_params: int, num_iterations: int) -> float:
    """A bound on the probability that Lanczos' iteration from a random start misses an end of the spectrum by more than
    TOLERANCE of its width: 1.648 sqrt(n) exp(-sqrt(TOLERANCE) (2 k - 1)).

    Source: Kuczynski and Wozniakowski (1992), SIAM J. Matrix Anal. Appl. 13, 1094.

    >>> round(chance_of_missing(13002, 150), 3)
    0.015
    """
    return 1.648 * num_params**0.5 * math.exp(-(TOLERANCE**0.5) * (2 * num_iterations - 1))


def survey(problem: Problem, num_iterations: int, params: PyTree, train: Examples, key: Array) -> Ground:
    """The extreme curvatures at `params`, and the cost along their directions."""
    pairs = curvature.ritz_pairs(problem.cost, params, train, key, num_iterations=num_iterations)
    ends = jax.tree.map(lambda leaf: leaf[jnp.array([0, -1])], pairs)
    flat, unflatten = ravel_pytree(params)
    cost, gradient = jax.value_and_grad(lambda flat: problem.cost(unflatten(flat), train))(flat)
    norm = jnp.linalg.norm(gradient)

    def slice_along(pair: curvature.Eigenpairs) -> Array:
        lengths = jnp.asarray(SLICE, flat.dtype)
        return jax.lax.map(lambda length: problem.cost(unflatten(flat + length * pair.vectors), train), lengths)

    return Ground(
        cost=cost,
        gradient_norm=norm,
        largest=ends.values[0],
        smallest=ends.values[1],
        residuals=curvature.residuals(problem.cost, params, train, ends),
        missed=jnp.asarray(chance_of_missing(flat.size, num_iterations)),
        slopes=ends.vectors @ gradient,
        along=jax.lax.map(slice_along, ends),
        scatter=scatter(problem, params, train, norm),
    )


def train_long(settings: Settings, problem: Problem, init_keys: Array, shuffle_keys: Array) -> descents.Curve:
    """Every seed from its own start, with a rate that is constant for the first half and falls to 0 in the second."""
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.start_epochs)
    num_steps = descents.in_batches(order, settings.start_batch_size).shape[1]
    half = max(1, num_steps // 2)
    falling = optax.linear_schedule(settings.start_learning_rate, 0.0, half, num_steps - half)
    method = Method("the long training", settings.start_batch_size, optax.sgd(falling))
    return descents.follow(problem, method, descents.starts(problem, init_keys), order, num_legs=2)


# What comes of it.


class Measured(NamedTuple):
    """All that the claims are about."""

    scalar: np.ndarray  # batches, eta h: variance over theory
    ground: Ground
    floors: dict[str, Floor]  # for each way of sampling
    accuracy: np.ndarray  # seeds; on the test set, at the end of the long training
    num_examples: int  # for training


def measure(settings: Settings, problem: Problem) -> Measured:
    """The scalar case, the long training, its end, and the constant and falling rates from there."""
    scalar = scalar_ratios(settings)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    long = train_long(settings, problem, init_keys, shuffle_keys)
    runs.console.print("the largest and the smallest eigenvalue of the Hessian where it ends ...")
    every_seed = jax.jit(runs.over_seeds(partial(survey, problem, settings.lanczos_iterations), (0, None, 0)))
    ground = jax.tree.map(np.asarray, every_seed(long.end, problem.train, init_keys))
    stop_if_flat(settings, ground)
    keys = jax.vmap(partial(jax.random.fold_in, data=1))(shuffle_keys)  # not the shuffles of the long training
    num_examples, num_epochs = len(problem.train.inputs), 2 * settings.num_epochs
    orders = {
        "shuffled": descents.shuffles(keys, num_examples, num_epochs),
        "drawn with replacement": drawn(settings.seed, (settings.num_seeds, num_epochs, num_examples)),
    }
    floors = stumble_all(settings, problem, long.end, orders)
    return Measured(scalar, ground, floors, long.accuracy[:, -1], num_examples)


def stop_if_flat(settings: Settings, ground: Ground) -> None:
    """Raises runs.Stuck where a seed's long training came to a place without curvature or without any gradient."""
    if not ((ground.largest > 0) & (ground.scatter > 0)).all():
        raise runs.Stuck(settings.start_epochs)


def ratios(settings: Settings) -> np.ndarray:
    """eta/B of every (batch size, rate)."""
    return np.array(settings.learning_rates) / np.array(settings.batch_sizes)[:, None]


def heights(floor: Floor) -> np.ndarray:
    """The floor (seeds, batch sizes, rates): mean cost over the second half with the constant rate, less the cost that
    the falling rate ends with."""
    return settled(floor.cost) - floor.falling_cost[..., -1]


def by_ratio(settings: Settings, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(eta/B, growing; geometric means (seeds, of them) of all the `values` (seeds, sizes, rates) that share it).

    Floors are positive but for chance; what is not counts as NaN, which no claim survives.

    >>> by_ratio(Settings(batch_sizes=(1, 2), learning_rates=(1.0, 2.0)), np.array([[[4.0, 8.0], [1.0, 9.0]]]))
    (array([0.5, 1. , 2. ]), array([[1., 6., 8.]]))
    """
    found, index = np.unique(ratios(settings).round(12), return_inverse=True)
    logs = np.log(np.where(values > 0, values, np.nan)).reshape(len(values), -1)
    means = [logs[:, index.ravel() == group].mean(axis=1) for group in range(len(found))]
    return found, np.exp(np.stack(means, axis=1))


def several(settings: Settings) -> bool:
    """Whether there is more than one eta/B, so that something can grow from one to the next."""
    return len(np.unique(ratios(settings).round(12))) > 1


def least_growth(settings: Settings, values: np.ndarray) -> float:
    """The least factor, of all seeds, by which the values grow from one eta/B to the next."""
    _, grouped = by_ratio(settings, values)
    return float(np.min(grouped[:, 1:] / grouped[:, :-1]))


def over_theory(settings: Settings, measured: Measured) -> tuple[float, float]:
    """(eta/B, the floor of batches drawn with replacement over eta tr(Sigma) / (4 B), median of the seeds).

    At the largest eta/B, which has gone farthest to its floor, of those rates that are small beside 2/sharpness.
    """
    floor = measured.floors["drawn with replacement"]
    small = np.array(settings.learning_rates) * np.median(measured.ground.largest) <= 0.2
    if not small.any():
        return float("nan"), float("nan")
    found = heights(floor) / (ratios(settings) * floor.scatter / 4)
    row, column = np.unravel_index(np.argmax(np.where(small, ratios(settings), 0)), found.shape[1:])
    return float(ratios(settings)[row, column]), float(np.median(found[:, row, column]))


def least_settled(settings: Settings, measured: Measured) -> float:
    """The eta/B below which half a run is too short to forget its start where the curvature h is a thousandth of the
    sharpness: eta h times the steps of the half is below 1 there."""
    sharpness = float(np.median(measured.ground.largest))
    return 1000 / (sharpness * settings.num_epochs * measured.num_examples)


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    shuffled = measured.floors["shuffled"]
    norm = settled(shuffled.gradient_norm)
    lower = shuffled.falling_cost[..., -1] / settled(shuffled.cost)
    calmer = shuffled.falling_gradient_norm[..., -1] / norm
    growth = [
        claim("E21", "the floor of the network's cost with a constant rate grows with eta/B, from each to the next",
              least_growth(settings, heights(shuffled)), None, 1.0, None, "least factor of all seeds"),
        claim("E21", "and so does |G|", least_growth(settings, norm), None, 1.0, None, "least factor of all seeds"),
    ] if several(settings) else []  # fmt: skip
    return [
        claim("E21", "the exact control: the variance of SGD in a parabola over eta sigma^2 / (B h (2 - eta h)), all "
              "seeds together", float(measured.scalar.flat[np.abs(measured.scalar - 1).argmax()]), 1.0, 0.97, 1.03,
              f"ratio, farthest from 1 for eta h {ETA_H}"),
        *growth,
        *theory_claims(settings, measured, claim),
        claim("T38", "with a rate that falls to 0 the cost ends lower than it is on average with a constant one, "
              "whatever eta and B", float(lower.max()), None, None, 1.0, "ratio, largest of all seeds"),
        claim("T38", "and the gradient smaller", float(calmer.max()), None, None, 1.0, "ratio, largest of all seeds"),
        *ground_claims(measured.ground, measured.num_examples, claim),
    ]  # fmt: skip


def theory_claims(settings: Settings, measured: Measured, claim: Callable) -> list[Claim]:
    """E21 for batches drawn with replacement; no claim where the run is too short to settle."""
    rate, factor = over_theory(settings, measured)
    if not rate >= least_settled(settings, measured):
        return []
    return [
        claim("E21", "with batches drawn with replacement the floor is eta tr(Sigma) / (4 B), where eta is small "
              f"beside 2/sharpness (at eta/B = {rate:g})", factor, 1.0, 0.7, 1.3, "ratio, median"),
    ]  # fmt: skip


def ground_claims(ground: Ground, num_examples: int, claim: Callable) -> list[Claim]:
    """T38 where the long training ends; whether that is a minimum is only claimed where Lanczos' iteration tells.

    |G| is small when so many examples drawn anew from the same source would make as large a one by chance alone, their
    true mean being 0: sqrt(tr(Sigma) / N).
    """
    worst = float(np.max(ground.gradient_norm / np.sqrt(ground.scatter / num_examples)))
    small = claim("T38", "at the end of the long training the gradient is no larger than what the choice of the "
                  "training images alone makes of 0: |G| / sqrt(tr(Sigma) / N)", worst, None, None, 1.0,
                  "ratio, largest of all seeds")  # fmt: skip
    if not resolved(ground).all():
        return [small]
    return [
        small,
        claim("T38", "the long training converges to a local minimum: smallest over largest eigenvalue of the Hessian "
              f"at its end (the surface curves down, as at a saddle, where it is below -{TOLERANCE:g})",
              float(np.min(ground.smallest / ground.largest)), 0.0, -TOLERANCE, None, "ratio, least of all seeds"),
    ]  # fmt: skip


def resolved(ground: Ground) -> np.ndarray:
    """Of every seed, whether the sign is settled: the smallest Ritz value is above the smallest eigenvalue, so that a
    clearly negative one is enough; any other takes an iteration long enough not to have missed a lower one."""
    return np.asarray((ground.smallest < -TOLERANCE * ground.largest) | (ground.missed < 0.05))


def about_the_floor(settings: Settings, floors: np.ndarray, least: float) -> str:
    """What the heights (seeds, batch sizes, rates) say, in one sentence; from eta/B of `least` on they have settled."""
    if not (floors > 0).all():
        return "The cost still falls with the constant rates too, so that no floor shows."
    found, grouped = by_ratio(settings, floors)
    grows = ""
    if several(settings):
        grows = "that grows with η/B " if least_growth(settings, floors) > 1 else "that does not always grow with η/B "
    settled_at = [at for at in range(len(found)) if found[at] >= least] or [len(found) - 1]
    heights_there = ", ".join(f"{np.median(grouped[:, at]):.2g} at {found[at]:.1g}" for at in settled_at)
    return (
        f"With a constant rate SGD stays above what a falling rate reaches, on a floor {grows}(height at η/B): "
        f"{heights_there}."
    )


def about_the_end(ground: Ground) -> str:
    """Whether the long training ends at a minimum, in one sentence."""
    shares = ground.smallest / ground.largest
    if not resolved(ground).all():
        return "Lanczos' iteration was too short to tell minimum from saddle."
    return (
        f"{int(np.sum(shares < -TOLERANCE))} of {len(shares)} seeds end at no minimum: the smallest curvature is "
        f"{100 * float(np.median(shares)):.2g} % of the largest."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    began = time.perf_counter()
    train, test = common.load(settings)
    check_sizes(settings, train)
    problem = descents.problem_of(settings, train, test)
    facts = records.describe_data(settings.dataset, train=train, test=test)
    with records.divergence_recorded(settings.out / NAME, settings, **facts):
        measured = measure(settings, problem)
    claims = make_claims(settings, measured) if common.is_the_films(settings) else []
    floors, least = heights(measured.floors["shuffled"]), least_settled(settings, measured)
    findings = [about_the_floor(settings, floors, least), about_the_end(measured.ground)]
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        arrays_for_figures(settings, measured),
        **facts,
        finding=" ".join(findings),
        about_the_floor=findings[0],
        least_settled=least,
        layer_sizes=settings.sizes_for(train),
        tolerance=TOLERANCE,
        seconds=time.perf_counter() - began,
    )


def check_sizes(settings: Settings, train: Examples) -> None:
    """Raises common.SettingsError unless every batch fits into the data, and every half has steps to look at."""
    for flag, size in (
        ("--start-batch-size", settings.start_batch_size),
        ("--batch-sizes", max(settings.batch_sizes)),
    ):
        common.require_images(settings, flag, size, train)
    steps = settings.num_epochs * (len(train.inputs) // max(settings.batch_sizes))
    common.require(
        steps >= settings.num_looks,
        f"--num-epochs is {settings.num_epochs}, in which batches of {max(settings.batch_sizes)} make {steps} steps; "
        f"at least {settings.num_looks}, --num-looks, are needed, so raise --num-epochs or take smaller batches",
    )


def arrays_for_figures(settings: Settings, measured: Measured) -> dict[str, np.ndarray]:
    """The scalar case, the end of the long training, and the floors, field by field."""
    arrays = {"eta_h": np.array(ETA_H), "scalar": measured.scalar, "slice": SLICE, "accuracy": measured.accuracy}
    arrays |= {f"ground_{field}": value for field, value in measured.ground._asdict().items()}
    for index, floor in enumerate(measured.floors.values()):
        arrays |= {f"{index}_{field}": value for field, value in floor._asdict().items()}
        arrays |= {f"{index}_height": heights(floor), f"{index}_settled_norm": settled(floor.gradient_norm)}
    return arrays


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.floor_figure(record, arrays), out / NAME / f"{NAME}.png")
    plots.save(figures.scalar_figure(record, arrays), out / NAME / "solved_case.png")
    plots.save(figures.ground_figure(record, arrays), out / NAME / "minimum_or_saddle.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.noise_floor"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
