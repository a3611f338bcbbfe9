"""Does going through the mini-batches again and again end at a local minimum, or at a saddle?

The film's network is trained for long, with a rate that falls to 0 in the second half. At the end: |G|, against what
the choice of N training images alone would make of a gradient that is 0, sqrt(tr(Sigma) / N), Sigma the covariance of
one example's gradient; and the extreme eigenvalues of the Hessian, by Lanczos' iteration. Where the smallest is clearly
negative, the surface curves down, as at a saddle.

Run:     python -m experiments minimum_or_saddle [--quick | --full]
Time:    default 20 s, --quick 10 s, --full 1 min, on 2 cores, compilation included
Result:  undecided: at the end |G| is still 7e-4 to 11e-4, less than half of what chance makes it, and in each of 6
         seeds the smallest curvature is -0.2 to -0.6 % of the largest; the cost falls that way by 1.4e-5 at most, from
         0.035.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import floors, long_training, plots, runs
from experiments.common.claims import Claim, at_least, at_most, prediction
from experiments.common.problem import Problem
from research import curvature, statistics
from research.data import Examples
from research.models import Params

TOLERANCE = 1e-3  # of the sharpness: at the rate 2/sharpness descent leaves such a saddle e-fold in 500 steps
SLICE = np.linspace(-1, 1, 21)  # lengths along the directions of the extreme curvatures


@dataclasses.dataclass(frozen=True)
class Settings(long_training.Settings):
    lanczos_iterations: Annotated[int, Ge(2)] = 60
    """Products with the Hessian in the search for its extreme eigenvalues."""


QUICK = Settings(num_seeds=1, start_epochs=2, lanczos_iterations=5)
FULL = Settings(num_seeds=6, start_epochs=60, lanczos_iterations=140)


class Result(NamedTuple):
    cost: Float[np.ndarray, "seeds"]
    gradient_norm: Float[np.ndarray, "seeds"]
    scatter: Float[np.ndarray, "seeds"]  # tr(Sigma)
    largest: Float[np.ndarray, "seeds"]  # eigenvalues of the Hessian of the training set's cost
    smallest: Float[np.ndarray, "seeds"]
    residuals: Float[np.ndarray, "seeds 2"]  # |H v - lambda v| of the two
    along: Float[np.ndarray, "seeds 2 lengths"]  # the cost along their directions, at the lengths SLICE
    missed: float  # bound on the probability that the smallest lies lower, by TOLERANCE of the spectrum's width
    num_examples: int

    @property
    def shares(self) -> np.ndarray:  # smallest over largest eigenvalue
        return self.smallest / self.largest

    @property
    def resolved(self) -> bool:
        """Whether the sign is settled for every seed: the smallest Ritz value is above the smallest eigenvalue, so that
        a clearly negative one is enough; any other takes an iteration long enough not to have missed a lower one."""
        return bool(np.all((self.shares < -TOLERANCE) | (self.missed < 0.05)))


def survey(problem: Problem, num_iterations: int, params: Params, train: Examples, key: Array) -> tuple[Array, ...]:
    """The fields of Result up to `along`, for one seed: extreme curvatures, and the cost along their directions."""
    pairs = curvature.ritz_pairs(problem.cost, params, train, key, num_iterations=num_iterations)
    ends = jax.tree.map(lambda leaf: leaf[jnp.array([0, -1])], pairs)
    flat, unflatten = ravel_pytree(params)
    cost, norm = floors.look(problem, params, train)

    def slice_along(pair: curvature.Eigenpairs) -> Array:
        lengths = jnp.asarray(SLICE, flat.dtype)
        return jax.lax.map(lambda length: problem.cost(unflatten(flat + length * pair.vectors), train), lengths)

    residuals, along = curvature.residuals(problem.cost, params, train, ends), jax.lax.map(slice_along, ends)
    scatter = statistics.total_variance(problem.statistics.moments(params, train))
    return cost, norm, scatter, *ends.values, residuals, along


def measure(problem: Problem, settings: Settings) -> Result:
    end, (init_keys, _) = long_training.train(problem, settings), runs.seed_keys(settings.seed, settings.num_seeds)
    runs.console.print("the largest and the smallest eigenvalue of the Hessian where it ends ...")
    every_seed = jax.jit(runs.over_seeds(partial(survey, problem, settings.lanczos_iterations), (0, None, 0)))
    missed = curvature.chance_of_missing(problem.num_parameters, settings.lanczos_iterations, TOLERANCE)
    found = jax.device_get(every_seed(end, problem.train, init_keys))
    result = Result(*found, missed=missed, num_examples=len(problem.train.inputs))
    if not ((result.largest > 0) & (result.scatter > 0)).all():
        raise runs.Stuck(settings.start_epochs)
    return result


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    if not settings.is_the_films:
        return
    chance = np.sqrt(result.scatter / result.num_examples)
    yield prediction("T38", "at the end of the long training the gradient is no larger than what the choice of the "
                     "training images alone makes of 0: |G| / sqrt(tr(Sigma) / N)",
                     np.max(result.gradient_norm / chance), at_most(1), "ratio, largest of all seeds",
                     "the standard error of a mean that is 0")  # fmt: skip
    if result.resolved:
        yield prediction("T38", "the long training converges to a local minimum: smallest over largest eigenvalue of "
                         f"the Hessian at its end (the surface curves down, as at a saddle, where it is below "
                         f"-{TOLERANCE:g})", np.min(result.shares), at_least(-TOLERANCE), "ratio, least of all seeds",
                         "the film; the tolerance: such a saddle is left in 500 steps", "finding: the surface curves "
                         "down; whether for good is undecided, since |G| is still far from 0; to converge first, by "
                         "Newton steps in float64 to |G| below 1e-7, would decide")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    if not result.resolved:
        return "Lanczos' iteration was too short to tell minimum from saddle."
    shares, falls = 100 * result.shares, result.cost - result.along[:, 1].min(axis=1)
    return (
        f"Where a long training ends, the surface curves down in {np.sum(result.shares < -TOLERANCE)} of {len(shares)} "
        f"seeds, but |G| is still {np.median(result.gradient_norm):.1g}: minimum or saddle is undecided. The smallest "
        f"curvature is {shares.min():.2g} to {shares.max():.2g} % of the largest; along its direction the cost falls "
        f"by {falls.max():.2g} at most, from {np.median(result.cost):.3f}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    figure, axes = plots.new_figure(15, 5.4, columns=3)
    for index, name in enumerate(("largest", "smallest")):
        draw_slices(axes[0, index], result.along[:, index] - result.cost[:, None], name)
    axes[0, 0].legend(fontsize=9)
    axis, seeds, limit = axes[0, 2], np.arange(len(result.shares)), 100 * TOLERANCE
    axis.bar(seeds, 100 * result.shares, color=[plots.COLOURS[seed % len(plots.COLOURS)] for seed in seeds], width=0.6)
    axis.axhspan(-limit, limit, color="0.8", zorder=0, label=f"called flat: within {limit:g} %")
    axis.axhline(0, color="0.4", linewidth=1)
    axis.set(xticks=seeds, xlabel="seed", ylabel="smallest over largest curvature, %", title="The smallest curvature")
    axis.legend()
    foot = (
        f"curvatures: eigenvalues of the Hessian, off by {np.max(result.residuals / result.largest[:, None]):.1g} of "
    )
    says = finding(result, settings).partition(" The smallest")[0]
    return {"minimum_or_saddle": plots.headline(figure, says, f"{foot}the largest at most")}


def draw_slices(axis: Axes, rises: np.ndarray, name: str) -> None:
    """How the cost (seeds, lengths) rises and falls along the direction of one curvature."""
    for seed, rise in enumerate(rises):
        plots.seed_band(axis, SLICE, rise[None], seed, f"seed {seed}")
    axis.axhline(0, color="0.4", linewidth=1)
    axis.set(xticks=[-1, -0.5, 0, 0.5, 1], xlabel="distance from the end of the long training",
             ylabel="cost, less that at the end", title=f"Along the direction of the {name} curvature")  # fmt: skip
    if name == "smallest" and rises.min() < 0:  # what falls is a thousandth of what rises
        axis.set(ylim=(1.5 * rises.min(), -4 * rises.min()), title=f"{axis.get_title()}, enlarged")
