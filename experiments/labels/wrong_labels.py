"""How clean must the labels be, and can the network tell which of them are wrong?

People had to label the images. Two recipes, Nielsen's (784-30-10, cross-entropy) and the film's network with the film's
cost, are taught by all images, a share of whose labels is wrong, each drawn from the other classes. A network that goes
by the truth alone agrees with a share (1-p) a + p (1-a)/(K-1) of labels of which p are wrong, if it is right in a share
a. Then, with the gradients of the single images: does |g_i|, or the cost C_i, tell which labels are wrong? For the
film's cost, sorting by C_i is sorting by |dC_i/da|, the nudges that the outputs ask for; what |g_i| has besides are the
slopes of the sigmoid, and the images.

Run:     python -m experiments wrong_labels [--quick | --full]
Time:    default 50 s, --quick 12 s, --full 3 min on 2 cores, compilation included
Result:  10 % wrong labels cost a point, 50 % five; hardly any are learned by heart in 5 epochs. Sorted by the cost,
         wrong labels stand out (area 0.99), by |g_i| less so: 0.96 with cross-entropy, 0.86 with the film's cost, where
         the claim of 0.9 fails: the slope of the sigmoid silences outputs that are sure of themselves, as those are
         that disagree with a wrong label (after 1 epoch, one seed: |dC_i/da| 0.99, times the slope 0.82, |g_i| 0.78)
         (5 seeds).
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Lt, MinLen
from jax import Array
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.common import descents, experiment, recipes, runs
from experiments.common.bounds import require, rising, typed
from experiments.common.claims import Claim, about, prediction, within, worst
from experiments.common.problem import Problem
from experiments.common.recipes import BATCH, Recipe
from experiments.labels import wrong_labels_figures as drawn
from research import fits, training
from research.data import Examples, unit_interval
from research.models import Params
from research.training import History, TrainState

FALSE_ALARMS = np.concatenate([[0], np.geomspace(1e-3, 1, 100)])
CHUNK = 1000


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the labels; every seed has its own start and its own wrong labels."""

    num_seeds: Annotated[int, Ge(1)] = 5
    """How many runs of each kind."""
    shares: Annotated[tuple[float, ...], Ge(0), Lt(1), MinLen(2), rising] = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
    """Shares of wrong labels, from 0; at the smallest two above 0 they are sought."""
    num_epochs: Annotated[int, Ge(1)] = 3
    """Passes over all images, in batches of 10."""

    def check(self) -> None:
        """The first share is the clean one."""
        require(self.shares[0] == 0, f"{typed('--shares', self.shares)}: the first must be 0, labels that are right")


QUICK = Settings(num_seeds=2, shares=(0, 0.1, 0.4), num_epochs=1)
FULL = Settings(num_epochs=5)


class Learned(NamedTuple):
    """What one recipe made of the labels, at the end."""

    label: str
    test: Float[np.ndarray, "shares seeds"]  # accuracy on the test set, whose labels are right
    given: Float[np.ndarray, "shares seeds"]  # on the training set, by the labels given
    true: Float[np.ndarray, "shares seeds"]  # and by the right ones
    areas: Float[np.ndarray, "sought epochs seeds 2"]  # under the ROC curve of |g_i| and of C_i
    curves: Float[np.ndarray, "sought epochs seeds 2 alarms"]


class Result(NamedTuple):
    """Nielsen's recipe and the film's."""

    recipes: tuple[Learned, Learned]
    num_classes: int


def with_wrong_labels(labels: np.ndarray, shares: tuple[float, ...], num_classes: int, key: list[int]) -> np.ndarray:
    """(shares, examples): the labels, of which a share was replaced by one of the other classes, all alike likely.

    What is wrong at one share is wrong at every larger one.

    >>> with_wrong_labels(np.array([0, 1, 1]), (0, 0.67), 2, [0]).sum(axis=1).tolist() != [2, 2]
    True
    """
    rng = np.random.default_rng(key)
    rank = rng.permutation(len(labels))
    others = (labels + rng.integers(1, num_classes, len(labels))) % num_classes
    return np.stack([np.where(rank < round(share * len(labels)), others, labels) for share in shares]).astype(np.int32)


def answers(problem: Problem, params: Params, inputs: Array) -> Array:
    """What the network calls each image."""

    def answer(image: Array) -> Array:
        return jnp.argmax(problem.model.apply(params, unit_interval(image)))

    return jax.lax.map(answer, inputs, batch_size=min(CHUNK, len(inputs)))


class Taught(NamedTuple):
    """A recipe taught by wrong labels: arrays lead with shares, seeds, epochs."""

    test: np.ndarray
    given: np.ndarray
    true: np.ndarray
    params: Params


def learn_with_wrong_labels(recipe: Recipe, given: np.ndarray, order: np.ndarray) -> Taught:
    """Trains on all images by the labels `given` (shares, seeds, examples), looking after every epoch; `order` (seeds,
    epochs, examples) are the shuffles, the same for every share."""
    num_shares, num_seeds, num_examples = given.shape
    labelled = given.reshape(-1, num_examples)

    def loop(state: TrainState, shared: tuple, rows: Array, given: Array) -> tuple[TrainState, History]:
        train, test = shared
        taught = Examples(train.inputs, jax.nn.one_hot(given, train.targets.shape[-1]))

        def observe(state: TrainState) -> tuple:
            called = answers(recipe.problem, state.params, train.inputs)
            right = jnp.mean(called == jnp.argmax(train.targets, axis=1))
            return recipe.problem.accuracy(state.params, test), jnp.mean(called == given), right, state.params

        return training.minibatch_descent(recipe.step, state, taught, rows, observe)

    legs = [descents.in_batches(order[:, [epoch]], BATCH)[:, None] for epoch in range(order.shape[1])]
    chunks = [(np.tile(rows, (num_shares, 1, 1, 1)), labelled) for rows in legs]
    shared = (recipe.problem.train, recipe.problem.test)
    run = runs.descend(f"wrong labels, {recipe.label}"[:28], loop, recipes.begin(recipe, num_shares), shared, chunks)
    return Taught(
        *jax.tree.map(lambda leaf: leaf.reshape(num_shares, num_seeds, *leaf.shape[1:]), run.history.observed)
    )


def caught(scores: np.ndarray, wrong: np.ndarray, false_alarms: np.ndarray) -> np.ndarray:
    """The ROC curve: the share of the wrong labels found where so large a share of the right ones is suspected."""
    limits = np.quantile(scores[~wrong], 1 - false_alarms)
    return np.array([np.mean(scores[wrong] > limit) for limit in limits])


def scores(recipe: Recipe, params: Params, train: Examples, given: Array) -> tuple[Array, Array]:
    """(|g_i|, C_i) of every image under the labels given."""
    examples = Examples(train.inputs, jax.nn.one_hot(given, train.targets.shape[-1]))
    one = partial(recipe.problem.example_cost, params)
    costs = jax.lax.map(one, examples, batch_size=min(CHUNK, len(given)))
    return jnp.sqrt(recipe.problem.statistics.moments(params, examples).squared_norms), costs


def find_wrong_labels(
    recipe: Recipe, taught: Taught, given: np.ndarray, labels: np.ndarray, at: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Seeks the wrong labels at the smallest two shares above 0, after the epochs `at`, by both scores: areas
    (shares, epochs, seeds, scores) and ROC curves, which end with the false alarms."""
    ask = jax.jit(runs.over_seeds(partial(scores, recipe), (0, None, 0)))
    areas, curves = [], []
    for share in (1, 2)[: len(given) - 1]:
        for epoch in at:
            params = jax.tree.map(lambda leaf, share=share, epoch=epoch: leaf[share, :, epoch], taught.params)
            both = np.stack(ask(params, recipe.problem.train, given[share]), axis=1)  # seeds, scores, examples
            wrong = given[share] != labels[None]
            pairs = [[(score, wrong[seed]) for score in each] for seed, each in enumerate(both)]
            areas.append([[fits.auroc(score[bad], score[~bad]) for score, bad in each] for each in pairs])
            curves.append([[caught(score, bad, FALSE_ALARMS) for score, bad in each] for each in pairs])
    shape = (-1, len(at), *np.shape(areas)[1:])
    return (np.reshape(areas, shape), np.reshape(curves, (*shape, len(FALSE_ALARMS))))


def measure(problem: Problem, settings: Settings) -> Result:
    """Both recipes are taught by every share of wrong labels, and asked for them."""
    num_examples, num_classes = problem.train.targets.shape
    labels = np.asarray(problem.train.targets).argmax(axis=1)
    keys = [[settings.seed, index] for index in range(settings.num_seeds)]
    given = np.stack([with_wrong_labels(labels, settings.shares, num_classes, key) for key in keys], axis=1)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    order = descents.shuffles(shuffle_keys, num_examples, settings.num_epochs)
    at = sorted({0, settings.num_epochs - 1})
    found = []
    for recipe in (recipes.nielsens(problem, init_keys), recipes.films(problem, init_keys)):
        taught = learn_with_wrong_labels(recipe, given, order)
        ends = (part[..., -1] for part in taught[:3])
        found.append(Learned(recipe.label, *ends, *find_wrong_labels(recipe, taught, given, labels, at)))  # pyright: ignore
    return Result((found[0], found[1]), num_classes)


def bearable(shares: np.ndarray, accuracy: np.ndarray, points: float = 1.0) -> float:
    """The first share of wrong labels that costs so many points, by straight lines between those tried; the largest
    tried if none does. `accuracy` (shares) in per cent.

    >>> bearable(np.array([0.0, 0.1, 0.2]), np.array([95.0, 94.5, 93.5]))
    0.15
    """
    lost = accuracy[0] - accuracy
    over = np.flatnonzero(lost >= points)
    if not len(over):
        return float(shares[-1])
    last, first = over[0] - 1, over[0]
    part = (points - lost[last]) / (lost[first] - lost[last])
    return round(float(shares[last] + part * (shares[first] - shares[last])), 6)


def target_share(result: Result, settings: Settings) -> float:
    """The share of wrong labels that costs the more sensitive of the two a point, by the median of the seeds."""
    medians = (100 * np.median(learned.test, axis=1) for learned in result.recipes)
    return min(bearable(np.array(settings.shares), median) for median in medians)


def by_the_truth(shares: np.ndarray, right: np.ndarray, num_classes: int) -> np.ndarray:
    """How often a network that is right in a share `right` agrees with labels of which `shares` are wrong at random.

    >>> float(by_the_truth(np.array(0.1), np.array(1.0), 10))
    0.9
    """
    return (1 - shares) * right + shares * (1 - right) / (num_classes - 1)


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """T44 and E13, for the data and the networks that they are about."""
    if settings.dataset == "mnist":
        yield from label_claims(result, 0, "cross-entropy", settings)
    if settings.is_the_films:
        yield from label_claims(result, 1, "the film's cost", settings)


def label_claims(result: Result, recipe: int, name: str, settings: Settings) -> Iterator[Claim]:
    """Wrong labels are hardly learned by heart, and are found by |g_i|."""
    learned = result.recipes[recipe]
    truth = by_the_truth(np.array(settings.shares)[:, None], learned.true, result.num_classes)
    yield prediction("T44", f"{name}: training accuracy by wrong labels less that of a network that goes by the truth "
                     "alone", worst(100 * (learned.given - truth).mean(axis=1)), about(0, by=2),
                     "% points, mean of the seeds, worst share", "(1-p) a + p (1-a)/(K-1)")  # fmt: skip
    for at, epochs in enumerate(sorted({1, settings.num_epochs})):
        yield prediction("E13", f"{name}, after {epochs} epoch{'s' * (epochs > 1)}: |g_i| finds the wrong labels",
                         learned.areas[:, at, :, 0].min(), within(0.9, 1),
                         "area under the ROC curve, worst share and seed", "a wish: 0.9",
                         why="finding: sigma' mutes outputs that are sure and disagree with a wrong label; the cost "
                         "itself, without sigma', tells them apart")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """What wrong labels cost, and who finds them."""
    areas = result.recipes[1].areas[-1, -1]
    by_norm, by_cost = np.median(areas, axis=0)
    target, largest = 100 * target_share(result, settings), 100 * settings.shares[-1]
    lost = max(100 * (np.median(each.test[0]) - np.median(each.test[-1])) for each in result.recipes)
    return (
        f"Up to {target:.0f} % wrong labels cost neither network more than 1 point (medians), {largest:.0f} % cost "
        f"{lost:.1f}. {result.recipes[1].label}: sorted by |g_i|, wrong labels come before right ones with probability "
        f"{by_norm:.2f}, by the cost {by_cost:.2f}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """What wrong labels cost, and who finds them."""
    truth = [by_the_truth(np.array(settings.shares)[:, None], each.true, result.num_classes) for each in result.recipes]
    target = target_share(result, settings)
    return {
        "label_noise": drawn.noise(result, np.array(settings.shares), truth, target),
        "wrong_labels": drawn.roc(result, FALSE_ALARMS, sorted({1, settings.num_epochs}), settings.shares[:3][-1]),
    }
