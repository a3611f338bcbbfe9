"""How good an approximation is the gradient of a mini-batch, and for how long?

The film calls a mini-batch of 100 "a pretty good approximation". Here its gradient g_B is held against the full one, G,
for batches of 1 up to half of the images, at the start and at checkpoints along the training: the cosine, which is how
steeply a step along g_B goes down compared with the best one, and the relative error. Beside them what theory says
from the scatter of the single images' gradients alone: cos = 1/sqrt(1 + (B_simple/B) (N-B)/(N-1)), where B_simple =
tr Sigma / |G|^2. "Pretty good" shall mean, fixed beforehand, a cosine of 0.9 or more.

Run:     python -m experiments minibatch_quality [--quick | --full]
Time:    default 48 s, --quick 13 s, --full 3 min on 2 cores, compilation included; 1.4 GB
Result:  (10 seeds) mean cosine 0.997 at the start, below 0.9 from between steps 0 and 6 on, 0.26 after 30 epochs;
         B_simple goes from 0.6 to 1,300 (medians). One seed misses theory's cosine by 0.056 at one of 168 places.
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Gt, MinLen
from jaxtyping import Float, Int

from experiments.common import batch_gradients, checkpoints, plots, runs
from experiments.common.batch_gradients import FILMS_BATCH, Batches, Quality
from experiments.common.bounds import require, rising
from experiments.common.claims import Claims, about, at_least, at_most, identity, prediction, within, worst
from experiments.common.problem import Problem
from experiments.mini_batches import minibatch_quality_figures as drawn
from research import sampling, statistics

SHOWN = (0, 1, 5, 30)  # checkpoints, in epochs, that are drawn against the batch size
PRETTY_GOOD = 0.9  # cosine
ENOUGH = 10_000  # images, below which so few batches of 100 scatter by chance


@dataclasses.dataclass(frozen=True)
class Settings(checkpoints.Settings):
    checkpoints: Annotated[tuple[float, ...], Gt(0), MinLen(1), rising] = (0.01, 0.05, 0.1, 0.3, 1, 5, 10, 30)
    """After how many epochs the gradients are looked at, besides the start; within the first in hundredths."""


QUICK = Settings(num_seeds=2, checkpoints=(0.05, 1))
FULL = Settings(num_seeds=10, checkpoints=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 20, 30))


class Result(NamedTuple):
    epochs: Float[np.ndarray, "checkpoints"]
    sizes: Int[np.ndarray, "sizes"]
    quality: Quality
    num_examples: int

    @property
    def noise_scale(self) -> np.ndarray:
        """B_simple (seeds, checkpoints)."""
        return self.quality.total_variance / self.quality.squared_norm

    @property
    def films_cosine(self) -> np.ndarray:
        """(seeds, checkpoints): mean cosine of batches of 100 with G."""
        return self.quality.batches.cosine[..., self.sizes == FILMS_BATCH][..., 0]

    def predicted(self) -> tuple[np.ndarray, np.ndarray]:
        """Theory's (cosine, |g_B - G|^2 / |G|^2) for every size, each (seeds, checkpoints, sizes)."""
        share = sampling.finite_population(self.sizes, self.num_examples) / self.sizes
        cosine = statistics.expected_cosine(self.noise_scale[..., None], self.sizes, self.num_examples)
        return np.asarray(cosine), self.noise_scale[..., None] * share


def measure(problem: Problem, settings: Settings) -> Result:
    num_examples, least = len(problem.train.inputs), 4 * FILMS_BATCH
    require(num_examples >= least, f"there are {num_examples} training images; {least} or more are needed")
    points, epochs, places = checkpoints.walk(settings, problem, FILMS_BATCH)
    _, keys = runs.seed_keys(settings.seed + 1, settings.num_seeds)
    look = runs.over_seeds(partial(batch_gradients.quality, problem), (0, None, 0))
    found = []
    for point, when, params in zip(points, epochs, places, strict=True):
        runs.console.print(f"gradients after {when:g} epochs ...")
        found.append(look(params, problem.train, jax.vmap(partial(jax.random.fold_in, data=point))(keys)))
    *numbers, batches = jax.tree.map(lambda *parts: np.stack(parts, axis=1), *found)
    sizes = np.array(batch_gradients.batch_sizes(num_examples))
    result = Result(epochs, sizes, Quality(*numbers, batches=Batches(*batches)), num_examples)
    checkpoints.stop_if_stuck(epochs, result.noise_scale)
    return result


def claims(result: Result, settings: Settings) -> Claims:
    if result.num_examples >= ENOUGH:
        yield from theory_claims(result)
    if settings.is_the_films:
        yield from film_claims(result)


def theory_claims(result: Result) -> Claims:
    found, from_ten, (cosine, error) = result.quality, result.sizes >= 10, result.predicted()
    looked, source = f"at {len(result.epochs)} checkpoints", "sampling without replacement"
    off = (found.batches.cosine - cosine)[..., from_ten]
    for who, deviation in (("median of the seeds", np.median(off, axis=0)), ("worst seed", off)):
        yield prediction("T33", f"batches of 10 or more: cosine with G less theory's, {who}, {looked}",
                         worst(deviation), about(0, by=0.05), "cosine, worst checkpoint and size",
                         "1/sqrt(1 + B_simple/B (N-B)/(N-1)), McCandlish et al.",
                         why="finding: if few directions carry the noise, a ratio of means is a poor stand-in for a "
                         "mean of ratios; the mean cosine that Sigma's eigenvalues give would decide")  # fmt: skip
    ratio = np.mean(found.batches.squared_error / error, axis=0)
    for what, chosen in ((FILMS_BATCH, result.sizes == FILMS_BATCH), ("10 or more", from_ten)):
        yield identity("T33", f"{looked}: mean |g_B - G|^2 of batches of {what} over (tr Sigma / B) (N-B)/(N-1)",
                         1 + worst(ratio[:, chosen] - 1), about(1, by=0.05),
                         "ratio, mean of the seeds, worst checkpoint and size", source)  # fmt: skip
    deviations = (found.variance_from_batches - found.total_variance) / found.variance_error
    yield identity("E5", "tr Sigma from the scatter of batches is that from single images, in its standard errors",
                     worst(deviations), about(0, by=4), f"standard errors, worst of {deviations.size}",
                     source)  # fmt: skip
    estimated, pair = two_batch_noise_scale(result)
    yield identity("E5", f"the unbiased two-batch estimate of B_simple, from batches of {pair[0]} and {pair[1]:,}, "
                     "over the exact one", 1 + worst(np.median(estimated / result.noise_scale, axis=0) - 1),
                     about(1, by=0.1), "ratio, median of the seeds, worst checkpoint",
                     "McCandlish et al., appendix A")  # fmt: skip
    if result.num_examples % FILMS_BATCH == 0:
        yield identity("T32", f"the gradients of all batches of {FILMS_BATCH} of a shuffle average to G",
                       np.max(found.mean_error), at_most(1e-4), "largest relative error",
                       "linearity, float32")  # fmt: skip


def film_claims(result: Result) -> Claims:
    cosine, epochs = result.films_cosine.mean(axis=0), result.epochs
    growth = result.noise_scale[:, -1] / result.noise_scale[:, 0]
    yield prediction("T33", f"at the start batches of {FILMS_BATCH} are a pretty good approximation", cosine[0],
                     within(PRETTY_GOOD, 1), "cosine, mean of the seeds", "the film; 0.9 fixed beforehand")  # fmt: skip
    if epochs[-1] >= 30:
        yield prediction("E5", f"B_simple grows in {epochs[-1]:g} epochs by what it grew by on fewer images, or more",
                         growth.min(), at_least(135), "times, least of all seeds",
                         "1.1 to 149 on 1,400 8x8 digits, computed before")  # fmt: skip
    if epochs[-1] >= 5:
        yield prediction("T33", f"for batches of {FILMS_BATCH} 'pretty good' (cosine {PRETTY_GOOD} or more) is "
                         "over within 5 epochs", over_between(epochs, cosine)[1], within(0, 5),
                         "epochs at the first look below, mean of the seeds",
                         "computed on 8x8 digits before")  # fmt: skip


def two_batch_noise_scale(result: Result) -> tuple[np.ndarray, tuple[int, int]]:
    """B_simple (seeds, checkpoints) as two batches tell it, and their sizes: 100, and about a sixth of all."""
    most = max(2 * FILMS_BATCH, result.num_examples // 6)
    pair = FILMS_BATCH, int(result.sizes[result.sizes <= most][-1])
    small, big = (result.quality.batches.squared_norm[..., result.sizes == size][..., 0] for size in pair)
    estimate = sampling.two_batch_estimate(small, big, *pair)
    return np.asarray(estimate.total_variance / estimate.squared_norm), pair


def over_between(epochs: np.ndarray, cosine: np.ndarray) -> tuple[float, float]:
    """(the last look with a cosine of PRETTY_GOOD or more, the first of those after it, all below); the latter is
    infinite if there are none; both are the first look if all are below.

    >>> over_between(np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.95, 0.85]))
    (1.0, 2.0)
    """
    good = np.flatnonzero(cosine >= PRETTY_GOOD)
    last = good[-1] if len(good) else 0
    after = np.append(epochs, np.inf)[last + 1] if len(good) else epochs[0]
    return float(epochs[last]), float(after)


def between(result: Result) -> str:
    """The steps between which 'pretty good' is over for the mean of the seeds, in words; "" where it never is."""
    looks = over_between(result.epochs, result.films_cosine.mean(axis=0))
    first, then = (look * (result.num_examples // FILMS_BATCH) for look in looks)
    return f"between steps {first:,.0f} and {then:,.0f}" if np.isfinite(then) else ""


def rise(epochs: np.ndarray, cosine: np.ndarray) -> str:
    """From where to where the cosine rises most, in words; "" where by 0.05 or less."""
    risen = cosine - np.minimum.accumulate(cosine)
    top = int(risen.argmax())
    low = int(cosine[: top + 1].argmin())
    places = [f"{cosine[at]:.2f} {plots.when(epochs[at])}" for at in (low, top)]
    return f"; its cosine falls to {places[0]} and rises again to {places[1]}" if risen[top] > 0.05 else ""


def finding(result: Result, settings: Settings) -> str:
    cosine, scale = result.films_cosine.mean(axis=0), np.median(result.noise_scale, axis=0)
    over = between(result)
    verdict = f"stops being 'pretty good' {over}" if over else "stays 'pretty good'"
    return (
        f"A batch of {FILMS_BATCH} points along the full gradient with cosine {cosine[0]:.3f} at the start, "
        f"{cosine[-1]:.2f} {plots.when(result.epochs[-1])} (means of the seeds), as B_simple goes from "
        f"{scale[0]:.2g} to {scale[-1]:,.0f} (medians): it {verdict} "
        f"(cosine {PRETTY_GOOD} or more){rise(result.epochs, cosine)}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    shown = [index for index, epochs in enumerate(result.epochs) if epochs in SHOWN]
    looks = over_between(result.epochs, result.films_cosine.mean(axis=0))
    return {
        "minibatch_quality": drawn.quality(result, shown),
        "noise_scale": drawn.noise(result, FILMS_BATCH, PRETTY_GOOD, looks, between(result)),
    }
