"""How clean must the labels be, and can the network tell which of them are wrong?

Nielsen's recipe and the film's network with its cost are taught by all images, a share of whose labels is wrong, each
drawn from the other classes. A network that goes by the truth alone, and is right in a share a, agrees with a share
(1-p) a + p (1-a)/(K-1) of labels of which p are wrong. Then: does |g_i|, the length of one image's gradient, or its
cost C_i tell which labels are wrong? For the film's cost, sorting by C_i is sorting by |dC_i/da|; what |g_i| has
besides are the slopes of the sigmoid, and the images.

Run:     python -m experiments wrong_labels [--quick | --full]
Time:    default 50 s, --quick 12 s, --full 60 s on 2 cores, compilation included
Result:  (5 seeds) by the median 10 % wrong labels cost 0.97 points with cross-entropy (by the mean 1.03), -0.23 with
         the film's cost, 50 % 5.0 and 1.45. After 5 epochs 10 % stand out by cost (area 0.99 or more), by |g_i| less
         so: 0.96 with cross-entropy, 0.86 with the film's cost, where two claims fail (0.78 at worst, after one epoch).
"""

import dataclasses
import itertools
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Lt, MinLen
from jax import Array
from jaxtyping import Float

from experiments.common import descents, experiment, plots, runs, teaching
from experiments.common.bounds import Count, require, rising, typed
from experiments.common.claims import Claims, about, prediction, within, worst
from experiments.common.problem import Problem
from experiments.common.teaching import BATCH, CHUNK, Recipe
from experiments.labels import wrong_labels_figures as drawn
from research import fits, training
from research.data import Examples
from research.models import Params
from research.training import History, TrainState

FALSE_ALARMS = np.concatenate([[0], np.geomspace(1e-3, 1, 100)])


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the labels; every seed has its own start and its own wrong labels."""

    num_seeds: Count = 5
    """How many runs of each kind."""
    shares: Annotated[tuple[float, ...], Ge(0), Lt(1), MinLen(2), rising] = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
    """Shares of wrong labels, from 0; at the smallest two above 0 they are sought."""
    num_epochs: Annotated[int, Ge(1)] = 3
    """Passes over all images, in batches of 10."""

    def check(self) -> None:
        require(self.shares[0] == 0, f"{typed('--shares', self.shares)}: the first must be 0, labels that are right")


QUICK = Settings(num_seeds=2, shares=(0, 0.1, 0.4), num_epochs=1)
FULL = Settings(num_epochs=5)


class Learned(NamedTuple):
    """What one recipe made of the labels. Wrong ones are sought after the first epoch and after the last."""

    label: str
    test: Float[np.ndarray, "shares seeds"]  # accuracy at the end on the test set, whose labels are right
    given: Float[np.ndarray, "shares seeds"]  # on the training set, by the labels given
    true: Float[np.ndarray, "shares seeds"]  # and by the right ones
    areas: Float[np.ndarray, "sought epochs seeds 2"]  # under the ROC curve of |g_i| and of C_i
    curves: Float[np.ndarray, "epochs seeds 2 alarms"]  # at the largest share at which they are sought


class Result(NamedTuple):
    recipes: tuple[Learned, Learned]  # Nielsen's and the film's
    num_classes: int


def with_wrong_labels(labels: np.ndarray, shares: tuple[float, ...], num_classes: int, key: list[int]) -> np.ndarray:
    """(shares, examples): the labels, of which a share was replaced by one of the other classes, all alike likely. What
    is wrong at one share is wrong at every larger one."""
    rng = np.random.default_rng(key)
    rank = rng.permutation(len(labels))
    others = (labels + rng.integers(1, num_classes, len(labels))) % num_classes
    return np.stack([np.where(rank < round(share * len(labels)), others, labels) for share in shares]).astype(np.int32)


def relabelled(train: Examples, given: Array) -> Examples:
    return Examples(train.inputs, jax.nn.one_hot(given, train.targets.shape[-1]))


def learn(recipe: Recipe, given: np.ndarray, order: np.ndarray) -> tuple:
    """Trains on all images by the labels `given` (shares, seeds, examples); `order` (seeds, epochs, examples) are the
    shuffles, the same for every share. After every epoch (shares, seeds, epochs): the accuracy on the test set, on the
    training set by the labels given and by the right ones, and the parameters."""
    problem, method, starts = recipe
    step = descents.make_step(problem, method)

    def loop(state: TrainState, data: tuple, rows: Array, given: Array) -> tuple[TrainState, History]:
        train, test = data

        def observe(state: TrainState) -> tuple:
            called = teaching.answers(problem.model.apply, state.params, train.inputs)
            right = jnp.mean(called == jnp.argmax(train.targets, axis=1))
            return problem.accuracy(state.params, test), jnp.mean(called == given), right, state.params

        return training.minibatch_descent(step, state, relabelled(train, given), rows, observe)

    num_shares, num_seeds, num_examples = given.shape
    labelled = given.reshape(-1, num_examples)
    rows = np.tile(training.in_batches(order, BATCH), (num_shares, 1, 1, 1))
    chunks = [(epoch, labelled) for epoch in np.split(rows, order.shape[1], axis=1)]
    state = teaching.begin(method.optimizer, starts, num_shares)
    run = runs.descend(f"wrong labels, {method.label}"[:28], loop, state, (problem.train, problem.test), chunks)
    return jax.tree.map(lambda leaf: leaf.reshape(num_shares, num_seeds, *leaf.shape[1:]), run.history.observed)


def scores(problem: Problem, params: Params, train: Examples, given: Array) -> tuple[Array, Array]:
    """(|g_i|, C_i) of every image under the labels given."""
    examples = relabelled(train, given)
    costs = jax.lax.map(partial(problem.example_cost, params), examples, batch_size=min(CHUNK, len(given)))
    return jnp.sqrt(problem.statistics.moments(params, examples).squared_norms), costs


def caught(bad: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The ROC curve: the share of the wrong labels found where FALSE_ALARMS of the right ones are suspected."""
    return np.array([np.mean(bad > limit) for limit in np.quantile(good, 1 - FALSE_ALARMS)])


def areas_and_curves(found: tuple, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, scores) and (seeds, scores, alarms), of scores `found` for every image; `wrong` (seeds, images)."""
    pairs = [[(score[bad], score[~bad]) for score in each] for *each, bad in zip(*found, wrong, strict=True)]
    areas, curves = ([[how(*pair) for pair in each] for each in pairs] for how in (fits.auroc, caught))
    return np.array(areas), np.array(curves)


def outcome(recipe: Recipe, given: np.ndarray, labels: np.ndarray, order: np.ndarray) -> Learned:
    """Trains, and seeks the wrong labels at the smallest two shares above 0, after the first and the last epoch."""
    test, by_given, true, params = learn(recipe, given, order)
    ask = runs.over_seeds(partial(scores, recipe.problem), (0, None, 0))
    shares, epochs = range(1, len(given))[:2], sorted({0, order.shape[1] - 1})
    found = []
    for share, epoch in itertools.product(shares, epochs):
        here = jax.tree.map(lambda leaf, share=share, epoch=epoch: leaf[share, :, epoch], params)
        both = map(np.asarray, ask(here, recipe.problem.train, given[share]))
        found.append(areas_and_curves(tuple(both), given[share] != labels))
    areas, curves = (np.reshape(each, (len(shares), len(epochs), *each[0].shape)) for each in zip(*found, strict=True))
    return Learned(recipe.method.label, test[..., -1], by_given[..., -1], true[..., -1], areas, curves[-1])


def measure(problem: Problem, settings: Settings) -> Result:
    num_examples, num_classes = problem.train.targets.shape
    labels = np.asarray(problem.train.targets).argmax(axis=1)
    keys = [[settings.seed, index] for index in range(settings.num_seeds)]
    given = np.stack([with_wrong_labels(labels, settings.shares, num_classes, key) for key in keys], axis=1)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    order = descents.shuffles(shuffle_keys, num_examples, settings.num_epochs)
    recipes = teaching.nielsens(problem, init_keys), teaching.films(problem, init_keys)
    nielsens, films = (outcome(recipe, given, labels, order) for recipe in recipes)
    return Result((nielsens, films), num_classes)


def bearable(shares: np.ndarray, accuracy: np.ndarray) -> tuple[float, float]:
    """(the last share of wrong labels before the first that costs a point, and that one); twice the largest if none
    does. `accuracy` (shares) in per cent."""
    costly = np.flatnonzero(accuracy[0] - accuracy >= 1)
    around = [costly[0] - 1, costly[0]] if len(costly) else [-1, -1]
    return tuple(shares[around].tolist())


def target_shares(result: Result, settings: Settings) -> tuple[float, float]:
    """Between which shares of wrong labels the more sensitive of the two loses a point, by the median of the seeds."""
    medians = (100 * np.median(learned.test, axis=1) for learned in result.recipes)
    return min(bearable(np.array(settings.shares), median) for median in medians)


def by_the_truth(shares: np.ndarray, right: np.ndarray, num_classes: int) -> np.ndarray:
    """How often a network that is right in a share `right` (shares, seeds) agrees with labels of which `shares` are
    wrong at random."""
    wrong = shares[:, None]
    return (1 - wrong) * right + wrong * (1 - right) / (num_classes - 1)


def claims(result: Result, settings: Settings) -> Claims:
    asked = (settings.dataset == "mnist", settings.is_the_films)
    for learned, name, is_asked in zip(result.recipes, ("cross-entropy", "the film's cost"), asked, strict=True):
        if not is_asked:
            continue
        truth = by_the_truth(np.array(settings.shares), learned.true, result.num_classes)
        yield prediction("T44", f"{name}: training accuracy by wrong labels less that of a network that goes by the "
                         "truth alone", worst(100 * (learned.given - truth).mean(axis=1)), about(0, by=2),
                         "% points, mean of the seeds, worst share", "(1-p) a + p (1-a)/(K-1)")  # fmt: skip
        for at, epochs in enumerate(sorted({1, settings.num_epochs})):
            yield prediction("E13", f"{name}, after {epochs} epoch{'s' * (epochs > 1)}: |g_i| finds the wrong labels",
                             learned.areas[:, at, :, 0].min(), within(0.9, 1),
                             "area under the ROC curve, worst share and seed", "a wish: 0.9",
                             why="finding: sigma' mutes outputs that are sure and disagree with a wrong label, which "
                             "is part of it: with cross-entropy, without sigma', |g_i| finds them better, but the "
                             "cost, in which it mutes nothing, better still")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    sought, largest, film = settings.shares[:3][-1], settings.shares[-1], result.recipes[1]
    place, (by_norm, by_cost) = settings.shares.index(sought), np.median(film.areas[-1, -1], axis=0)
    drop = lambda average, at: " and ".join(
        f"{100 * (average(each.test[0]) - average(each.test[at])):.2f}" for each in result.recipes
    )
    return (
        f"{sought:.0%} wrong labels cost {' and '.join(each.label for each in result.recipes)} "
        f"{drop(np.median, place)} points (what the median of the seeds falls by; the mean falls by "
        f"{drop(np.mean, place)}), {largest:.0%} {drop(np.median, -1)}. {film.label}, {sought:.0%} wrong, after "
        f"{settings.num_epochs} epochs: they come before right ones with probability {by_norm:.2f} if sorted by |g_i|, "
        f"{by_cost:.2f} if sorted by the cost."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    shares = np.array(settings.shares)
    truth = [by_the_truth(shares, each.true, result.num_classes) for each in result.recipes]
    return {
        "label_noise": drawn.noise(result, shares, truth, target_shares(result, settings)),
        "wrong_labels": drawn.roc(result, FALSE_ALARMS, sorted({1, settings.num_epochs}), settings.shares[:3][-1]),
    }
