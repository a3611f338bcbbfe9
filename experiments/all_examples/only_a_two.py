"""What happens if one listens to one image of a 2 alone?

The film's network is trained on one single image, and what share of the test images it then calls by its name is looked
at after 0, 1, ..., 10, 20, ..., 100, ... steps; for ten digits in place of the 2, and from two kinds of start: small
weights, N(0, 1/n), and all parameters N(0, 1), where outputs that are wrong but saturated move slowly.

Run:     python -m experiments only_a_two [--quick | --full]
Time:    default 10 s, --quick 7 s, --full 30 s on 2 cores, compilation included
Result:  (10 starts x 10 digits) from small weights one step makes everything the image's digit in 100 of 100 runs; from
         N(0, 1), where saturated outputs hardly move, 99 % of the test images in 11 after 1 step, in 90 after 100.
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, Le
from jax import Array
from jaxtyping import Float, Int

from experiments.common import experiment, plots, runs, teaching
from experiments.common.bounds import Count
from experiments.common.claims import Claims, exactly, prediction
from experiments.common.problem import Problem
from experiments.common.teaching import FILMS_RATE
from experiments.common.wish_tables import sizes_of
from research import gradients, models, training
from research.data import Examples
from research.models import Params
from research.training import History, TrainState

STARTS = ("weights N(0, 1/n), biases 0", "weights and biases N(0, 1)")


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 3
    """How many runs of each kind, each with its own start and its own images."""
    learning_rate: Annotated[float, Gt(0)] = FILMS_RATE
    """Learning rate; Nielsen's 3.0, who differentiates with a 1/2 that the film's cost does not have."""
    num_decades: Annotated[int, Ge(1), Le(6)] = 3
    """Listening goes on for 10 to the power of this many steps."""


QUICK = Settings(num_seeds=1, num_decades=2)
FULL = Settings(num_seeds=10, num_decades=4)


class Result(NamedTuple):
    steps: Int[np.ndarray, "points"]
    named: Float[np.ndarray, "starts seeds digits points"]  # share of the test images called as the one image is
    digits: Int[np.ndarray, "digits"]  # the classes of the images that are listened to

    @property
    def after_a_hundred(self) -> str:
        """After 100 steps, or all if fewer, in how many runs of each kind nearly all is called by the one name."""
        at = np.flatnonzero(self.steps <= 100)[-1]
        small, large = (f"{(shares >= 0.99).sum()} of {shares.size}" for shares in self.named[..., at])
        return f"after {self.steps[at]} steps in {small} runs from small weights and in {large} from N(0, 1)"


def listen_to_one(
    problem: Problem, learning_rate: float, params: Params, alone: Examples, num_decades: int
) -> tuple[np.ndarray, np.ndarray]:
    """(steps, shares (runs, steps)): what share of the test images is called as its one image is, after 0, 1, ..., 10,
    20, ..., 100, ... steps. Every run has its own params and its own example, in batches of one, `alone`."""
    optimizer = optax.sgd(learning_rate)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)

    def named(params: Params, test: Examples, targets: Array) -> Array:
        answers = teaching.answers(problem.model.apply, params, test.inputs)
        return jnp.mean(answers == jnp.argmax(targets))

    def decade(power: int, state: TrainState, test: Examples, *alone: Array) -> tuple[TrainState, History]:
        """From 10^power steps to ten times as many (from 0 in the first decade)."""
        one, num_legs = Examples(*alone), 9 if power else 10
        look = lambda state: named(state.params, test, one.targets)
        return training.full_batch_descent(step, state, one, num_legs, 10**power, look)

    at_first = runs.over_seeds(named, (0, None, 0))(params, problem.test, alone.targets)
    state, steps, shares = teaching.begin(optimizer, params), [np.array([0])], [np.asarray(at_first)[:, None]]
    for power in range(num_decades):
        label, loop = f"one image, steps of {10**power}", partial(decade, power)
        state, made, history, *_ = runs.descend(label, loop, state, problem.test, [tuple(alone)])
        steps.append(steps[-1][-1] + made)
        shares.append(history.observed)
    return np.concatenate(steps), np.concatenate(shares, axis=1)


def starts(problem: Problem, init_keys: Array) -> Params:
    """The network of the settings, and one all of whose parameters are N(0, 1): leaves (2, seeds, ...)."""

    def both(key: Array) -> tuple[Params, Params]:
        params = problem.model.init(key)
        if problem.mlp is None:
            return params, optax.tree.random_like(key, params)
        normal = models.unit_normal
        return params, models.mlp(sizes_of(params), init_weights=normal, init_biases=normal).init(key)

    found = runs.over_seeds(both, (0,))(init_keys)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *found)


def measure(problem: Problem, settings: Settings) -> Result:
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    orders, classes = teaching.listening(problem, settings)
    by_class = orders[:, np.argsort(classes)]  # the images listened to: of a 0, a 1, ...
    shape = (len(STARTS), *by_class.shape)

    def every_run(leaf: np.ndarray) -> np.ndarray:
        return np.repeat(leaf, shape[2], axis=1).reshape(-1, *leaf.shape[2:])

    rows = np.broadcast_to(by_class, shape).ravel()
    alone = jax.tree.map(lambda leaf: np.asarray(leaf)[rows][:, None], problem.train)
    start = jax.tree.map(every_run, starts(problem, init_keys))
    steps, shares = listen_to_one(problem, settings.learning_rate, start, alone, settings.num_decades)
    return Result(steps, shares.reshape(*shape, -1), np.sort(classes))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films or 100 not in result.steps:
        return
    named = 100 * everything_named(result)[..., result.steps == 100]
    for kind, of_kind in zip(STARTS, named, strict=True):
        for what, runs_of in (("one 2", of_kind[:, 2]), ("any one digit", of_kind)):
            yield prediction("T27", f"{kind}: after 100 steps on {what} all is called so",
                             runs_of.mean(), exactly(100), "% of the runs (at least 99 % of the test images)",
                             "the film; computed on 8x8 digits before", why="finding: outputs that are wrong but "
                             "saturated hardly move; how long they stay so, over 100 starts, would decide "
                             "it")  # fmt: skip


def everything_named(result: Result) -> np.ndarray:
    """(starts, seeds, digits, points): whether at least 99 % of the test images are called by the one name."""
    return result.named >= 0.99


def finding(result: Result, settings: Settings) -> str:
    named = everything_named(result)
    first, last = ("{} and {}".format(*named[..., at].sum(axis=(1, 2))) for at in (1, -1))
    return (
        "Taught by one image of any digit alone, the network calls at least 99 % of the test images by its name "
        f"{result.after_a_hundred}; after {result.steps[1]:,} already in {first}, after {result.steps[-1]:,} in {last}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((left, right),) = plots.new_figure(14, 5.2, columns=2, sharey=True)
    two, everything = min(2, len(result.digits) - 1), 100 * everything_named(result).mean(axis=(1, 2))
    for kind, (label, share) in enumerate(zip(STARTS, everything, strict=True)):
        style = {"color": plots.COLOURS[kind], "linestyle": plots.LINES[kind]}
        left.plot(result.steps, share, marker=plots.MARKERS[kind], markersize=4, **style)
        plots.note(left, label, (1.3, 94) if kind == 0 else (8, 52), va="top", color=plots.COLOURS[kind])
        right.plot(result.steps, 100 * result.named[kind, :, two].T, linewidth=1, alpha=0.7, **style)
    left.set(ylabel="runs, %", title="Runs in which 99 % of the test images\nare called by the one image's name")
    only = result.digits[two]
    right.set(ylabel="test images, %", title=f"One {only} alone, each seed:\ntest images that are called {only}")
    for axis in (left, right):
        axis.set_xscale("symlog", linthresh=1)
        plots.plain_log_ticks(axis.xaxis, [0, *(10**power for power in range(len(str(result.steps[-1]))))])
        axis.set(xlim=(-0.2, 1.4 * result.steps[-1]), ylim=(-3, 103), xlabel="steps, all on that image")
    title = f"Taught by one image alone, the network calls everything by its name: {result.after_a_hundred}"
    foot = f"left: one image of each of {len(result.digits)} digits"
    return {"only_a_two": plots.headline(figure, title, foot)}
