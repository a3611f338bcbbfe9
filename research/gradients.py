"""From the cost of one example to the cost, and the gradient, of many.

Every function takes a function and returns one, as `jax.grad` does; jit stays with the caller.
The film's sentence "do this for every example, record, and average" is three lines here:

    one = example_cost(apply, cost_fn)              # C_i(params)
    grads = per_example_gradients(one)              # grad C_i, for every i: a leading example axis
    average(grads(params, examples))                # = jax.grad(mean_over_examples(one))(params, examples)
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Shaped

from research import sharding
from research.data import Examples, unit_interval
from research.models import Params

Scalar = Shaped[Array, ""]


def example_cost(apply: Callable, cost_fn: Callable) -> Callable[[Params, Examples], Scalar]:
    """The cost of one example as a function of the parameters: C_i = cost_fn(apply(params, x_i), y_i).
    `apply` sees `unit_interval(inputs)`: until then images stay uint8, a quarter of float32's memory traffic.

    >>> example = Examples(inputs=jnp.array([255, 0], jnp.uint8), targets=jnp.array([1.0]))
    >>> one = example_cost(lambda params, inputs: params * inputs[0], lambda output, target: (output - target[0]) ** 2)
    >>> float(one(jnp.float32(3.0), example))  # (3 * 255/255 - 1)^2
    4.0
    """

    def cost_of_one(params: Params, example: Examples) -> Scalar:
        return cost_fn(apply(params, unit_interval(example.inputs)), example.targets)

    return cost_of_one


def mean_over_examples(fun: Callable, *, chunk_size: int | None = None) -> Callable[[Params, Examples], Scalar]:
    """THE objective: C = 1/N sum_i C_i. With `costs.is_correct` for the cost it is the accuracy.
    With a `chunk_size`, value and gradient are added up in the memory of one chunk of examples (`sum_in_chunks`).
    Source: the film's recap, the average over "tens of thousands of training examples".

    >>> squared_distance = lambda params, example: jnp.sum((params - example.inputs) ** 2)
    >>> examples = Examples(inputs=jnp.array([[1.0], [3.0]]), targets=jnp.zeros((2, 1)))
    >>> float(mean_over_examples(squared_distance)(jnp.float32(0.0), examples))  # (1 + 9) / 2
    5.0
    """

    def mean(params: Params, examples: Examples) -> Scalar:
        if chunk_size is None:
            return jnp.mean(jax.vmap(fun, (None, 0))(params, examples))
        return sum_in_chunks(fun, chunk_size)(params, examples) / len(examples.inputs)

    return mean


def sum_in_chunks(fun: Callable, chunk_size: int) -> Callable[[Params, Examples], Scalar]:
    """sum_i fun(params, example_i), with memory for `chunk_size` examples.
    Its gradient is added up in the same pass as its value (reverse mode by itself would keep every image as float32).
    Hence it exists in the parameters only; another raises ValueError, as does a chunk_size below 1.

    >>> product = lambda params, example: params * example.inputs[0]
    >>> examples = Examples(jnp.arange(5.0)[:, None], jnp.zeros((5, 1)))
    >>> value, grad = jax.value_and_grad(sum_in_chunks(product, 2))(jnp.float32(3.0), examples)
    >>> float(value), float(grad)
    (30.0, 10.0)
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}; it must be 1 or more, or None for all examples at once")

    def chunk_sum(params: Params, chunk: Examples) -> Scalar:
        return jnp.sum(jax.vmap(fun, (None, 0))(params, chunk))

    def add_up(term: Callable, params: Params, examples: Examples) -> PyTree:
        def add(total: PyTree, chunk: Examples) -> tuple[PyTree, None]:
            return jax.tree.map(jnp.add, total, term(params, chunk)), None

        start = zeros_like_result(term, params, examples)
        of_share = lambda share: scan_in_chunks(add, start, examples, chunk_size, share)[0]
        return sharding.sum_of_shares(of_share, len(examples.inputs))

    @jax.custom_vjp
    def total(params: Params, examples: Examples) -> Scalar:
        return add_up(chunk_sum, params, examples)

    def forward(params: PyTree, examples: PyTree) -> tuple[Scalar, Params]:
        if any(leaf.perturbed for leaf in jax.tree.leaves(examples)):
            raise ValueError("a mean in chunks has a gradient in the parameters only; use chunk_size=None for others")
        params, examples = jax.tree.map(lambda leaf: leaf.value, (params, examples))
        return add_up(jax.value_and_grad(chunk_sum), params, examples)

    def backward(grads: Params, cotangent: Scalar) -> tuple[Params, None]:
        return jax.tree.map(lambda grad: cotangent * grad, grads), None

    total.defvjp(forward, backward, symbolic_zeros=True)
    return total


def scan_in_chunks(
    step: Callable, start: PyTree, rows: PyTree, chunk_size: int, share: sharding.Share | None = None
) -> tuple[PyTree, PyTree]:
    """`jax.lax.scan` of step(carry, chunk) -> (carry, what it finds) over chunks of a share of the rows, or all.
    The last chunk may be shorter; what was found is joined. Raises ValueError if chunk_size is below 1.

    >>> scan_in_chunks(lambda total, chunk: (total + chunk.sum(), chunk**2), 0, jnp.arange(5), 2)
    (Array(10, dtype=int32), Array([ 0,  1,  4,  9, 16], dtype=int32))
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}; it must be 1 or more")
    first, num_rows = share or (0, len(jax.tree.leaves(rows)[0]))
    whole = num_rows // chunk_size * chunk_size
    if whole == 0:
        return step(start, sharding.rows_of((first, num_rows), rows))
    on_chunk = lambda carry, place: step(carry, sharding.rows_of((place, chunk_size), rows))
    total, found = jax.lax.scan(on_chunk, start, first + jnp.arange(0, whole, chunk_size, jnp.int32))
    found = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), found)
    if whole == num_rows:
        return total, found
    total, of_rest = step(total, sharding.rows_of((first + whole, num_rows - whole), rows))
    return total, jax.tree.map(lambda *parts: jnp.concatenate(parts), found, of_rest)


def zeros_like_result(fun: Callable, *args: PyTree) -> PyTree:
    """Zeros of the shapes and types that fun(*args) would have.

    >>> zeros_like_result(jnp.outer, jnp.ones(2), jnp.ones(1)).tolist()
    [[0.0], [0.0]]
    """
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(fun, *args))


def per_example_gradients(fun: Callable) -> Callable[[Params, Examples], Params]:
    """grad C_i for every i at once, by vmap(grad); the film's nudges are minus these.
    Every leaf gains a leading example axis: N copies of the parameters' size (52 kB each for the film's network).
    Source: the film's table, one column an example.

    >>> squared_distance = lambda params, example: jnp.sum((params - example.inputs) ** 2)
    >>> examples = Examples(inputs=jnp.array([[1.0], [3.0]]), targets=jnp.zeros((2, 1)))
    >>> per_example_gradients(squared_distance)(jnp.float32(0.0), examples).tolist()
    [-2.0, -6.0]
    """
    return jax.vmap(jax.grad(fun), (None, 0))


def average(grads: Params) -> Params:
    """Mean over the leading example axis of every leaf: the last column of the film's table.

    >>> average([jnp.array([[1.0, 2.0], [3.0, 6.0]])])[0].tolist()
    [2.0, 4.0]
    """
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), grads)
