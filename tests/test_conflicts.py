"""Who agrees with whom, on a few real digits and on made-up gradients."""

import jax
import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEDIAN, make_examples, make_params
from test_statistics import rows

from experiments.all_examples import conflicts, conflicts_figures
from experiments.all_examples.conflicts import Looks, Pairs, Result, Settings
from experiments.common import checkpoints, runs
from experiments.common.problem import Problem
from research import costs
from research.agreement import Opponents
from research.models import mlp

SMALLEST = Settings(num_seeds=2, checkpoints=(0.5, 2), num_images=30, layer_sizes=(784, 3, 10))


def test_the_training_reaches_the_last_checkpoint():
    assert [checkpoints.Settings(checkpoints=(last,)).num_epochs for last in (0.3, 2, 2.7)] == [1, 2, 3]


def test_mean_cosines_are_those_of_all_pairs_where_the_network_is_not_of_plain_layers(x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 23)
    problem = Problem(mlp((12, 5, 6, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    look = jax.jit(lambda params, train: Looks(*conflicts.look(problem, params, train)))
    found = look(params, examples)
    saturated = jax.tree.map(lambda leaf: 1e30 * leaf, params)
    assert not np.isfinite(look(saturated, examples).coherence)  # for which checkpoints.stop_if_stuck looks
    gs, labels = rows(params, examples), np.asarray(examples.targets).argmax(axis=1)
    units = gs / np.linalg.norm(gs, axis=1, keepdims=True)
    cosines, alike = units @ units.T, labels[:, None] == labels
    assert float(found.different) == pytest.approx(cosines[~alike].mean(), rel=1e-10)
    assert float(found.same) == pytest.approx(cosines[alike & ~np.eye(23, dtype=bool)].mean(), rel=1e-10)
    np.testing.assert_allclose(
        jax.jit(problem.statistics.dot_products)(params, examples, examples), gs @ gs.T, rtol=1e-9, atol=1e-12
    )
    assert float(found.total_variance) == pytest.approx(gs.var(axis=0).sum(), rel=1e-9)
    assert float(found.coherence) == pytest.approx(23 * (gs.mean(axis=0) ** 2).sum() / (gs**2).sum(axis=1).mean())


def looks_of(gradients, classes):
    """The fields of Looks from the rows of gradients and of one-hot classes."""
    counts, mean, num_examples = classes.sum(axis=0), gradients.mean(axis=0), len(classes)
    total, squares = gradients.var(axis=0).sum(), (gradients**2).sum(axis=1)
    between = counts / num_examples @ ((classes.T @ gradients / counts[:, None] - mean) ** 2).sum(axis=1)
    units = classes.T @ (gradients / np.sqrt(squares)[:, None])
    sums, pairs = units @ units.T - np.diag(counts), np.outer(counts, counts) - np.diag(counts)
    different, same = np.sum(sums - np.diag(sums.diagonal())), sums.trace()
    weights = np.sum(pairs - np.diag(pairs.diagonal())), pairs.trace()
    coherence = num_examples * mean @ mean / squares.mean()
    return sums / pairs, between, total - between, total, coherence, different / weights[0], same / weights[1]


def assert_they_are_the_strongest_pairs_of(gradients, pairs, train):
    units = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    cosines, few = units @ units.T, train.inputs[: len(units)]
    rows = (pairs.images.reshape(-1, 1, 784) == few).all(axis=2).argmax(axis=1).reshape(-1, 2)
    np.testing.assert_array_equal(pairs.images, few[rows].reshape(pairs.images.shape))
    np.testing.assert_array_equal(pairs.labels, train.targets.argmax(axis=1)[rows])
    np.testing.assert_allclose(pairs.cosines, cosines[tuple(rows.T)], rtol=1e-3, atol=1e-5)
    assert pairs.cosines[0] == pytest.approx(cosines.min(), rel=1e-3)


def test_the_looks_and_the_pairs_are_those_of_plain_descent_at_its_checkpoints(ran):
    result, settings = ran("conflicts")[0].result, ran("conflicts")[0].settings
    train, _, starts, _ = plain.begin(settings)
    orders = plain.shuffles(settings, 600, 2)
    for seed, (start, order) in enumerate(zip(starts, orders, strict=True)):
        passed = plain.descend(start, train, order.reshape(-1, 100), settings.learning_rate)
        places = [plain.flat(plain.gradients(passed[at], train), leading=1) for at in (0, 3, 12)]
        for at, gradients in enumerate(places):
            for found, wanted in zip(result.looks, looks_of(gradients, train.targets), strict=True):
                np.testing.assert_allclose(found[seed, at], wanted, rtol=1e-3, atol=1e-5)
        for gradients, pairs in zip((places[0], places[-1]), result.pairs, strict=True):
            if seed == 0:
                assert_they_are_the_strongest_pairs_of(gradients[: settings.num_images], pairs, train)


def test_no_image_comes_twice_in_the_strongest_pairs():
    found = Opponents(np.array([-0.5, -0.9, -0.8, -0.9, -0.1]), np.array([4, 3, 1, 1, 0]))
    assert conflicts.strongest_pairs(found, 3) == [(1, 3, -0.9), (0, 4, -0.5)]
    assert conflicts.strongest_pairs(found, 1) == [(1, 3, -0.9)]


def test_where_no_gradient_is_left_one_sentence_says_so():
    epochs, fine = np.array([0.0, 0.5, 2.0]), np.ones((2, 3))
    assert checkpoints.stop_if_stuck(epochs, fine) is None
    with pytest.raises(
        runs.Diverged, match=r"no example has a gradient after 0.5 epochs of training, .* lower the learning rate"
    ):
        checkpoints.stop_if_stuck(epochs, np.where(np.arange(3) > 0, np.array([[1.0], [np.nan]]), fine))


START, END = np.eye(2)
LAST_START, LAST_END = np.outer(LAST_OFF, START), np.outer(LAST_OFF, END)
DIFFERENT = np.array([0.6, 0.0]) + 0.05 * np.outer(SAME_MEDIAN, END)
SAME = np.array([0.9, 0.5]) + 0.01 * SAME_MEDIAN[:, None]
COHERENCE = np.array([1000.0, 50.0]) + 10 * SAME_MEDIAN[:, None]


def made_up(different=DIFFERENT, same=SAME, coherence=COHERENCE, parts=1.0, error=1e-7):
    """Three seeds that differ, the start and the end."""
    two = lambda numbers: np.zeros((3, 2)) + numbers
    looks = Looks(np.zeros((3, 2, 10, 10)), two(parts), two(1), two(2), coherence, different, same)
    pairs = Pairs(np.zeros((1, 2, 28, 28, 1)), np.array([[3, 5]]), np.array([-0.5]))
    return Result(np.array([0.0, 30.0]), looks, (pairs, pairs), two(error), 60_000)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"parts": 1 + 1.9e-5 * LAST_END}, []), ({"parts": 1 + 2.1e-5 * LAST_END}, [0]),
     ({"error": 9.5e-6 * LAST_END}, []), ({"error": 1.05e-5 * LAST_END}, [1]),
     ({"different": DIFFERENT - 0.6 * LAST_START}, []), ({"different": DIFFERENT - 0.7 * LAST_START}, [2]),
     ({"different": DIFFERENT + 0.095 * END}, []), ({"different": DIFFERENT + 0.105 * END}, [3]),
     ({"different": DIFFERENT - 0.095 * END}, []), ({"different": DIFFERENT - 0.105 * END}, [3]),
     ({"same": SAME - 0.25 * LAST_START}, []), ({"same": SAME - 0.31 * LAST_START}, [4]),
     ({"coherence": COHERENCE + 900 * LAST_END}, []), ({"coherence": COHERENCE + 1000 * LAST_END}, [5])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changes, failing):
    found = list(conflicts.claims(made_up(**changes), conflicts.FULL))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


@pytest.mark.parametrize(
    ("cosines", "said"),
    [((0.6, -0.06, 0.0), " (already -0.06 after 1 epoch)"), ((0.6, 0.1, -0.1), ""), ((0.6, 0.1, 0.0), "")],
)
def test_where_the_cosine_is_below_0_early_it_is_said(cosines, said):
    assert conflicts_figures.already(np.array([0.0, 1.0, 5.0]), np.array(cosines)) == said


def test_the_finding_is_of_the_medians_at_the_start_and_at_the_end():
    said = conflicts.finding(made_up(), conflicts.FULL)
    assert "goes from 0.60 at the start to 0.00 after 30 epochs, of one class from 0.90 to 0.50; one" in said
    assert "as if 1,000 of 60,000 wanted the same at the start and 50 in the end (medians)" in said
