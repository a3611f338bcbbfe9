"""If the network may guess twice, is it right 99.99 % of the time? And does it help to teach it its own second guess?

Questions of the film's readers. The film's network is trained with batches of 100; how often is the right digit its
first guess, among its first two, its first k, with Wilson's interval for each? Which digits does it take for which, and
how often is the second guess right where the first was wrong? Then it is taught again, from the same start and with the
same orders, on softer labels: its own two strongest outputs instead of the truth; the truth with a share for what else
the image looked like to it; and, as a control, the truth with that share for a digit drawn at random.

Run:     python -m experiments second_guess [--quick | --full]
Time:    default 9 s, --quick 6 s, --full 50 s on 2 cores, compilation included
Result:  no: 95.03 % with one guess, 97.69 % with two (Wilson's intervals end below 98.4 % for every seed); it takes all
         ten to reach 99.99 %. The claim of 98 to 99.5 % was made for networks of 96.5 to 98 % and does not hold for
         this one. Its own second digit in the label helps a little: +0.28 points, a random one +0.05 (10 seeds).
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge, Gt, Lt
from jax import Array
from jaxtyping import UInt8
from matplotlib.figure import Figure

from experiments.common import descents, experiment, runs
from experiments.common.bounds import of_train
from experiments.common.claims import Claim, at_least, at_most, prediction, within
from experiments.common.problem import Problem
from experiments.labels import second_guess_figures as drawn
from research import data, fits, gradients, training
from research.data import Examples
from research.models import Params

CHUNK = 1000  # images that are read at a time
CLAIMED = 0.9999  # what the reader hopes for


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the guesses."""

    learning_rate: Annotated[float, Gt(0)] = 4.0
    """Learning rate; the best that full_batch_vs_sgd found for batches of 100."""
    batch_size: Annotated[int, Ge(1), of_train] = 100
    """Examples in a mini-batch."""
    num_epochs: Annotated[int, Ge(1)] = 5
    """Passes over the training set, for each kind of labels."""
    softness: Annotated[float, Gt(0), Lt(0.5)] = 0.2
    """The share of a softened label that goes to the second digit."""


QUICK = Settings(num_seeds=2, num_epochs=2)
FULL = Settings(num_seeds=10, num_epochs=20)


class Result(NamedTuple):
    """Which guess is right, 0 the first, of every test image, for every kind of labels that taught."""

    truth: UInt8[np.ndarray, "seeds images"]
    own_top_two: UInt8[np.ndarray, "seeds images"]
    with_second: UInt8[np.ndarray, "seeds images"]
    with_random: UInt8[np.ndarray, "seeds images"]
    called: UInt8[np.ndarray, "seeds images"]  # the first guess, taught by the truth
    labels: UInt8[np.ndarray, "images"]


def top(found: np.ndarray, guesses: int) -> np.ndarray:
    """How often one of the first `guesses` guesses is right, of every seed."""
    return np.mean(found < guesses, axis=-1)


class Taught(NamedTuple):
    """What the networks that one kind of labels made answer: seeds, images, classes."""

    train_outputs: np.ndarray
    test_outputs: np.ndarray


def teach(problem: Problem, learning_rate: float, starts: Params, rows: np.ndarray, targets: np.ndarray) -> Taught:
    """Trains every seed on its own `targets` (seeds, images, classes), and reads all images with what came out."""
    optimizer = optax.sgd(learning_rate)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)
    answers = partial(outputs_of, problem)

    def of_seed(start: Params, rows: Array, targets: Array, inputs: Array, test_inputs: Array) -> tuple[Array, ...]:
        state = training.TrainState(start, optimizer.init(start))
        state, _ = training.minibatch_descent(step, state, Examples(inputs, targets), rows, lambda state: ())
        return answers(state.params, inputs), answers(state.params, test_inputs)

    run = jax.jit(runs.over_seeds(of_seed, (0, 0, 0, None, None)))
    return Taught(*map(np.asarray, run(starts, rows, targets, problem.train.inputs, problem.test.inputs)))


def outputs_of(problem: Problem, params: Params, inputs: Array) -> Array:
    """What the network answers to every image: (images, classes)."""
    return jax.lax.map(lambda one: problem.model.apply(params, data.unit_interval(one)), inputs, batch_size=CHUNK)


def ranks(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Which guess is right: how many outputs are above that of the true class; ties go to the lower index.

    >>> ranks(np.array([[0.9, 0.5, 0.7], [0.9, 0.5, 0.7]]), np.array([[1, 0, 0], [0, 1, 0]])).tolist()
    [0, 2]
    """
    order = np.argsort(-outputs, axis=-1, kind="stable")
    return (order == targets.argmax(axis=-1)[..., None]).argmax(axis=-1)


def own_top_two(outputs: np.ndarray) -> np.ndarray:
    """The two strongest outputs, scaled to a sum of 1, instead of the truth; the others 0.

    >>> own_top_two(np.array([[0.6, 0.1, 0.2]])).round(2).tolist()
    [[0.75, 0.0, 0.25]]
    """
    kept = np.where(outputs >= np.sort(outputs, axis=-1)[..., -2:-1], outputs, 0)
    return kept / np.maximum(kept.sum(axis=-1, keepdims=True), 1e-30)


def with_second(targets: np.ndarray, outputs: np.ndarray, softness: float) -> np.ndarray:
    """The truth, but for a share that goes to the strongest output among the other classes.

    >>> with_second(np.array([[1.0, 0.0, 0.0]]), np.array([[0.6, 0.1, 0.2]]), 0.2).tolist()
    [[0.8, 0.0, 0.2]]
    """
    second = np.where(targets > 0, -np.inf, outputs).argmax(axis=-1)
    return (1 - softness) * targets + softness * np.eye(targets.shape[-1])[second]


def with_random(targets: np.ndarray, softness: float, rng: np.random.Generator) -> np.ndarray:
    """The truth, but for a share that goes to another class drawn at random: the control."""
    return with_second(targets, rng.random(targets.shape), softness)


def measure(problem: Problem, settings: Settings) -> Result:
    """Teaches by the truth, then by softer labels of the network's own, from the same starts in the same orders."""
    starts, order = descents.begin(problem, settings, settings.num_epochs)
    rows = descents.in_batches(order, settings.batch_size)[:, None]
    truth, test_truth = (np.asarray(examples.targets) for examples in (problem.train, problem.test))
    everyones = np.broadcast_to(truth, (settings.num_seeds, *truth.shape))

    def taught_by(label: str, targets: np.ndarray) -> Taught:
        runs.console.print(f"{label} ...")
        taught = teach(problem, settings.learning_rate, starts, rows, targets.astype(truth.dtype))
        if not np.isfinite(taught.test_outputs).all():
            raise runs.Diverged(label, rows.shape[2])
        return taught

    def guesses(taught: Taught) -> np.ndarray:
        return ranks(taught.test_outputs, test_truth).astype(np.uint8)

    first = taught_by("the truth", everyones)
    rng = np.random.default_rng(settings.seed)
    softer = {
        "own top two": own_top_two(first.train_outputs),
        "with second": with_second(everyones, first.train_outputs, settings.softness),
        "with random": with_random(everyones, settings.softness, rng),
    }
    again = [guesses(taught_by(name, targets)) for name, targets in softer.items()]
    called, labels = (each.argmax(axis=-1).astype(np.uint8) for each in (first.test_outputs, test_truth))
    return Result(guesses(first), *again, called, labels)  # pyright: ignore[reportCallIssue]


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """C38 and E20; only for the film's network and MNIST. Intervals count test images, not seeds."""
    if not settings.is_the_films:
        return
    count = result.truth.shape[1]
    first, second = top(result.truth, 1), top(result.truth, 2)
    truth, *softer = (fits.wilson_interval(top(found, 2), count)[1].max() for found in result[:4])
    if settings.num_epochs >= FULL.num_epochs:
        yield prediction("E20", "two guesses are right in about 98 to 99.5 % of the test images",
                         100 * np.median(second), within(98, 99.5, 98.75), "%, median", "computed on 8x8 digits",
                         why="flaw: the bound came from networks of 96.5 to 98 % on 8x8 digits; this one is right in "
                         "95 % with one guess")  # fmt: skip
    yield prediction("C38", "two guesses are right 99.99 % of the time? No: the upper end of Wilson's interval is "
                     "below it", 100 * truth, at_most(100 * CLAIMED), "%, highest of all seeds",
                     "a reader's hope")  # fmt: skip
    yield prediction("C38", "not even after learning from softer labels of its own", 100 * max(softer),
                     at_most(100 * CLAIMED), "%, highest of all", "a reader's hope")  # fmt: skip
    yield prediction("E20", "more than half of the first guesses' errors are mended by the second",
                     np.min((second - first) / (1 - first)), at_least(0.5), "share, least of all seeds",
                     "a wish: half")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """Right with one guess and with two, how many it takes, and what softer labels teach."""
    num_classes = int(result.labels.max()) + 1
    shares = [100 * float(np.median(top(result.truth, guesses))) for guesses in range(1, num_classes + 1)]
    enough = next((k for k, share in enumerate(shares, 1) if share >= 100 * CLAIMED), num_classes)
    named = ("its own two strongest outputs", "the truth with its own second", "with a random second")
    gains = ", ".join(
        f"{name} {100 * np.mean(top(found, 1) - top(result.truth, 1)):+.2f} and "
        f"{100 * np.mean(top(found, 2) - top(result.truth, 2)):+.2f}"
        for name, found in zip(named, result[1:4], strict=True)
    )
    return (
        f"Right with one guess {shares[0]:.2f} %, with two {shares[1]:.2f} %; it takes {enough} guesses to be right "
        f"99.99 % of the time. Taught again on softer labels, points for one and two guesses: {gains}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """Guesses, confusions, and lessons."""
    num_classes, count = int(result.labels.max()) + 1, result.truth.shape[1]
    shares = np.stack([top(result.truth, guesses) for guesses in range(1, num_classes + 1)], axis=1)
    intervals = fits.wilson_interval(np.median(shares, axis=0), count)
    gains = {
        name: np.stack([top(getattr(result, name), guesses) - top(result.truth, guesses) for guesses in (1, 2)])
        for name in drawn.NAMES
    }
    figure = drawn.page(result, shares, intervals, gains, CLAIMED)
    drawn.plots.note(figure, f"{settings.num_epochs} epochs of batches of {settings.batch_size}")
    return {"second_guess": figure}
