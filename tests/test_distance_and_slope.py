"""A plain network beside it, and Results on which the claims must hold, and must fail."""

import numpy as np
import plain

from experiments.one_example import distance_and_slope
from experiments.one_example.distance_and_slope import Result, Settings

SMALLEST = Settings(num_seeds=2)


def test_distances_nudges_and_pulls_are_those_of_two_digits_of_each_class_in_plain_networks_of_unit_normal_weights(ran):
    run, _ = ran("distance_and_slope")
    train, _, starts, _ = plain.begin(run.settings)
    rows = np.sort(np.concatenate([np.flatnonzero(train.targets[:, digit])[:2] for digit in range(10)]))
    for found, start in zip(zip(*run.result, strict=True), starts, strict=True):
        wide = [layer._replace(weights=layer.weights * np.sqrt(layer.weights.shape[1])) for layer in start]
        answers = plain.activations(wide, train.inputs[rows])[-1]
        distance = train.targets[rows] - answers
        wanted = distance, 2 * distance, 2 * distance * answers * (1 - answers), distance
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def by_formula(slope=lambda a: a * (1 - a)):
    """Outputs from 0 to 1 whose targets are all 0, and the costs' derivatives."""
    a = np.linspace(0, 1, 28).reshape(1, 2, 14)
    return Result(-a, -2 * a, -2 * a * slope(a), -a)


def test_the_claims_hold_by_the_formula_and_fail_without_the_slope_and_with_half_the_pull():
    assert all(claim.holds for claim in distance_and_slope.claims(by_formula(), SMALLEST))
    without, right = distance_and_slope.claims(by_formula(lambda a: 1), SMALLEST)
    assert (without.holds, right.holds) == (False, True)
    halved = by_formula()._replace(cross_entropy_pull=by_formula().distance / 2)
    assert [claim.holds for claim in distance_and_slope.claims(halved, SMALLEST)] == [True, False]


def test_the_finding_is_about_the_output_that_is_most_wrong():
    assert "1.0000 away from its target, yet bias and weights are pulled with 0.0000" in distance_and_slope.finding(
        by_formula(), SMALLEST
    )
