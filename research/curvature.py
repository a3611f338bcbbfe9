"""How the cost curves: what its Hessian H does, never the Hessian itself.

H has as many rows as there are parameters; but H times a direction, all that is asked for here, costs about as much as
two or three gradients. The network is a black box: everything takes objective(params, examples) -> cost, for instance
`research.gradients.mean_over_examples`, and with its `chunk_size` needs memory for one chunk of examples.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key, PyTree
from matfree import decomp

from research.gradients import Scalar


class Eigenpairs(NamedTuple):
    """Eigenvalues, the largest first, and their eigenvectors of length 1, flat as by `ravel_pytree`, one a row."""

    values: Float[Array, "num"]
    vectors: Float[Array, "num params"]


def hessian_vector_product(objective: Callable) -> Callable[[PyTree, PyTree, PyTree], PyTree]:
    """H v, the change of the gradient along `direction` v, a pytree like the parameters: d/dt grad C(params + t v).
    Forward over reverse: one pass, nothing stored beyond what the gradient needs, also of sums in chunks.
    Source: Pearlmutter (1994), "Fast exact multiplication by the Hessian".

    >>> objective = lambda params, examples: params[0] ** 2 * params[1]  # H = [[2 y, 2 x], [2 x, 0]]
    >>> product = hessian_vector_product(objective)
    >>> product(jnp.array([3.0, 5.0]), (), jnp.array([1.0, 0.0])).tolist()
    [10.0, 6.0]
    """

    def product(params: PyTree, examples: PyTree, direction: PyTree) -> PyTree:
        return jax.jvp(lambda point: jax.grad(objective)(point, examples), (params,), (direction,))[1]

    return product


def ritz_pairs(
    objective: Callable, params: PyTree, examples: PyTree, key: Key[Array, ""], *, num_iterations: int = 30
) -> Eigenpairs:
    """Approximate eigenvalues of H by Lanczos' iteration, fully reorthogonalised, from a random start.

    H is restricted to the span of v, Hv, H^2 v, ..., `num_iterations` of them, which are held; the eigenvalues there,
    the Ritz values, lie between the smallest and the largest of H. ONLY THE ENDS CONVERGE to eigenvalues of H: take
    values[0], values[1], ... and values[-1], and check them by `residuals`. One of several equal eigenvalues is found
    once. Where the span cannot grow any more, the ends are exact, and the pairs left over are no eigenpairs: vectors of
    zeros, values in the middle, `residuals` NaN. Raises ValueError if num_iterations is below 1.
    Source: Lanczos (1950); the iteration is matfree's.

    >>> objective = lambda params, examples: 0.5 * jnp.sum(jnp.array([4.0, 1.0, -2.0]) * params**2)
    >>> pairs = ritz_pairs(objective, jnp.zeros(3), (), jax.random.key(0), num_iterations=3)
    >>> [round(float(value), 4) for value in pairs.values]
    [4.0, 1.0, -2.0]
    """
    if num_iterations < 1:
        raise ValueError(f"num_iterations is {num_iterations}; it must be 1 or more")
    flat, unflatten = ravel_pytree(params)
    product = hessian_vector_product(objective)
    iterate = decomp.tridiag_sym(min(num_iterations, flat.size), materialize=False, custom_vjp=False)
    found: Any = iterate(
        lambda vector: ravel_pytree(product(params, examples, unflatten(vector)))[0],
        jax.random.normal(key, flat.shape, flat.dtype),
    )
    return _ritz_pairs(found.Q_tall, *found.J_small)


def _ritz_pairs(
    basis: Float[Array, "k params"], diagonal: Float[Array, "k"], off_diagonal: Float[Array, "k-1"]
) -> Eigenpairs:
    """The eigenpairs of the tridiagonal matrix, as vectors of the parameters.
    Where the span is exhausted, the off-diagonal entry is a rounding error, and what the iteration divides by it noise:
    the rows from there on become zeros, with a value from the middle. Of the start alone the one true pair goes first.
    """
    so_far = jax.lax.cummax(jnp.abs(diagonal[:-1]) + jnp.abs(off_diagonal))
    grows = off_diagonal > 10 * jnp.finfo(diagonal.dtype).eps * so_far  # False for NaN too
    sound = jnp.cumprod(jnp.concatenate([jnp.ones(1, int), grows.astype(int)])).astype(bool)
    diagonal = jnp.where(sound, diagonal, diagonal[0])
    off_diagonal = jnp.where(sound[1:], off_diagonal, jnp.zeros_like(off_diagonal))
    basis = jnp.where(sound[:, None], basis, jnp.zeros_like(basis))
    values, mixtures = jnp.linalg.eigh(jnp.diag(diagonal) + jnp.diag(off_diagonal, 1) + jnp.diag(off_diagonal, -1))
    return Eigenpairs(values[::-1], jnp.where(sound[1:].any(), mixtures.T[::-1] @ basis, basis))


def top_eigenvalues(
    objective: Callable,
    params: PyTree,
    examples: PyTree,
    key: Key[Array, ""],
    *,
    num: int = 1,
    num_iterations: int = 30,
) -> Eigenpairs:
    """The `num` largest eigenvalues of H, the largest first, with eigenvectors, as far as `ritz_pairs` found them.
    The first converge first: take several iterations for each, and look at their `residuals`, NaN where H has fewer
    different eigenvalues than `num`. Raises ValueError if num is not in 1..num_iterations.

    >>> objective = lambda params, examples: 0.5 * jnp.sum(jnp.array([4.0, 1.0, -2.0]) * params**2)
    >>> pairs = top_eigenvalues(objective, jnp.zeros(3), (), jax.random.key(0), num=2)
    >>> [round(float(value), 4) for value in pairs.values], jnp.abs(pairs.vectors).round(3).tolist()
    ([4.0, 1.0], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    """
    if not 1 <= num <= num_iterations:
        raise ValueError(f"num is {num}; it must be between 1 and num_iterations, {num_iterations}")
    pairs = ritz_pairs(objective, params, examples, key, num_iterations=num_iterations)
    return Eigenpairs(pairs.values[:num], pairs.vectors[:num])


def residuals(objective: Callable, params: PyTree, examples: PyTree, pairs: Eigenpairs) -> Float[Array, "num"]:
    """|H v - lambda v| / |v| of every pair: some eigenvalue of H lies that near to lambda. NaN where v is zero.

    >>> objective = lambda params, examples: jnp.sum(jnp.array([2.0, 1.0]) * params**2)
    >>> pairs = Eigenpairs(jnp.array([4.0, 1.0]), jnp.eye(2))  # the eigenvalues are 4 and 2
    >>> residuals(objective, jnp.zeros(2), (), pairs).tolist()
    [0.0, 1.0]
    """
    unflatten = ravel_pytree(params)[1]
    product = hessian_vector_product(objective)

    def of_one(pair: Eigenpairs) -> Scalar:
        curved = ravel_pytree(product(params, examples, unflatten(pair.vectors)))[0]
        return jnp.linalg.norm(curved - pair.values * pair.vectors) / jnp.linalg.norm(pair.vectors)

    return jax.lax.map(of_one, pairs)


def chance_of_missing(num_params: int, num_iterations: int, tolerance: float) -> float:
    """A bound on the probability that Lanczos' iteration from a random start misses an end of the spectrum by more than
    `tolerance` of its width: 1.648 sqrt(n) exp(-sqrt(tolerance) (2 k - 1)).
    Source: Kuczynski and Wozniakowski (1992), SIAM J. Matrix Anal. Appl. 13, 1094.

    >>> round(chance_of_missing(13002, 150, 1e-3), 3)
    0.015
    """
    return 1.648 * num_params**0.5 * math.exp(-(tolerance**0.5) * (2 * num_iterations - 1))


def sharpness(
    objective: Callable, params: PyTree, examples: PyTree, key: Key[Array, ""], *, num_iterations: int = 30
) -> Scalar:
    """The largest eigenvalue of H, from below: on a parabola gradient descent diverges where it is above 2/eta.
    Source: Cohen et al., arXiv:2103.00065.

    >>> objective = lambda params, examples: 0.5 * jnp.sum(jnp.array([4.0, 1.0, -9.0]) * params**2)
    >>> round(float(sharpness(objective, jnp.zeros(3), (), jax.random.key(0))), 4)
    4.0
    """
    return ritz_pairs(objective, params, examples, key, num_iterations=num_iterations).values[0]


def sharpness_along(
    objective: Callable, path: PyTree, examples: PyTree, key: Key[Array, ""], *, num_iterations: int = 30
) -> Float[Array, "points"]:
    """The sharpness at every point of a path, one point after the other; every leaf of `path` leads with a point axis.

    >>> objective = lambda params, examples: params**4 / 12  # its second derivative is params^2
    >>> sharpness_along(objective, jnp.array([1.0, 3.0]), (), jax.random.key(0)).tolist()
    [1.0, 9.0]
    """
    return jax.lax.map(lambda at: sharpness(objective, at, examples, key, num_iterations=num_iterations), path)


def batch_sharpness(
    objective: Callable, params: PyTree, examples: PyTree, schedule: Int[Array, "batches batch"]
) -> Scalar:
    """The mean over batches B of g_B^T H_B g_B / |g_B|^2, where g_B and H_B are gradient and Hessian of B's own cost.
    How much each batch's cost curves along its own step: above 2/eta the step overshoots so far, to second order, that
    the batch's own cost rises. One batch of everything: at most the sharpness. NaN where a batch's gradient is zero.
    Source: Andreyev and Beneventano, arXiv:2412.20553.

    >>> from research.data import Examples
    >>> objective = lambda params, batch: jnp.mean(batch.inputs @ params**2) / 2  # H_B = diag(mean of the inputs)
    >>> examples = Examples(jnp.array([[2.0, 0.0], [0.0, 6.0]]), jnp.zeros((2, 1)))
    >>> float(batch_sharpness(objective, jnp.ones(2), examples, jnp.array([[0], [1]])))
    4.0
    """
    product = hessian_vector_product(objective)

    def of_one(rows: Int[Array, "batch"]) -> Scalar:
        batch = jax.tree.map(lambda leaf: leaf.at[rows].get(mode="clip"), examples)
        grads = jax.grad(objective)(params, batch)
        curved, flat = ravel_pytree(product(params, batch, grads))[0], ravel_pytree(grads)[0]
        return flat @ curved / (flat @ flat)

    return jnp.mean(jax.lax.map(of_one, schedule))
