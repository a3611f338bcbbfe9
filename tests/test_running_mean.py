"""The running mean: over all orders it is as far away as theory says; and the claim."""

import itertools

import numpy as np
import plain
import pytest

from experiments.all_examples import running_mean
from experiments.all_examples.running_mean import Result, Settings
from experiments.common import asking

SMALLEST = Settings(num_seeds=2, num_shuffles=3, num_examples=200, layer_sizes=(784, 10))


def test_over_all_orders_the_running_mean_is_as_far_away_as_theory_says():
    rows = np.random.default_rng(5).normal(size=(5, 3))
    means = [rows[list(order)].cumsum(axis=0) / np.arange(1, 6)[:, None] for order in itertools.permutations(range(5))]
    length = np.linalg.norm(rows.mean(axis=0))
    distances = np.linalg.norm(means - rows.mean(axis=0), axis=2) / length
    expected = running_mean.expected_distance(np.sum(rows.var(axis=0)) / length**2, np.arange(1, 6), 5)
    np.testing.assert_allclose(np.sqrt((distances**2).mean(axis=0)), expected, atol=1e-12)


def test_the_distances_are_those_of_plain_gradients_added_up_in_the_orders_of_their_network(ran):
    result, settings = ran("running_mean")[0].result, ran("running_mean")[0].settings
    train, networks = plain.untrained_and_trained(settings)
    orders = asking.shuffles(settings.seed, len(networks), settings.num_shuffles, 200)
    shares = (np.arange(200) < result.counts[:, None]) / result.counts[:, None]
    for network, own, distance, expected in zip(networks, orders, result.distance, result.expected, strict=True):
        rows = plain.flat(plain.gradients(network, train), leading=1)
        gradient, length = rows.mean(axis=0), np.linalg.norm(rows.mean(axis=0))
        products = (rows - gradient) @ (rows - gradient).T
        for order, found in zip(own, distance, strict=True):
            squares = ((shares @ products[np.ix_(order, order)]) * shares).sum(axis=1)
            np.testing.assert_allclose(found, np.sqrt(np.maximum(squares, 0)) / length, rtol=1e-3, atol=1e-5)
        variance = (200 - result.counts) / 199 * rows.var(axis=0).sum() / result.counts
        np.testing.assert_allclose(expected, np.sqrt(variance) / length, rtol=1e-3)
    assert result.counts[[0, -1]].tolist() == [1, 200]


def test_every_network_has_orders_of_its_own():
    orders = asking.shuffles(3, 2, 3, 50).reshape(-1, 50)
    assert len({tuple(order) for order in orders.tolist()}) == 6
    np.testing.assert_array_equal(np.sort(orders), np.broadcast_to(np.arange(50), (6, 50)))


@pytest.mark.parametrize(("factor", "holds"), [(0.79, False), (0.81, True), (1.24, True), (1.26, False)])
def test_the_claim_fails_where_the_mean_settles_otherwise(factor, holds):
    counts, squares = np.array([1, 10, 100]), np.array([[0.4], [0.4], [2.2]])  # whose mean is 1
    expected = np.array([[3.0, 1.0, 0.0]] * 2)
    result = Result(counts, factor * np.sqrt(squares) * expected[:, None], expected)
    assert [claim.holds for claim in running_mean.claims(result, SMALLEST)] == [holds]


def test_the_finding_is_of_the_median_order_and_the_median_seed():
    counts, reached = (
        np.array([1, 10, 100, 1000]),
        np.array([1, 2, 1, 3, 3, 2]),
    )  # of three seeds, untrained and trained
    orders = np.stack([0 * reached, reached, reached + 1], axis=1)[..., None]
    result = Result(counts, np.where(np.arange(4) >= orders, 0.05, 0.5), np.ones((6, 4)))
    said = running_mean.finding(result, SMALLEST)
    assert "some 10 (10 to 100) examples before training and 1,000 (100 to 1,000) of 1,000 after" in said
