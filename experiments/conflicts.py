"""Do the images agree about which way to go, class by class, pair by pair, and does that change in training?

"At least as far as this one training example is concerned", says the film of every nudge. Here the gradients of all
training images are compared: the mean cosine between the images of every two digits, along the training; how much of
the scatter lies between the digits and how much within; how many images one image's own step helps (m-coherence,
N |G|^2 over the mean |g_i|^2, Chatterjee and Zielinski, arXiv:2008.01217); and which pairs of images pull hardest
against each other.

Run:     python -m experiments.conflicts [--quick | --full]
Time:    default 53 s, --quick 12 s or less, --full 65 s on 2 cores, compilation included; 740 MB
Result:  images of different digits agree at the start (mean cosine 0.60) and are at right angles from a fiftieth of
         an epoch to the end (0.00); those of one digit go from 0.98 to 0.22. One image's step helps 38,000 images at
         the start, 46 after 30 epochs (medians of 10 seeds)
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import PyTree

from experiments.common import checkpoints, descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import conflicts as figures
from research import agreement, data, statistics
from research.agreement import Agreement, Opponents
from research.data import Examples

NAME = Path(__file__).stem
BATCH = 100
CHECKED = 200  # images whose dot products are computed both ways
BLOCK = 250  # images that are compared with all others at once
PAIRS = 6


@dataclasses.dataclass(frozen=True)
class Settings(checkpoints.Settings):
    """Settings of the training on whose way the gradients are compared, with batches of 100."""

    num_images: int = 1000
    """Training images, from the first on, among which the conflicting pairs are sought, 2 up to all of them. Where an
    activation does not take each number alone, their gradients are held at once, 4 bytes a parameter each."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(self.num_images >= 2, f"--num-images is {self.num_images}; it must be 2 or more")


QUICK = Settings(num_seeds=2, checkpoints=(1, 2), num_images=500)
FULL = Settings(num_seeds=10, checkpoints=(0.02, 0.1, 0.3, 1, 5, 30), num_images=3000)


class Ways(NamedTuple):
    """How the gradients are compared."""

    moments: Callable
    sums: Callable
    products: Callable


def ways(problem: Problem, factors: Callable | None) -> Ways:
    """By the layers' factors, with no gradient held; without them explicitly, for any network."""
    if factors is None:
        one = problem.example_cost
        return Ways(statistics.moments(one), statistics.weighted_sums(one), agreement.dot_products(one))
    by_layers = (statistics.layer_moments, statistics.layer_weighted_sums, agreement.layer_dot_products)
    return Ways(*(way(factors) for way in by_layers))


class Look(NamedTuple):
    """What is compared at one place."""

    agreement: Agreement
    trace: Array  # tr Sigma, from the variance of every component
    coherence: Array  # how many images one image's step helps
    different: Array  # mean cosine of two images of different classes
    same: Array  # and of the same class


def look(way: Ways, params: PyTree, train: Examples) -> Look:
    """Compares the gradients of all training images."""
    found = way.moments(params, train)
    between = agreement.class_agreement(way.sums)(params, train, found.squared_norms)
    counts = jnp.sum(train.targets, axis=0)
    pairs = jnp.outer(counts, counts) - jnp.diag(counts)
    own = jnp.eye(len(counts))
    return Look(
        agreement=between,
        trace=statistics.trace(found),
        coherence=1 / statistics.gradient_diversity(found),
        different=jnp.average(between.cosines, weights=pairs * (1 - own)),
        same=jnp.average(between.cosines, weights=pairs * own),
    )


def gram_error(problem: Problem, factors: Callable, params: PyTree, few: Examples) -> Array:
    """Largest difference of dot products by the outer-product identity from explicit ones, over the largest."""
    explicit = agreement.dot_products(problem.example_cost)(params, few, few)
    by_layers = agreement.layer_dot_products(factors)(params, few, few)
    return jnp.max(jnp.abs(explicit - by_layers)) / jnp.max(jnp.abs(explicit))


class Measured(NamedTuple):
    """All that the claims are about; arrays lead with seeds, then checkpoints."""

    epochs: np.ndarray  # checkpoints
    looks: Look
    opponents: list[Opponents]  # at the start and at the end: seeds, images
    gram_error: np.ndarray | None  # seeds, (start, end); where there are two ways
    num_examples: int


def measure(settings: Settings, problem: Problem, factors: Callable | None) -> Measured:
    """Trains, compares the gradients at every checkpoint, and seeks the conflicting pairs at the first and the last."""
    points, epochs, at = checkpoints.walk(settings, problem, BATCH)
    way = ways(problem, factors)
    compare = jax.jit(runs.over_seeds(partial(look, way), (0, None)))
    runs.console.print(f"comparing all gradients at {len(points)} checkpoints ...")
    looks = jax.tree.map(
        lambda *parts: np.stack(parts, axis=1), *(compare(params, problem.train) for params in at)
    )  # fmt: skip
    checkpoints.stop_if_stuck(epochs, looks.coherence)
    few, first = (common.first(problem.train, count) for count in (settings.num_images, CHECKED))
    seek = jax.jit(runs.over_seeds(agreement.opponents(way.products, BLOCK), (0, None)))
    errors = None
    if factors is not None:
        check = jax.jit(runs.over_seeds(partial(gram_error, problem, factors), (0, None)))
        errors = np.stack([check(params, first) for params in (at[0], at[-1])], axis=1)
    return Measured(
        epochs=epochs,
        looks=looks,
        opponents=[jax.tree.map(np.asarray, seek(params, few)) for params in (at[0], at[-1])],
        gram_error=errors,
        num_examples=len(problem.train.inputs),
    )


def strongest_pairs(found: Opponents, count: int) -> list[tuple[int, int, float]]:
    """(image, its opponent, cosine) of one seed, the most opposed first; no image comes twice.

    Each image offers its worst opponent only: where that one is taken, its next worst is not looked for.

    >>> strongest_pairs(Opponents(np.array([-0.9, -0.5, -0.9, -0.2]), np.array([2, 0, 0, 1])), 6)
    [(0, 2, -0.9), (3, 1, -0.2)]
    """
    used, pairs = set(), []
    for image in np.argsort(found.cosines, kind="stable").tolist():
        partner = int(found.partners[image])
        if len(pairs) < count and not {image, partner} & used:
            pairs.append((image, partner, float(found.cosines[image])))
            used |= {image, partner}
    return pairs


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory or from claims.md and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    looks, epochs = measured.looks, measured.epochs
    parts = looks.agreement.between + looks.agreement.within
    claims = [
        claim("E12", "between + within the classes = tr Sigma from the variance of every component",
              float(np.max(np.abs(parts / looks.trace - 1))), 0.0, 0.0, 1e-5, "largest relative error"),
    ]  # fmt: skip
    if measured.gram_error is not None:
        claims += [
            claim("E12", f"dot products of {CHECKED} images' gradients by the outer-product identity are the explicit",
                  float(measured.gram_error.max()), 0.0, 0.0, 1e-5, "largest error over the largest product"),
        ]  # fmt: skip
    if common.is_the_films(settings):
        fall = looks.different[:, -1] - looks.different[:, 0]
        coherence = looks.coherence[:, -1] / looks.coherence[:, 0]
        claims += [
            claim("T20", f"images of different digits agree less after {epochs[-1]:g} epochs than at the start",
                  float(fall.max()), None, None, 0.0, "change of the mean cosine, largest of all seeds"),
            claim("E12", "in the end they hardly agree at all (on 8 x 8 digits the mean cosine fell to about 0)",
                  float(np.median(looks.different[:, -1])), 0.0, -0.1, 0.1, "mean cosine, median of the seeds"),
            claim("E12", "images of one digit agree more than images of different digits, at every checkpoint",
                  float((looks.same - looks.different).min()), None, 0.0, None, "mean cosine, smallest difference"),
            claim("E12", "an image's step helps fewer others in the end: m-coherence over that at the start",
                  float(coherence.max()), None, None, 1.0, "ratio, largest of all seeds"),
        ]  # fmt: skip
    return claims


def sentence(measured: Measured) -> str:
    """What was found, in one sentence."""
    looks, last = measured.looks, measured.epochs[-1]
    different, same, coherence = (np.median(part, axis=0) for part in (looks.different, looks.same, looks.coherence))
    return (
        f"The mean cosine of the gradients of two images of different classes goes from {different[0]:z.2f} at the "
        f"start to {different[-1]:z.2f} after {last:g} epochs, of one class from {same[0]:.2f} to {same[-1]:z.2f}; one "
        f"image's step helps {coherence[0]:,.0f} images at the start and {coherence[-1]:,.0f} in the end."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train, test = common.load(settings)
    check_images(settings, train)
    model, cost_fn = common.model_and_cost(settings, train)
    facts = records.describe_data(settings.dataset, train=train)
    factors = common.layer_factors(settings, cost_fn)
    with records.divergence_recorded(settings.out / NAME, settings, **facts):
        measured = measure(settings, descents.make_problem(model, cost_fn, train, test), factors)
    claims, finding = make_claims(settings, measured), sentence(measured)
    records.conclude(
        settings.out / NAME, settings, claims, arrays_for_figures(settings, measured, train), **facts, finding=finding,
        layer_sizes=settings.sizes_for(train),
    )  # fmt: skip


def check_images(settings: Settings, train: Examples) -> None:
    """Raises common.SettingsError unless the images that are asked for, and a batch, are there."""
    common.require(
        len(train.inputs) >= BATCH,
        f"--dataset {settings.dataset} has {len(train.inputs)} training images; {BATCH} or more, a batch, are needed",
    )
    common.require_images(settings, "--num-images", settings.num_images, train, least=2)


def arrays_for_figures(settings: Settings, measured: Measured, train: Examples) -> dict[str, np.ndarray]:
    """The looks by name; and the first seed's strongest pairs at the start (0) and at the end (1)."""
    looks = measured.looks
    shape = data.image_shape(settings.dataset, data_dir=settings.data_dir)
    labels = np.asarray(train.targets).argmax(axis=1)
    arrays = {
        "epochs": measured.epochs, "cosines": looks.agreement.cosines, "between": looks.agreement.between,
        "within": looks.agreement.within, "coherence": looks.coherence, "different": looks.different,
        "same": looks.same,
    }  # fmt: skip
    for when, found in enumerate(measured.opponents):
        pairs = strongest_pairs(jax.tree.map(lambda leaf: leaf[0], found), PAIRS)
        rows = np.array([pair[:2] for pair in pairs])
        arrays |= {
            f"pair_images_{when}": np.asarray(train.inputs)[rows].reshape(*rows.shape, *shape),
            f"pair_labels_{when}": labels[rows],
            f"pair_cosines_{when}": np.array([pair[2] for pair in pairs]),
        }
    return arrays


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.heat_figure(record, arrays), out / NAME / f"{NAME}.png")
    plots.save(figures.agreement_figure(record, arrays), out / NAME / "agreement.png")
    plots.save(figures.pairs_figure(record, arrays), out / NAME / "pairs.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.conflicts"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
