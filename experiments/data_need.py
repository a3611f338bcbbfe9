"""How much data does the network need, and how clean must the labels be?

The film's closing point is that learning like this needs a lot of labelled examples, and that people had to label
them. Here two recipes are trained: Nielsen's (784-30-10, cross-entropy), whose nine numbers are known, and the film's
network with the film's cost. (a) On N of the images, N = 100 to 50,000, always with the same number of steps. (b) On
all images, a share of whose labels is wrong, each drawn from the other classes. (c) With the gradients of the single
images: does |g_i|, or the cost C_i, tell which labels are wrong? For the film's cost, sorting by C_i is sorting by
|dC_i/da|, the nudges that the outputs want; what |g_i| has besides are the slopes of the sigmoid, and the images.
(d) How many people must label every image, if the most frequent label counts, until no more labels are wrong than
cost one point by (b)?

Run:     python -m experiments.data_need [--quick | --full]
Time:    default 80 s, --quick 12 s, --full 6 min (on busy cores) on 2 cores, compilation included
Result:  784-30-10 comes within 0.7 points of Nielsen's numbers for N of 1,000 and more, within 3.3 below; its error
         falls as N^-0.30 (his: N^-0.345). 10 % wrong labels cost a point, 50 % five; hardly any are learned by heart in
         5 epochs. Sorted by the cost, wrong labels stand out (area 0.99), by |g_i| less so: 0.96 with cross-entropy,
         0.86 with the film's cost, where the claim of 0.9 fails: the slope of the sigmoid silences outputs that are
         sure of themselves, as those are that disagree with a wrong label (after 1 epoch, one seed: |dC_i/da| 0.99,
         times the slope 0.82, |g_i| 0.78). If everyone is wrong 40 % of the time, 6 votes an image leave 10 % wrong
         (5 seeds)
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import PyTree

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim, worst
from experiments.figures import data_need as figures
from research import costs, models, statistics, training
from research.data import Examples, unit_interval
from research.models import Layer
from research.training import History, TrainState

NAME = Path(__file__).stem
BATCH = 10
SIZES = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
# fig/more_data.json of Nielsen's book. Taken over from its program: 784-30-10, cross-entropy of sigmoid outputs, all
# parameters from N(0, 1), batches of 10, learning rate 0.5, his lambda = 0.0001 N (the weights, not the biases, decay
# by 0.5 * 0.0001 a step, whatever N), and that every N gets 1,500,000 examples' worth of steps: 150,000. Not taken
# over: his are one run each, on the first N images, judged by 10,000 further training images; here every seed draws
# its own N images, each set within the next, and the 10,000 test images judge.
NIELSENS = (69.09, 76.37, 85.29, 88.85, 91.27, 93.24, 94.89, 95.85, 95.97)
NIELSENS_STEPS = 150_000
FILMS_RATE = 1.5  # Nielsen's 3.0 for the quadratic cost, without his 1/2
RATES = (0.05, 0.1, 0.2, 0.3, 0.4)  # how often one annotator is wrong
VOTERS = tuple(range(1, 32))
SIMULATED = (1, 3, 5, 10, 20)  # numbers of voters that are simulated too
VOTED = 100_000  # images in a simulated vote
FALSE_ALARMS = np.concatenate([[0], np.geomspace(1e-3, 1, 100)])
CHUNK = 1000


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the film's recipe and of what both recipes are given to learn."""

    num_seeds: int = 5
    """How many runs of each kind, each with its own start, its own images and its own wrong labels, 1 or more."""
    sizes: tuple[int, ...] = SIZES
    """Training images, rising, 10 or more each; those beyond the data set are left out."""
    num_steps: int = 30_000
    """Nielsen's recipe: steps of 10 images for every size, a multiple of 10, above 0; his are 150,000."""
    films_steps: int = 30_000
    """The film's network: the same."""
    shares: tuple[float, ...] = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
    """Shares of wrong labels, rising from 0, below 1, two or more; at the smallest two above 0 they are sought."""
    num_epochs: int = 3
    """Passes over all images with wrong labels among theirs, in batches of 10, 1 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(
            len(self.sizes) >= 2 and list(self.sizes) == sorted(set(self.sizes)) and min(self.sizes) >= BATCH,
            f"{common.typed('--sizes', self.sizes)}: give two or more, rising, each {BATCH} or more",
        )
        for name, steps in (("--num-steps", self.num_steps), ("--films-steps", self.films_steps)):
            common.require(steps >= 10 and steps % 10 == 0, f"{name} is {steps}; it must be a multiple of 10, above 0")
        rising = list(self.shares) == sorted(set(self.shares)) and len(self.shares) >= 2
        common.require(
            rising and min(self.shares) == 0 and all(share < 1 for share in self.shares),  # NaN is below nothing
            f"{common.typed('--shares', self.shares)}: give two or more, rising from 0, below 1",
        )
        common.require(self.num_epochs >= 1, f"--num-epochs is {self.num_epochs}; it must be 1 or more")


QUICK = Settings(
    num_seeds=2, sizes=(100, 1000, 10_000, 50_000), num_steps=3000, films_steps=3000, shares=(0, 0.1, 0.4), num_epochs=1
)
FULL = Settings(num_steps=NIELSENS_STEPS, num_epochs=5)


class Recipe(NamedTuple):
    """A network, its cost, how it is taught, and the quick way to its single gradients, where there is one."""

    label: str
    problem: Problem
    optimizer: optax.GradientTransformation
    factors: Callable | None
    num_steps: int  # for every size of training set
    starts: models.Params  # every leaf leads with seeds

    @property
    def step(self) -> training.Step:
        """One step on a batch."""
        return descents.make_step(self.problem, descents.Method(self.label, BATCH, self.optimizer))


def nielsens(settings: Settings, train: Examples, test: Examples, init_keys: Array) -> Recipe:
    """The recipe of his figure on more data."""
    sizes = (train.inputs.shape[-1], 30, train.targets.shape[-1])
    normal = models.unit_normal
    model = models.mlp(sizes, jax.nn.sigmoid, jax.nn.identity, init_weights=normal, init_biases=normal)
    decay = optax.add_decayed_weights(1e-4, mask=lambda params: [Layer(True, False) for _ in params])  # pyright: ignore
    problem = descents.make_problem(model, costs.sigmoid_cross_entropy, train, test)
    return Recipe(
        f"{'-'.join(map(str, sizes))}, cross-entropy",
        problem,
        optax.chain(decay, optax.sgd(0.5)),
        statistics.layer_factors(costs.sigmoid_cross_entropy, jax.nn.sigmoid, jax.nn.identity),
        settings.num_steps,
        descents.starts(problem, init_keys),
    )


def films(settings: Settings, cost_fn: Callable, train: Examples, test: Examples, init_keys: Array) -> Recipe:
    """The network and the cost of the settings, the film's by default."""
    cost = common.name_of(cost_fn)
    problem = descents.make_problem(common.make_model(settings, train), cost_fn, train, test)
    return Recipe(
        f"{'-'.join(map(str, settings.sizes_for(train)))}, {cost}",
        problem,
        optax.sgd(FILMS_RATE),
        common.layer_factors(settings, cost_fn),
        settings.films_steps,
        descents.starts(problem, init_keys),
    )


def begin(recipe: Recipe, times: int) -> TrainState:
    """Every seed's start, so many times over: leaves (times * seeds, ...)."""
    params = jax.tree.map(lambda leaf: np.tile(leaf, (times,) + (1,) * (leaf.ndim - 1)), recipe.starts)
    return TrainState(params, jax.vmap(recipe.optimizer.init)(params))


# (a) How much data?


def rows_of(rng: np.random.Generator, chosen: np.ndarray, num_steps: int) -> np.ndarray:
    """(steps, BATCH) rows of the chosen examples: shuffle after shuffle, in one line cut into batches.

    >>> sorted(rows_of(np.random.default_rng(0), np.arange(20), 2).ravel().tolist()) == list(range(20))
    True
    """
    num_shuffles = math.ceil(num_steps * BATCH / len(chosen))
    shuffles = rng.permuted(np.tile(chosen.astype(np.int32), (num_shuffles, 1)), axis=1)
    return shuffles.ravel()[: num_steps * BATCH].reshape(num_steps, BATCH)


def accuracy_by_size(settings: Settings, recipe: Recipe, sizes: list[int]) -> np.ndarray:
    """(sizes, seeds): accuracy on the test set after the recipe's steps on so many images."""
    rngs = [np.random.default_rng([settings.seed, index]) for index in range(settings.num_seeds)]
    orders = [rng.permutation(len(recipe.problem.train.inputs)) for rng in rngs]
    pairs = [(rng, order[:size]) for size in sizes for rng, order in zip(rngs, orders, strict=True)]
    rows = np.stack([rows_of(rng, chosen, recipe.num_steps) for rng, chosen in pairs])

    def loop(state: TrainState, shared: tuple[Examples, Examples], rows: Array) -> tuple[TrainState, History]:
        return training.minibatch_descent(
            recipe.step, state, shared[0], rows, lambda state: recipe.problem.accuracy(state.params, shared[1])
        )

    shared = (recipe.problem.train, recipe.problem.test)
    chunks = [(part,) for part in np.split(rows[:, None], 10, axis=2)]
    run = runs.descend(f"more data, {recipe.label}"[:28], loop, begin(recipe, len(sizes)), shared, chunks)
    return run.history.observed[:, -1].reshape(len(sizes), settings.num_seeds)


def mean_errors(accuracy: np.ndarray, num_test: int) -> np.ndarray:
    """(sizes): wrong answers in per cent, mean of the seeds; at least half an image, so that it has a logarithm."""
    return np.maximum(100 - accuracy.mean(axis=1), 50 / num_test)


def power_law(sizes: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """(a, b, R^2) of errors = a N^-b, a straight line fitted to the logarithms.

    >>> [round(number, 6) for number in power_law(np.array([1.0, 4.0, 16.0]), np.array([2.0, 1.0, 0.5]))]
    [2.0, 0.5, 1.0]
    """
    x, y = np.log(sizes), np.log(errors)
    slope, height = np.polyfit(x, y, 1)
    return float(np.exp(height)), float(-slope), float(1 - np.var(y - height - slope * x) / np.var(y))


# (b) How clean?


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


def answers(problem: Problem, params: PyTree, inputs: Array) -> Array:
    """What the network calls each image."""

    def answer(image: Array) -> Array:
        return jnp.argmax(problem.model.apply(params, unit_interval(image)))

    return jax.lax.map(answer, inputs, batch_size=min(CHUNK, len(inputs)))


class Noisy(NamedTuple):
    """What a share of wrong labels does: arrays lead with shares, seeds, epochs."""

    test: np.ndarray  # accuracy on the test set, whose labels stay right
    given: np.ndarray  # on the training set, by the labels given
    true: np.ndarray  # and by the right ones
    params: PyTree


def learn_with_wrong_labels(recipe: Recipe, given: np.ndarray, order: np.ndarray) -> Noisy:
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
    run = runs.descend(f"wrong labels, {recipe.label}"[:28], loop, begin(recipe, num_shares), shared, chunks)
    return Noisy(*jax.tree.map(lambda leaf: leaf.reshape(num_shares, num_seeds, *leaf.shape[1:]), run.history.observed))


# (c) Which are wrong?


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The share of all pairs in which the positive one scores higher, ties counting half: Mann and Whitney's U over
    the number of pairs, which is the area under the ROC curve.

    >>> auroc(np.array([3.0, 1.0]), np.array([0.0, 1.0]))
    0.875
    """
    ordered = np.sort(negative)
    below, not_above = (np.searchsorted(ordered, positive, side) for side in ("left", "right"))
    return float(np.mean(below + not_above) / (2 * len(negative)))


def caught(scores: np.ndarray, wrong: np.ndarray, false_alarms: np.ndarray) -> np.ndarray:
    """The ROC curve: the share of the wrong labels found where so large a share of the right ones is suspected."""
    limits = np.quantile(scores[~wrong], 1 - false_alarms)
    return np.array([np.mean(scores[wrong] > limit) for limit in limits])


def scores(recipe: Recipe, params: PyTree, train: Examples, given: Array) -> tuple[Array, Array]:
    """(|g_i|, C_i) of every image under the labels given."""
    examples = Examples(train.inputs, jax.nn.one_hot(given, train.targets.shape[-1]))
    costs = jax.lax.map(partial(recipe.problem.example_cost, params), examples, batch_size=min(CHUNK, len(given)))
    of_all = (
        statistics.layer_moments(recipe.factors) if recipe.factors else statistics.moments(recipe.problem.example_cost)
    )
    return jnp.sqrt(of_all(params, examples).squared_norms), costs


class Found(NamedTuple):
    """How well wrong labels are found: arrays lead with shares, epochs (the first, the last), seeds, scores."""

    areas: np.ndarray
    curves: np.ndarray  # and end with the false alarms


def find_wrong_labels(recipe: Recipe, noisy: Noisy, given: np.ndarray, labels: np.ndarray, at: list[int]) -> Found:
    """Seeks the wrong labels at the smallest two shares above 0, after the epochs `at`, by both scores."""
    ask = jax.jit(runs.over_seeds(partial(scores, recipe), (0, None, 0)))
    areas, curves = [], []
    for share in (1, 2)[: len(given) - 1]:
        for epoch in at:
            params = jax.tree.map(lambda leaf, share=share, epoch=epoch: leaf[share, :, epoch], noisy.params)
            both = np.stack(ask(params, recipe.problem.train, given[share]), axis=1)  # seeds, scores, examples
            wrong = given[share] != labels[None]
            pairs = [[(score, wrong[seed]) for score in each] for seed, each in enumerate(both)]
            areas.append([[auroc(score[bad], score[~bad]) for score, bad in each] for each in pairs])
            curves.append([[caught(score, bad, FALSE_ALARMS) for score, bad in each] for each in pairs])
    shape = (-1, len(at), *np.shape(areas)[1:])
    return Found(np.reshape(areas, shape), np.reshape(curves, (*shape, len(FALSE_ALARMS))))


# (d) How many annotators?


def wrong_by_vote(error_rate: float, num_voters: int, num_classes: int) -> float:
    """The probability that the label with the most votes is wrong, ties decided by lot.

    Every vote is wrong with probability p, and then equally likely each of the K - 1 others. With c right votes, the
    n - c wrong ones can fall so that j others have c as well and the rest fewer in (n-c)! [x^(n-c)] C(K-1, j)
    (x^c/c!)^j (sum_{i<c} x^i/i!)^(K-1-j) ways out of (K-1)^(n-c); then the right one wins with 1/(j + 1). For K = 2
    that is the binomial tail of Condorcet's theorem.

    >>> round(wrong_by_vote(0.1, 3, 2), 6)  # 3 p^2 (1 - p) + p^3
    0.028
    """
    right, others = 0.0, num_classes - 1
    for c in range(1, num_voters + 1):
        wrong = num_voters - c
        fewer = np.array([1 / math.factorial(i) for i in range(c)])
        ways = 0.0
        for j in range(min(others, wrong // c) + 1):
            rest = wrong - j * c  # wrong votes for those that have fewer
            spread = power_coefficient(fewer, others - j, rest)
            ways += math.comb(others, j) / math.factorial(c) ** j * spread / (j + 1)
        votes = math.comb(num_voters, c) * (1 - error_rate) ** c * (error_rate / others) ** wrong
        right += votes * math.factorial(wrong) * ways
    return 1 - right


def power_coefficient(series: np.ndarray, power: int, degree: int) -> float:
    """The coefficient of x^degree in (sum_i series_i x^i)^power.

    >>> power_coefficient(np.array([1.0, 1.0]), 4, 2)
    6.0
    """
    product = np.ones(1)
    for _ in range(power):
        product = np.convolve(product, series)[: degree + 1]
    return float(product[degree]) if degree < len(product) else 0.0


def simulated_vote(rng: np.random.Generator, error_rate: float, num_voters: int, num_classes: int) -> float:
    """The share of VOTED images whose label, class 0, loses the vote."""
    shares = [1 - error_rate] + [error_rate / (num_classes - 1)] * (num_classes - 1)
    votes = rng.multinomial(num_voters, shares, VOTED) + rng.uniform(0, 0.5, (VOTED, num_classes))  # ties by lot
    return float(np.mean(votes.argmax(axis=1) != 0))


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


def voters_needed(wrong: np.ndarray, target: float) -> list[int | None]:
    """For every error rate (rows), the fewest VOTERS whose vote is wrong at most that often; None if not among them."""
    enough = wrong <= target
    return [VOTERS[int(row.argmax())] if row.any() else None for row in enough]


# The run.


class Measured(NamedTuple):
    """All that the claims are about; lists have an entry for each recipe: Nielsen's, the film's."""

    sizes: np.ndarray
    shares: np.ndarray
    num_classes: int
    accuracy: list[np.ndarray]  # sizes, seeds; per cent
    noisy: list[Noisy]
    found: list[Found]
    votes: np.ndarray  # rates, VOTERS: exact
    same_way: np.ndarray  # the same if all who err give the same wrong label
    simulated: np.ndarray


def measure(settings: Settings, recipes: list[Recipe], shuffle_keys: Array) -> Measured:
    """All four parts."""
    train = recipes[0].problem.train
    num_examples, num_classes = train.targets.shape
    sizes = [size for size in settings.sizes if size <= num_examples]
    labels = np.asarray(train.targets).argmax(axis=1)
    given = np.stack(
        [with_wrong_labels(labels, settings.shares, num_classes, [settings.seed, index])
         for index in range(settings.num_seeds)], axis=1)  # fmt: skip
    accuracy = [100 * accuracy_by_size(settings, recipe, sizes) for recipe in recipes]
    order = descents.shuffles(shuffle_keys, num_examples, settings.num_epochs)
    noisy = [learn_with_wrong_labels(recipe, given, order) for recipe in recipes]
    at = sorted({0, settings.num_epochs - 1})
    found = [find_wrong_labels(*pair, given, labels, at) for pair in zip(recipes, noisy, strict=True)]
    exact, same_way = (
        np.array([[wrong_by_vote(rate, voters, classes) for voters in VOTERS] for rate in RATES])
        for classes in (num_classes, 2)
    )
    rng = np.random.default_rng(settings.seed)
    simulated = np.array([[simulated_vote(rng, rate, n, num_classes) for n in SIMULATED] for rate in RATES])
    return Measured(
        np.array(sizes), np.array(settings.shares), num_classes, accuracy, noisy, found, exact, same_way, simulated
    )


def target_share(measured: Measured) -> float:
    """The share of wrong labels that costs the more sensitive of the two a point, by the median of the seeds."""
    medians = (100 * np.median(noisy.test[..., -1], axis=1) for noisy in measured.noisy)
    return min(bearable(measured.shares, median) for median in medians)


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory or from claims.md and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    exact = measured.votes[:, [VOTERS.index(n) for n in SIMULATED]]
    errors = (measured.simulated - exact) / np.sqrt(exact * (1 - exact) / VOTED)
    claims = [
        claim("T44", "a vote's exact probability to be wrong against a simulated one, where 10 or more are expected",
              worst(errors[exact * VOTED >= 10]), 0.0, -4.0, 4.0, f"standard errors, worst of {errors.size}"),
    ]  # fmt: skip
    if settings.dataset == "mnist":
        claims += [*nielsen_claims(settings, measured, claim), *label_claims(measured, 0, "cross-entropy", claim)]
    if common.is_the_films(settings):
        grown = np.diff(measured.accuracy[1].mean(axis=1))
        claims += [
            claim("T42", "more data, better answers, at every size: the film's network", float(grown.min()), None, 0.0,
                  None, "% points, smallest growth of the mean"),
            *label_claims(measured, 1, "the film's cost", claim),
        ]  # fmt: skip
    return claims


def nielsen_claims(settings: Settings, measured: Measured, claim: Callable[..., Claim]) -> list[Claim]:
    """What more data do for his network; his numbers are asked for only where the steps are as many as his."""
    mean = measured.accuracy[0].mean(axis=1)
    claims = [claim("T42", "more data, better answers, at every size: 784-30-10", float(np.diff(mean).min()), None, 0.0,
                    None, "% points, smallest growth of the mean")]  # fmt: skip
    if settings.num_steps != NIELSENS_STEPS or measured.sizes.tolist() != list(SIZES):
        return claims
    off, large = mean - np.array(NIELSENS), measured.sizes >= 1000
    _, exponent, fit = power_law(measured.sizes, 100 - mean)
    _, his, _ = power_law(measured.sizes, 100 - np.array(NIELSENS))
    return [
        *claims,
        claim("E13", "784-30-10, N of 1,000 or more: accuracy less Nielsen's", worst(off[large]), 0.0, -2.0, 2.0,
              "% points, mean of the seeds, worst of 6 sizes"),
        claim("E13", "784-30-10, N below 1,000: accuracy less Nielsen's", worst(off[~large]), 0.0, -5.0, 5.0,
              "% points, mean of the seeds, worst of 3 sizes"),
        claim("E13", "the error falls as N^-b, b as in Nielsen's nine numbers", exponent, round(his, 3), his - 0.05,
              his + 0.05, "b, from the mean of the seeds"),
        claim("E13", "and a power law describes it", fit, None, 0.95, 1.0, "R^2 of the logarithms"),
    ]  # fmt: skip


def label_claims(measured: Measured, recipe: int, name: str, claim: Callable[..., Claim]) -> list[Claim]:
    """Wrong labels: hardly learned by heart, and found by |g_i|. A network that goes by the truth alone agrees with a
    share (1-p) a + p (1-a)/(K-1) of labels of which p are wrong, if it is right in a share a."""
    noisy, areas = measured.noisy[recipe], measured.found[recipe].areas
    epochs = noisy.test.shape[-1]
    truth = by_the_truth(measured.shares[:, None], noisy.true[..., -1], measured.num_classes)
    by_heart = noisy.given[..., -1] - truth
    return [
        claim("T44", f"{name}: training accuracy by wrong labels less that of a network that goes by the truth alone",
              worst(100 * by_heart.mean(axis=1)), 0.0, -2.0, 2.0,
              "% points, mean of the seeds, worst share"),
        *(claim("E13", f"{name}, {after(epoch)}: |g_i| finds the wrong labels", float(areas[:, at, :, 0].min()), None,
                0.9, 1.0, "area under the ROC curve, worst share and seed")
          for at, epoch in enumerate(sorted({1, epochs}))),
    ]  # fmt: skip


def by_the_truth(shares: np.ndarray, right: np.ndarray, num_classes: int) -> np.ndarray:
    """How often a network that is right in a share `right` agrees with labels of which `shares` are wrong at random.

    >>> float(by_the_truth(np.array(0.1), np.array(1.0), 10))
    0.9
    """
    return (1 - shares) * right + shares * (1 - right) / (num_classes - 1)


def after(epochs: int) -> str:
    """In words."""
    return f"after {epochs} epoch{'s' if epochs > 1 else ''}"


def sentence(measured: Measured, network: str) -> str:
    """What was found, in one sentence; `network` is the second recipe's, whose numbers these are."""
    accuracy, sizes, target = measured.accuracy[1].mean(axis=1), measured.sizes, target_share(measured)
    by_norm, by_cost = (np.median(measured.found[1].areas[-1, -1, :, score]) for score in (0, 1))
    need = dict(zip(RATES, voters_needed(measured.votes, target), strict=True))
    return (
        f"{sizes[0]:,} images give {network} {accuracy[0]:.1f} % right answers, {sizes[-1]:,} give "
        f"{accuracy[-1]:.1f} % (means); up to {100 * target:.0f} % wrong labels cost neither it nor Nielsen's network "
        f"more than 1 point (medians); sorted by |g_i|, wrong labels come before right ones with probability "
        f"{by_norm:.2f}, by the cost {by_cost:.2f}; of annotators wrong "
        f"{100 * RATES[-1]:.0f} % of the time, {need[RATES[-1]] or 'more than ' + str(VOTERS[-1])} an image are enough."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train, test = common.load(settings)
    count = len(train.inputs)
    common.require(
        sum(size <= count for size in settings.sizes) >= 2,
        f"{common.typed('--sizes', settings.sizes)}: {settings.dataset} has {count} training images, so give two "
        f"or more sizes of at most {count}",
    )
    _, cost_fn = common.model_and_cost(settings, train)
    facts = records.describe_data(settings.dataset, train=train, test=test)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    recipes = [nielsens(settings, train, test, init_keys), films(settings, cost_fn, train, test, init_keys)]
    with records.divergence_recorded(settings.out / NAME, settings, **facts):
        measured = measure(settings, recipes, shuffle_keys)
    claims, finding, target = (
        make_claims(settings, measured),
        sentence(measured, recipes[1].label),
        target_share(measured),
    )
    records.conclude(
        settings.out / NAME, settings, claims, arrays_for_figures(measured, len(test.inputs)), **facts, finding=finding,
        recipes=[recipe.label for recipe in recipes],
        steps=[recipe.num_steps for recipe in recipes], bearable=target,
        voters_needed=dict(zip(RATES, voters_needed(measured.votes, target), strict=True)),
    )  # fmt: skip


def arrays_for_figures(measured: Measured, num_test: int) -> dict[str, np.ndarray]:
    """All but the parameters, by name; a number ends the names of what belongs to one recipe."""
    expected = measured.votes[:, [VOTERS.index(n) for n in SIMULATED]]
    arrays = {
        "sizes": measured.sizes, "shares": measured.shares, "votes": measured.votes, "same_way": measured.same_way,
        "simulated": measured.simulated, "rates": np.array(RATES), "voters": np.array(VOTERS),
        "simulated_voters": np.array(SIMULATED), "expected": VOTED * expected, "false_alarms": FALSE_ALARMS,
        "nielsen_sizes": np.array(SIZES),
        "nielsens": np.array(NIELSENS),
    }  # fmt: skip
    for index, (accuracy, noisy, found) in enumerate(
        zip(measured.accuracy, measured.noisy, measured.found, strict=True)
    ):
        test, given, true = (part[..., -1] for part in noisy[:3])
        law = power_law(measured.sizes, mean_errors(accuracy, num_test))
        truth = measured.shares[:, None]
        arrays |= {
            f"accuracy_{index}": accuracy, f"law_{index}": np.array(law), f"test_{index}": test,
            f"given_{index}": given, f"true_{index}": true,
            f"by_the_truth_{index}": by_the_truth(truth, true, measured.num_classes),
            f"areas_{index}": found.areas, f"curves_{index}": found.curves,
        }  # fmt: skip
    return arrays


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.size_figure(record, arrays), out / NAME / f"{NAME}.png")
    plots.save(figures.noise_figure(record, arrays), out / NAME / "label_noise.png")
    plots.save(figures.roc_figure(record, arrays), out / NAME / "wrong_labels.png")
    plots.save(figures.votes_figure(record, arrays), out / NAME / "annotators.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.data_need"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
