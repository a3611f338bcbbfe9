"""Listening to many: the confusion matrix, schedules in which all are heard alike, and the claims."""

import math
from types import SimpleNamespace

import numpy as np
import plain
import pytest
from helpers import SAME_MEAN, SAME_MEDIAN

from experiments.all_examples import more_and_more
from experiments.all_examples.more_and_more import Result, Settings
from experiments.common import teaching

SMALLEST = Settings(num_seeds=2, num_steps=20, layer_sizes=(784, 10))


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


def made_up(right=(0.1, 0.2, 0.5, 0.6, 0.8, 0.9), otherwise=0.0, more=0.0, apart=0.05):
    """Three seeds, ten classes equally often; the median answers `right` for every size. Taught by a 2 it is
    right in so many `more` on average, by a 2 and a 5 the last seed calls so many a 7."""
    confusion = np.zeros((6, 3, 10, 10))
    for size, share in enumerate(right):
        shares = share - apart * np.roll(SAME_MEDIAN, size)[:, None, None] * (size in (2, 3))  # not alike in all seeds
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
            rows = [order[:size]] * len(rows) if size <= 10 else rows  # copies of them all
            end = plain.descend(start, train, rows, settings.learning_rate)[-1]
            counts = np.zeros((10, 10))
            np.add.at(counts, (labels, plain.activations(end, test.inputs)[-1].argmax(axis=1)), 1)
            assert np.abs(200 * matrix - counts).sum() < 4.1  # two called otherwise
    assert list(classes) == listened == [2, 5, 0, 1, 3, 4, 6, 7, 8, 9]
