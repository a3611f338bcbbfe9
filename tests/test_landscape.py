"""The hill against numpy: planes, coordinates, filter normalisation, and surfaces point by point."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from research import costs, gradients, landscape
from research.data import Examples
from research.landscape import Plane
from research.models import Layer, mlp


def draw(seed, *shape):
    """Normal numbers in the default precision; by numpy, which compiles nothing."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.result_type(float))


def network(sizes):
    return [Layer(draw(out, out, inputs), draw(inputs, out)) for inputs, out in pairwise(sizes)]


def some_examples(count, classes):
    targets = np.eye(classes)[np.random.default_rng(1).integers(0, classes, count)]
    return Examples(jnp.abs(draw(2, count, 12)), jnp.asarray(targets, jnp.result_type(float)))


def random_plane(size, origin=None):
    return landscape.spanned_plane(draw(3, size) if origin is None else origin, *draw(4, 2, size))


def projector(directions):
    """The same for every basis of one plane."""
    return np.asarray(directions).T @ np.asarray(directions)


def test_the_principal_plane_is_the_one_of_an_independent_eigendecomposition(x64):
    points = np.random.default_rng(0).normal(size=(30, 7)) * [5, 3, 1, 1, 0.5, 0.1, 0.1]
    plane = landscape.principal_plane(jnp.asarray(points))
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(points.T))
    np.testing.assert_allclose(projector(plane.directions), projector(eigenvectors[:, -2:].T), atol=1e-12)
    np.testing.assert_allclose(plane.origin, points.mean(axis=0), atol=1e-14)
    shares = landscape.explained_shares(jnp.asarray(points))
    np.testing.assert_allclose(shares, eigenvalues[::-1] / eigenvalues.sum(), atol=1e-12)
    assert (np.asarray(plane.directions) @ (points[0] - points.mean(axis=0)) <= 0).all()


def test_no_other_plane_is_nearer_to_the_points(x64):
    points = draw(1, 20, 6) * jnp.arange(1.0, 7)[None]
    best = landscape.principal_plane(points)

    @jax.jit
    @partial(jax.vmap, in_axes=(0, 0))
    def squared(first, second):
        plane = landscape.spanned_plane(best.origin, first, second)
        return jnp.sum(jax.vmap(landscape.off_plane, (None, 0))(plane, points) ** 2)

    found = squared(*draw(2, 2, 50, 6))
    least = squared(best.directions[:1], best.directions[1:])[0]
    assert (found > least).all()


@pytest.mark.parametrize("angle", [1.0, 1e-4])
def test_a_spanned_plane_is_orthonormal_and_holds_its_three_points(x64, angle):
    a, along, across = draw(5, 3, 9)
    b, c = a + 3 * along, a - along + angle * across
    plane = landscape.spanned_plane(a, b - a, c - a)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-14)
    for point in (a, b, c):
        assert float(landscape.off_plane(plane, point)) < 1e-11
        np.testing.assert_allclose(landscape.point_at(plane, landscape.coordinates(plane, point)), point, atol=1e-11)


def test_coordinates_are_the_least_squares_of_numpy_and_pythagoras_holds(x64):
    plane, point = random_plane(8), draw(6, 8)
    away = np.asarray(point - plane.origin)
    found, residual, _, _ = np.linalg.lstsq(np.asarray(plane.directions).T, away, rcond=None)
    np.testing.assert_allclose(landscape.coordinates(plane, point), found, atol=1e-13)
    assert float(landscape.off_plane(plane, point)) ** 2 == pytest.approx(residual[0], rel=1e-12)
    assert residual[0] + found @ found == pytest.approx(away @ away, rel=1e-12)


def test_too_few_points_have_no_plane():
    with pytest.raises(ValueError, match="2 points"):
        landscape.principal_plane(jnp.zeros((2, 5)))


def test_a_random_walk_explains_what_theory_says():
    steps = np.random.default_rng(4).normal(size=(150, 2000))
    walk = jnp.asarray(np.cumsum(steps, axis=0), jnp.float32)
    np.testing.assert_allclose(landscape.explained_shares(walk)[:3], landscape.random_walk_shares(3), atol=0.03)
    assert float(jnp.sum(landscape.random_walk_shares(100_000))) == pytest.approx(1, abs=1e-4)


def test_several_random_walks_explain_what_theory_says_and_the_longest_rules(x64):
    steps = np.random.default_rng(5).normal(size=(2, 100, 1500)) / (100 * 1500) ** 0.5
    walks = [np.concatenate([np.zeros((1, 1500)), np.cumsum(each, axis=0)]) for each in steps]
    found = landscape.explained_shares(jnp.asarray(np.concatenate([walks[0], 2 * walks[1]])))[:3]
    np.testing.assert_allclose(found, landscape.shares_of_random_walks(jnp.array([1.0, 2.0]), 3), atol=0.03)
    alone = landscape.shares_of_random_walks(jnp.array([1.0, 0.0]), 3)  # the other never leaves the start
    assert float(alone.sum()) > float(landscape.random_walk_shares(3).sum())


def test_filter_normalisation_gives_every_neuron_its_own_length_and_no_bias():
    params = network((12, 5, 4))
    directed = jax.jit(landscape.filter_normalised)
    directions = [directed(jax.random.key(seed), params) for seed in (6, 7)]
    for direction in directions:
        for layer, drawn in zip(params, direction, strict=True):
            np.testing.assert_allclose(
                np.linalg.norm(drawn.weights, axis=1), np.linalg.norm(layer.weights, axis=1), rtol=1e-6
            )
            assert not np.asarray(drawn.biases).any()
    assert not np.allclose(directions[0][0].weights, directions[1][0].weights)
    # of flax: the neuron is the last axis, and a filter is all the others
    kernel = draw(8, 3, 3, 2, 5)
    last = partial(landscape.filter_normalised, neuron_axis=-1)
    filters = jax.jit(last)(jax.random.key(9), {"kernel": kernel})["kernel"]
    np.testing.assert_allclose(
        np.linalg.norm(filters.reshape(-1, 5), axis=0), np.linalg.norm(kernel.reshape(-1, 5), axis=0), rtol=1e-6
    )


ALPHAS, BETAS = np.linspace(-2, 2, 5), np.linspace(-1, 3, 4)


def grid_like(plane):
    return (jnp.asarray(values, plane.origin.dtype) for values in (ALPHAS, BETAS))


def test_a_surface_is_the_function_at_every_point(x64):
    plane = random_plane(6)
    found = landscape.surface(lambda point: jnp.sum(jnp.sin(point)), plane, *grid_like(plane))
    origin, first, second = np.stack([plane.origin, *plane.directions])
    for i, alpha in enumerate(ALPHAS):
        for j, beta in enumerate(BETAS):
            assert float(found[i, j]) == pytest.approx(np.sin(origin + alpha * first + beta * second).sum(), abs=1e-12)


def soft(sums):
    return jax.nn.softmax(sums)


def absolute(output, target):
    return jnp.sum(jnp.abs(output - target))


@pytest.mark.parametrize(
    ("sizes", "functions"),
    [
        ((12, 5, 6, 4), (costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)),
        ((12, 5, 4), (absolute, jnp.tanh, soft)),
        ((12, 4), (costs.sum_of_squares, jax.nn.relu, jnp.sin)),
    ],
    ids=["the film's", "softmax, another cost", "no hidden layer"],
)
@pytest.mark.parametrize("chunk_size", [7, 20])  # with and without a rest
def test_the_first_layers_trick_changes_nothing(x64, sizes, functions, chunk_size):
    cost_fn, *activations = functions
    examples, (point, unravel) = some_examples(20, sizes[-1]), ravel_pytree(network(sizes))
    one = gradients.example_cost(mlp(sizes, *activations).apply, cost_fn)
    plane = random_plane(len(point), point)

    @jax.jit
    def both(plane, examples):
        objective = gradients.mean_over_examples(one)
        grid = tuple(grid_like(plane))
        layers = landscape.PlainLayers(unravel, cost_fn, *activations)
        trick = landscape.surface_of_layers(layers, plane, examples, *grid, chunk_size=chunk_size)
        return landscape.surface(lambda point: objective(unravel(point), examples), plane, *grid), trick

    plain, trick = both(plane, examples)
    np.testing.assert_allclose(trick, plain, rtol=1e-12)
    assert np.ptp(plain) > 0.01


def test_grey_levels_stay_bytes_and_float32_agrees():
    inputs = jnp.asarray(np.random.default_rng(2).integers(0, 256, (40, 12)), jnp.uint8)
    examples = some_examples(40, 4)._replace(inputs=inputs)
    point, unravel = ravel_pytree(network((12, 5, 4)))
    objective = gradients.mean_over_examples(gradients.example_cost(mlp((12, 5, 4)).apply, costs.sum_of_squares))
    plane = random_plane(len(point), point)
    functions = (costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
    grid = tuple(grid_like(plane))
    trick = landscape.surface_of_layers(
        landscape.PlainLayers(unravel, *functions), plane, examples, *grid, chunk_size=16
    )
    plain = landscape.surface(lambda point: objective(unravel(point), examples), plane, *grid)
    np.testing.assert_allclose(trick, plain, rtol=1e-6)


def test_a_plane_is_a_pytree_and_layers_come_back(x64):
    params = [Layer(jnp.ones((2, 3)), jnp.zeros(2))]
    point, unravel = ravel_pytree(params)
    plane = Plane(point, jnp.eye(8)[:2])
    moved = unravel(landscape.point_at(plane, jnp.array([0.5, 0.0])))
    assert float(moved[0].weights[0, 0]) == 1.5
