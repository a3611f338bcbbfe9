"""Do conjugate gradients end on a quadratic in as many steps as it has dimensions, and is optax's SGD the plain step?

Two laws that hold on any data, and check the optimizers that other_optimizers compares. Linear conjugate gradients on
a quadratic of d dimensions end after d steps; a step of optax.sgd is params - rate * gradient.

Run:     python -m experiments exact_optimizers [--quick | --full]
Time:    default 6 s, --quick 6 s, --full 3 s on 2 cores, compilation included
Result:  in 20 dimensions conjugate gradients are off by 3e-6 of the solution after 19 steps and by 1e-15 after 20; a
         step of optax.sgd is the plain step to the last bit.
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import experiment, plots
from experiments.common.bounds import Count
from experiments.common.claims import Claims, at_most, identity
from experiments.common.problem import Problem, random_parameters
from research import training
from research.data import Examples
from research.training import TrainState

RATE = 2.0


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 1
    """How many quadratics."""
    dimensions: Annotated[int, Ge(2)] = 20
    """Of each quadratic; its curvatures are spread evenly from 1 to 100."""


QUICK = FULL = Settings()


class Result(NamedTuple):
    errors: Float[np.ndarray, "seeds steps"]  # of conjugate gradients after 1, 2, ... d steps: |x - x*| / |x*|
    sgd_error: float  # of a step of optax.sgd against the plain one: largest component over the largest parameter


def measure(problem: Problem, settings: Settings) -> Result:
    seeds = range(settings.seed, settings.seed + settings.num_seeds)
    errors = [errors_on_a_quadratic(settings.dimensions, seed) for seed in seeds]
    return Result(np.array(errors), sgd_against_the_plain_step(problem))


def errors_on_a_quadratic(dimensions: int, seed: int) -> list[float]:
    """|x - x*| / |x*| after every number of steps up to `dimensions`, in float64."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        turned = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
        hessian = turned @ np.diag(np.linspace(1, 100, dimensions)) @ turned.T
        right = rng.standard_normal(dimensions)
        solution = np.linalg.solve(hessian, right)
        after = jax.jit(lambda steps, *system: jax.scipy.sparse.linalg.cg(*system, tol=0.0, maxiter=steps)[0])
        found = [np.asarray(after(steps, hessian, right)) for steps in range(1, dimensions + 1)]
        return [float(np.linalg.norm(point - solution) / np.linalg.norm(solution)) for point in found]


def sgd_against_the_plain_step(problem: Problem) -> float:
    """Where optax.sgd steps to less where the plain step leads: largest component over the largest parameter."""
    optimizer = optax.sgd(RATE)

    def both(start: list, train: Examples) -> tuple[Array, Array]:
        state, _ = training.make_step(problem.cost, optimizer)(TrainState(start, optimizer.init(start)), train)
        by_hand = jax.tree.map(lambda leaf, slope: leaf - RATE * slope, start, jax.grad(problem.cost)(start, train))
        return ravel_pytree(state.params)[0], ravel_pytree(by_hand)[0]

    given = jax.device_put((random_parameters(problem.model), problem.train), jax.local_devices()[0])
    found, by_hand = map(np.asarray, jax.jit(both)(*given))
    return float(abs(found - by_hand).max() / abs(by_hand).max())


def claims(result: Result, settings: Settings) -> Claims:
    yield identity("E15", f"conjugate gradients end on a quadratic of {settings.dimensions} dimensions after as many "
                   f"steps (one step earlier they are off by {result.errors[:, -2].max():.1g})",
                   result.errors[:, -1].max(), at_most(1e-10), "relative error", "Hestenes and Stiefel")  # fmt: skip
    yield identity("E15", "a step of optax.sgd is the plain step", result.sgd_error, at_most(1e-7),
                   "of the largest parameter", "definition, float32")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    before, end = result.errors[:, -2:].max(axis=0)
    return (
        f"On a quadratic of {settings.dimensions} dimensions conjugate gradients are off by {before:.1g} after "
        f"{settings.dimensions - 1} steps and by {end:.1g} after {settings.dimensions}; optax.sgd is the plain step to "
        f"{result.sgd_error:.1g}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, axes = plots.new_figure(7, 4.5)
    steps = np.arange(1, result.errors.shape[1] + 1)
    plots.seed_band(axes[0, 0], steps, result.errors, 0, "", marker="o")
    axes[0, 0].set(yscale="log", xlabel="steps", ylabel="distance to the solution, over its length")
    axes[0, 0].locator_params(axis="x", nbins=10, steps=[1, 2, 5, 10], integer=True)
    says = f"Conjugate gradients end after {len(steps)} steps in {len(steps)} dimensions"
    about = "a quadratic with curvatures from 1 to 100, float64"
    return {"exact_optimizers": plots.headline(figure, says, about=about)}
