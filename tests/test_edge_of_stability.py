"""The edge of stability: what is compared along descents, and the claims on made-up ones."""

import numpy as np
import pytest
from conftest import LAST_OFF, SAME_MEDIAN

from experiments.common import valleys
from experiments.common.bounds import SettingsError
from experiments.common.valleys import Curve
from experiments.hill import edge_of_stability as experiment
from experiments.hill.edge_of_stability import Settings

SMALLEST = Settings(
    num_seeds=1, num_examples=40, num_steps=10, batch_sizes=(10,), network_learning_rates=(1.0,), num_looks=5,
    layer_sizes=(784, 10),
)  # fmt: skip
TWO_SIZES = Settings(learning_rates=(0.1, 0.2, 0.4), network_learning_rates=(2.0,))


def curve(rate, sharpness, cost=None):
    """The path of one seed, or of several, looked at after every step."""
    values = np.atleast_2d(np.array(sharpness, float))
    costs = np.tile(np.array(cost or range(values.shape[1], 0, -1), float), (len(values), 1))
    return Curve(rate, np.arange(values.shape[1]), costs, values, np.zeros_like(values))


def test_equal_times_are_compared_up_to_the_edge_and_no_further():
    slow = curve(0.1, [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0])
    fast = curve(0.2, [1.0, 2.2, 3.0, 9.5, 1.0])  # the edge is at 10: the fourth look is above nine tenths of it
    np.testing.assert_allclose(valleys.apart_before_the_edge(slow, fast), [0.2 / 2.2])
    assert np.isnan(valleys.apart_before_the_edge(slow, curve(0.17, [1.0, 2.0]))).all()


def test_where_no_common_look_lies_before_the_edge_nothing_is_compared():
    slow, at_once = curve(0.1, [1.0, 1.5, 2.0, 2.5, 3.0]), curve(0.2, [1.0, 9.5, 2.0])
    assert np.isnan(valleys.apart_before_the_edge(slow, at_once)).all()


@pytest.mark.parametrize("size", [experiment.QUICK, Settings(), experiment.FULL])
def test_the_first_two_rates_are_compared_early_in_every_size(size):
    """Within the first three looks of the faster one."""
    looks = size.num_steps // size.num_looks * np.arange(1, size.num_looks + 1)
    slow, fast = size.learning_rates[:2]
    assert np.isclose(slow * looks[:, None], fast * looks[None, :3]).any()


def test_at_equal_cost_each_is_taken_where_it_first_came_down_so_far():
    minibatch, full_batch = curve(1.0, [1.0, 2.0, 3.0], [9.0, 5.0, 4.0]), curve(1.0, [1.0, 4.0, 8.0], [9.0, 4.0, 1.0])
    np.testing.assert_allclose(valleys.ratio_at_equal_cost(minibatch, full_batch), [3.0 / 4.0])


def made_up(*, levels=(1.0, 1.0), sizes=(6.0, 3.0), slow=2.0, network=0.1, residual=0.0, along=(1.0, 1.0)):
    """Paths of 13 points and three seeds, of which the last ends at `levels` of 2/eta with the rates 0.2 and 0.4, with
    batches at sharpness `sizes`, and with the network at `network` of 2/eta; `slow` is what it has with the rate 0.1.
    The batch sharpness is `along` of 2/eta in the median seed."""
    early, tail = np.array([1.0, 2.0]), np.array([*[1.0] * 7, 0.4, 1.2, 1.2, 1.2])  # the last third's mean is 1

    def path(level, usual):
        ends = np.where(LAST_OFF, level, usual)
        return np.concatenate([np.tile(early, (3, 1)), np.outer(ends, tail)], axis=1)

    first = np.concatenate([np.ones((3, 1)), np.repeat(np.where(LAST_OFF, slow, 2.0)[:, None], 12, axis=1)], axis=1)
    full_batch = curve(0.1, first), curve(0.2, path(10 * levels[0], 10)), curve(0.4, path(5 * levels[1], 5))
    minibatch = [curve(0.2, path(size, usual)) for size, usual in zip(sizes, (6, 3), strict=True)]
    minibatch[-1].residual[-1, -1] = residual
    films = curve(2.0, path(network, 0.05))
    own = [np.outer(10 * (level + 0.2 * SAME_MEDIAN), [*[1.0] * 9, *tail[-4:]]) for level in along]
    return experiment.Result(full_batch, tuple(minibatch), np.array(own), (films,))


def verdicts(result, settings=TWO_SIZES):
    return [claim.holds for claim in experiment.claims(result, settings)]


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({}, []),
        *[({"levels": levels}, []) for levels in ((1.0, 1.095), (0.905, 1.0))],
        *[({"levels": levels}, [0]) for levels in ((1.0, 1.105), (1.0, 0.895), (1.105, 1.0))],
        *[({"slow": slow}, []) for slow in (2.019, 1.981)],
        *[({"slow": slow}, [1]) for slow in (2.021, 1.979)],
        ({"sizes": (9.5, 9.0)}, []),
        ({"sizes": (2.8, 3.0)}, [2]),
        ({"sizes": (10.5, 3.0)}, [2, 3]),
        ({"sizes": (6.0, 10.5)}, [2, 3]),
        *[({"along": along}, []) for along in ((1.0, 1.095), (1.0, 0.905))],
        *[({"along": along}, [4]) for along in ((1.0, 1.105), (0.895, 1.0))],
        ({"residual": 0.0095}, []),
        ({"residual": 0.0105}, [5]),
        ({"network": 0.89}, []),
        ({"network": 0.91}, [6]),
    ],
)
def test_each_claim_fails_where_one_seed_is_not_so(change, failing):
    found = list(experiment.claims(made_up(**change), TWO_SIZES))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_nothing_is_claimed_of_other_data_and_of_another_network_less():
    assert verdicts(made_up(), Settings(dataset="kmnist")) == []
    assert len(verdicts(made_up(), Settings(layer_sizes=(784, 10)))) == 6


def test_the_finding_says_where_each_one_ends():
    said = experiment.finding(made_up(levels=(1.5, 1.5), sizes=(9, 9), along=(1.1, 0.9)), TWO_SIZES)
    assert "1.00 at rate 0.2, 1.00 at rate 0.4" in said
    assert "batches of 50 0.60 (batch sharpness 1.10), batches of 10 0.30 (batch sharpness 0.90)." in said
    assert "the film's network: at rate 2 it starts at 1.00 and ends at 0.05." in said


def test_steps_that_the_looks_do_not_divide_are_refused():
    with pytest.raises(SettingsError, match="--num-steps is 21; it must be a multiple of --num-looks, 5"):
        Settings(num_steps=21, num_looks=5).check()
