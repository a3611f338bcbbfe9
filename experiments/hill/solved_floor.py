"""How high is the floor of a constant learning rate, in the case that can be solved?

C_i = h/2 (theta - x_i)^2. A step on a batch of B drawn with replacement makes theta the number
(1 - eta h) theta + eta h mean(x_batch), whose last term has the variance (eta h)^2 Var(x) / B. A variance V that stays
satisfies V = (1 - eta h)^2 V + (eta h)^2 Var(x)/B, hence, with sigma^2 = h^2 Var(x), that of an example's gradient,

    V = eta sigma^2 / (B h (2 - eta h))         (Liu, Ziyin, Ueda, arXiv:2012.03636).

It is run through research.training.minibatch_descent, as the network is in noise_floor; images are not used.

Run:     python -m experiments solved_floor [--quick | --full]
Time:    default 5 s, --quick 4 s, --full 3 s, on 2 cores, compilation included
Result:  the variance is that of theory within 0.51 % (6 seeds together), for eta h from 0.05 to 1.9.
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jaxtyping import Float

from experiments.common import experiment, plots, runs
from experiments.common.bounds import Count
from experiments.common.claims import Claims, about, identity, worst
from experiments.common.problem import Problem
from research import gradients, sampling, training
from research.data import Examples
from research.training import TrainState

CURVATURE = 2.0  # h
ETA_H = (0.05, 0.2, 1.0, 1.5, 1.9)  # from where 2 - eta h is nearly 2 to the edge of stability
BATCHES = (1, 10)
EXAMPLES = 500
CHAINS = 256  # independent runs for every seed
BURN_IN = 400  # steps after which the start is forgotten: (1 - eta h)^(2 * 400) < 1e-16 for all ETA_H
OFF = 0.03  # so far from 1 may measured over theory be


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 2
    """How many times 256 independent runs, each with batches of its own."""
    num_steps: Annotated[int, Ge(1)] = 2000
    """Steps whose variance is taken, after 400 that are not."""


QUICK = Settings(num_seeds=1, num_steps=1000)
FULL = Settings(num_seeds=6)


class Result(NamedTuple):
    ratios: Float[np.ndarray, "batches rates"]  # measured variance, of all seeds together, over theory's


def parabola(theta: Array, example: Examples) -> Array:
    """C_i = h/2 (theta - x_i)^2; its gradient has the variance h^2 Var(x)."""
    return CURVATURE / 2 * (theta - example.inputs[0]) ** 2


def variances(examples: Examples, rows: Array) -> Array:
    """Of theta about mean(x) for every ETA_H, over chains and the steps after BURN_IN; rows: chains, steps, batch."""
    middle = jnp.mean(examples.inputs)

    def of_rate(eta_h: Array) -> Array:
        optimizer = optax.sgd(eta_h / CURVATURE)
        step = training.make_step(gradients.mean_over_examples(parabola), optimizer)

        def chain(rows: Array) -> Array:
            state, legs = TrainState(middle, optimizer.init(middle)), rows[:, None]  # every step is observed
            history = training.minibatch_descent(step, state, examples, legs, lambda state: state.params)[1]
            return jnp.mean((history.observed[BURN_IN:] - middle) ** 2)

        return jnp.mean(jax.vmap(chain)(rows))

    return jax.lax.map(of_rate, jnp.array(ETA_H))


def measure(problem: Problem, settings: Settings) -> Result:
    rng = np.random.default_rng(settings.seed)
    x = rng.standard_normal((EXAMPLES, 1), dtype=np.float32)
    examples, every_seed = Examples(jnp.asarray(x), jnp.zeros_like(x)), runs.over_seeds(variances, (None, 0))
    ratios = []
    for batch_size in BATCHES:
        size = (settings.num_seeds, CHAINS, BURN_IN + settings.num_steps, batch_size)
        rows = rng.integers(EXAMPLES, size=size, dtype=np.int32)  # with replacement
        measured = np.asarray(every_seed(examples, rows)).mean(axis=0)
        noise = CURVATURE**2 * float(x.var())  # of one example's gradient
        theory = [sampling.stationary_variance(eta_h / CURVATURE, CURVATURE, noise, batch_size) for eta_h in ETA_H]
        ratios.append(measured / theory)
    return Result(np.array(ratios))


def claims(result: Result, settings: Settings) -> Claims:
    yield identity("E21", "the exact control: the variance of SGD in a parabola over eta sigma^2 / (B h (2 - eta "
                     "h)), all seeds together", 1 + worst(result.ratios - 1), about(1, by=OFF),
                     f"ratio, farthest from 1 for eta h {ETA_H}",
                     "Liu, Ziyin, Ueda arXiv:2012.03636; the 3 %: chance")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    off = 100 * np.abs(result.ratios - 1).max()
    return (
        f"SGD in a parabola keeps theory's variance: at most {off:.1f} % off, for η h from {ETA_H[0]} to {ETA_H[-1]}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, axes = plots.new_figure(12, 5.2, columns=2)
    (height, ratio), eta_h, fine = axes[0], np.array(ETA_H), np.linspace(0.01, 1.93, 300)
    height.plot(fine, fine / (2 - fine), color="0.2", linewidth=1.2)
    plots.note(height, "theory: η σ² / (B h (2 - η h))", (1, 1), (-10, 8), ha="right")
    height.plot(fine, fine / 2, color="0.5", linestyle=(0, (2, 2)), linewidth=1.2)
    plots.note(height, "for small steps: η σ² / (2 B h)", (1, 0.5), (8, -12))
    for row, (batch_size, found) in enumerate(zip(BATCHES, result.ratios, strict=True)):
        for axis, values in ((height, found * eta_h / (2 - eta_h)), (ratio, found)):
            axis.plot(eta_h, values, plots.MARKERS[row], color=plots.COLOURS[row], markersize=9, fillstyle="none",
                      markeredgewidth=2)  # fmt: skip
            plots.note(axis, f"{'○□'[row]} runs with B = {batch_size}", (0.97, 0.08 - 0.05 * row), unit=plots.IN_PANEL,
                       ha="right", color=plots.COLOURS[row])  # fmt: skip
    height.set(title="The variance that stays", ylabel="variance of θ, in units of σ² / (B h²)", yscale="log")
    ratio.axhspan(1 - OFF, 1 + OFF, color="0.9")
    plots.note(ratio, f"grey: expected, within {100 * OFF:g} %", (0.03, 0.92), unit=plots.IN_PANEL)
    ratio.axhline(1, color="0.2", linewidth=1.2)
    ratio.set(title="The same over theory's", ylabel="variance over theory's", ylim=(1 - 2 * OFF, 1 + 2 * OFF))
    for axis in axes[0]:
        axis.set_xlabel("η h: learning rate times curvature")
    seeds = f"{settings.num_seeds} seed{'s' * (settings.num_seeds > 1)} together"
    about = f"Cᵢ = h/2 (θ - xᵢ)², batches drawn with replacement, {seeds}"
    return {"solved_case": plots.headline(figure, finding(result, settings), about=about)}
