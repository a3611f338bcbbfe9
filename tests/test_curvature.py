"""The Hessian asked with directions, against the Hessian written out: of a small network, and of parabolas."""

from functools import partial
from itertools import combinations
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from research import costs, curvature, gradients
from research.data import Examples
from research.models import Layer, mlp

MODEL = mlp((12, 5, 4))
ONE = gradients.example_cost(MODEL.apply, costs.sum_of_squares)
MEAN = gradients.mean_over_examples(ONE)
IN_CHUNKS = gradients.mean_over_examples(ONE, chunk_size=4)


def parabola(params, hessian):
    """An objective whose Hessian is its second argument."""
    return params @ hessian @ params / 2


def dense_hessian(params, examples):
    """The Hessian of MEAN written out, rows and columns in the order of `ravel_pytree`."""
    flat, unflatten = ravel_pytree(params)
    return jax.hessian(lambda vector: MEAN(unflatten(vector), examples))(flat)


def random_params(seed):
    """Weights and biases of MODEL, by numpy: nothing to compile."""
    rng = np.random.default_rng(seed)
    sizes = ((5, 12), (4, 5))
    return [Layer(rng.normal(size=size) / size[1] ** 0.5, rng.normal(size=size[0])) for size in sizes]


def random_examples(num_examples):
    """Inputs in [0, 1] with one-hot targets."""
    rng = np.random.default_rng(1)
    return Examples(rng.uniform(size=(num_examples, 12)), np.eye(4)[rng.integers(4, size=num_examples)])


ritz_of_parabola = jax.jit(partial(curvature.ritz_pairs, parabola), static_argnames="num_iterations")
residuals_of_parabola = jax.jit(partial(curvature.residuals, parabola))


def rotated(eigenvalues):
    """The symmetric matrix with these eigenvalues, in the default precision, its eigenvectors drawn at random."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(len(eigenvalues), len(eigenvalues))))[0]
    return jnp.asarray((rotation * eigenvalues) @ rotation.T, jnp.result_type(float))


@pytest.fixture(scope="module")
def point():
    """Parameters, examples, and the dense Hessian there, of the small network in float64."""
    with jax.enable_x64(True):
        params, examples = random_params(0), random_examples(10)
        return params, examples, np.asarray(jax.jit(dense_hessian)(params, examples))


@pytest.fixture(scope="module")
def point32(point):
    """The same with params and examples in float32."""
    return *jax.tree.map(lambda leaf: leaf.astype(np.float32), point[:2]), point[2]


@pytest.mark.parametrize("objective", [MEAN, IN_CHUNKS], ids=["at once", "in chunks"])
def test_product_is_the_dense_hessian_times_the_direction(objective, point, x64):
    params, examples, dense = point
    direction = random_params(9)
    found = jax.jit(curvature.hessian_vector_product(objective))(params, examples, direction)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    np.testing.assert_allclose(ravel_pytree(found)[0], dense @ ravel_pytree(direction)[0], rtol=0, atol=1e-12)


def test_product_of_a_mean_in_chunks_holds_one_chunk_however_many_examples_there_are():
    params, bytes_held = jax.tree.map(lambda leaf: leaf.astype(np.float32), random_params(0)), []
    for num_examples in (400, 4000):
        examples = Examples(np.zeros((num_examples, 12), np.uint8), np.zeros((num_examples, 4), np.float32))
        apply = jax.jit(curvature.hessian_vector_product(gradients.mean_over_examples(ONE, chunk_size=100)))
        bytes_held.append(apply.lower(params, examples, params).compile().memory_analysis().temp_size_in_bytes)
    assert bytes_held[1] < 1.1 * bytes_held[0]


def test_both_ends_are_those_of_the_dense_hessian(point, x64):
    params, examples, dense = point
    ritz = jax.jit(partial(curvature.ritz_pairs, IN_CHUNKS, num_iterations=60))
    pairs = jax.tree.map(np.asarray, ritz(params, examples, jax.random.key(3)))
    values, vectors = np.linalg.eigh(dense)
    np.testing.assert_allclose(pairs.values[:4], values[::-1][:4], rtol=1e-10)
    np.testing.assert_allclose(pairs.values[-2:], values[:2][::-1], rtol=1e-10)
    cosines = np.abs(np.sum(pairs.vectors[[0, 1, -1]] * vectors.T[[-1, -2, 0]], axis=1))
    np.testing.assert_allclose(cosines, 1, rtol=1e-10)


def test_top_eigenvalues_in_float32_with_chunks(point32):
    params, examples, dense = point32
    top = jax.jit(partial(curvature.top_eigenvalues, IN_CHUNKS, num=3))
    pairs = top(params, examples, jax.random.key(3))
    np.testing.assert_allclose(pairs.values, np.linalg.eigvalsh(dense)[::-1][:3], rtol=1e-3)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(3), atol=1e-4)


def test_all_ritz_values_lie_within_the_spectrum_and_only_the_ends_are_eigenvalues(x64):
    hessian = rotated([9.0, 6.0, *np.random.default_rng(1).normal(size=200), -8.0])
    pairs = ritz_of_parabola(jnp.ones(203), hessian, jax.random.key(4), num_iterations=30)
    found = residuals_of_parabola(jnp.ones(203), hessian, pairs)
    assert (np.diff(pairs.values) < 0).all()
    np.testing.assert_allclose(np.asarray(pairs.values)[[0, 1, -1]], [9.0, 6.0, -8.0], rtol=1e-10)
    assert np.asarray(found)[[0, 1, -1]].max() < 1e-5 < 1e-2 < found[15]


def test_residual_bounds_the_distance_to_the_nearest_eigenvalue(x64):
    hessian = rotated(np.random.default_rng(2).normal(size=203))
    pairs = ritz_of_parabola(jnp.ones(203), hessian, jax.random.key(5), num_iterations=30)
    found = np.asarray(residuals_of_parabola(jnp.ones(203), hessian, pairs))
    values, vectors = map(np.asarray, pairs)
    np.testing.assert_allclose(found, np.linalg.norm(vectors @ hessian - values[:, None] * vectors, axis=1), atol=1e-12)
    distances = np.abs(values[:, None] - np.linalg.eigvalsh(hessian)).min(axis=1)
    assert (distances <= found + 1e-12).all()


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_where_the_span_cannot_grow_the_ends_are_exact(precision):
    with jax.enable_x64(precision is np.float64):
        for eigenvalues in ([0.0] * 11 + [3.0], [0.0] * 12, [2.0] * 12, [-1.0, *[0.0] * 10, 5.0], [1.0, 2.0, 4.0] * 4):
            hessian = rotated(np.array(eigenvalues))
            pairs = ritz_of_parabola(jnp.ones(12), hessian, jax.random.key(6), num_iterations=50)
            ends = [float(pairs.values[0]), float(pairs.values[-1])]
            tolerance = 300 * np.finfo(precision).eps
            np.testing.assert_allclose(ends, [max(eigenvalues), min(eigenvalues)], atol=tolerance)
            assert float(residuals_of_parabola(jnp.ones(12), hessian, pairs)[0]) < tolerance


def test_what_is_left_over_when_the_span_cannot_grow_has_no_residual():
    """Two different eigenvalues, so two eigenpairs, 3 and 0; the zero vectors between them must not pass for such."""
    hessian = jnp.asarray(np.diag([0.0] * 11 + [3.0]), jnp.float32)
    pairs = jax.jit(partial(curvature.top_eigenvalues, parabola, num=3))(jnp.ones(12), hessian, jax.random.key(0))
    found = np.asarray(residuals_of_parabola(jnp.ones(12), hessian, pairs))
    assert float(pairs.values[0]) == pytest.approx(3, abs=1e-5)
    assert found[0] < 1e-5
    assert np.isnan(found[1:]).all()


def test_residual_does_not_depend_on_the_length_of_the_vector():
    hessian, vector = jnp.asarray(np.diag([4.0, 2.0]), jnp.float32), np.array([[3.0, 4.0]], np.float32)
    pairs = [curvature.Eigenpairs(np.ones(1, np.float32), length * vector) for length in (np.float32(0.2), 1)]
    found = [float(residuals_of_parabola(jnp.ones(2), hessian, pair)[0]) for pair in pairs]
    np.testing.assert_allclose(found, np.hypot(3 * 0.6, 1 * 0.8), rtol=1e-6)


def test_sharpness_along_a_path_is_that_of_each_point(x64):
    """Of sum_i (x_i w)^4 / 12, whose Hessian is sum_i (x_i w)^2 x_i x_i^T."""
    rows, path = np.random.default_rng(3).normal(size=(20, 12)), np.random.default_rng(4).normal(size=(3, 12))
    along = jax.jit(partial(curvature.sharpness_along, lambda params, rows: jnp.sum((rows @ params) ** 4) / 12))
    hessians = np.einsum("pi,ia,ib->pab", (path @ rows.T) ** 2, rows, rows)
    np.testing.assert_allclose(along(path, rows, jax.random.key(7)), np.linalg.eigvalsh(hessians)[:, -1], rtol=1e-10)


def test_batch_sharpness_is_the_mean_over_all_batches_written_out(point, x64):
    params, examples, _ = point
    rows = jnp.array(list(combinations(range(5), 2)))

    def of_one(batch_rows):
        batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[batch_rows], examples)
        grad = ravel_pytree(jax.grad(MEAN)(params, batch))[0]
        return grad @ dense_hessian(params, batch) @ grad / (grad @ grad)

    wanted = jax.jit(lambda rows: jax.lax.map(of_one, rows))(rows)
    assert len(wanted) == comb(5, 2)
    found = jax.jit(partial(curvature.batch_sharpness, MEAN))(params, examples, rows)
    assert float(found) == pytest.approx(float(np.mean(wanted)), rel=1e-11)


def test_batch_sharpness_with_one_batch_of_everything_is_the_curvature_along_the_gradient(point, x64):
    params, examples, dense = point
    grad = ravel_pytree(jax.jit(jax.grad(MEAN))(params, examples))[0]
    found = float(jax.jit(partial(curvature.batch_sharpness, IN_CHUNKS))(params, examples, jnp.arange(10)[None]))
    assert found == pytest.approx(float(grad @ dense @ grad / (grad @ grad)), rel=1e-11)
    assert found < np.linalg.eigvalsh(dense)[-1]


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda *at: curvature.ritz_pairs(*at, jax.random.key(0), num_iterations=0), "num_iterations is 0"),
        (lambda *at: curvature.top_eigenvalues(*at, jax.random.key(0), num=31), "num is 31; it must be between 1 and"),
    ],
)
def test_what_cannot_be_is_refused(ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask(parabola, jnp.ones(3), jnp.eye(3))
