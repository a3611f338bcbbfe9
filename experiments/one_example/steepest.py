"""Is the gradient really the most efficient way down?

The film calls the negative gradient the direction of the most efficient decrease. Steps of equal length along it, along
each single parameter, along thousands of random directions, and along the signs of the gradient without its sizes, in
float64. First-order decreases per unit of movement are cosines with -G: 1 for -G itself, |G_k|/|G| for parameter k,
|G|_1/(sqrt(d) |G|) for the signs, and for the best of M random directions the maximum of M normals over sqrt(d).

Run:     python -m experiments steepest [--quick | --full]
Time:    default 10 s, --quick 6 s, --full 2.5 min on 2 cores, compilation included
Result:  step for equal step the signs alone go down 21 % as steeply as the gradient, the best single parameter 17 %,
         the best of 10,000 random directions 3.3 % (medians of 100 seeds; 17 to 26 %, 14 to 21 %, 2.8 to 4.3 %).
"""

import dataclasses
from collections.abc import Callable
from statistics import NormalDist
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, MultipleOf
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import experiment, plots, runs
from experiments.common.bounds import of_train
from experiments.common.claims import Claims, about, at_most, identity, prediction
from experiments.common.problem import Problem
from research import data
from research.data import Examples

STEP_LENGTH = 0.01
BLOCK = 500  # random directions that are held at once


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_examples: Annotated[int | None, Ge(1), of_train] = 5000
    """Training images over which the cost is averaged, from the first on."""
    num_directions: Annotated[int, Ge(BLOCK), MultipleOf(BLOCK)] = 10_000
    """How many random directions are tried."""


QUICK = Settings(num_seeds=2, num_examples=1000, num_directions=2500)
FULL = Settings(num_seeds=100, num_examples=20_000)


class Result(NamedTuple):
    """First-order decrease of the cost per unit of movement, as a share of |G|; and the real one of a short step."""

    between_random: Float[np.ndarray, "seeds pairs"]  # cosine between two random directions
    first_order: Float[np.ndarray, "seeds 4"]  # the way down, its signs alone, best single parameter, best random
    actual: Float[np.ndarray, "seeds 4"]  # decrease of the cost in a step of STEP_LENGTH
    num_parameters: int


def directions(
    rise: Callable[[Array], Array], here: Array, gradient: Array, key: Array, num_directions: int
) -> tuple[Array, Array, Array]:
    """(cosines between random directions, first-order shares, real decreases) of the four ways."""

    def unit(vector: Array) -> Array:
        return vector / jnp.linalg.norm(vector, axis=-1, keepdims=True)

    down = unit(-gradient)
    down32 = down.astype(jnp.float32)

    def try_block(block_key: Array) -> tuple[Array, Array]:
        block = unit(jax.random.normal(block_key, (BLOCK, len(here)), jnp.float32))
        return jnp.sum(block[::2] * block[1::2], axis=1), block[jnp.argmax(block @ down32)]

    between, best_of_block = jax.lax.map(try_block, jax.random.split(key, num_directions // BLOCK))
    best_random = best_of_block[jnp.argmax(best_of_block @ down32)].astype(here.dtype)
    steepest = jnp.argmax(jnp.abs(gradient))
    best_single = jnp.zeros_like(here).at[steepest].set(jnp.sign(down[steepest]))
    ways = jnp.stack([down, unit(jnp.sign(down)), best_single, unit(best_random)])
    actual = -jax.lax.map(lambda way: rise(here + STEP_LENGTH * way), ways)
    return between.ravel(), ways @ down, actual


def measure(problem: Problem, settings: Settings) -> Result:
    def of_seed(init_key: Array, key: Array, examples: Examples) -> tuple[Array, Array, Array]:
        here, unflatten = ravel_pytree(data.widened(problem.model.init(init_key)))
        height, gradient = jax.value_and_grad(lambda point: problem.cost(unflatten(point), examples))(here)

        def rise(point: Array) -> Array:
            return problem.cost(unflatten(point), examples) - height

        return directions(rise, here, gradient, key, settings.num_directions)

    keys = runs.seed_keys(settings.seed, settings.num_seeds)
    found = runs.in_float64(runs.over_seeds(of_seed, (0, 0, None)))(*keys, problem.train)
    return Result(*found, problem.num_parameters)  # pyright: ignore[reportCallIssue]


def claims(result: Result, settings: Settings) -> Claims:
    share, num_directions, num_parameters = result.first_order, settings.num_directions, result.num_parameters
    spread = 4 / np.sqrt(num_directions)  # four standard deviations of a root mean square of M/2 cosines
    expected, deviation = best_of_random(num_directions, num_parameters)
    yield identity("T6", "signs, one parameter, random directions: none goes down as steeply as -G",
                   np.max(share[:, 1:]), at_most(1), "share of |G|, largest", "Cauchy-Schwarz")  # fmt: skip
    yield prediction("T6", f"in a step of {STEP_LENGTH} along none of them the cost sinks as much as along -G",
                     np.max(result.actual[:, 1:] / result.actual[:, :1]), at_most(1), "share, largest",
                     "first order; curvature could break it")  # fmt: skip
    yield identity("T6", f"the best of {num_directions:,} random directions is hardly better than standing still",
                     np.mean(share[:, 3]), about(expected, by=2.58 * deviation / len(share) ** 0.5),
                     "share of |G|, mean", "expected maximum of M normals over sqrt(d), 99 of 100 cases")  # fmt: skip
    yield identity("T8", f"two random directions in {num_parameters:,} dimensions are at right angles, but for "
                     "1/sqrt(d)", np.sqrt(np.mean(result.between_random**2) * num_parameters), about(1, by=spread),
                     "root mean square cosine times sqrt(d)", "isotropy, four standard deviations")  # fmt: skip


def best_of_random(num_directions: int, num_parameters: int) -> tuple[float, float]:
    """Mean and standard deviation of the best of M random directions, as a share of |G|.
    A cosine with a random direction is nearly normal with variance 1/d, and P(best of M < c) = P(one < c)^M.

    >>> round(best_of_random(10_000, 13_002)[0] * 13_002**0.5, 2)
    3.85
    """
    chances = (np.arange(10_000) + 0.5) / 10_000
    best = [NormalDist().inv_cdf(chance ** (1 / num_directions)) for chance in chances.tolist()]
    return float(np.mean(best)) / num_parameters**0.5, float(np.std(best)) / num_parameters**0.5


def finding(result: Result, settings: Settings) -> str:
    low, share, high = np.quantile(result.first_order, (0, 0.5, 1), axis=0)
    signs, single, random = (f"{share[way]:.1%} ({low[way]:.1%} to {high[way]:.1%})" for way in (1, 2, 3))
    return (
        f"For the same length of step the signs alone go down {signs} as steeply as the gradient, the best single "
        f"parameter {single}, the best of {settings.num_directions:,} random directions {random}; medians and ranges."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((axes,),) = plots.new_figure(9, 4.6)
    names = ("the gradient", "its signs alone", "best single parameter",
             f"best of {settings.num_directions:,}\nrandom directions")  # fmt: skip
    low, shares, high = 100 * np.quantile(result.first_order, (0, 0.5, 1), axis=0)
    actual, places = 100 * np.median(result.actual / result.actual[:, :1], axis=0), range(len(names))
    axes.barh(places, shares, color=plots.COLOURS[0], height=0.6)
    axes.plot(actual, places, "D", color=plots.COLOURS[1], markersize=8)
    for place, share in enumerate(shares):
        seeds = f" ({low[place]:.3g} to {high[place]:.3g})" if place else ""
        plots.note(axes, f"{share:.3g} %{seeds}", (share, place), (10, 8), fontsize=11)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_axisbelow(True)
    axes.set(xlim=(0, 115), xlabel="decrease of the cost for the same length of step, % of the gradient's")
    says = f"the signs alone go down {shares[1]:.0f} % as steeply as the gradient, the best of "
    says += f"{settings.num_directions:,} random directions {shares[3]:.0f} %"
    foot = f"bars: slope of the cost; diamonds: a real step of length {STEP_LENGTH}; medians, in brackets the range"
    return {"steepest": plots.headline(figure, f"Step for equal step {says}", foot)}
