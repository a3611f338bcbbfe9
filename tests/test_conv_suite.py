"""The suite: how single gradients scatter, and the surface, by numpy; Results on which claims must hold, or fail."""

import dataclasses

import jax
import numpy as np
import plain
import pytest
from helpers import LAST_OFF, make_examples, make_params

from experiments.common import cost_looks, descents, two_networks
from experiments.common.cost_looks import Scatter
from experiments.common.hills import View
from experiments.common.problem import Problem
from experiments.networks import conv_suite
from experiments.networks.conv_suite import Result, Settings
from research import costs, models

SMALLEST = Settings(num_epochs=1, statistics_examples=100, surface_examples=40, resolution=5, plain_learning_rate=0.5)


def test_the_plain_networks_scatter_is_that_of_numpys_gradients_before_and_after_numpys_training(ran):
    run, _ = ran("conv_suite")
    train, _, starts, _ = plain.begin(run.settings)
    few = plain.rows(train, range(100))
    for seed, (params, [order]) in enumerate(zip(starts, plain.shuffles(run.settings, 600, 1), strict=True)):
        rows = order.reshape(12, 50)[:10]  # in five equal legs
        places = plain.descend(params, train, rows, plain.falling(0.5, 10), of_outputs=plain.of_softmax)
        for when in (0, -1):
            slope = plain.flat(plain.gradient(places[when], few, plain.of_softmax))
            scale = plain.scatter(places[when], few, plain.of_softmax) / np.sum(slope**2)
            assert run.result.plain.noise_scale[seed, when] == pytest.approx(scale, rel=1e-3)
    for scattered in (run.result.conv, run.result.plain):
        assert (scattered.average_error < 1e-6).all()


def test_the_surface_is_the_cost_of_the_first_images_round_the_path():
    examples = make_examples(jax.random.key(0), 60)
    posed = Problem(models.mlp((12, 3, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    path = np.random.default_rng(0).normal(size=(6, 55)).astype(np.float32)
    view, error = conv_suite.hill(posed, SMALLEST, path)
    middle = path.mean(axis=0)
    along = np.linalg.svd(path - middle)[2][:2]
    along = along * -np.sign(along @ (path[0] - middle))[:, None]  # to the right and upwards from the first point
    np.testing.assert_allclose(view.shadows[0], (path - middle) @ along.T, atol=1e-4)
    params, few = make_params(jax.random.key(0), (12, 3, 4)), plain.rows(examples, range(40))
    for (row, column), height in np.ndenumerate(view.surface):
        point = middle + view.alphas[row] * along[0] + view.betas[column] * along[1]
        assert height == pytest.approx(plain.costs(plain.unflat(point, params), few).mean(), rel=1e-4)
    assert error < 1e-6


def test_each_network_is_looked_at_on_its_own_way_and_the_surface_on_the_first_seeds_of_the_first(monkeypatch):
    """Both networks are plain here, so that one could be taken for the other."""
    train_set, test_set, asked = *(make_examples(jax.random.key(index), 600) for index in range(2)), []
    both = [Problem(models.mlp((12, 4)), costs.sum_of_squares, train_set, test_set, (3, 4, 1)) for _ in range(2)]

    def number_of(posed):
        return [posed is each for each in both].index(True)

    def train(name, posed, settings, rate, starts, order):
        places = np.arange(3 * 5 * 2.0).reshape(3, 5, 2) + 100 * len(asked)
        asked.append((name, rate, number_of(posed), order.tolist()))
        return two_networks.Trained(np.ones(5), np.ones((3, 5)), places, f"end of {name}", 1.0)

    def scatters(posed, places, few):
        start, end = places
        assert (start[0][0, 0], end) == (-1, f"end of {asked[-1][0]}")
        np.testing.assert_array_equal(few.inputs, train_set.inputs[:100])
        return Scatter(np.full((3, 2), number_of(posed)), np.zeros((3, 2)))

    monkeypatch.setattr(two_networks, "pose", lambda problem, settings: both)
    monkeypatch.setattr(two_networks, "train", train)
    monkeypatch.setattr(cost_looks, "scatters", scatters)
    monkeypatch.setattr(conv_suite, "hill", lambda posed, settings, path: (number_of(posed), path.tolist()))
    monkeypatch.setattr(descents, "starts", lambda posed, keys: [np.arange(-1, 2 * len(keys) - 1).reshape(-1, 2)])
    monkeypatch.setattr(descents, "shuffles", lambda keys, *lengths: np.array(lengths))
    result = conv_suite.measure(both[0], dataclasses.replace(SMALLEST, num_seeds=3))
    assert asked == [("convolutional", 0.4, 0, [600, 1]), ("plain", 0.5, 1, [600, 1])]
    assert (result.conv.noise_scale[0, 0], result.plain.noise_scale[0, 0]) == (0, 1)
    assert (result.view, result.surface_error) == (0, [[-1, 0], *np.arange(10.0).reshape(5, 2).tolist()])


def found(error=1e-8, surface_error=1e-8, growth=60.0):
    """Three seeds; in the last one the noise scale grows `growth`-fold, and the average is so far off at the end."""
    scale = np.array([[2.0, 500.0], [2.0, 200.0], [2.0, 2 * growth]])
    both = Scatter(scale, np.outer(LAST_OFF, (0, error)))
    flat = View(np.arange(2.0), np.arange(2.0), np.ones((2, 2)), (np.zeros((3, 2)),), (np.zeros(3),))
    return Result(both, both._replace(noise_scale=9 * scale), flat, surface_error)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"error": 9.5e-7, "surface_error": 9.5e-7, "growth": 50.0}, []), ({"error": 1.05e-6}, [0]),
     ({"surface_error": 1.05e-6}, [1]), ({"growth": 48.0}, [2])],
)  # fmt: skip
def test_the_claims_hold_on_a_good_result_and_fail_where_one_seed_is_off(changes, failing):
    claims = list(conv_suite.claims(found(**changes), Settings()))
    assert [index for index, claim in enumerate(claims) if not claim.holds] == failing
    assert len(list(conv_suite.claims(found(), dataclasses.replace(Settings(), dataset="kmnist")))) == 2


def test_the_finding_is_of_the_medians():
    said = conv_suite.finding(found(error=2e-7), Settings())
    assert "gradient of the mean cost to 2e-07 of a typical one" in said
    assert "grows from 2 to 200 images" in said
