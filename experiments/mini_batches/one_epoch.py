"""What do the mini-batch gradients of one epoch add up to, and how far is each from the full gradient?

A shuffled epoch is divided into batches of 100; what the examples of each batch want is averaged by vmap(grad), and the
average held against the full gradient G, at the start and at the end of a training. Theory for sampling without
replacement: the batches' gradients average to G; E |g_B - G|^2 = (tr Sigma / B) (N-B)/(N-1), and therefore cos(g_B, G)
is about 1/sqrt(1 + (B_simple/B) (N-B)/(N-1)), with tr Sigma = mean |g_i|^2 - |G|^2 and B_simple = tr Sigma / |G|^2
(McCandlish et al., arXiv:1812.06162).

Run:     python -m experiments one_epoch [--quick | --full]
Time:    default 20 s, --quick 8 s, --full 30 s on 2 cores, compilation included
Result:  the batches average to the full gradient, and scatter as theory says; the cosine of a batch of 100 with the
         full gradient is 0.997 at the start, and 0.22 (0.15 to 0.42) after 20 epochs (10 seeds, median and range).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import descents, plots, runs
from experiments.common.claims import Claims, about, at_most, exactly, identity, prediction
from experiments.common.descents import Method
from experiments.common.long_training import PlainSettings as Settings
from experiments.common.problem import Problem
from research import data, gradients, sampling, statistics
from research.data import Examples
from research.models import Params

QUICK = Settings(num_seeds=2, num_epochs=1)
FULL = Settings(num_seeds=10, num_epochs=20)


class Quality(NamedTuple):
    """How good the mini-batch gradients of one epoch are as stand-ins for the full gradient G."""

    mean_error: Float[np.ndarray, "seeds"]  # |mean of the batch gradients - G| / |G|
    variance_ratio: Float[np.ndarray, "seeds"]  # their mean |g_B - G|^2 over what theory predicts
    cosines: Float[np.ndarray, "seeds batches"]  # between a batch gradient and G
    predicted: Float[np.ndarray, "seeds"]  # their mean, from the scatter of the single examples' gradients


class Result(NamedTuple):
    start: Quality
    end: Quality
    times_seen: Float[np.ndarray, "examples"]  # how often the first seed's epoch sees each example
    num_in_batches: int
    train_accuracy: Float[np.ndarray, "seeds"]  # after training


def quality(problem: Problem, params: Params, train: Examples, schedule: Array) -> tuple[Array, ...]:
    """The fields of Quality for one seed; `schedule` (steps, batch) is one epoch."""

    def of_batch(rows: Array) -> tuple[Array, Array]:
        grads = gradients.per_example_gradients(problem.example_cost)(params, data.take(train, rows))
        squared_norms = jnp.asarray(optax.tree.norm(grads, squared=True)) / len(rows)
        return ravel_pytree(gradients.average(grads))[0], squared_norms

    batch_gradients, squared_norms = jax.lax.map(of_batch, schedule)
    full = ravel_pytree(jax.grad(problem.cost)(params, train))[0]
    norm, num_examples, batch_size = jnp.linalg.norm(full), len(train.inputs), schedule.shape[1]
    total_variance = squared_norms.mean() - norm**2
    scatter = total_variance / batch_size * sampling.finite_population(batch_size, num_examples)
    return (
        jnp.linalg.norm(batch_gradients.mean(axis=0) - full) / norm,
        jnp.mean(jnp.sum((batch_gradients - full[None]) ** 2, axis=1)) / scatter,
        batch_gradients @ full / (jnp.linalg.norm(batch_gradients, axis=1) * norm),
        statistics.expected_cosine(total_variance / norm**2, batch_size, num_examples),
    )


def measure(problem: Problem, settings: Settings) -> Result:
    params, order = descents.begin(problem, settings, settings.num_epochs)
    method = Method(f"batches of {settings.batch_size}", settings.batch_size, optax.sgd(settings.learning_rate))
    trained = descents.follow(problem, method, params, order).end
    schedule = descents.in_batches(order[:, :1], settings.batch_size)
    look = runs.over_seeds(partial(quality, problem), (0, None, 0))
    start, end = (Quality(*look(place, problem.train, schedule)) for place in (params, trained))
    seen = np.bincount(schedule[0].ravel(), minlength=order.shape[-1]).astype(float)
    accuracy = runs.over_seeds(problem.accuracy, (0, None))(trained, problem.train)
    return Result(start, end, seen, schedule[0].size, np.asarray(accuracy))


def claims(result: Result, settings: Settings) -> Claims:
    whole, kept = result.num_in_batches == len(result.times_seen), float(result.num_in_batches)
    yield identity("T31", "an epoch's mini-batches see every example once, but for the remainder of the division",
                   np.sum(result.times_seen == 1), exactly(kept), "examples", "a shuffle is a permutation")  # fmt: skip
    for when, found in (("at the start", result.start), ("after training", result.end)):
        yield identity("T33", f"{when}, batches of {settings.batch_size} scatter as without replacement they should",
                       np.median(found.variance_ratio), about(1, by=0.05),
                         "ratio of variances, median", "tr Sigma / B (N-B)/(N-1)")  # fmt: skip
        cosine = found.cosines.mean(axis=1)
        yield prediction("T33", f"batches' cosine with the full gradient (median {np.median(cosine):.3f}) less "
                         f"theory's, {when}", np.median(cosine - found.predicted), about(0, by=0.05), "cosine, median",
                         "1/sqrt(1 + B_simple/B (N-B)/(N-1))")  # fmt: skip
        if whole:  # else some examples sit the epoch out
            yield identity("T32", f"an epoch's batches average to the full gradient, {when}", np.max(found.mean_error),
                           at_most(1e-4), "largest relative error", "linearity, float32")  # fmt: skip


def films_cosines(result: Result) -> list[float]:
    """At the start and after training: the median of the seeds of the mean over the batches."""
    return [float(np.median(found.cosines.mean(axis=1))) for found in (result.start, result.end)]


def finding(result: Result, settings: Settings) -> str:
    before, after = films_cosines(result)
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    return (
        f"The gradient of one batch of {settings.batch_size} has a cosine of {before:.3f} with the full gradient at "
        f"the start and {after:.2f} after {epochs} ({100 * np.median(result.train_accuracy):.1f} % of the training "
        "images correct); averaged over an epoch at one place, the batches give the full gradient to "
        f"{np.max(result.end.mean_error):.0e}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, axes = plots.new_figure(9, 5.6, rows=2, sharex=True)
    before, after = films_cosines(result)
    panels = {"At the start": result.start, "After training": result.end}
    for series, (axis, (when, found)) in enumerate(zip(axes[:, 0], panels.items(), strict=True)):
        shares = np.full(found.cosines.size, 100 / found.cosines.size)
        axis.hist(found.cosines.ravel(), np.linspace(-1, 1, 81).tolist(), weights=shares, color=plots.COLOURS[series])
        axis.plot(found.predicted, np.zeros(len(found.predicted)), "k|", markersize=18)
        axis.set(title=when, ylabel="batches, %")
    axes[1, 0].set(xlim=(-0.5, 1.02), xlabel="cosine between the gradient of one batch and the full gradient")
    headline = (f"A batch of {settings.batch_size} points along the full gradient at the start (cosine {before:.3f}), "
                f"but hardly after training ({after:.2f})")  # fmt: skip
    return {"one_epoch": plots.headline(figure, headline, "one epoch's batches; black: means by theory")}
