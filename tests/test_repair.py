"""repair: Results on which the claims must hold, and must fail."""

import dataclasses

import numpy as np
import pytest

from experiments.common import posing, runs
from experiments.one_example import repair
from experiments.one_example.repair import Result, Settings

SMALLEST = Settings(num_seeds=2, num_legs=4, steps_per_leg=5, batch_size=20, repair_steps=3, num_looked_at=200)


def test_a_case_is_the_largest_of_its_own_row_or_above_zero():
    matrix = np.array([[[2.0, 1.0], [3.0, 2.0]]])
    rises, most, best, first = repair.cases(made_up(blame=matrix, repaired=matrix - 2.5, patched=matrix / 3))
    np.testing.assert_array_equal(rises, [[True, True]])
    np.testing.assert_array_equal(most, [[True, False]])
    np.testing.assert_array_equal(best, [[True, False]])
    np.testing.assert_array_equal(first, [[True, False]])


BEYOND = np.array([9.0, 0.0, 0.0, -0.5])[:, None, None]  # four seeds whose median is 0


def made_up(apart=0.05, **changed):
    """Four seeds of two layers: the damaged one's share grows most, and it repairs itself best; after training all
    layers the cost is 1, and in the last seed so much more with the last layer alone."""
    costs = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.5]]) + np.zeros((4, 1, 1))
    costs[-1, 1, -1] = 1 + apart
    own = np.stack([np.array([[2.0, -1.0], [-1.0, 2.0]])] * 4)
    patched = np.stack([np.array([[1.0, 1.0], [0.0, 1.0]])] * 4)
    return Result(costs, own, own, patched, True)._replace(**changed)


def test_all_layers_come_down_farther_than_the_last_alone(ran):
    costs = ran("repair")[0].result.costs
    assert (costs[:, 0, -1] < costs[:, 1, -1]).all()


def turned(num_cases):
    """The last of eight cases turned into their opposites, the last seed's second layer first."""
    whose = np.where(np.arange(8) >= 8 - num_cases, -1.0, 1.0).reshape(4, 2, 1)
    return whose * made_up().blame


@pytest.mark.parametrize(
    ("changed", "verdicts"),
    [
        ({}, [True, True, True, True, True]),
        ({"blame": turned(1), "repaired": turned(1)}, [True, True, True, True, True]),  # 88 %
        ({"blame": turned(2)}, [False, False, True, True, True]),  # 75 %
        ({"blame": made_up().blame + 5 * np.array([0, 1])}, [True, False, True, True, True]),
        ({"repaired": turned(2)}, [True, True, False, True, True]),
        ({"patched": made_up().patched * [1, 0.99]}, [True, True, True, False, True]),
        ({"apart": -0.05}, [True, True, True, True, False]),
    ],
)
def test_the_claims_tell_good_from_bad(changed, verdicts):
    claims = list(repair.claims(made_up(**changed), SMALLEST))
    assert [claim.holds for claim in claims] == verdicts
    assert all(claim.holds or claim.why for claim in claims[:3])


def test_the_finding_counts_the_last_layer_and_every_layers_own_repair():
    said = repair.finding(made_up(blame=turned(3), repaired=turned(1), costs=made_up().costs + BEYOND), SMALLEST)
    assert "grows by the largest factor, in 3 of 8 cases" in said
    assert "its own best repair in 4 (layer 1), 3 (layer 2) of 4 seeds" in said
    assert "finds it in 8 of 8 cases" in said
    assert "the last layer alone ends at a cost of 1.50, all layers at 1.00 (medians)" in said


def test_of_another_cost_and_other_neurons_nothing_is_claimed():
    assert list(repair.claims(made_up(sigmoids=False), SMALLEST)) == []
    assert list(repair.claims(made_up(), dataclasses.replace(SMALLEST, cost="absolute"))) == []


def test_a_descent_that_diverges_says_so(small_mnist):
    settings = dataclasses.replace(
        SMALLEST, dataset=str(small_mnist), learning_rate=1e30, activation="relu", output_activation="identity"
    )
    with pytest.raises(runs.Diverged, match="training: the cost was no longer a finite number at step 5"):
        repair.measure(posing.pose(settings), settings)
