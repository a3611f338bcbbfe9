"""How high is the floor on which SGD stumbles with a constant learning rate?

The film's network, from the end of a long training whose rate fell to 0: constant rates eta with batches of B, and from
halfway on the same batches with a rate that falls to 0. What the cost lies higher with the constant rate (its mean over
the second half, less the end of the falling one) is the floor. Small steps in a parabola of any dimension: floor =
eta tr(Sigma) / (4 B), Sigma the covariance of one example's gradient. A floor is at rest where the cost has stopped
changing (floors.Floor.at_rest); one that is not is left out of what is said and drawn.

Run:     python -m experiments noise_floor [--quick | --full]
Time:    default 40 s, --quick 14 s, --full 2.5 to 14 min, on 2 cores, compilation included
Result:  (6 seeds) at rest, from eta/B = 0.025 on, the floor grows with eta/B; by lot it is 1.11 of theory's at 0.1.
         Below, the cost still falls. One claim does not hold: |G| does not grow with eta/B (0.022, 0.022, 0.013).
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge, Gt, Interval, MinLen
from jax import Array
from jaxtyping import Float

from experiments.common import descents, floors, long_training, plots, runs
from experiments.common.bounds import of_train, require, rising
from experiments.common.claims import Claims, about, at_least, at_most, prediction
from experiments.common.floors import REST, Floor, settled
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
    num_looks: Annotated[int, Ge(2)] = 4
    """How often cost and gradient are looked at in each half of a run."""
    lanczos_iterations: Annotated[int, Interval(ge=2, le=1000)] = 20
    """Products with the Hessian in the search for its largest eigenvalue, where the long training ends."""


QUICK = Settings(
    num_seeds=1, start_epochs=2, batch_sizes=(40,), learning_rates=(0.25, 2.0), num_epochs=1, num_looks=2,
    lanczos_iterations=5,
)  # fmt: skip
FULL = Settings(num_seeds=6, start_epochs=60, num_epochs=6)


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

    ground = jax.device_get(runs.over_seeds(of_end, (0, None, 0))(end, problem.train, init_keys))
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


def by_ratio(settings: Settings, values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(eta/B, growing; geometric means (seeds, of them) of all the `values` (seeds, sizes, rates) that share it), of
    the `chosen` (sizes, rates). Floors are positive but for chance; what is not counts as NaN, which no claim survives.

    >>> settings = Settings(batch_sizes=(1, 2), learning_rates=(1.0, 2.0))
    >>> by_ratio(settings, np.array([[[4.0, 8.0], [1.0, 9.0]]]), np.array([[True, False], [True, True]]))
    (array([0.5, 1. ]), array([[1., 6.]]))
    """
    found, index = np.unique(ratios(settings)[chosen], return_inverse=True)
    logs = np.log(np.where(values > 0, values, np.nan))[:, chosen]
    means = [logs[:, index == group].mean(axis=1) for group in range(len(found))]
    return found, np.exp(np.array(means)).reshape(len(found), len(values)).T


def growth(settings: Settings, values: np.ndarray, chosen: np.ndarray) -> float:
    """The least factor, of all seeds, by which the chosen values grow from one eta/B to the next; infinite if none."""
    _, grouped = by_ratio(settings, values, chosen)
    return float(np.min(grouped[:, 1:] / grouped[:, :-1], initial=np.inf))


def over_theory(result: Result, settings: Settings) -> tuple[float, float]:
    """(eta/B, the floor of batches drawn with replacement over eta tr(Sigma) / (4 B), median of the seeds).
    At the largest eta/B, of those rates that are small beside 2/sharpness, whose floor is at rest; 0 if none is."""
    small, floor = np.array(settings.learning_rates) * np.median(result.sharpness) <= 0.2, result.drawn
    found, tried = floor.heights / (ratios(settings) * floor.scatter / 4), ratios(settings) * (small & floor.at_rest)
    row, column = np.unravel_index(np.argmax(tried), tried.shape)
    return float(tried[row, column]), float(np.median(found[:, row, column]))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    shuffled, norm = result.shuffled, settled(result.shuffled.gradient_norm)
    rest, (rate, factor) = shuffled.at_rest, over_theory(result, settings)
    if len(np.unique(ratios(settings)[rest])) > 1:
        yield prediction("E21", "the floor of the network's cost with a constant rate grows with eta/B, from each "
                         "where it is at rest to the next", growth(settings, shuffled.heights, rest), at_least(1),
                         "least factor of all seeds", "eta tr(Sigma) / (4 B)")  # fmt: skip
        yield prediction("E21", "|G| on the floor grows with eta/B, from each where the floor is at rest to the next",
                         growth(settings, norm, rest), at_least(1), "least factor of all seeds",
                         "a parabola with Sigma as it is", "finding: single gradients scatter less on the "
                         "highest floor alone, and |G| falls beside sqrt(eta tr(Sigma) / B) before it too; the Hessian "
                         "there would decide: in a parabola |G|^2 is eta tr(H Sigma) / (2 B)")  # fmt: skip
    if rate > 0:
        yield prediction("E21", "with batches drawn with replacement the floor is eta tr(Sigma) / (4 B), where eta is "
                         f"small beside 2/sharpness and the floor at rest (at eta/B = {rate:g})", factor,
                         about(1, by=floors.REST), "ratio, median", "a parabola, small steps")  # fmt: skip
    costs, norms = shuffled.falling_cost[..., -1] / settled(shuffled.cost), shuffled.falling_norm[..., -1] / norm
    for what, ends in (("the cost", costs), ("|G|", norms)):
        yield prediction("T38", f"with a rate that falls to 0 {what} ends lower than it is on average with a constant "
                         "one, whatever eta and B", np.max(ends), at_most(1), "ratio, largest of all seeds",
                         "the floor is proportional to eta/B")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    floor = result.shuffled
    found, grouped = by_ratio(settings, floor.heights, floor.at_rest)
    if len(found) < 2:
        return "The runs were too short, or the seeds too few, to see a floor at rest."
    grows = "grows" if growth(settings, floor.heights, floor.at_rest) > 1 else "does not always grow"
    there = [f"{np.median(each):.2g} at η/B = {rate:.2g}" for rate, each in zip(found, grouped.T, strict=True)]
    return (
        f"With a constant rate SGD stays above what a falling rate reaches, on a floor that {grows} with η/B: "
        f"{', '.join(there)} (mean of the last {settings.num_epochs} epochs). In {np.sum(~floor.at_rest)} of "
        f"{floor.at_rest.size} cases it may still change by over {REST:.0%} of its height between the halves of these."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, axes = plots.new_figure(16, 6.8, columns=3)
    drawn.curves(axes[0, 0], result, settings)
    drawn.heights(axes[0, 1], result, settings, ratios(settings))
    drawn.norms(axes[0, 2], result, settings, ratios(settings))
    norm = settled(result.shuffled.gradient_norm)
    if growth(settings, norm, result.shuffled.at_rest) <= 1:
        axes[0, 2].set_title("The full gradient does not grow\nwith η/B all the way")
    foot = "medians of floors at rest" if result.shuffled.at_rest.any() else "medians; no floor is at rest"
    says = finding(result, settings).partition(" In ")[0]
    return {"noise_floor": plots.headline(figure, says, f"all after a long training; {foot}")}
