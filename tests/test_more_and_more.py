"""Listening to many: the confusion matrix, schedules in which all are heard alike, and the claims."""

import math
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from conftest import SAME_MEAN, SAME_MEDIAN, make_examples, make_params

from experiments.all_examples import more_and_more
from experiments.all_examples.more_and_more import Result, Settings
from experiments.common import teaching
from research import costs, gradients
from research.models import mlp

SMALLEST = Settings(num_seeds=2, num_steps=20, layer_sizes=(784, 10))
MODEL = mlp((12, 5, 6, 4))
OBJECTIVE = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, costs.sum_of_squares))


def test_the_confusion_matrix_counts_every_example_once_and_its_diagonal_is_the_accuracy():
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 37)
    found = np.asarray(jax.jit(partial(teaching.confusion, MODEL.apply))(params, examples))
    counted = np.zeros((4, 4))
    answers = np.asarray(jax.vmap(MODEL.apply, (None, 0))(params, examples.inputs)).argmax(axis=1)
    for truth, answer in zip(np.asarray(examples.targets).argmax(axis=1), answers, strict=True):
        counted[truth, answer] += 1 / 37
    np.testing.assert_allclose(found, counted, atol=1e-6)
    correct = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, costs.is_correct))
    assert np.trace(found) == pytest.approx(float(correct(params, examples)))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 23])
def test_every_step_sees_a_full_batch_and_everyone_is_heard_equally_often(size):
    listened, batch = np.arange(100, 100 + size), teaching.BATCH
    passes = math.lcm(size, batch) // batch if size < batch else size // batch  # steps in which everyone is heard alike
    rows = teaching.rows_of(np.random.default_rng(0), listened, num_steps=6 * passes)
    assert rows.shape == (6 * passes, batch)
    counts = np.bincount(rows.ravel() - 100, minlength=size)
    if size < batch or size % batch == 0:
        assert (counts == counts[0]).all()
    assert set(rows.ravel().tolist()) <= set(listened.tolist())


def test_ten_copies_of_one_example_are_the_example(x64):
    params, examples = make_params(jax.random.key(2)), make_examples(jax.random.key(3), 1)
    copies = jax.tree.map(lambda leaf: jnp.repeat(leaf, 10, axis=0), examples)
    one, ten = (jax.jit(jax.grad(OBJECTIVE))(params, some) for some in (examples, copies))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), one, ten)


def made_up(right=(0.1, 0.2, 0.5, 0.6, 0.8, 0.9), otherwise=0.0, more=0.0, apart=0.05):
    """Three seeds, ten classes equally often; the median answers `right` for every size. Taught by a 2 it is
    right in so many `more` on average, by a 2 and a 5 the last seed calls so many a 7."""
    confusion = np.zeros((6, 3, 10, 10))
    for size, share in enumerate(right):
        shares = share - apart * SAME_MEDIAN[:, None, None] * (size == 3)
        confusion[size] = (shares * np.eye(10) + (1 - shares) * np.roll(np.eye(10), 1, axis=1)) / 10
    confusion[:2] = 0
    confusion[0, :, :, 2] = 0.1
    confusion[0, :, 3, 3] = more + 0.003 * SAME_MEAN
    confusion[0, :, 3, 2] = 0.1 - confusion[0, :, 3, 3]
    confusion[1, :, 2, 2] = confusion[1, :, 5, 5] = 0.1
    confusion[1, :, [0, 1, 3, 4, 6, 7, 8, 9], 2] = 0.1
    confusion[1, -1, 7, 2], confusion[1, -1, 7, 7] = 0.1 - otherwise, otherwise
    return Result(np.array([1, 2, 10, 100, 1000, 60_000]), confusion, (2, 5, 0, 1, 3, 4, 6, 7, 8, 9))


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [({}, [True, True, True]), ({"more": 0.0095}, [True, True, True]), ({"more": 0.0105}, [False, True, True]),
     ({"otherwise": 0.0095}, [True, True, True]), ({"otherwise": 0.0105}, [True, False, True]),
     ({"right": (0.1, 0.2, 0.5, 0.5005, 0.8, 0.9)}, [True, True, True]),
     ({"right": (0.1, 0.2, 0.5, 0.4995, 0.8, 0.9)}, [True, True, False])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changes, verdicts):
    assert [claim.holds for claim in more_and_more.claims(made_up(**changes), Settings())] == verdicts


def test_the_finding_is_of_the_medians():
    said = more_and_more.finding(made_up(more=0.001), Settings())
    assert "60,000 examples give 10, 20, 50, 60, 80, 90 % right answers" in said


def test_every_run_ends_where_plain_descent_on_so_many_examples_ends(ran):
    (_, confusion, classes), settings = ran("more_and_more")[0].result, ran("more_and_more")[0].settings
    train, test, starts, _ = plain.begin(settings)
    orders, listened = teaching.listening(SimpleNamespace(train=train), settings)
    rng, labels = np.random.default_rng(settings.seed), test.targets.argmax(axis=1)
    for size, found in zip((1, 2, 10, 100, 600), confusion, strict=True):
        for start, order, matrix in zip(starts, orders, found, strict=True):
            rows = teaching.rows_of(rng, order[:size], settings.num_steps)
            end = plain.descend(start, train, rows, settings.learning_rate)[-1]
            counts = np.zeros((10, 10))
            np.add.at(counts, (labels, plain.activations(end, test.inputs)[-1].argmax(axis=1)), 1)
            np.testing.assert_allclose(200 * matrix, counts, atol=2.1)
    assert list(classes) == listened == [2, 5, 0, 1, 3, 4, 6, 7, 8, 9]
