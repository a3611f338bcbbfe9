"""Does a learning rate that falls to zero end lower than a constant one?

A constant rate stumbles on a floor: at the end every mini-batch still pulls its own way. The same starts and the same
batches once more, with a rate that is constant in the first half and falls linearly to zero in the second. Cost and
length of the gradient are those of the whole training set.

Run:     python -m experiments falling_rate [--quick | --full]
Time:    default 25 s, --quick 8 s, --full 30 s, on 2 cores, compilation included
Result:  (10 seeds, 20 epochs) the cost ends at 0.75 to 0.91 of the constant rate's, 0.048 in place of 0.056 (medians);
         the gradient is 0.05 to 0.23 times as long.
"""

import dataclasses
from typing import Annotated, NamedTuple

import numpy as np
import optax
from annotated_types import Ge, Gt
from jaxtyping import Float

from experiments.common import descents, experiment, floors, plots, runs
from experiments.common.bounds import BatchSize
from experiments.common.claims import Claims, at_most, prediction
from experiments.common.descents import Curve, Method
from experiments.common.problem import Problem


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    batch_size: BatchSize = 100
    """Examples in a mini-batch."""
    learning_rate: Annotated[float, Gt(0)] = 4.0
    """Learning rate, the constant one; the best that full_batch_vs_sgd found for batches of 100."""
    num_epochs: Annotated[int, Ge(2)] = 6
    """Passes over the training set; in fewer than five or so a constant rate has not come to its floor."""


QUICK = Settings(num_seeds=2, num_epochs=20, num_examples=10_000)
FULL = Settings(num_seeds=10, num_epochs=20)


class Result(NamedTuple):
    constant: Curve
    falling: Curve
    constant_norm: Float[np.ndarray, "seeds"]  # length of the full gradient at the end
    falling_norm: Float[np.ndarray, "seeds"]


def measure(problem: Problem, settings: Settings) -> Result:
    params, order = descents.begin(problem, settings, settings.num_epochs)
    num_steps = descents.in_batches(order, settings.batch_size).shape[1]
    rates = {"constant": settings.learning_rate, "falling": descents.falling(settings.learning_rate, num_steps)}

    norm = runs.over_seeds(lambda params, train: floors.look(problem, params, train)[1], (0, None))
    curves, norms = [], []
    for name, rate in rates.items():
        method = Method(f"batches of {settings.batch_size}, {name} rate", settings.batch_size, optax.sgd(rate))
        descent = descents.follow(problem, method, params, order)
        curves.append(descent.curve)
        norms.append(np.asarray(norm(descent.end, problem.train)))
    return Result(*curves, *norms)


def claims(result: Result, settings: Settings) -> Claims:
    costs = result.falling.cost[:, -1] / result.constant.cost[:, -1]
    for what, ratios in (("|G|", result.falling_norm / result.constant_norm), ("the cost", costs)):
        yield prediction("T38", f"with a learning rate that falls to 0 {what} ends lower than with a constant one",
                         np.max(ratios), at_most(1), "ratio, largest of all seeds",
                         "the floor is proportional to rate/B")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    constant, falling = (np.median(curve.cost[:, -1]) for curve in (result.constant, result.falling))
    costs, norms = result.falling.cost[:, -1] / result.constant.cost[:, -1], result.falling_norm / result.constant_norm
    return (
        f"After {settings.num_epochs} epochs the cost is {falling:.3f} with a rate that falls to 0 and {constant:.3f} "
        f"with a constant one, seed by seed {costs.min():.2f} to {costs.max():.2f} of it; the gradient is "
        f"{norms.min():.2f} to {norms.max():.2f} times as long."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((axis,),) = plots.new_figure(8.5, 5.2)
    named = ((result.constant, "constant"), (result.falling, "falls to 0 in\nthe second half"))
    for series, (curve, label) in enumerate(named):
        epochs = curve.steps / curve.steps[-1] * settings.num_epochs
        plots.seed_band(axis, epochs, curve.cost, series, label)
    axis.set(xlabel="epochs", ylabel="cost on the training images", xlim=(0, settings.num_epochs))
    plots.plain_log_ticks(axis.yaxis, [0.01 * digit for digit in (2, 3, 4, 5, 6, 8, 10, 15, 20, 50, 100)])
    foot = f"batches of {settings.batch_size}, learning rate {settings.learning_rate:g}; median and range"
    return {"falling_learning_rate": plots.headline(figure, finding(result, settings).partition(";")[0], foot)}
