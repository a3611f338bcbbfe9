"""Is the cost really 32 times more sensitive to one weight than to another?

The film reads a component 3.2 and a component 0.1 of the negative gradient as "32 times more sensitive". Here, on real
images and at the start of training, the weight with the largest component and the one nearest to 1/32 of it are
wiggled by the same epsilon, and the changes of the cost compared; then some hundred other weights. Taylor: with slopes
g and curvatures h the changes are g eps + h eps^2/2, so their ratio is off the ratio of the slopes by the factor
1 + eps/2 (h_a/g_a - h_b/g_b). Differences of costs are small, so all is computed in float64.

Run:     python -m experiments wiggle [--quick | --full]
Time:    default 12 s, --quick 7 s, --full 70 s on 2 cores, compilation included
Result:  yes: components 31.99 times apart change the cost 31.99 times as much at epsilon 0.001 and 32.18 times at 0.1
         (first of 10 seeds; in all of them the ratio is off by at most 0.02 % and 2.1 %).
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import experiment, plots, runs
from experiments.common.bounds import of_train
from experiments.common.claims import Claims, about, at_most, identity, within, worst
from experiments.common.problem import Problem
from research import data, fits
from research.data import Examples

TIMES = 32  # the film's 3.2 against 0.1
EPSILONS = np.logspace(-5, -0.5, 10)
SMALL = EPSILONS <= 1e-3  # where only the first order of the error is left


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_examples: Annotated[int | None, Ge(1), of_train] = 5000
    """Training images over which the cost is averaged, from the first on."""
    num_weights: Annotated[int, Ge(2)] = 200
    """How many weights and biases, drawn at random, are wiggled one by one."""


QUICK = Settings(num_seeds=2, num_examples=1000, num_weights=100)
FULL = Settings(num_seeds=10, num_examples=20_000, num_weights=500)


class Result(NamedTuple):
    """The most sensitive weight and the one nearest to 1/32 of it; and weights drawn at random."""

    components: Float[np.ndarray, "seeds 2"]  # of the gradient
    changes: Float[np.ndarray, "seeds epsilons 2"]  # of the cost
    error_slope: Float[np.ndarray, "seeds"]  # theory: |ratio of the changes - ratio of the components| per epsilon
    drawn_components: Float[np.ndarray, "seeds weights"]
    drawn_changes: Float[np.ndarray, "seeds weights"]  # of the cost, per epsilon


def two_weights(
    rise: Callable[[Array], Array], here: Array, gradient: Array, is_weight: Array
) -> tuple[Array, Array, Array]:
    """The components of the two weights, the changes of the cost for every epsilon, and theory's error per epsilon.
    `rise(point)` is how much higher the cost is than `here`; `is_weight` is 1 for weights, 0 for biases."""
    sizes = jnp.abs(gradient) * is_weight
    pair = jnp.array([jnp.argmax(sizes), jnp.argmin(jnp.abs(sizes - sizes.max() / TIMES))])
    components = gradient[pair]

    def change(epsilon: Array) -> Array:
        return jax.lax.map(lambda weight: rise(here.at[weight].add(epsilon)), pair)

    def curvature(weight: Array) -> Array:
        along = jnp.zeros_like(here).at[weight].set(1)
        return jax.jvp(jax.grad(rise), (here,), (along,))[1][weight]

    bends = jax.lax.map(curvature, pair) / components
    error_slope = jnp.abs(components[0] / components[1] * (bends[0] - bends[1]) / 2)
    return components, jax.lax.map(change, jnp.array(EPSILONS)), error_slope


def measure(problem: Problem, settings: Settings) -> Result:
    def of_seed(init_key: Array, key: Array, examples: Examples) -> tuple[Array, ...]:
        params = data.widened(problem.model.init(init_key))
        here, unflatten = ravel_pytree(params)
        is_weight, _ = ravel_pytree(jax.tree.map(lambda leaf: jnp.full(leaf.shape, float(leaf.ndim > 1)), params))
        drawn = jax.random.choice(key, len(here), (min(settings.num_weights, len(here)),), replace=False)
        height, gradient = jax.value_and_grad(lambda point: problem.cost(unflatten(point), examples))(here)

        def rise(point: Array) -> Array:
            return problem.cost(unflatten(point), examples) - height

        risen = jax.lax.map(lambda weight: rise(here.at[weight].add(EPSILONS[0])), drawn)
        return *two_weights(rise, here, gradient, is_weight), gradient[drawn], risen / EPSILONS[0]

    keys = runs.seed_keys(settings.seed, settings.num_seeds)
    found = runs.in_float64(runs.over_seeds(of_seed, (0, 0, None)))(*keys, problem.train)
    return Result(*found)


def ratios(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """(seeds) ratio of the components, (seeds, epsilons) ratio of the changes of the cost; without sign."""
    exact = np.abs(result.components[:, 0] / result.components[:, 1])
    return exact, np.abs(result.changes[..., 0] / result.changes[..., 1])


def claims(result: Result, settings: Settings) -> Claims:
    exact, measured = ratios(result)
    errors = np.abs(measured - exact[:, None])[:, SMALL]
    off = worst(np.array([fits.log_log_slope(EPSILONS[SMALL], error) - 1 for error in errors]))
    drawn = zip(np.abs(result.drawn_components), np.abs(result.drawn_changes), strict=True)
    yield identity("T10", f"wiggled by {EPSILONS[0]:g}, the cost changes as many times more as the components say",
                   np.max(np.abs(measured[:, 0] / exact - 1)), at_most(1e-3), "largest relative error",
                   "Taylor")  # fmt: skip
    yield identity("T10", "the ratio's error shrinks linearly with epsilon",
                   1 + off, about(1, by=0.1), "slope, log-log, worst", "Taylor, second order")  # fmt: skip
    yield identity("T10", "the ratio's error is what the curvatures along the two weights predict",
                   np.median(errors[:, 0] / EPSILONS[0] / result.error_slope), about(1, by=0.05),
                   "measured / predicted, median", "Taylor, second order")  # fmt: skip
    yield identity("T9", f"a component's size is the cost's sensitivity to it, {settings.num_weights} weights wiggled",
                   min(np.corrcoef(*pair)[0, 1] for pair in drawn), within(1 - 1e-6, 1 + 1e-9, 1),
                   "smallest correlation", "definition of the gradient")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    exact, measured = ratios(result)
    near, far = (measured[:, np.argmin(np.abs(EPSILONS - epsilon))] for epsilon in (1e-3, 0.1))
    return (
        f"Components {exact[0]:.2f} times apart: at epsilon 0.001 the cost changes {near[0]:.2f} times as much, at 0.1 "
        f"{far[0]:.2f} times (first seed); of all seeds the ratio is off by at most "
        f"{100 * np.max(np.abs(near / exact - 1)):.2g} % and {100 * np.max(np.abs(far / exact - 1)):.2g} %."
    )


def two_changes(result: Result) -> plots.Figure:
    exact, measured = ratios(result)
    figure, ((left, middle, right),) = plots.new_figure(15, 5, columns=3)
    changes, components = np.abs(result.changes[0]), np.abs(result.components[0])
    for series, label in enumerate(("the most sensitive weight", f"one nearest to 1/{exact[0]:.0f} of it")):
        left.plot(EPSILONS, changes[:, series], "o", color=plots.COLOURS[series], linestyle=plots.LINES[series])
        above, at = series == 0, 5 - 2 * series
        plots.note(left, f"{label}:\ncomponent {components[series]:.2g}", (EPSILONS[at], changes[at, series]),
                   (-8, 8) if above else (8, -8), series=series, ha="right" if above else "left",
                   va="bottom" if above else "top")  # fmt: skip
    left.set(yscale="log", ylabel="change of the cost, without sign", title="The same wiggle, two changes of the cost")
    between = np.sqrt(np.prod(changes[np.argmin(np.abs(EPSILONS - 3e-4))]))
    plots.note(left, f"{exact[0]:.0f} times", (3e-4, between), ha="center")
    middle.plot(EPSILONS, measured[0], "o-", color=plots.COLOURS[2])
    plots.note(middle, "one change over the other", (EPSILONS[-2], measured[0, -2]), (-10, 0), series=2, va="center")
    plots.reference_line(middle, exact[0], "")
    plots.note(middle, f"dotted: the components', {exact[0]:.2f}", (EPSILONS[0], exact[0]), (0, 8))
    middle.set(ylabel="ratio of the two changes", title=f"Small wiggles: {exact[0]:.2f} times")
    for seed, (ratio, error_slope) in enumerate(zip(measured, result.error_slope, strict=True)):
        right.plot(EPSILONS, error_slope * EPSILONS, color="0.4", linewidth=0.8)
        right.plot(EPSILONS, np.abs(ratio - exact[seed]), "o", color=plots.COLOURS[0], markersize=5)
    right.set(yscale="log", ylabel="distance of the ratio from the exact one")
    right.set_title("A tenth of the wiggle, a tenth of the error\n(dots: every seed; lines: from two curvatures)")
    for axes in (left, middle, right):
        axes.set(xscale="log", xlabel="epsilon, added to one weight alone")
    times = f"{exact[0]:.0f} times"
    says = f"A component {times} larger: the cost is {times} as sensitive to that weight"
    return plots.headline(figure, says, "left and middle: first seed")


def sensitivity(result: Result) -> plots.Figure:
    figure, ((axes,),) = plots.new_figure(7, 5)
    components, changes = np.abs(result.drawn_components[0]), np.abs(result.drawn_changes[0])
    shown = components > 1e-7 * components.max()  # the weights of pixels that are always black are 0 on both axes
    span = np.array([components[shown].min(), components.max()])
    axes.plot(span, span, color="0.4", linewidth=1)
    axes.plot(components[shown], changes[shown], "o", color=plots.COLOURS[2], alpha=0.6, markersize=5)
    plots.note(axes, f"{shown.sum()} weights and biases;\non the line both are equal", (0.04, 0.88),
               unit=plots.IN_PANEL)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="size of the gradient's component",
             ylabel=f"change of the cost / epsilon, wiggled by {EPSILONS[0]:g}")  # fmt: skip
    return plots.headline(figure, "A component is the cost's sensitivity to that weight", "first seed")


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"wiggle": two_changes(result), "sensitivity": sensitivity(result)}
