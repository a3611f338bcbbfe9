"""Does going through the mini-batches again and again end at a local minimum, or at a saddle?

The film's network is trained by mini-batches for long, with a rate that falls to 0 in the second half. From there
L-BFGS (scipy's, in float64) goes on until |G| < 1e-7, on few enough images that it gets there. On the way the ends of
the spectrum of the Hessian are looked at, by Lanczos' iteration. Near a stationary point |G| vanishes and the sharpness
does not: it goes like |G|^0. Where the cost only flattens out, as sigmoids do towards 0 and 1 (1 - a ~ exp(-z)),
gradient and curvature vanish together, |G|^1, and no point is ever reached: the parameters go to infinity.

Run:     python -m experiments minimum_or_saddle [--quick | --full]
Time:    default 40 s, --quick 15 s, --full 90 s to 2 min, on 2 cores, compilation included
Result:  (6 seeds, 2,000 images) neither: |G| falls from 2e-4 to 8e-8 and the sharpness with it, exponent 0.88 to 1.06,
         while |theta| grows from 54 to 99. One claim does not hold: no point is approached.
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt, Interval
from jax import Array
from jaxtyping import Float

from experiments.common import floors, hills, long_training, plots, runs, stationary
from experiments.common.bounds import BatchSize, of_train
from experiments.common.claims import Claims, at_least, at_most, follow_up, prediction
from experiments.common.problem import Problem
from experiments.hill import minimum_or_saddle_figures as drawn
from research import curvature
from research.data import Examples

LEVELS = (1e-5, 1e-6, 1e-7)  # it is looked where |G| first comes below each; at the last it has converged
TOLERANCE = 1e-3  # of the sharpness: at the rate 2/sharpness descent leaves such a saddle e-fold in 500 steps
HALF = 0.5  # exponent of the sharpness in |G|, between a stationary point's 0 and a saturated sigmoid's 1
SAYS = {
    "infinity": "to no minimum and no saddle, it flattens out: gradient and curvature vanish together",
    "minimum": "to a local minimum",
    "saddle": "to a saddle",
    "undecided": "to where nothing is decided yet",
}


@dataclasses.dataclass(frozen=True)
class Settings(long_training.Settings):
    num_examples: Annotated[int | None, Ge(2), of_train] = 1000
    """Training images, from the first on; L-BFGS needs hundreds of gradients on all of them."""
    start_batch_size: BatchSize = 10
    """Batch size of the long training."""
    start_learning_rate: Annotated[float, Gt(0)] = 2.0
    """Its learning rate, which falls to 0 in the second half."""
    start_epochs: Annotated[int, Ge(1)] = 100
    """Its passes over the training set."""
    max_iterations: Annotated[int, Ge(1)] = 2000
    """Iterations of L-BFGS after which it gives up."""
    lanczos_iterations: Annotated[int, Interval(ge=2, le=1000)] = 60
    """Products with the Hessian in the search for its extreme eigenvalues."""


QUICK = Settings(num_seeds=1, num_examples=200, start_epochs=50, lanczos_iterations=20)
FULL = Settings(num_seeds=6, num_examples=2000, lanczos_iterations=140)


class Result(NamedTuple):
    """Places: where the long training ends, then one for each of LEVELS; the last stands for what was not reached."""

    cost: Float[np.ndarray, "seeds places"]
    gradient_norm: Float[np.ndarray, "seeds places"]
    size: Float[np.ndarray, "seeds places"]  # |theta|
    wrong: Float[np.ndarray, "seeds places"]  # outputs on the wrong side of 1/2, over the number of images
    largest: Float[np.ndarray, "seeds places"]  # eigenvalues of the Hessian
    smallest: Float[np.ndarray, "seeds places"]
    residual: Float[np.ndarray, "seeds places"]  # |H v - lambda v| of the smallest
    missed: float  # bound on the probability that the smallest lies lower, by TOLERANCE of the spectrum's width
    num_examples: int


def survey(problem: Problem, num_iterations: int, point: Array, train: Examples, key: Array) -> tuple[Array, ...]:
    """The arrays of Result at one place."""
    params = hills.unravel_of(problem)(point)
    pairs = curvature.ritz_pairs(problem.cost, params, train, key, num_iterations=num_iterations)
    ends = jax.tree.map(lambda leaf: leaf[jnp.array([0, -1])], pairs)
    residual = curvature.residuals(problem.cost, params, train, ends)[1]
    count = lambda output, target: jnp.sum((output > 0.5) != (target > 0.5), dtype=output.dtype)
    wrong = problem._replace(cost_fn=count).cost(params, train)
    return *floors.look(problem, params, train), jnp.linalg.norm(point), wrong, *ends.values, residual


def measure(problem: Problem, settings: Settings) -> Result:
    end, (init_keys, _) = long_training.train(problem, settings), runs.seed_keys(settings.seed, settings.num_seeds)
    paths = stationary.paths(problem, end, LEVELS, settings.max_iterations)
    places, iterations = paths.shape[:2], settings.lanczos_iterations
    every_place = runs.in_float64(runs.over_seeds(partial(survey, problem, iterations), (0, None, 0)))
    found = every_place(paths.reshape(-1, paths.shape[-1]), problem.train, jnp.repeat(init_keys, places[1]))
    missed = curvature.chance_of_missing(problem.num_parameters, iterations, TOLERANCE)
    result = Result(*(each.reshape(places) for each in found), missed=missed, num_examples=len(problem.train.inputs))
    if not (result.largest[:, 0] > 0).all():
        raise runs.Stuck(settings.start_epochs)
    return result


def exponents(result: Result) -> np.ndarray:
    """Of the sharpness in |G|, for every seed, between its first and its last place; NaN where neither changed."""
    falls = [np.log(each[:, -1] / each[:, 0]) for each in (np.abs(result.largest), result.gradient_norm)]
    return np.divide(*falls, out=np.full(len(falls[0]), np.nan), where=falls[1] != 0)


def verdicts(result: Result) -> np.ndarray:
    """For every seed "infinity", "saddle" or "minimum"; "undecided" where |G| is not small enough, or where the
    smallest eigenvalue is not known well enough."""
    lowest, slack = result.smallest[:, -1] / result.largest[:, -1], result.residual[:, -1] / result.largest[:, -1]
    found = np.full(len(lowest), "undecided")
    found[(lowest - slack >= -TOLERANCE) & (result.missed < 0.05)] = "minimum"
    found[lowest + slack < -TOLERANCE] = "saddle"
    found[exponents(result) > HALF] = "infinity"
    found[result.gradient_norm[:, -1] >= LEVELS[-1]] = "undecided"
    return found


def left_over(result: Result) -> np.ndarray:
    """N times the cost at the last place, less the number of outputs on the wrong side of 1/2."""
    return (result.cost - result.wrong)[:, -1] * result.num_examples


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    found = verdicts(result)
    converged, at_infinity = result.gradient_norm[:, -1] < LEVELS[-1], found == "infinity"
    if converged.any():
        yield prediction("T38", "what the long training approaches is a point, a minimum or a saddle: exponent of the "
                         f"sharpness in |G|, from its end to |G| < {LEVELS[-1]:g}",
                         np.max(exponents(result)[converged]), at_most(HALF), "largest of all seeds",
                         "0 at a stationary point, 1 where a sigmoid saturates; halfway between", "finding: gradient "
                         "and curvature vanish together while the parameters grow: outputs saturate, which the next "
                         "claim decides")  # fmt: skip
    points = np.isin(found, ("minimum", "saddle"))
    if points.any():
        yield prediction("T38", "the point that it approaches is a local minimum: smallest over largest eigenvalue",
                         np.min((result.smallest / result.largest)[points, -1]), at_least(-TOLERANCE),
                         "ratio, least of all seeds", "the film; the tolerance: such a saddle is left in 500 steps",
                         "finding: the surface curves down there")  # fmt: skip
    if at_infinity.any():
        yield follow_up("T38", "where it goes to infinity every output has saturated: N times the cost is the number "
                        "of outputs on the wrong side of 1/2", np.max(np.abs(left_over(result)[at_infinity])),
                        at_most(0.01), "outputs apart, farthest", "a saturated output costs 0 or 1; what |G| < 1e-7 "
                        "leaves of N examples is 2 N |G| where nothing cancels, 4e-4 for 2,000")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    found, given_up = verdicts(result), (result.wrong[:, -1] * result.num_examples).round().astype(int)
    said = [
        f"{says} (in {np.sum(found == name)} of {len(found)} seeds)" for name, says in SAYS.items() if name in found
    ]
    (norm, least), (sharpness, last), (size, grown) = (
        np.median(each, axis=0)[[0, -1]] for each in (result.gradient_norm, result.largest, result.size)
    )
    return (
        f"A long training on {result.num_examples:,} images leads {' and '.join(said)}. From its end on L-BFGS takes "
        f"|G| from {norm:.1g} to {least:.1g}, the sharpness from {sharpness:.1g} to {last:.1g}, |θ| from {size:.0f} "
        f"to {grown:.0f} (medians); N times the cost ends within {np.abs(left_over(result)).max():.1g} of the number "
        f"of outputs on the wrong side of 1/2, {given_up.min()} to {given_up.max()}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((left, right),) = plots.new_figure(13, 5.6, columns=2)
    drawn.curvatures(left, result)
    drawn.costs(right, result)
    return {"minimum_or_saddle": plots.headline(figure, finding(result, settings).partition(" From")[0])}
