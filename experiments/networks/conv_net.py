"""Does a convolutional network beat the film's?

A reader asked about convolutional networks. Here is a small one in flax (8 and 16 filters of 5 x 5, stride 2, relu;
5,994 parameters, fewer than half of the film's 13,002) beside the film's network: the same cost (cross-entropy on
logits, unless --cost says otherwise), the same mini-batches in the same order, for each its own learning rate, which
falls to zero in the second half; --full chooses it: the one of five with which two starts that are not counted come
down lowest on the training images in three epochs. conv_suite puts the rest of the questions to it. --model puts a
network of one's own in its place.

Run:     python -m experiments conv_net [--quick | --full]
Time:    default 38 s, --quick 13 s (with conv_suite), --full 2.5 min on 2 cores, compilation included
Result:  98.83 % of the test images (median of 5 seeds) against 95.31 % after 8 epochs, in every seed 3.4 points or more
         above the film's network, 20 s a seed against 0.7.
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt
from jax import Array
from jaxtyping import Float

from experiments.common import descents, plots, runs, two_networks
from experiments.common.bounds import rising
from experiments.common.claims import Claims, at_least, exactly, prediction, within
from experiments.common.problem import Problem
from experiments.common.tune import Tuned, tune
from experiments.networks import two_networks_figures
from research import data, gradients, models, training
from research.data import Examples
from research.training import TrainState

TUNING_SEEDS = 2  # starts on which learning rates are compared, beside those that are counted
CHOSEN = ((0.4,), (3.2,))  # learning rates of the two networks, by --full
COARSE = (0.003, 0.03, 0.3, 3.0)  # where nothing is known


@dataclasses.dataclass(frozen=True)
class Settings(two_networks.Settings):
    learning_rates: Annotated[tuple[float, ...], Gt(0), rising] = ()
    """Learning rates of the convolutional network at first; of several the best is chosen. Empty means 0.4, which
    --full chose; for another cost, output activation or model, 0.003 0.03 0.3 3."""
    plain_learning_rates: Annotated[tuple[float, ...], Gt(0), rising] = ()
    """Learning rates of the plain network at first, likewise; empty means 3.2, or those four."""
    tuning_epochs: Annotated[int, Ge(1)] = 3
    """Passes over the training set with each of several learning rates."""


QUICK = Settings(num_seeds=1, num_epochs=1, tuning_epochs=1, cpu_devices=1)  # one seed needs one device only
FULL = Settings(
    num_seeds=5, num_epochs=8, learning_rates=(0.05, 0.1, 0.2, 0.4, 0.8), plain_learning_rates=(0.4, 0.8, 1.6, 3.2, 6.4)
)  # fmt: skip


class Network(NamedTuple):
    num_parameters: int
    rate: float
    tuned: Tuned | None  # where several rates were tried
    epochs: Float[np.ndarray, "looks"]
    accuracy: Float[np.ndarray, "seeds looks"]  # on the test set
    seconds: float  # of training, all seeds, compilation apart


class Result(NamedTuple):
    conv: Network
    plain: Network
    filters: Float[np.ndarray, "rows columns filters"]  # first layer, first channel, first seed; empty if it has none


def grids(settings: Settings) -> list[tuple[float, ...]]:
    """The learning rates that are tried, of the convolutional and of the plain network.

    >>> grids(Settings(plain_learning_rates=(1.0, 2.0)))
    [(0.4,), (1.0, 2.0)]
    """
    usual = CHOSEN if settings.have_usual_outputs else (COARSE, COARSE)
    given = (settings.learning_rates, settings.plain_learning_rates)
    return [own or other for own, other in zip(given, usual, strict=True)]


def measure(problem: Problem, settings: Settings) -> Result:
    both = two_networks.pose(problem, settings)
    several = max(map(len, grids(settings))) > 1
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds + TUNING_SEEDS * several)
    num_epochs = max(settings.num_epochs, settings.tuning_epochs * several)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), num_epochs)
    counted, others = slice(settings.num_seeds), slice(settings.num_seeds, None)
    found, ends = [], []
    for name, posed, grid in zip(two_networks.NAMES, both, grids(settings), strict=True):
        begun = (descents.starts(posed, init_keys), order)
        tuned = tune(end_costs(name, posed, settings, *data.take(begun, others)), grid) if len(grid) > 1 else None
        rate = next(iter(grid)) if tuned is None else tuned.best
        trained = two_networks.train(name, posed, settings, rate, *data.take(begun, counted))
        found.append(Network(posed.num_parameters, rate, tuned, trained.epochs, trained.accuracy, trained.seconds))
        ends.append(trained.end)
    filters = [np.asarray(leaf[0, :, :, 0]) for leaf in jax.tree.leaves(ends[0]) if leaf.ndim == 5]  # seeds lead
    conv, plain = found
    return Result(conv, plain, filters[0] if filters else np.zeros((0, 0, 0), np.float32))


def end_costs(
    name: str, problem: Problem, settings: Settings, starts: models.Params, order: np.ndarray
) -> Callable[[float], np.ndarray]:
    """For `tune`: the geometric mean of the starts' costs on the training images after --tuning-epochs with a rate; no
    test image is looked at."""
    rows = descents.in_batches(order[:, : settings.tuning_epochs], settings.batch_size)[:, None]
    objective = gradients.mean_over_examples(problem.example_cost)

    def end_of(start: models.Params, rows: Array, rate: Array, train: Examples) -> Array:
        optimizer = two_networks.falling(rate, rows.shape[1])
        step = training.make_step(objective, optimizer)
        begun = TrainState(start, optimizer.init(start))
        state, _ = training.minibatch_descent(step, begun, train, rows, lambda state: ())
        return problem.cost(state.params, train)

    ends_of = runs.over_seeds(end_of, (0, 0, None, None))

    def of_rate(rate: float) -> np.ndarray:
        costs = np.asarray(ends_of(starts, rows, jnp.float32(rate), problem.train))
        if not np.isfinite(costs).all():
            raise runs.Diverged(f"{name}, every learning rate of the grid", rows.shape[2])
        mean = np.exp(np.log(costs).mean())
        runs.console.print(f"{name}, learning rate {rate:g}: cost {mean:.4f} after {settings.tuning_epochs} epochs")
        return mean

    return of_rate


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.are_usual:
        return
    conv, plain = result.conv, result.plain
    right, plainly = (100 * each.accuracy[:, -1] for each in (conv, plain))
    yield prediction("C9", "the convolutional network is right about at least 98.5 % of the test images",
                     np.median(right), within(98.5, 100),
                     "% correct, median", "a wish: what small convolutional networks reach")  # fmt: skip
    yield prediction("C9", "the convolutional network beats the film's, same cost and batches, in every seed",
                     np.min(right - plainly), at_least(0), "% points, least of all seeds", "a wish")  # fmt: skip
    if min(map(len, grids(settings))) >= 3:
        inside = np.mean([each.tuned is not None and each.tuned.is_inside for each in (conv, plain)])
        yield prediction("C9", "both networks' best learning rates lie inside their grids", inside, exactly(1),
                         "share of the networks", "else a better one may lie beyond")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    conv, plain = (f"{100 * np.median(each.accuracy[:, -1]):.2f} %, {each.num_parameters:,} parameters"
                   for each in (result.conv, result.plain))  # fmt: skip
    first, epochs = "network of --model" if settings.model else "convolutional network", settings.num_epochs
    return f"Correct test images after {epochs} epoch{'s' * (epochs != 1)}: {first} {conv}; plain one {plain}."


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"conv_net": two_networks_figures.training(result, settings, finding(result, settings))}
