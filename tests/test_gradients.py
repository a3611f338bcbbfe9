"""The averaging, three ways: what examples want and its mean, the gradient of the mean, and central differences."""

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import make_examples, make_params
from jax.flatten_util import ravel_pytree

from research import costs, gradients
from research.data import Examples
from research.models import mlp

MODEL = mlp((12, 5, 6, 4))
ONE = gradients.example_cost(MODEL.apply, costs.sum_of_squares)
MEAN = gradients.mean_over_examples(ONE)
# Each is one program, where every operation by itself would be compiled anew.
EACH, GRADIENT = jax.jit(gradients.per_example_gradients(ONE)), jax.jit(jax.grad(MEAN))
VALUE_AND_GRADIENT = jax.jit(jax.value_and_grad(MEAN))


def test_average_of_what_examples_want_is_the_gradient_of_the_mean_float64(x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 17)
    averaged = gradients.average(EACH(params, examples))
    assert plain.relative_distance(averaged, GRADIENT(params, examples)) < 1e-12


def test_average_of_what_examples_want_is_the_gradient_of_the_mean_float32():
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 17)
    averaged = gradients.average(EACH(params, examples))
    assert plain.relative_distance(averaged, GRADIENT(params, examples)) < 1e-6


def test_gradient_of_the_mean_equals_central_differences(x64):
    params, examples = make_params(jax.random.key(2)), make_examples(jax.random.key(3), 17)
    point, unflatten = ravel_pytree(params)
    cost = jax.jit(jax.vmap(lambda vector: MEAN(unflatten(vector), examples)))
    moves, here = 1e-6 * np.eye(point.size), np.asarray(point)
    differences = (cost(here + moves) - cost(here - moves)) / (2 * 1e-6)
    assert plain.relative_distance(GRADIENT(params, examples), differences) < 1e-8


def test_each_examples_gradient_stands_in_its_own_row(x64):
    params, examples = make_params(jax.random.key(4)), make_examples(jax.random.key(5), 17)
    together, by_itself = EACH(params, examples), jax.jit(jax.grad(ONE))
    for index in range(17):
        alone = by_itself(params, jax.tree.map(lambda leaf, index=index: leaf[index], examples))
        assert plain.relative_distance(jax.tree.map(lambda leaf, index=index: leaf[index], together), alone) < 1e-13


def test_objective_is_the_mean_of_the_examples_costs_written_out(x64):
    params, examples = make_params(jax.random.key(6)), make_examples(jax.random.key(7), 5)
    answer = jax.jit(MODEL.apply)
    by_hand = [
        float(np.sum((np.asarray(answer(params, inputs)) - np.asarray(targets)) ** 2))
        for inputs, targets in zip(*examples, strict=True)
    ]
    assert float(jax.jit(MEAN)(params, examples)) == pytest.approx(sum(by_hand) / 5, rel=1e-14)


@pytest.mark.parametrize("chunk_size", [1, 3, 4, 20, 21, 50])
def test_chunks_change_neither_the_mean_nor_its_gradient(chunk_size, x64):
    params, examples = make_params(jax.random.key(8)), make_examples(jax.random.key(9), 20)
    chunked = gradients.mean_over_examples(ONE, chunk_size=chunk_size)
    cost, wanted = VALUE_AND_GRADIENT(params, examples)
    both = jax.jit(lambda *given: (chunked(*given), jax.value_and_grad(chunked)(*given)))
    alone, (value, grads) = both(params, examples)
    assert float(alone) == pytest.approx(float(cost), rel=1e-14)
    assert float(value) == pytest.approx(float(cost), rel=1e-14)
    assert plain.relative_distance(grads, wanted) < 1e-13


def test_chunks_change_no_hessian_vector_product(x64):
    params, examples = make_params(jax.random.key(10)), make_examples(jax.random.key(11), 10)
    direction = make_params(jax.random.key(12))
    chunked = gradients.mean_over_examples(ONE, chunk_size=4)

    @jax.jit
    def products(params, direction):
        return [jax.jvp(lambda p, fun=fun: jax.grad(fun)(p, examples), (params,), (direction,))[1]
                for fun in (chunked, MEAN)]  # fmt: skip

    assert plain.relative_distance(*products(params, direction)) < 1e-12


def test_a_mean_in_chunks_refuses_a_gradient_in_the_inputs_rather_than_give_zero():
    params, examples = make_params(jax.random.key(13)), make_examples(jax.random.key(14), 4)
    chunked = gradients.mean_over_examples(ONE, chunk_size=2)
    with pytest.raises(ValueError, match="in the parameters only"):
        jax.grad(lambda inputs: chunked(params, examples._replace(inputs=inputs)))(examples.inputs)


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_accuracy_is_the_mean_of_is_correct(chunk_size):
    outputs = jnp.eye(4)[jnp.array([0, 1, 2, 2, 0])]
    targets = jnp.eye(4)[jnp.array([0, 1, 2, 3, 3])]
    correct = gradients.example_cost(lambda params, inputs: inputs, costs.is_correct)
    accuracy = gradients.mean_over_examples(correct, chunk_size=chunk_size)
    assert float(accuracy((), Examples(outputs, targets))) == pytest.approx(3 / 5)


def test_grey_levels_reach_the_network_as_numbers_between_0_and_1():
    levels = jnp.arange(256, dtype=jnp.uint8)[:, None]
    targets = jnp.zeros((256, 1))
    square = gradients.example_cost(lambda params, inputs: inputs, costs.sum_of_squares)
    found = jax.jit(jax.vmap(square, (None, 0)))((), Examples(levels, targets))
    np.testing.assert_allclose(found, (np.arange(256) / 255) ** 2, rtol=1e-6)
