"""Every example's gradient, in bulk: how far the examples scatter, and what that says of mini-batches.

    g_i = grad C_i,   G = 1/N sum_i g_i,   Sigma = 1/N sum_i (g_i - G)(g_i - G)^T

All of them would be N copies of the parameters (3 GB for the film's network), so the examples go through in chunks,
and only sums and one number an example are kept. There are two ways to the same numbers:

    moments         weighted_sums          by per_example_gradients: any model, any cost
    layer_moments   layer_weighted_sums    plain layers only; the moments about five times as fast

The second way never forms a gradient: that of a layer's weights is an outer product, delta_l a_{l-1}^T, and all that is
wanted of it can be had from its two factors (Goodfellow, arXiv:1510.01799):

    |g_i|^2 = sum_l |delta_l|^2 (|a_{l-1}|^2 + 1),     g_i . g_j = sum_l (delta_l . delta_l') (a_{l-1} . a_{l-1}' + 1)
"""

import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, Shaped

from research import backprop, gradients, sampling, sharding
from research.data import Examples
from research.models import Activation, Layer, Params

Numbers = Shaped[Array, "..."] | np.ndarray | np.number | float | int
Groups = Float[Array, "examples groups"]
Spread = tuple[Params, Params]  # mean and variance, as in Moments


class Moments(NamedTuple):
    """How the gradients of many examples scatter. Sigma itself, params x params, is never formed."""

    mean: Params  # G
    variance: Params  # of every component over the examples, with 1/N: the diagonal of Sigma
    squared_norms: Float[Array, "examples"]  # |g_i|^2


class Factor(NamedTuple):
    """One layer's gradient in two factors: delta a^T for the weights, delta for the biases."""

    deltas: Float[Array, "*batch out"]  # dC_i/dz_l
    activations: Float[Array, "*batch in"]  # a_{l-1}


def moments(one: Callable, chunk_size: int = 25) -> Callable[[Params, Examples], Moments]:
    """Mean and variance of every component of the gradient of `one(params, example)`, and every example's |g_i|^2.
    Chunks are pooled by means and variances, never by raw sums of squares, which in float32 lose the variance where the
    mean is large (Chan, Golub and LeVeque, 1983). Of few, the sums are written out: compiling takes its time.

    >>> one = lambda params, example: jnp.vdot(params, example.inputs)  # its gradient is the input
    >>> examples = Examples(jnp.array([[1.0, 5.0], [3.0, 5.0]]), jnp.zeros((2, 1)))
    >>> found = moments(one)(jnp.zeros(2), examples)
    >>> found.mean.tolist(), found.variance.tolist(), found.squared_norms.tolist()
    ([2.0, 5.0], [1.0, 0.0], [26.0, 34.0])
    """
    grads_of = gradients.per_example_gradients(one)

    def of_chunk(params: Params, chunk: Examples) -> Moments:
        grads = grads_of(params, chunk)
        mean = jax.tree.map(_mean_of, grads)
        variance = jax.tree.map(lambda leaf, middle: _mean_of(leaf, lambda row: (row - middle) ** 2), grads, mean)
        squares = [jnp.sum(leaf**2, axis=range(1, leaf.ndim)) for leaf in jax.tree.leaves(grads)]
        return Moments(mean, variance, jax.tree.reduce(jnp.add, squares))

    return _pooled(of_chunk, chunk_size)


def weighted_sums(one: Callable, chunk_size: int = 100) -> Callable[[Params, Examples, Groups], Params]:
    """sum_i w_ic g_i for every column c of the weights: each leaf of the result leads with an axis of columns.
    Columns that are one-hot over their count give the mean gradient of a class or of a mini-batch.

    >>> one = lambda params, example: jnp.vdot(params, example.inputs)
    >>> examples = Examples(jnp.array([[1.0, 5.0], [3.0, 5.0]]), jnp.zeros((2, 1)))
    >>> weighted_sums(one)(jnp.zeros(2), examples, jnp.array([[0.5, 1.0], [0.5, -1.0]])).tolist()
    [[2.0, 5.0], [-2.0, 0.0]]
    """
    grads_of = gradients.per_example_gradients(one)

    def of_chunk(params: Params, chunk: Examples, weights: Groups) -> Params:
        return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, axes=(0, 0)), grads_of(params, chunk))

    return _summed(of_chunk, chunk_size)


def layer_factors(
    cost_fn: Callable, activation: Activation, output_activation: Activation
) -> Callable[[list[Layer], Examples], list[Factor]]:
    """For one example, each layer's two factors, by backpropagation by hand: research.backprop's functions, its limits.

    >>> params, example = [Layer(jnp.array([[2.0]]), jnp.array([0.0]))], Examples(jnp.array([1.0]), jnp.array([0.0]))
    >>> factors = layer_factors(lambda output, target: output[0] ** 2, jnp.tanh, lambda z: z)  # C = (2 x)^2
    >>> factors(params, example)[0].deltas.tolist(), factors(params, example)[0].activations.tolist()
    ([4.0], [1.0])
    """

    def factors(params: list[Layer], example: Examples) -> list[Factor]:
        before = backprop.feed_forward(params, example.inputs, activation, output_activation).activations[:-1]
        grads = backprop.backpropagate(params, example, cost_fn, activation, output_activation).grads
        return [Factor(layer.biases, sees) for layer, sees in zip(grads, before, strict=True)]

    return factors


def layer_moments(factors: Callable, chunk_size: int = 500) -> Callable[[list[Layer], Examples], Moments]:
    """What `moments` finds, for plain layers: `factors` are those of `layer_factors`.
    Mean square of the component w_jk: 1/N sum_i delta_ij^2 a_ik^2, one matrix product. The square of the mean is taken
    off it within each chunk, an error of mean^2 / variance roundings: where nearly all examples agree, ask `moments`.

    >>> factors = layer_factors(lambda output, target: output[0] ** 2, jnp.tanh, lambda z: z)
    >>> params = [Layer(jnp.array([[2.0]]), jnp.array([0.0]))]  # C = (w x + b)^2 with w x = 2 x: gradient (4 x^2, 4 x)
    >>> found = layer_moments(factors)(params, Examples(jnp.array([[1.0], [0.5]]), jnp.zeros((2, 1))))
    >>> found.mean[0].weights.tolist(), found.variance[0].biases.tolist(), found.squared_norms.tolist()
    ([[2.5]], [1.0], [32.0, 5.0])
    """

    def of_chunk(params: list[Layer], chunk: Examples) -> Moments:
        found = jax.vmap(factors, (None, 0))(params, chunk)
        squared = [Factor(*(part**2 for part in factor)) for factor in found]
        mean, mean_square = _mean_gradient(found), _mean_gradient(squared)
        variance = jax.tree.map(lambda square, middle: jnp.maximum(square - middle**2, 0), mean_square, mean)
        norms = [jnp.sum(deltas, axis=1) * (jnp.sum(activations, axis=1) + 1) for deltas, activations in squared]
        return Moments(mean, variance, jax.tree.reduce(jnp.add, norms))

    return _pooled(of_chunk, chunk_size)


def layer_weighted_sums(factors: Callable, chunk_size: int = 500) -> Callable[[list[Layer], Examples, Groups], Params]:
    """What `weighted_sums` finds, for plain layers: sum_i (w_ic delta_i) a_i^T, one matrix product.

    >>> factors = layer_factors(lambda output, target: output[0] ** 2, jnp.tanh, lambda z: z)
    >>> params = [Layer(jnp.array([[2.0]]), jnp.array([0.0]))]
    >>> examples = Examples(jnp.array([[1.0], [0.5]]), jnp.zeros((2, 1)))
    >>> layer_weighted_sums(factors)(params, examples, jnp.array([[0.5], [0.5]]))[0].weights.tolist()
    [[[2.5]]]
    """

    def of_chunk(params: list[Layer], chunk: Examples, weights: Groups) -> Params:
        return [
            Layer(jnp.einsum("ng,no,ni->goi", weights, deltas, activations), weights.T @ deltas)
            for deltas, activations in jax.vmap(factors, (None, 0))(params, chunk)
        ]

    return _summed(of_chunk, chunk_size)


def squared_norm(tree: PyTree) -> Float[Array, ""]:
    """The sum of the squares of all components: |G|^2 of a mean gradient.

    >>> float(squared_norm([jnp.array([1.0, 2.0]), jnp.array([2.0])]))
    9.0
    """
    return jax.tree.reduce(jnp.add, [jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)])


def total_variance(found: Moments) -> Float[Array, ""]:
    """tr Sigma: the mean squared distance of an example's gradient from their mean.

    >>> float(total_variance(Moments(jnp.array([2.0, 5.0]), jnp.array([1.0, 0.5]), jnp.array([26.0, 34.0]))))
    1.5
    """
    return jax.tree.reduce(jnp.add, jax.tree.map(jnp.sum, found.variance))


def noise_scale(found: Moments) -> Float[Array, ""]:
    """B_simple = tr Sigma / |G|^2: the batch size at which a mini-batch gradient is as much noise as signal.
    Source: McCandlish et al., arXiv:1812.06162, eq. 2.9.

    >>> float(noise_scale(Moments(jnp.array([1.0, 1.0]), jnp.array([3.0, 5.0]), jnp.array([10.0]))))
    4.0
    """
    return total_variance(found) / squared_norm(found.mean)


def expected_cosine(scale: Numbers, batch_size: Numbers, num_examples: int) -> Array:
    """About what cosine a mini-batch gradient has with G: 1/sqrt(1 + (B_simple/B)(N-B)/(N-1)).
    Exact is the ratio of means: E g_B . G / |G| = |G|, over the root mean square of |g_B|. The mean of the cosine, a
    ratio, can be higher, where the noise is at right angles to G and |g_B| varies much, and lower, where the noise lies
    along G: of nine gradients 1 and one -0.01, one drawn alone has mean cosine 0.8, and the formula says 0.948.

    >>> round(float(expected_cosine(900.0, 100, 60_000)), 3)
    0.316
    >>> expected_cosine(jnp.array([[3.0], [8.0]]), jnp.array([[1.0, 101.0]]), 101).tolist()
    [[0.5, 1.0], [0.3333333432674408, 1.0]]
    """
    return 1 / jnp.sqrt(1 + scale / batch_size * sampling.finite_population(batch_size, num_examples))


def _mean_of(rows: Array, of_row: Callable[[Array], Array] = lambda row: row) -> Array:
    """Mean over the leading axis of what `of_row` makes of each row. Up to 100 are added up two by two: the compiler
    then writes no example's gradient to memory, on CPUs in half the time of `jnp.mean`; more would be too much code."""
    if len(rows) > 100:
        return jnp.mean(jax.vmap(of_row)(rows), axis=0)
    terms = [*map(of_row, rows)]
    while len(terms) > 1:
        terms = [*map(operator.add, terms[::2], terms[1::2]), *terms[len(terms) // 2 * 2 :]]
    return terms[0] / len(rows)


def _mean_gradient(factors: list[Factor]) -> list[Layer]:
    return [Layer(deltas.T @ activations / len(deltas), jnp.mean(deltas, axis=0)) for deltas, activations in factors]


def _pooled(of_chunk: Callable, chunk_size: int) -> Callable[[Params, Examples], Moments]:
    """The moments of all examples from those of chunks."""

    def of_all(params: Params, examples: Examples) -> Moments:
        def pool(so_far: tuple[Array, Spread], chunk: Examples) -> tuple[tuple[Array, Spread], Array]:
            count, spread = so_far
            *new, norms = of_chunk(params, chunk)
            return (count + len(norms), _pool(spread, new, len(norms) / (count + len(norms)))), norms

        def of_share(share: sharding.Share) -> Moments:
            (_, (mean, variance)), norms = gradients.scan_in_chunks(pool, start, examples, chunk_size, share)
            return Moments(mean, variance, norms)

        start = jnp.zeros(()), (jax.tree.map(jnp.zeros_like, params),) * 2
        return sharding.join_shares(of_share, _union, len(examples.inputs))

    return of_all


def _union(found: Moments, other: Moments) -> Moments:
    norms = jnp.concatenate([found.squared_norms, other.squared_norms])
    return Moments(*_pool(found[:2], other[:2], len(other.squared_norms) / len(norms)), norms)


def _pool(spread: Sequence[Params], other: Sequence[Params], share: Numbers) -> Spread:
    """Mean and variance of the union of two sets, with shares s of the other and 1 - s of the first:
    m + s d and v + s (v' - v) + s (1 - s) d^2, where d = m' - m."""

    def of_variance(v: Array, v_other: Array, m: Array, m_other: Array) -> Array:
        s = jnp.asarray(share, v.dtype)
        return v + s * (v_other - v) + s * (1 - s) * (m_other - m) ** 2

    of_mean = lambda m, m_other: m + jnp.asarray(share, m.dtype) * (m_other - m)
    (mean, variance), (mean_other, variance_other) = spread, other
    variance = jax.tree.map(of_variance, variance, variance_other, mean, mean_other)
    return jax.tree.map(of_mean, mean, mean_other), variance


def _summed(of_chunk: Callable, chunk_size: int) -> Callable[[Params, Examples, Groups], Params]:
    def of_all(params: Params, examples: Examples, weights: Groups) -> Params:
        def add(total: Params, chunk: tuple[Examples, Groups]) -> tuple[Params, tuple]:
            return jax.tree.map(jnp.add, total, of_chunk(params, *chunk)), ()

        zeros = jax.tree.map(lambda leaf: jnp.zeros((weights.shape[1], *leaf.shape), leaf.dtype), params)
        of_share = lambda share: gradients.scan_in_chunks(add, zeros, (examples, weights), chunk_size, share)[0]
        return sharding.sum_of_shares(of_share, len(weights))

    return of_all
