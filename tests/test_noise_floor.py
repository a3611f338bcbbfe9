"""The floor of a constant rate: what is grouped, what grows, and the claims."""

import dataclasses

import numpy as np
import pytest

from experiments.common.floors import Floor
from experiments.hill import noise_floor as experiment

SMALLEST = experiment.Settings(
    num_seeds=1, start_batch_size=50, start_epochs=2, batch_sizes=(20,), learning_rates=(0.5, 1.0), num_epochs=1,
    num_looks=2, lanczos_iterations=4,
)  # fmt: skip
GRID = dataclasses.replace(SMALLEST, batch_sizes=(10, 20), learning_rates=(0.1, 0.2))


def made_up(per_ratio, *, norm=1.0, base=0.1):
    """Two seeds whose floor is `per_ratio` eta/B; its |G| goes like (eta/B)^norm, and falls to a tenth."""
    each = np.array(GRID.learning_rates) / np.array(GRID.batch_sizes)[:, None]
    whole = np.broadcast_to(each[..., None], (2, 2, 2, 4))
    floor = Floor(
        cost=base + per_ratio * whole,
        gradient_norm=whole**norm,
        falling_cost=np.full((2, 2, 2, 2), base),
        falling_norm=0.1 * whole[..., 2:] ** norm,
        scatter=np.full((2, 2, 2), 8.0),
    )
    return experiment.Result(np.full(2, base), np.ones(2), np.full(2, 1.0), floor, floor, 60_000)


def test_heights_are_the_floor_and_theory_is_met_where_rates_are_small():
    result = made_up(2.0)  # tr(Sigma) / 4
    np.testing.assert_allclose(result.shuffled.heights, 2 * np.broadcast_to(experiment.ratios(GRID), (2, 2, 2)))
    assert experiment.over_theory(result, GRID) == (0.02, pytest.approx(1))
    assert experiment.least_settled(result, GRID) == pytest.approx(1 / 60)


def test_claims_hold_where_the_floor_is_theorys_and_fail_where_it_is_not():
    assert [claim.holds for claim in experiment.claims(made_up(2.0), GRID)] == [True] * 5
    upside_down = list(experiment.claims(made_up(-2.0, norm=-1.0), GRID))
    assert [claim.holds for claim in upside_down] == [False, False, False, False, True]
    assert upside_down[1].why
    worse = made_up(2.0)
    worse = worse._replace(shuffled=worse.shuffled._replace(falling_norm=np.ones((2, 2, 2, 2))))
    assert not list(experiment.claims(worse, GRID))[-1].holds


def test_a_run_too_short_to_settle_claims_no_height():
    short = made_up(2.0)._replace(num_examples=1000)
    assert [claim.id for claim in experiment.claims(short, GRID)] == ["E21", "E21", "T38", "T38"]


def test_a_cost_that_still_falls_has_no_floor():
    assert experiment.finding(made_up(-2.0), GRID).startswith("The cost still falls")
