"""Do the images agree about which way to go, class by class, pair by pair, and does that change in training?

"At least as far as this one training example is concerned", says the film of every nudge. Here the gradients of all
training images are compared, along the training: the mean cosine between the images of every two digits; how much of
the scatter lies between the digits; how many images one image's own step helps, if all these wanted the same
(m-coherence, N |G|^2 over the mean |g_i|^2, Chatterjee and Zielinski, arXiv:2008.01217); and which pairs of images pull
hardest against each other.

Run:     python -m experiments conflicts [--quick | --full]
Time:    default 53 s, --quick 12 s or less, --full 35 s on 2 cores, compilation included; 1.0 GB
Result:  images of different digits agree at the start (mean cosine 0.60), on average no more after 30 epochs (0.00);
         one image's step does as much good as if 38,000 wanted the same, in the end 46 (medians of 10 seeds).
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from jax import Array
from jaxtyping import Float, Int

from experiments.all_examples import conflicts_figures as drawn
from experiments.common import checkpoints, plots, runs
from experiments.common.bounds import of_train, require
from experiments.common.claims import Claims, about, at_least, at_most, identity, prediction
from experiments.common.problem import Problem
from research import agreement, data, statistics
from research.agreement import Opponents
from research.data import Examples
from research.models import Params

BATCH = 100
CHECKED = 200  # images whose dot products are computed both ways
BLOCK = 250  # images that are compared with all others at a time, on a CPU
PAIRS = 6


@dataclasses.dataclass(frozen=True)
class Settings(checkpoints.Settings):
    """Settings of the training on whose way the gradients are compared, with batches of 100."""

    num_images: Annotated[int, Ge(2), of_train] = 1000
    """Training images, from the first on, among which the conflicting pairs are sought. Where the network is not made
    of plain layers, their gradients are held at once, 4 bytes a parameter each."""


QUICK = Settings(num_seeds=2, checkpoints=(1, 2), num_images=500)
FULL = Settings(num_seeds=10, checkpoints=(0.02, 0.1, 0.3, 1, 5, 30), num_images=3000)


class Looks(NamedTuple):
    """What is compared at every checkpoint."""

    cosines: Float[np.ndarray, "seeds checkpoints classes classes"]  # mean over the pairs of images
    between: Float[np.ndarray, "seeds checkpoints"]  # scatter between the classes
    within: Float[np.ndarray, "seeds checkpoints"]
    total_variance: Float[np.ndarray, "seeds checkpoints"]  # tr Sigma, from the variance of every component
    coherence: Float[np.ndarray, "seeds checkpoints"]  # m-coherence: how many images one image's step helps
    different: Float[np.ndarray, "seeds checkpoints"]  # mean cosine of two images of different classes
    same: Float[np.ndarray, "seeds checkpoints"]  # and of the same class


class Pairs(NamedTuple):
    """The first seed's most opposed pairs of images, the strongest first."""

    images: np.ndarray  # pairs, 2, height, width, channels
    labels: Int[np.ndarray, "pairs 2"]
    cosines: Float[np.ndarray, "pairs"]


class Result(NamedTuple):
    epochs: Float[np.ndarray, "checkpoints"]
    looks: Looks
    pairs: tuple[Pairs, Pairs]  # at the start and at the end
    gram_error: Float[np.ndarray, "seeds 2"] | None  # at the start and at the end; where there are two ways
    num_examples: int


def look(posed: Problem, params: Params, train: Examples) -> tuple[Array, ...]:
    """The fields of Looks for one seed at one place, from the gradients of all training images."""
    found = posed.statistics.moments(params, train)
    classes = agreement.class_agreement(posed.statistics.weighted_sums)(params, train, found.squared_norms)
    counts = jnp.sum(train.targets, axis=0)
    pairs, own = jnp.outer(counts, counts) - jnp.diag(counts), jnp.eye(len(counts))
    return (
        classes.cosines,
        classes.between,
        classes.within,
        statistics.total_variance(found),
        1 / agreement.gradient_diversity(found),
        jnp.average(classes.cosines, weights=pairs * (1 - own)),
        jnp.average(classes.cosines, weights=pairs * own),
    )


def gram_error(posed: Problem, params: Params, few: Examples) -> Array:
    """Largest difference of dot products by the outer-product identity from explicit ones, over the largest."""
    explicit = posed.explicit.dot_products(params, few, few)
    by_layers = posed.statistics.dot_products(params, few, few)
    return jnp.max(jnp.abs(explicit - by_layers)) / jnp.max(jnp.abs(explicit))


def measure(problem: Problem, settings: Settings) -> Result:
    have = len(problem.train.inputs)
    require(have >= BATCH, f"there are {have} training images; {BATCH} or more, a batch, are needed")
    points, epochs, at = checkpoints.walk(settings, problem, BATCH)
    compare = runs.over_seeds(partial(look, problem), (0, None))
    runs.console.print(f"comparing all gradients at {len(points)} checkpoints ...")
    found = zip(*(compare(params, problem.train) for params in at), strict=True)
    looks = Looks(*(np.stack(parts, axis=1) for parts in found))
    checkpoints.stop_if_stuck(epochs, looks.coherence)
    few, first = (data.take(problem.train, slice(count)) for count in (settings.num_images, CHECKED))
    ends, errors = (at[0], at[-1]), None
    at_once = problem.at_once(BLOCK, settings.num_images)
    seek = runs.over_seeds(agreement.opponents(problem.statistics.dot_products, at_once), (0, None))
    first_seed = [jax.tree.map(lambda leaf: np.asarray(leaf[0]), seek(params, few)) for params in ends]
    start, end = (pairs_of(problem, opponents) for opponents in first_seed)
    if problem.activations is not None:
        check = runs.over_seeds(partial(gram_error, problem), (0, None))
        errors = np.stack([check(params, first) for params in ends], axis=1)
    return Result(epochs, looks, (start, end), errors, have)


def pairs_of(posed: Problem, found: Opponents) -> Pairs:
    """The strongest pairs with their images."""
    one, other, cosines = zip(*strongest_pairs(found, PAIRS), strict=True)
    rows = np.stack([one, other], axis=1)
    images = np.asarray(posed.train.inputs)[rows].reshape(*rows.shape, *posed.image_shape)
    return Pairs(images, np.asarray(posed.train.targets).argmax(axis=1)[rows], np.array(cosines))


def strongest_pairs(found: Opponents, count: int) -> list[tuple[int, int, float]]:
    """(image, its opponent, cosine) of one seed, the most opposed first; no image comes twice. Each offers its worst
    opponent only: where that one is taken, its next worst is not looked for."""
    used, pairs = set(), []
    for image in np.argsort(found.cosines, kind="stable").tolist():
        partner = int(found.partners[image])
        if len(pairs) < count and not {image, partner} & used:
            pairs.append((image, partner, float(found.cosines[image])))
            used |= {image, partner}
    return pairs


def claims(result: Result, settings: Settings) -> Claims:
    looks = result.looks
    yield identity("E12", "between + within the classes = tr Sigma from the variance of every component",
                   np.max(np.abs((looks.between + looks.within) / looks.total_variance - 1)), at_most(1e-5),
                   "largest relative error", "analysis of variance")  # fmt: skip
    if result.gram_error is not None:
        yield identity("E12", f"{CHECKED} images' dot products by the outer-product identity are the explicit ones",
                       result.gram_error.max(), at_most(1e-5), "largest error over the largest product",
                       "Goodfellow arXiv:1510.01799")  # fmt: skip
    if not settings.is_the_films:
        return
    yield prediction("T20", f"images of different digits agree less after {result.epochs[-1]:g} epochs than at the "
                     "start", (looks.different[:, -1] - looks.different[:, 0]).max(), at_most(0),
                     "change of the mean cosine, largest of all seeds", "the film")  # fmt: skip
    yield prediction("E12", "in the end images of different digits hardly agree (about 0, as on 8x8 digits)",
                     np.median(looks.different[:, -1]), about(0, by=0.1), "mean cosine, median of the seeds",
                     "computed on 8x8 digits")  # fmt: skip
    yield prediction("E12", "at every look images of one digit agree more than those of different digits",
                     (looks.same - looks.different).min(), at_least(0), "mean cosine, smallest difference",
                     "the film")  # fmt: skip
    yield prediction("E12", "an image's step helps fewer others in the end: m-coherence, end over start",
                     (looks.coherence[:, -1] / looks.coherence[:, 0]).max(), at_most(1),
                     "ratio, largest of all seeds", "Chatterjee and Zielinski, arXiv:2008.01217")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    looks, last = result.looks, result.epochs[-1]
    different, same, coherence = (np.median(part, axis=0) for part in (looks.different, looks.same, looks.coherence))
    return (
        f"The mean cosine of the gradients of two images of different classes goes from {different[0]:z.2f} at the "
        f"start to {different[-1]:z.2f} {plots.when(last)}{drawn.already(result.epochs, different)}, of one class from "
        f"{same[0]:.2f} to {same[-1]:z.2f}; one image's step does as much good as if {coherence[0]:,.0f} of "
        f"{result.num_examples:,} wanted the same at the start and {coherence[-1]:,.0f} in the end (medians)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {
        "conflicts": drawn.heat(result),
        "agreement": drawn.agreement(result),
        "pairs": drawn.pairs(result, settings.num_images),
    }
