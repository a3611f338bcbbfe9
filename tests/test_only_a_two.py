"""Listening to one example: who is listened to, what is observed, and the claims."""

import numpy as np
import plain
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments.all_examples import only_a_two
from experiments.all_examples.only_a_two import Result, Settings
from experiments.common import teaching

SMALLEST = Settings(num_seeds=3, num_decades=2, layer_sizes=(784, 10))


@hypothesis_settings(max_examples=25, deadline=None)
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=20), seed=st.integers(0, 100))
def test_the_order_is_a_permutation_that_begins_with_one_of_each_class(labels, seed):
    labels = np.array([0, 1, 2, *labels])
    shuffle = np.random.default_rng(seed).permutation(len(labels))
    order = teaching.listening_order(labels, shuffle, [2, 0, 1])
    assert sorted(order.tolist()) == list(range(len(labels)))
    assert labels[order[:3]].tolist() == [2, 0, 1]
    assert order[3:].tolist() == [index for index in shuffle if index not in order[:3]]


def test_every_run_is_plain_descent_on_one_image_of_its_digit(ran):
    run, _ = ran("only_a_two")
    settings, (train, test, starts, _) = run.settings, plain.begin(run.settings)
    both = starts, plain.normal_starts(settings, settings.layer_sizes)
    labels, inputs = train.targets.argmax(axis=1), test.inputs / 255
    for (kind, seed, digit), shares in zip(np.ndindex(2, 3, 10), run.result.named.reshape(60, -1), strict=True):
        shuffle = np.random.default_rng([settings.seed, seed]).permutation(len(labels))
        alone = shuffle[labels[shuffle] == digit][:1]
        looks = (0, 1, 10, 20, 100) if digit == 2 else (0, 1, 10)
        passed = plain.descend(both[kind][seed], train, [alone] * looks[-1], settings.learning_rate)
        for steps in looks:
            share = shares[run.result.steps == steps].item()
            outputs = plain.activations(passed[steps], inputs)[-1]
            ahead = outputs[:, digit] - np.delete(outputs, digit, axis=1).max(axis=1)  # in float32 many are 1
            assert np.mean(ahead > 1e-4) - 1e-6 <= share <= np.mean(ahead > -1e-4) + 1e-6
    assert run.result.digits.tolist() == list(range(10))
    assert run.result.steps.tolist() == [*range(11), *range(20, 101, 10)]


def made_up(share_of_two=1.0, share_of_seven=1.0):
    """Two starts, two seeds, ten digits, looks after 0, 1, 100 and 1,000 steps; the second start's second seed is as
    given after 100."""
    named = np.ones((2, 2, 10, 4)) * (0, 0.5, 1, 1)
    named[1, 1, 2, 2], named[1, 1, 7, 2], named[0, 1, 3, 1] = share_of_two, share_of_seven, 1
    return Result(np.array([0, 1, 100, 1000]), named, np.arange(10))


@pytest.mark.parametrize(
    ("shares", "verdicts"),
    [
        ((1.0, 1.0), [True] * 4),
        ((0.991, 0.991), [True] * 4),
        ((0.989, 1.0), [True, True, False, False]),
        ((1.0, 0.5), [True, True, True, False]),
    ],
)
def test_the_worst_seed_counts(shares, verdicts):
    assert [claim.holds for claim in only_a_two.claims(made_up(*shares), Settings())] == verdicts


def test_the_finding_counts_runs():
    found = only_a_two.finding(made_up(share_of_seven=0.5), Settings())
    assert "after 100 steps in 20 of 20 runs from small weights and in 19 of 20 from N(0, 1)" in found
    assert "after 1 already in 1 and 0, after 1,000 in 20 and 20" in found
