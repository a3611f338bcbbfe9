"""How do the gradients of mini-batches scatter, drawn with replacement, without, and as batches of one shuffle?

The gradients of real images at the start of training, along random directions, and everything that a schedule can do
with them. For N = 8 images, in 3 random directions, all cases are gone through: every permutation, cut into
mini-batches by the schedule's own function, and every draw with replacement. For N = 1,000, in 64 random directions,
schedules are drawn, with `training.shuffled_schedule` and its sister. Theory, where Sigma is the covariance of the
single gradients:

    with replacement          cov g_B = Sigma / B
    without                   cov g_B = Sigma / B (N-B)/(N-1)
    two batches of a shuffle  cov(g, g') = -Sigma / (N-1): they lean apart, and over an epoch their errors cancel

Where B divides N the batches of a shuffle average to G exactly, so that the third line follows from the second; it is a
check of the schedule there, not a second one of the theory.

Run:     python -m experiments.sampling_theory [--quick | --full]
Time:    default 15 s, --quick 10 s, --full 30 s on 2 cores, compilation included
Result:  theory to 2e-14 in every entry of the covariances in 3 random directions where all cases are gone through,
         and within 2 % in their trace over 64 random directions where schedules are drawn (10 seeds)
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import plots, records, runs
from experiments.common import settings as common
from experiments.common.records import Claim, worst
from experiments.figures import sampling_theory as figures
from research import data, gradients, models, training
from research.data import Examples
from research.sampling import finite_population

NAME = Path(__file__).stem
FEW = 8  # images of which every permutation is gone through
PLAIN_DIRECTIONS = 3  # random directions in which their whole covariance matrix is compared
DIRECTIONS = 64  # random directions onto which the gradients of many images are projected
SIZES = (1, 3, 10, 30, 100, 300, 500, 1000)  # batch sizes for many images, as far as there are so many
SCHEMES = ("with replacement", "without replacement", "two batches of one shuffle")


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the draws; every seed has its own start, its own images and its own draws."""

    num_examples: int = 1000
    """Images among which schedules draw, 8 or more."""
    num_epochs: int = 500
    """How many epochs of every batch size are drawn, 2 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(self.num_examples >= FEW, f"--num-examples is {self.num_examples}; it must be {FEW} or more")
        common.require(self.num_epochs >= 2, f"--num-epochs is {self.num_epochs}; it must be 2 or more")


QUICK = Settings(num_seeds=2, num_epochs=200)
FULL = Settings(num_seeds=10, num_epochs=1000)


def projected(one: Callable, params: models.Params, examples: Examples, key: Array) -> Array:
    """(examples, DIRECTIONS): each example's gradient along random directions, less the mean of all of them."""
    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    directions = jax.random.normal(key, (num_parameters, DIRECTIONS)) / np.sqrt(DIRECTIONS)
    gradient = jax.grad(one)
    along = jax.lax.map(
        lambda example: ravel_pytree(gradient(params, example))[0] @ directions, examples, batch_size=100
    )
    return along - jnp.mean(along, axis=0)[None]


# Few images: every case.


def every_shuffle(points: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact covariances (directions, directions) over all permutations: of every batch, and of every two of a shuffle.

    `points` (N, directions) have mean 0. The second is NaN where a shuffle makes a single batch.
    """
    batches = np.asarray(training.in_batches(permutations(len(points)), batch_size))
    means = points[batches].mean(axis=2)  # permutations, steps, directions
    steps, total, each = means.shape[1], means.sum(axis=1), means.reshape(-1, points.shape[1])
    own = each.T @ each / len(each)
    both = total.T @ total / len(total) - steps * own
    return own, both / (steps * (steps - 1)) if steps > 1 else np.full_like(own, np.nan)


@functools.cache
def permutations(num: int) -> Array:
    """All orders of 0 .. num - 1, one a row."""
    return jnp.asarray(np.array(list(itertools.permutations(range(num)))))


def every_draw(points: np.ndarray, batch_size: int) -> np.ndarray:
    """Exact covariance over all N^B draws with replacement; draws that differ in their order only are done at once."""
    draws = np.array(list(itertools.combinations_with_replacement(range(len(points)), batch_size)))
    counts = (draws[:, :, None] == np.arange(len(points))).sum(axis=1)
    factorials = np.array([math.factorial(count) for count in range(batch_size + 1)])
    orders = factorials[batch_size] // factorials[counts].prod(axis=1)
    means = points[draws].mean(axis=1)
    return (means * orders[:, None]).T @ means / len(points) ** batch_size


def enumerated(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(schemes, batch sizes 1..N) twice: trace of the covariance over tr Sigma, and its largest distance from theory.

    The distance is of any entry of the covariance matrix, over the largest entry of Sigma.
    """
    num, sigma = len(points), points.T @ points / len(points)
    ratios, errors = np.full((2, len(SCHEMES), num), np.nan)
    for size in range(1, num + 1):
        own, both = every_shuffle(points, size)
        for scheme, (found, theory) in enumerate(zip(
            (every_draw(points, size), own, both),
            (1 / size, finite_population(size, num) / size, -1 / (num - 1)), strict=True,
        )):  # fmt: skip
            ratios[scheme, size - 1] = np.trace(found) / np.trace(sigma)
            errors[scheme, size - 1] = np.abs(found - theory * sigma).max() / np.abs(sigma).max()
    return ratios, errors


# Many images: schedules drawn.


class Scatter(NamedTuple):
    """Of one schedule, epoch by epoch, over tr Sigma."""

    own: Array  # mean of |g_B - G|^2 over the batches
    both: Array  # mean of (g_B - G) . (g_B' - G) over all pairs of batches; NaN if there is one batch only
    epoch: Array  # |mean of the batches' gradients - G|^2


def scatter(points: Array, schedule: Array) -> Scatter:
    """Follows the schedule (epochs, steps, batch) at fixed parameters; `points` (examples, directions) have mean 0."""
    trace = jnp.mean(jnp.sum(points**2, axis=1))
    steps = schedule.shape[1]

    def of_epoch(batches: Array) -> Scatter:
        means = jnp.mean(points[batches], axis=1)
        squares, total = jnp.sum(means**2), jnp.sum(means, axis=0)
        both = (total @ total - squares) / (steps * (steps - 1)) if steps > 1 else jnp.nan
        return Scatter(squares / steps / trace, both / trace, total @ total / steps**2 / trace)

    return jax.lax.map(of_epoch, schedule)


def batch_sizes(num_examples: int) -> list[int]:
    """Those of SIZES that fit, and all at once.

    >>> batch_sizes(60)
    [1, 3, 10, 30, 60]
    """
    return sorted({*(size for size in SIZES if size <= num_examples), num_examples})


def drawn(points: Array, key: Array, num_epochs: int) -> tuple[list[Scatter], list[Scatter]]:
    """For every batch size, with replacement and without."""
    sizes, num = batch_sizes(len(points)), len(points)
    found = []
    for scheme, draw in enumerate((training.with_replacement_schedule, training.shuffled_schedule)):
        keys = jax.random.split(jax.random.fold_in(key, scheme), len(sizes))
        orders = jax.lax.map(lambda key, draw=draw: draw(key, num, 1, num_epochs)[..., 0], keys)
        batches = [training.in_batches(order, size) for order, size in zip(orders, sizes, strict=True)]
        found.append([scatter(points, schedule) for schedule in batches])
    with_replacement, shuffled = found
    return with_replacement, shuffled


class Measured(NamedTuple):
    """All that the claims are about."""

    ratios: np.ndarray  # seeds, schemes, batch sizes 1..8; enumerated
    errors: np.ndarray  # likewise
    sizes: np.ndarray  # batch sizes for many images
    with_replacement: Scatter  # seeds, batch sizes, epochs
    shuffled: Scatter


def measure(settings: Settings, model: models.Model, cost_fn: Callable, train: Examples) -> Measured:
    """Both parts, for every seed."""
    one = gradients.example_cost(model.apply, cost_fn)
    num_examples = settings.num_examples

    def of_seed(init_key: Array, key: Array, train: Examples) -> tuple[Array, tuple[list[Scatter], list[Scatter]]]:
        rows_key, directions_key, draws_key = jax.random.split(key, 3)
        rows = jax.random.choice(rows_key, len(train.inputs), (num_examples,), replace=False)
        examples = jax.tree.map(lambda leaf: leaf[rows], train)
        points = projected(one, model.init(init_key), examples, directions_key)
        return points[:FEW, :PLAIN_DIRECTIONS], drawn(points, draws_key, settings.num_epochs)

    keys = runs.seed_keys(settings.seed, settings.num_seeds)
    few, found = jax.jit(runs.over_seeds(of_seed, (0, 0, None)))(*keys, train)
    exact = [enumerated(points - points.mean(axis=0)) for points in np.asarray(few, float)]
    ratios, errors = map(np.stack, zip(*exact, strict=True))
    with_replacement, shuffled = (jax.tree.map(lambda *sizes: np.stack(sizes, axis=1), *scheme) for scheme in found)
    return Measured(ratios, errors, np.array(batch_sizes(num_examples)), with_replacement, shuffled)


def over_theory(measured: Measured) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each scheme (ratio to theory, its standard error), both (seeds, batch sizes), where theory is not 0."""
    sizes, num = measured.sizes, measured.sizes[-1]
    below = sizes < num
    without = np.array([finite_population(int(size), int(num)) for size in sizes]) / sizes
    found = []
    for values, theory, chosen in (
        (measured.with_replacement.own, 1 / sizes, sizes > 0),
        (measured.shuffled.own, without, below),
        (measured.shuffled.both, np.full(len(sizes), -1 / (num - 1)), sizes <= num // 2),
    ):
        ratios = np.asarray(values)[:, chosen] / theory[chosen][:, None]
        found.append((ratios.mean(axis=-1), ratios.std(axis=-1) / np.sqrt(ratios.shape[-1])))
    return found


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds; all of it is theory, for any network, cost and data."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    formulas = ("Sigma/B", "Sigma/B (N-B)/(N-1)", "-Sigma/(N-1)")
    num, sizes = settings.num_examples, measured.sizes
    claims = [
        claim("E6", f"{scheme}: all cases for N = {FEW} together have the covariance {formula} in every "
              f"entry, in {PLAIN_DIRECTIONS} random directions",
              float(np.nanmax(measured.errors[:, index])), 0.0, 0.0, 1e-12, "largest error over largest entry of Sigma")
        for index, (scheme, formula) in enumerate(zip(SCHEMES, formulas, strict=True))
    ]  # fmt: skip
    for scheme, formula, (ratio, error) in zip(SCHEMES, formulas, over_theory(measured), strict=True):
        known = error > 0  # single images without replacement leave nothing to chance
        claims += [
            claim("E6", f"{scheme}: {settings.num_epochs:,} epochs drawn from N = {num:,} have the trace of {formula} "
                  f"in {DIRECTIONS} random directions",
                  worst(ratio.mean(axis=0) - 1) + 1, 1.0, 0.95, 1.05, "ratio, mean of the seeds, worst batch size"),
            claim("E6", f"{scheme}: in standard errors of the drawn, in {DIRECTIONS} random directions",
                  worst(((ratio - 1) / np.where(known, error, 1))[known & (error > 1e-5)]), 0.0, -4.5, 4.5,
                  "standard errors, worst of all sizes and seeds"),
        ]  # fmt: skip
    divides = num % sizes == 0
    return [
        *claims,
        claim("E6", "over an epoch, parameters fixed, the batches of a shuffle average to G, whatever their size, in "
              f"{DIRECTIONS} random directions",
              float(np.sqrt(np.max(measured.shuffled.epoch[:, divides]))), 0.0, 0.0, 1e-5, "|error|/sqrt(tr Sigma)"),
        claim("E6", "while with replacement an epoch's mean still scatters by Sigma over the number of draws, in "
              f"{DIRECTIONS} random directions",
              worst((np.mean(measured.with_replacement.epoch, axis=(0, 2)) * (num // sizes * sizes)) - 1) + 1, 1.0,
              0.95, 1.05, "ratio, mean of the seeds, worst batch size"),
    ]  # fmt: skip


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    means = [ratio.mean() for ratio, _ in over_theory(measured)]
    return (
        f"All cases for {FEW} images agree with theory to {np.nanmax(measured.errors):.0e} in {PLAIN_DIRECTIONS} "
        f"random directions; drawn from {settings.num_examples:,}, the traces in {DIRECTIONS} are {means[0]:.3f} (with "
        f"replacement), {means[1]:.3f} (without) and {means[2]:.3f} (two batches of one shuffle) times theory's."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train = data.load(settings.dataset, "train", data_dir=settings.data_dir)
    common.require_images(settings, "--num-examples", settings.num_examples, train, least=FEW)
    model, cost_fn = common.model_and_cost(settings, train)
    measured = measure(settings, model, cost_fn, train)
    claims, finding = make_claims(settings, measured), sentence(settings, measured)
    ratios = [ratio for ratio, _ in over_theory(measured)]
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        {
            "enumerated": measured.ratios,
            "sizes": measured.sizes,
            "own": np.stack([np.mean(part.own, axis=-1) for part in (measured.with_replacement, measured.shuffled)]),
            "both": np.stack([np.mean(part.both, axis=-1) for part in (measured.with_replacement, measured.shuffled)]),
        },
        **records.describe_data(settings.dataset, train=train),
        finding=finding,
        layer_sizes=settings.sizes_for(train),
        over_theory=[float(ratio.mean()) for ratio in ratios],
    )


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    figure = figures.sampling_figure(record, arrays, SCHEMES, (PLAIN_DIRECTIONS, DIRECTIONS))
    plots.save(figure, out / NAME / f"{NAME}.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.sampling_theory"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
