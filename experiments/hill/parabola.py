"""Does gradient descent on a parabola diverge exactly where the rate is above 2 over the curvature?

C(theta) = sum_i lambda_i theta_i^2 / 2 with twenty curvatures lambda_i from 0.04 to 4. A step of rate eta multiplies
the distance from the bottom along axis i by 1 - eta lambda_i, so that descent diverges exactly where eta is above
2/lambda, lambda the largest curvature. Run through research.training.full_batch_descent; images are not used.

Run:     python -m experiments parabola [--quick | --full]
Time:    default 4 s, --quick 4 s, --full 2 s, on 2 cores, compilation included
Result:  yes, in each of 50 descents from 10 starts, at rates from 0.9 to 1.1 of 2/lambda; along the steepest axis every
         step multiplies the distance by |1 - eta lambda| within 7e-8.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from experiments.common import experiment, plots, runs
from experiments.common.bounds import Count
from experiments.common.claims import Claims, exactly, identity, within
from experiments.common.problem import Problem
from research import training
from research.data import Examples
from research.training import TrainState

CURVATURES = np.geomspace(0.04, 4.0, 20, dtype=np.float32)  # along the axes
FACTORS = np.array([0.9, 0.99, 1.0, 1.01, 1.1], np.float32)  # learning rates, in units of 2/lambda
NUM_STEPS = 200


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 4
    """How many random starts, each descended from at every rate."""


QUICK = Settings(num_seeds=2)
FULL = Settings(num_seeds=10)


class Result(NamedTuple):
    """Distances from the bottom after every step, the start included, for every rate of FACTORS."""

    distance: Float[np.ndarray, "seeds rates steps"]
    steepest: Float[np.ndarray, "seeds rates steps"]  # along the axis of the largest curvature alone


def descents_from(start: Array) -> Array:
    """Distances from the bottom along every axis (rates, steps + 1, axes), from one start at every rate."""
    nothing = Examples(jnp.zeros((0, 1)), jnp.zeros((0, 1)))
    height = lambda params, examples: jnp.sum(CURVATURES * params**2) / 2

    def distances(rate: Array) -> Array:
        step = training.make_step(height, optax.sgd(rate))
        state = TrainState(start, optax.sgd(rate).init(start))
        _, history = training.full_batch_descent(step, state, nothing, NUM_STEPS, 1, lambda state: state.params)
        return jnp.abs(jnp.concatenate([start[None], history.observed]))

    return jax.lax.map(distances, FACTORS * (2 / CURVATURES[-1]))


def measure(problem: Problem, settings: Settings) -> Result:
    keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    starts = jax.vmap(partial(jax.random.normal, shape=CURVATURES.shape))(keys)
    distances = np.asarray(runs.over_seeds(descents_from, (0,))(starts))
    return Result(np.linalg.norm(distances, axis=-1), distances[..., -1])


def wrong(result: Result) -> int:
    """How many descents diverge where they should not, or the other way round."""
    diverges = result.distance[..., -1] > result.distance[..., -2]  # still going away at the end
    return int(np.sum(diverges != (FACTORS > 1)))


def claims(result: Result, settings: Settings) -> Claims:
    num_descents, steepest = result.distance[..., 0].size, result.steepest.astype(float)
    off = steepest[..., 1:] / steepest[..., :-1] - np.abs(1 - 2 * FACTORS.astype(float))[:, None]
    yield identity("E11", "on a parabola gradient descent diverges exactly where the rate eta is above 2/lambda",
                   wrong(result), exactly(0), f"wrong of {num_descents} descents", "algebra")  # fmt: skip
    yield identity("E11", "along the steepest axis every step multiplies the distance by |1 - eta lambda|",
                   np.max(np.abs(off)), within(0, 1e-6, 0), "largest difference", "algebra")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    of, off = result.distance[..., 0].size, wrong(result)
    return (
        f"On a parabola gradient descent diverges {'not exactly' if off else 'exactly'} where the rate is above "
        f"2/λ: {of - off} of {of} descents do as they should."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((axis,),) = plots.new_figure(8, 5.2)
    for index, factor in enumerate(FACTORS):
        far = result.steepest[:, index] / result.steepest[:, index, :1]
        plots.seed_band(axis, np.arange(NUM_STEPS + 1), far, index, "")
        at = np.argmax(abs(np.log10(far[0])) > 3) or NUM_STEPS  # where it is about to leave the picture
        plots.note(axis, f"η = {factor:g} · 2/λ", (at, far[0, at]), (9, 0), series=index, va="center")
    axis.set(xlabel="steps", ylabel="distance from the bottom, 1 at the start", yscale="log", ylim=(1e-4, 1e4),
             title="Along the steepest axis each step multiplies it by |1 - ηλ|")  # fmt: skip
    axis.set_xlim(0, 1.2 * NUM_STEPS)
    says = finding(result, settings).partition(":")[0]
    curvatures = "C = Σ λᵢ θᵢ² / 2, twenty curvatures from 0.04 to 4, λ the largest"
    about = f"{curvatures}; median and range of {settings.num_seeds} start{'s' * (settings.num_seeds > 1)}"
    return {"parabola": plots.headline(figure, says, about=about)}
