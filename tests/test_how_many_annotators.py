"""Votes against all possible votes, and the claim on results that hold and that do not."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from experiments.labels import how_many_annotators
from experiments.labels.how_many_annotators import RATES, SIMULATED, VOTERS, Result, Settings

SMALLEST = Settings()


@pytest.mark.parametrize(("num_voters", "num_classes"), [(1, 2), (2, 3), (4, 3), (5, 4), (7, 2)])
def test_a_vote_is_wrong_as_often_as_in_all_possible_votes(num_voters, num_classes):
    rate, lost = Fraction(3, 10), Fraction(0)
    for votes in itertools.product(range(num_classes), repeat=num_voters):
        counts = np.bincount(votes, minlength=num_classes)
        chance = (1 - rate) ** int(counts[0]) * (rate / (num_classes - 1)) ** int(num_voters - counts[0])
        winners = np.flatnonzero(counts == counts.max())
        lost += chance * (1 - Fraction(int(0 in winners), len(winners)))
    assert how_many_annotators.wrong_by_vote(0.3, num_voters, num_classes) == pytest.approx(float(lost), abs=1e-14)


def test_the_fewest_voters_that_are_enough():
    assert how_many_annotators.needed(np.array([0.3, 0.2, 0.1]), 0.2) == "2"
    assert how_many_annotators.needed(np.array([0.4, 0.3, 0.3]), 0.2) == "more than 31"


def made_up(errors):
    """Exact probabilities, and a simulation that is so many standard errors off."""
    votes = np.array(
        [[how_many_annotators.wrong_by_vote(rate, voters, 10) for voters in VOTERS.tolist()] for rate in RATES]
    )
    exact = votes[:, SIMULATED - 1]
    simulated = exact + errors * np.sqrt(exact * (1 - exact) / 100_000)
    return Result(votes, votes, simulated)


@pytest.mark.parametrize(("errors", "holds"), [(0.0, True), (3.9, True), (4.1, False), (-4.1, False)])
def test_a_simulation_that_is_far_off_fails(errors, holds):
    assert [claim.holds for claim in how_many_annotators.claims(made_up(errors), SMALLEST)] == [holds]
