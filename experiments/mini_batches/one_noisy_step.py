"""What does one noisy step gain, and which batch size gains half of what the full batch does?

A step along the gradient g_B of a mini-batch of B out of N images lowers the cost, to second order in the rate, by

    E gain = eta |G|^2 - eta^2/2 (G'HG + tr(H Sigma)/B (N-B)/(N-1))

(McCandlish et al., arXiv:1812.06162): the best rate's gain is half of the full batch's at B_noise = tr(H Sigma)/(G'HG).
Where every direction curves alike that is B_simple = tr Sigma/|G|^2, which batch_frontier found too large. Here many
batches make steps of every rate, along a training, and the cost of the same N images is computed after each.

Run:     python -m experiments one_noisy_step [--quick | --full]
Time:    default 40 s, --quick 10 s, --full 4.5 to 6 min on 2 cores, compilation included; 1.4 GB
Result:  (6 seeds, N = 2,000) steps gain what the formula says; half of the full batch's gain takes batches of at most
         1, then 431, 20, 118, 278 at epochs 0, 0.05, 0.3, 1, 5. B_simple alone foretells 0.6 to 2.2 times that.
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt, MinLen
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from experiments.common import checkpoints, plots, runs
from experiments.common.bounds import of_train, rising
from experiments.common.claims import Claims, about, follow_up, identity, within, worst
from experiments.common.problem import Problem
from research import curvature, data, gradients, sampling
from research.data import Examples
from research.models import Params

SIZES = (1, 4, 16, 64, 256)  # the batch of all comes besides
RATES = 2.0 ** np.arange(-3, 8)
TINY = np.array([2.0**-9, 2.0**-8])  # rates of the steps that tell the second order
FALLS = -0.2  # where a falling line is named
MIXTURES = 100  # of all single gradients with random signs, whose mean curvature is tr(H Sigma)


@dataclasses.dataclass(frozen=True)
class Settings(checkpoints.Settings):
    checkpoints: Annotated[tuple[float, ...], Gt(0), MinLen(1), rising] = (0.05, 0.3, 1, 5)
    """After how many epochs of training steps are tried, besides the start."""
    num_looked_at: Annotated[int, Ge(2 * SIZES[-1]), of_train] = 1000
    """N: training images, from the first on, whose cost is to fall, and of which batches are drawn."""
    num_batches: Annotated[int, Ge(2)] = 40
    """Mini-batches of every size."""


QUICK = Settings(num_seeds=1, checkpoints=(0.05, 1), num_looked_at=2 * SIZES[-1], num_batches=30)
FULL = Settings(num_seeds=6, num_looked_at=2000, num_batches=100)


class Result(NamedTuple):
    """What is known at every place, and what steps from there gained; the full batch is the last size."""

    epochs: Float[np.ndarray, "places"]
    sizes: Int[np.ndarray, "sizes"]
    cost: Float[np.ndarray, "seeds places"]
    squared_norm: Float[np.ndarray, "seeds places"]  # |G|^2
    along: Float[np.ndarray, "seeds places"]  # G'HG
    total_variance: Float[np.ndarray, "seeds places"]  # tr Sigma
    scatter: Float[np.ndarray, "seeds places"]  # tr(H Sigma)
    scatter_error: Float[np.ndarray, "seeds places"]  # its standard error
    gain: Float[np.ndarray, "seeds places sizes rates"]  # mean fall of the cost
    bent: Float[np.ndarray, "seeds places sizes"]  # mean of g_B'Hg_B, as tiny steps tell it
    bent_error: Float[np.ndarray, "seeds places sizes"]  # its standard error; 0 for the full batch

    def shared(self, numbers: np.ndarray) -> np.ndarray:
        """numbers (seeds, places) times (N-B)/(N-1)/B, for every size."""
        return numbers[..., None] * sampling.finite_population(self.sizes, int(self.sizes[-1])) / self.sizes

    def foretold(self, rates: np.ndarray) -> np.ndarray:
        """The formula's gain (seeds, places, sizes, rates)."""
        bent = self.along[..., None] + self.shared(self.scatter)
        return rates * self.squared_norm[..., None, None] - rates**2 / 2 * bent[..., None]

    @property
    def halves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Batch sizes (seeds, places) with half of the full batch's gain: measured, by the formula, by B_simple."""
        simple = 1 / (1 + self.shared(self.total_variance / self.squared_norm))
        gains = self.gain.max(axis=-1), self.foretold(RATES).max(axis=-1), simple
        measured, formula, simple = (half_size(self.sizes, gain / gain[..., -1:]) for gain in gains)
        return measured, formula, simple


def half_size(sizes: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Where the share of the full batch's gain (..., sizes) comes to 1/2, by the sizes' logarithms; or the smallest.

    >>> round(float(half_size(np.array([1, 4, 16]), np.array([0.25, 0.75, 1.0]))), 6)
    2.0
    """
    where = np.apply_along_axis(lambda row: np.interp(0.5, np.maximum.accumulate(row), np.log(sizes)), -1, share)
    return np.exp(where)


def try_steps(problem: Problem, num_batches: int, params: Params, few: Examples, key: Array) -> tuple:
    """The fields of Result, from the cost on, for one seed at one place."""
    point, unravel = ravel_pytree(params)
    num_examples = len(few.inputs)
    one = lambda at, example: problem.example_cost(unravel(at), example)
    objective, rates = gradients.mean_over_examples(one), jnp.concatenate([TINY, RATES])
    product = lambda direction: curvature.hessian_vector_product(objective)(point, few, direction)
    grads = jax.lax.map(partial(jax.grad(one), point), few, batch_size=100)  # all at once would take twice the memory
    cost, full = jax.value_and_grad(objective)(point, few)

    def of_batch(gradient: Array) -> tuple[Array, Array]:
        """(gain of every rate, g'Hg); the slope along g - G, whose mean is 0, is left out."""
        costs = jax.lax.map(lambda rate: objective(point - rate * gradient, few), rates)
        second = costs - cost + rates * (full @ gradient)
        bent = 2 * second / rates**2
        return (rates * (full @ full) - second)[len(TINY) :], 2 * bent[0] - bent[1]  # extrapolated to the rate 0

    def of_size(size: int, key: Array) -> tuple[Array, Array, Array]:
        draw = lambda key: of_batch(grads[jax.random.permutation(key, num_examples)[:size]].mean(axis=0))
        gains, bent = jax.lax.map(draw, jax.random.split(key, num_batches))
        return gains.mean(axis=0), bent.mean(), bent.std() / jnp.sqrt(num_batches - 1)

    *keys, last = jax.random.split(key, len(SIZES) + 1)
    sized = [*map(of_size, SIZES, keys), (*of_batch(full), jnp.zeros((), point.dtype))]
    signs = jax.random.rademacher(last, (MIXTURES, num_examples), point.dtype)
    mixtures = (signs - signs.mean(axis=1, keepdims=True)) @ grads / jnp.sqrt(num_examples)  # = signs @ (grads - full)
    traces = jnp.sum(mixtures * jax.lax.map(product, mixtures), axis=1)
    known = full @ full, full @ product(full), jnp.sum((grads - full[None]) ** 2) / num_examples
    error = traces.std() / jnp.sqrt(MIXTURES - 1)
    return cost, *known, traces.mean(), error, *map(jnp.stack, zip(*sized, strict=True))


def measure(problem: Problem, settings: Settings) -> Result:
    points, epochs, places = checkpoints.walk(settings, problem, batch_size=100)
    few = data.take(problem.train, slice(settings.num_looked_at))
    _, keys = runs.seed_keys(settings.seed + 1, settings.num_seeds)
    every_seed = runs.over_seeds(partial(try_steps, problem, settings.num_batches), (0, None, 0))
    look, found = runs.in_float64(every_seed), []
    for point, when, params in zip(points, epochs, places, strict=True):
        runs.console.print(f"steps after {when:g} epochs ...")
        found.append(look(params, few, jax.vmap(partial(jax.random.fold_in, data=point))(keys)))
    numbers = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
    result = Result(epochs, np.array([*SIZES, settings.num_looked_at]), *numbers)
    checkpoints.stop_if_stuck(epochs, result.total_variance / result.squared_norm)
    return result


def claims(result: Result, settings: Settings) -> Claims:
    error = np.hypot(result.bent_error, result.shared(result.scatter_error))
    off = result.bent - result.along[..., None] - result.shared(result.scatter)
    off, error = off[..., :-1], error[..., :-1]  # nothing is drawn for the full batch
    yield identity("E9", "one step's second order is the formula's", worst(off / error), about(0, by=5), "standard "
                   f"errors, worst of {off.size}", "Taylor, and sampling without replacement")  # fmt: skip
    measured, *others = (np.log2(np.median(half, axis=0)) for half in result.halves)
    for name, half in zip(("the formula foretells", "B_simple foretells"), others, strict=True):
        yield follow_up("E9", f"half of the full batch's gain takes the batch size that {name}",
                        2 ** worst(half - measured), within(1 / 2, 2, 1), f"ratio, medians, worst of {half.size}",
                        "McCandlish et al. arXiv:1812.06162; a factor of 2: a wish", "finding: past the plateau the "
                        "cost curves twice as much along G as along the noise; the formula, which knows both, decides "
                        "it")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    measured, formula, simple = (np.median(half, axis=0) for half in result.halves)
    place = int(np.argmax(np.abs(np.log(simple / measured))))
    return (
        f"At epoch {result.epochs[place]:g} one step of a batch of {measured[place]:,.0f} gains half of what the "
        f"full batch of {result.sizes[-1]:,} gains, each at its best rate; the formula foretells "
        f"{formula[place]:,.0f} on the same rates, the noise scale {simple[place]:,.0f} (medians)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, [[left, right]] = plots.new_figure(13, 5.5, columns=2)
    shown = int(np.argmin(np.abs(np.median(result.cost, axis=0) - 0.9)))
    fine, most = np.geomspace(RATES[0], RATES[-1], 200), np.median(result.gain[:, shown, -1].max(axis=-1))
    for series, index in enumerate((0, 2, 4, -1)):
        plots.seed_points(left, RATES, result.gain[:, shown, index] / most, series)
        foretold = np.median(result.foretold(fine)[:, shown, index], axis=0) / most
        left.plot(fine, foretold, color=plots.COLOURS[series], linestyle=plots.LINES[series])
        name = "full batch" if index < 0 else f"B = {result.sizes[index]}"
        falls = max(np.count_nonzero(foretold > FALLS) - 1, 0)
        plots.note(left, name, (fine[falls], foretold[falls]), (8, 0), va="center", color=plots.COLOURS[series])
    left.set(xscale="log", xlabel="learning rate η", ylabel="mean fall of the cost, over the full batch's best",
             ylim=(-1, 1.2), title=f"One step, {result.epochs[shown]:g} epochs into training")  # fmt: skip
    for series, name in enumerate(("measured", "foretold with\ntr(HΣ) and G'HG", "foretold by\ntr Σ / |G|² alone")):
        plots.seed_band(right, result.epochs, result.halves[series], series, name, marker="o")
    right.set(yscale="log", xlabel="epochs of training", ylabel="batch size with half of the full batch's gain")
    right.set_xscale("symlog", linthresh=0.05)
    right.set(xlim=(-0.01, 1.2 * result.epochs[-1]))
    right.set_xticks(result.epochs, [f"{when:g}" for when in result.epochs])
    foot = f"points: measured, lines: to second order; N = {result.sizes[-1]:,} images; median and range"
    return {"one_noisy_step": plots.headline(figure, finding(result, settings), foot)}
