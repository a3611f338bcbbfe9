"""Past the plateau where all outputs are 0.1, is the critical batch size the noise scale?

batch_frontier found the hyperbola of McCandlish et al. (arXiv:1812.06162), but a noise scale 12 times as large as the
batch size B_crit at which it bends. For about half of that way, by steps, the network lies on the plateau where all
outputs are 0.1: G is small there, hence the noise scale tr Sigma / |G|^2 large, but the ground is so flat that the
learning rate, not the noise, limits a step. Here the same race begins where full-batch descent has come down to 0.8.

Run:     python -m experiments past_the_plateau [--quick | --full]
Time:    default 2 min, --quick 15 s, --full 2.5 min, on 2 cores, compilation included
Result:  (8 starts) B_crit is 19 and the noise scale 56, 2.9 times that (31, 1.6 times, without the first look, at cost
         0.8); a hyperbola explains 99.3 %.
"""

import dataclasses
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
import optax
from annotated_types import Gt
from jax import Array

from experiments.common import plots, race, runs
from experiments.common.bounds import require
from experiments.common.claims import Claims, follow_up, within
from experiments.common.problem import Problem
from experiments.common.race import CHECKED
from experiments.mini_batches import batch_frontier_figures as drawn
from research import data, training
from research.data import Examples
from research.models import Params
from research.training import TrainState

RATE = 2.0  # of the full-batch descent to --past
MOST_STEPS = 1000  # of it


@dataclasses.dataclass(frozen=True)
class Settings(race.Settings):
    past: Annotated[float, Gt(0)] = 0.8
    """The race begins where full-batch descent has brought every start down to this cost; above --target."""

    def check(self) -> None:
        require(self.past > self.target, f"--past is {self.past:g}; it must be above --target, {self.target:g}")


QUICK = Settings(
    num_seeds=1, num_examples=6000, batch_sizes=(4, 32, 256), learning_rates=(0.25, 1.0, 4.0, 16.0), target=0.7
)
FULL = Settings(num_seeds=8)
Result = race.Race


def descend(problem: Problem, past: float, start: Params, train: Examples) -> Params:
    """Where full-batch descent is once the cost of the first 2,000 images is at most `past`, or after 1,000 steps."""
    optimizer, checked = optax.sgd(RATE), data.take(train, CHECKED)
    step = training.make_step(problem.cost, optimizer)

    def goes_on(carry: tuple[TrainState, Array]) -> Array:
        state, steps = carry
        return (problem.cost(state.params, checked) > past) & (steps < MOST_STEPS)

    def go(carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
        return step(carry[0], train)[0], carry[1] + 1

    state = TrainState(start, optimizer.init(start))
    return jax.lax.while_loop(goes_on, go, (state, jnp.zeros((), jnp.int32)))[0].params


def measure(problem: Problem, settings: Settings) -> Result:
    starts, shuffle_keys = race.begin(problem, settings)
    every_start = runs.over_seeds(partial(descend, problem, settings.past), (0, None))
    past = jax.device_get(every_start(starts, problem.train))
    return race.hold(problem, settings, past, shuffle_keys)


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films or result.sizes[-1] != race.FILMS_EXAMPLES:
        return
    begun = f"begun at cost {settings.past:g}, past the plateau"
    yield follow_up("E9", f"{begun}: a hyperbola", result.hyperbola.explained, within(0.95, 1, 1),
                    "share of the variance of log S, medians", "McCandlish et al. arXiv:1812.06162")  # fmt: skip
    yield follow_up("E9", f"{begun}: B_simple over B_crit within a factor of 5", result.over_critical,
                    within(0.2, 5, 1), "ratio; B_simple: mean of the way, median",
                    "McCandlish et al. arXiv:1812.06162; the factor: a wish")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    return (
        f"Begun at cost {settings.past:g}, past the plateau, the noise scale is {result.noise_scale:.3g}, "
        f"{result.over_critical:.1f} times the batch size of {result.hyperbola.critical:.3g} at which the "
        "hyperbola bends."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    headline = (
        f"Begun at cost {settings.past:g}, past the plateau, the noise scale is {result.over_critical:.1f} times "
        "B_crit (1/5 to 5 expected)"
    )
    begun = f"begun where full-batch descent is at cost {settings.past:g}; "
    return {"past_the_plateau": drawn.frontier(result, settings, headline, begun)}
