"""A random plane: it goes through the end of a path, and its directions are scaled to that network's weights."""

import jax
import numpy as np
import pytest
from conftest import SAME_MEDIAN
from jax.flatten_util import ravel_pytree

from experiments.common.problem import Problem
from experiments.hill import random_plane as experiment
from research import costs, models
from research.data import Examples

SMALLEST = experiment.Settings(
    num_seeds=2, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=10, num_epochs=1,
    num_points=11, resolution=4, layer_sizes=(784, 3, 10),
)  # fmt: skip


def test_the_plane_goes_through_the_end_as_far_as_the_weights_are_long():
    model, nothing = models.mlp((30, 20, 10)), Examples(np.zeros((1, 30)), np.zeros((1, 10)))
    problem = Problem(model, costs.sum_of_squares, nothing, nothing, (5, 6, 1))
    params = model.init(jax.random.key(3))
    end, _ = ravel_pytree(params)
    plane, reach = experiment.random_plane(problem, end, 0)
    np.testing.assert_array_equal(plane.origin, end)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-6)
    weights = np.concatenate([np.ravel(layer.weights) for layer in params])
    assert reach == pytest.approx(np.linalg.norm(weights), rel=1e-5)
    assert not np.allclose(plane.directions, experiment.random_plane(problem, end, 1)[0].directions)


def test_the_finding_is_about_the_full_batch_and_the_farthest_path():
    shown, moved, hidden = (np.array(pair) + SAME_MEDIAN[:, None] for pair in ((1.0, 9.0), (20.0, 30.0), (5.0, 50.0)))
    result = experiment.Result((), None, moved, shown, hidden)
    said = experiment.finding(result, SMALLEST)
    assert "path goes 20 from start to end, its shadow on the plane 1, and the paths run up to 50 off it" in said
