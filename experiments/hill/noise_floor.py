"""How high is the floor on which SGD stumbles with a constant learning rate?

The film's network, from the end of a long training whose rate fell to 0 (minimum_or_saddle looks at that end): constant
rates eta with batches of B, and from halfway on the same batches with a rate that falls to 0. What the cost lies higher
with the constant rate (its mean over the second half, less the end of the falling one) is the floor. Small steps in a
parabola of any dimension: floor = eta tr(Sigma) / (4 B), Sigma the covariance of one example's gradient.

Run:     python -m experiments noise_floor [--quick | --full]
Time:    default 35 s, --quick 14 s, --full 90 s, on 2 cores, compilation included
Result:  (6 seeds) the floor grows with eta/B in every seed; with batches drawn by lot it is 0.98 of theory's at eta/B =
         0.1, and for batches of 10 and of 160 the same within 11 % (medians). A falling rate always ends lower. One
         claim does not hold: |G| on the floor grows with eta/B too, but not from 0.1 to 0.4, where single gradients
         scatter half as much.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge, Gt, MinLen
from jax import Array
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.common import descents, floors, long_training, plots, runs
from experiments.common.bounds import of_train, require, rising
from experiments.common.claims import Claim, about, at_least, at_most, prediction
from experiments.common.floors import Floor, settled
from experiments.common.problem import Problem
from experiments.hill import noise_floor_figures as drawn
from research import curvature
from research.data import Examples
from research.models import Params


@dataclasses.dataclass(frozen=True)
class Settings(long_training.Settings):
    batch_sizes: Annotated[tuple[int, ...], Ge(1), MinLen(1), of_train] = (10, 160)
    """Batch sizes of the grid."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(2), rising] = (0.0625, 0.25, 1.0, 4.0)
    """Constant learning rates of the grid."""
    num_epochs: Annotated[int, Ge(1)] = 2
    """Passes over the training set in each half of a run."""
    num_looks: Annotated[int, Ge(1)] = 4
    """How often cost and gradient are looked at in each half of a run."""
    lanczos_iterations: Annotated[int, Ge(2)] = 20
    """Products with the Hessian in the search for its largest eigenvalue, where the long training ends."""


QUICK = Settings(
    num_seeds=1, start_epochs=2, batch_sizes=(40,), learning_rates=(0.25, 2.0), num_epochs=1, num_looks=2,
    lanczos_iterations=5,
)  # fmt: skip
FULL = Settings(num_seeds=6, start_epochs=60)


class Result(NamedTuple):
    cost: Float[np.ndarray, "seeds"]  # at the end of the long training, as the next two
    gradient_norm: Float[np.ndarray, "seeds"]
    sharpness: Float[np.ndarray, "seeds"]
    shuffled: Floor
    drawn: Floor  # of batches drawn with replacement
    num_examples: int


def measure(problem: Problem, settings: Settings) -> Result:
    num_examples, num_epochs, size = len(problem.train.inputs), 2 * settings.num_epochs, max(settings.batch_sizes)
    steps = settings.num_epochs * (num_examples // size)
    said = f"--num-epochs is {settings.num_epochs}, in which batches of {size} make {steps} steps; at least "
    require(steps >= settings.num_looks, f"{said}{settings.num_looks}, --num-looks, are needed; take smaller batches")
    end = long_training.train(problem, settings)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)

    def of_end(params: Params, train: Examples, key: Array) -> tuple[Array, Array, Array]:
        iterations = settings.lanczos_iterations
        steepest = curvature.sharpness(problem.cost, params, train, key, num_iterations=iterations)
        return *floors.look(problem, params, train), steepest

    ground = jax.device_get(jax.jit(runs.over_seeds(of_end, (0, None, 0)))(end, problem.train, init_keys))
    if not (ground[2] > 0).all():
        raise runs.Stuck(settings.start_epochs)
    keys = jax.vmap(partial(jax.random.fold_in, data=1))(shuffle_keys)  # not the shuffles of the long training
    orders = {
        "shuffled": descents.shuffles(keys, num_examples, num_epochs),
        "drawn with replacement": np.random.default_rng(settings.seed).integers(
            num_examples, size=(settings.num_seeds, num_epochs, num_examples), dtype=np.int32
        ),
    }
    return Result(*ground, *floors.find(problem, end, orders, settings), num_examples=num_examples)


def ratios(settings: Settings) -> np.ndarray:
    """eta/B of every (batch size, rate)."""
    return (np.array(settings.learning_rates) / np.array(settings.batch_sizes)[:, None]).round(12)


def by_ratio(settings: Settings, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(eta/B, growing; geometric means (seeds, of them) of all the `values` (seeds, sizes, rates) that share it).

    Floors are positive but for chance; what is not counts as NaN, which no claim survives.

    >>> by_ratio(Settings(batch_sizes=(1, 2), learning_rates=(1.0, 2.0)), np.array([[[4.0, 8.0], [1.0, 9.0]]]))
    (array([0.5, 1. , 2. ]), array([[1., 6., 8.]]))
    """
    found, index = np.unique(ratios(settings), return_inverse=True)
    logs = np.log(np.where(values > 0, values, np.nan)).reshape(len(values), -1)
    means = [logs[:, index.ravel() == group].mean(axis=1) for group in range(len(found))]
    return found, np.exp(np.stack(means, axis=1))


def growth(settings: Settings, values: np.ndarray) -> float:
    """The least factor, of all seeds, by which the values grow from one eta/B to the next."""
    grouped = by_ratio(settings, values)[1]
    return float(np.min(grouped[:, 1:] / grouped[:, :-1]))


def over_theory(result: Result, settings: Settings) -> tuple[float, float]:
    """(eta/B, the floor of batches drawn with replacement over eta tr(Sigma) / (4 B), median of the seeds).

    At the largest eta/B of those rates that are small beside 2/sharpness; 0 if none is.
    """
    small = np.array(settings.learning_rates) * np.median(result.sharpness) <= 0.2
    found, tried = result.drawn.heights / (ratios(settings) * result.drawn.scatter / 4), ratios(settings) * small
    row, column = np.unravel_index(np.argmax(tried), tried.shape)
    return float(tried[row, column]), float(np.median(found[:, row, column]))


def least_settled(result: Result, settings: Settings) -> float:
    """The eta/B below which half a run is too short to forget its start where the curvature h is a thousandth of the
    sharpness: eta h times the steps of the half is below 1 there."""
    return 1000 / (float(np.median(result.sharpness)) * settings.num_epochs * result.num_examples)


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    if not settings.is_the_films:
        return
    shuffled, norm = result.shuffled, settled(result.shuffled.gradient_norm)
    rate, factor = over_theory(result, settings)
    yield prediction("E21", "the floor of the network's cost with a constant rate grows with eta/B, from each to the "
                     "next", growth(settings, shuffled.heights), at_least(1), "least factor of all seeds",
                     "eta tr(Sigma) / (4 B)")  # fmt: skip
    yield prediction("E21", "|G| on the floor grows with eta/B, from each to the next", growth(settings, norm),
                     at_least(1), "least factor of all seeds", "a parabola with Sigma as it is", "finding: where the "
                     "floor is high, single gradients scatter less, and |G| falls beside sqrt(eta tr(Sigma) / B) too; "
                     "the Hessian there would decide: in a parabola |G|^2 is eta tr(H Sigma) / (2 B)")  # fmt: skip
    if rate >= least_settled(result, settings):
        yield prediction("E21", "with batches drawn with replacement the floor is eta tr(Sigma) / (4 B), where eta is "
                         f"small beside 2/sharpness (at eta/B = {rate:g})", factor, about(1, by=0.3), "ratio, median",
                         "a parabola, small steps")  # fmt: skip
    costs, norms = shuffled.falling_cost[..., -1] / settled(shuffled.cost), shuffled.falling_norm[..., -1] / norm
    for what, ends in (("the cost", costs), ("|G|", norms)):
        yield prediction("T38", f"with a rate that falls to 0 {what} ends lower than it is on average with a constant "
                         "one, whatever eta and B", np.max(ends), at_most(1), "ratio, largest of all seeds",
                         "the floor is proportional to eta/B")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    heights = result.shuffled.heights
    if not (heights > 0).all():
        return "The cost still falls with the constant rates too, so that no floor shows."
    found, grouped = by_ratio(settings, heights)
    grows = "grows" if growth(settings, heights) > 1 else "does not always grow"
    least = min(least_settled(result, settings), found[-1])
    there = [f"{np.median(grouped[:, at]):.2g} at η/B = {rate:.2g}" for at, rate in enumerate(found) if rate >= least]
    return (
        f"With a constant rate SGD stays above what a falling rate reaches, on a floor that {grows} with η/B: "
        f"{', '.join(there)}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    figure, axes = plots.new_figure(16, 6.8, columns=3)
    drawn.curves(axes[0, 0], result, settings)
    drawn.heights(axes[0, 1], result, settings, ratios(settings), least_settled(result, settings))
    drawn.norms(axes[0, 2], result, settings, ratios(settings))
    if growth(settings, settled(result.shuffled.gradient_norm)) <= 1:
        axes[0, 2].set_title("The full gradient does not grow\nwith η/B all the way")
    return {"noise_floor": plots.headline(figure, finding(result, settings), "all after a long training; medians")}
