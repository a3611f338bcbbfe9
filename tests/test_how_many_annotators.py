"""Votes against all possible votes, and the claim on results that hold and that do not."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from experiments.common.problem import Problem
from experiments.labels import how_many_annotators
from experiments.labels.how_many_annotators import RATES, SIMULATED, VOTERS, Result, Settings
from research.data import Examples

SMALLEST = Settings(num_seeds=2)


@pytest.mark.parametrize(("num_voters", "num_classes"), [(1, 2), (2, 3), (4, 3), (5, 4), (7, 2)])
def test_a_vote_is_wrong_as_often_as_in_all_possible_votes(num_voters, num_classes):
    rate, lost = Fraction(3, 10), Fraction(0)
    for votes in itertools.product(range(num_classes), repeat=num_voters):
        counts = np.bincount(votes, minlength=num_classes)
        chance = (1 - rate) ** int(counts[0]) * (rate / (num_classes - 1)) ** int(num_voters - counts[0])
        winners = np.flatnonzero(counts == counts.max())
        lost += chance * (1 - Fraction(int(0 in winners), len(winners)))
    assert how_many_annotators.wrong_by_vote(0.3, num_voters, num_classes) == pytest.approx(float(lost), abs=1e-14)


def test_no_two_simulations_draw_the_same(monkeypatch):
    drawn = []
    monkeypatch.setattr(how_many_annotators, "simulated_vote", lambda rng, *_: drawn.append(rng.random()) or drawn[-1])
    few = Examples(np.zeros((2, 1)), np.eye(2))
    found = how_many_annotators.measure(Problem(None, None, few, few, (1, 1, 1)), Settings(num_seeds=2))
    assert len(set(drawn)) == len(drawn) == 2 * len(RATES) * len(SIMULATED)
    np.testing.assert_allclose(found.simulated, np.reshape(drawn, (2, *found.simulated.shape)).mean(axis=0))


def test_spread_evenly_they_err_as_the_simulated_and_the_same_way_as_a_binomial(ran):
    result = ran("how_many_annotators")[0].result
    exact = result.votes[:, SIMULATED - 1]
    np.testing.assert_allclose(result.votes[:, :2], np.array([RATES, RATES]).T)  # of two who differ either may be right
    errors = (result.simulated - exact) / np.sqrt(exact * (1 - exact) / 200_000 + 1e-12)
    assert np.abs(errors[exact > 1e-4]).max() < 4.5
    for rate, found in zip(RATES, result.same_way, strict=True):
        for voters, wrong in zip(VOTERS.tolist(), found, strict=True):
            chances = [math.comb(voters, bad) * rate**bad * (1 - rate) ** (voters - bad) for bad in range(voters + 1)]
            lost = np.sign(2 * np.arange(voters + 1) - voters) / 2 + 0.5  # ties by lot
            assert wrong == pytest.approx(lost @ chances, abs=1e-12)


def test_the_fewest_voters_that_are_enough():
    assert how_many_annotators.needed(np.array([0.3, 0.2, 0.1]), 0.2) == "2"
    assert how_many_annotators.needed(np.array([0.4, 0.3, 0.3]), 0.2) == "more than 31"


def made_up(error, num_seeds=2):
    """Exact probabilities, and a simulation of which one cell is so many standard errors off, and another, where less
    than one wrong vote is expected, by a hundred."""
    exact = np.array(
        [[how_many_annotators.wrong_by_vote(rate, voters, 10) for voters in SIMULATED.tolist()] for rate in RATES]
    )
    votes, errors = np.zeros((len(RATES), len(VOTERS))), np.zeros(exact.shape)
    votes[:, SIMULATED - 1] = exact
    errors[-1, 1], errors[0, -1] = error, 100
    return Result(votes, votes, exact + errors * np.sqrt(exact * (1 - exact) / (num_seeds * 100_000)))


@pytest.mark.parametrize(("error", "holds"), [(3.95, True), (-3.95, True), (4.05, False), (-4.05, False)])
def test_a_simulation_that_is_far_off_fails(error, holds):
    found = how_many_annotators.claims(made_up(error), Settings(num_seeds=2))
    assert [claim.holds for claim in found] == [holds]


def test_the_finding_is_of_the_annotators_that_err_most():
    votes = np.full((len(RATES), len(VOTERS)), 0.05)
    votes[-1, :2] = 0.4
    said = how_many_annotators.finding(Result(votes, np.full(votes.shape, 0.3), votes), SMALLEST)
    assert "wrong 40 % of the time, 3 votes an image leave at most 10 % of the labels wrong" in said
    assert "and it takes more than 31 where all who err" in said
