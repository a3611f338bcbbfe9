"""Does it matter to the network how the mini-batches are drawn: shuffled anew in every epoch, once, never, or by lot?

The film says: randomly shuffle. From the same starts the network is trained on batches that are shuffled anew in every
epoch, shuffled once, drawn by lot from all examples, taken as the examples lie there, and sorted by label. What theory
says of a solved case stands in convex_shuffling.

Run:     python -m experiments shuffle_or_not [--quick | --full]
Time:    default 30 s, --quick 10 s, --full 45 s on 2 cores, compilation included
Result:  over that of batches shuffled anew the cost is 21 times as high sorted by label, 1.07 (1.02 to 1.16) shuffled
         once, and 1.03 (0.96 to 1.07) by lot, where the seeds disagree (second half of the epochs, 8 seeds).
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

from experiments.common import descents, plots, runs
from experiments.common.claims import Claims, at_least, at_most, prediction
from experiments.common.descents import Method
from experiments.common.long_training import PlainSettings
from experiments.common.problem import Problem
from research import training

ANEW, ONCE, BY_LOT, AS_STORED, SORTED = range(5)
NAMES = ("shuffled anew", "shuffled once", "drawn by lot", "as stored", "sorted by label")


@dataclasses.dataclass(frozen=True)
class Settings(PlainSettings):
    num_epochs: Annotated[int, Ge(2)] = 8
    """Passes over the training set; the second half of them is compared."""


QUICK = Settings(num_seeds=2, num_epochs=2)
FULL = Settings(num_seeds=8, num_epochs=20)


class Result(NamedTuple):
    cost: Float[np.ndarray, "ways seeds epochs"]  # on the training set
    accuracy: Float[np.ndarray, "ways seeds epochs"]  # on the test set


def measure(problem: Problem, settings: Settings) -> Result:
    init_keys, keys = runs.seed_keys(settings.seed, settings.num_seeds)
    labels = jnp.argmax(problem.train.targets, axis=1)
    draw = partial(training.all_ways, batch_size=settings.batch_size, num_epochs=settings.num_epochs)
    drawn = runs.over_seeds(draw, (0, None))(keys, labels)
    order = np.concatenate([np.asarray(each).reshape(*each.shape[:2], -1) for each in drawn])  # ways x seeds, epochs, N
    starts = jax.tree.map(lambda leaf: np.concatenate([leaf] * len(NAMES)), descents.starts(problem, init_keys))
    method = Method("all ways of drawing", settings.batch_size, optax.sgd(settings.learning_rate))
    curve = descents.follow(problem, method, starts, order, num_legs=settings.num_epochs).curve
    shape = len(NAMES), settings.num_seeds, -1
    return Result(curve.cost.reshape(shape), curve.accuracy.reshape(shape))


def later(cost: np.ndarray) -> np.ndarray:
    """(ways, seeds): geometric mean over the second half of the epochs."""
    return np.exp(np.log(cost[..., cost.shape[-1] // 2 :]).mean(axis=-1))


def over_anew(result: Result, way: int) -> np.ndarray:
    """(least, median, most) of the seeds: the later cost over that of the same start shuffled anew."""
    return np.quantile(later(result.cost)[way] / later(result.cost)[ANEW], (0, 0.5, 1))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    cost = result.cost
    yield prediction("E19", "sorted by label the network's cost is the highest after every epoch",
                     np.min(cost[SORTED] / np.max(cost[:SORTED], axis=0)), at_least(1),
                     "least ratio to the next, of all seeds and epochs", "what shuffling is to prevent")  # fmt: skip
    yield prediction("E19", "shuffled anew the network's cost ends no higher than drawn by lot",
                     np.median(later(cost)[ANEW] / later(cost)[BY_LOT]), at_most(1),
                     "ratio, second half of the epochs, median of the seeds", "Ying et al., convex")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    said = [f"{middle:.2f} ({least:.2f} to {most:.2f})" for least, middle, most in
            (over_anew(result, way) for way in (BY_LOT, ONCE))]  # fmt: skip
    return (
        f"The network's cost is {said[0]} times as high drawn by lot as shuffled anew, {said[1]} shuffled once, "
        f"{over_anew(result, SORTED)[1]:.0f} sorted by label (second half of the epochs, median and range)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((left, right),) = plots.new_figure(13, 5.8, columns=2)
    epochs = np.arange(1, result.cost.shape[-1] + 1)
    ratios, accuracy = result.cost / result.cost[:1], 100 * np.median(result.accuracy[..., -1], axis=1)
    for series, name in enumerate(NAMES):
        plots.seed_band(left, epochs, result.cost[series], series, f"{name}: {accuracy[series]:.1f} % right")
        if series > 0 and np.median(ratios[series]) < 3:  # not far beyond
            plots.seed_band(right, epochs, ratios[series], series, name)
    right.plot(epochs, np.ones(len(epochs)), color=plots.COLOURS[0], label=NAMES[0])
    right.axvspan(epochs[len(epochs) // 2], epochs[-1], color="0.93", linewidth=0, zorder=0)
    right.set_title("grey: the epochs that the headline averages")
    right.set_ylabel("cost over that of the same start shuffled anew")
    plots.panel(left, title="in the names: how many test images are right at the end", y="cost on the training set",
                log_y=(0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2))  # fmt: skip
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlabel("epochs")
    least, middle, most = over_anew(result, BY_LOT)
    headline = (f"Sorted by label the network's cost is {over_anew(result, SORTED)[1]:.0f} times that of shuffled "
                f"batches; drawn by lot it is {middle:.2f} times ({least:.2f} to {most:.2f})")  # fmt: skip
    foot = f"batches of {settings.batch_size}, rate {settings.learning_rate:g}; median and range"
    return {"shuffle_or_not": plots.headline(figure, headline, foot)}
