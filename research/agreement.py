"""Do the examples agree? Dot products of their gradients: all at once (diversity), between classes, pair by pair.

    G_c = mean of g_i over class c,   tr Sigma = sum_c n_c/N |G_c - G|^2  +  sum_c n_c/N tr Sigma_c
                                                 between                     within

As in statistics.py there are two ways to every number: `dot_products` and `weighted_sums` for any model,
`layer_dot_products` and `layer_weighted_sums` for plain layers, whose gradients are never formed.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from research import gradients, statistics
from research.data import Examples, take
from research.models import Layer, Params


class Agreement(NamedTuple):
    """Between which classes the examples pull together, and how the scatter divides: tr Sigma = between + within."""

    products: Float[Array, "classes classes"]  # G_c . G_d of the classes' mean gradients
    cosines: Float[Array, "classes classes"]  # mean cosine of two different examples, one of class c and one of class d
    between: Float[Array, ""]  # sum_c n_c/N |G_c - G|^2
    within: Float[Array, ""]  # sum_c n_c/N tr Sigma_c


class Opponents(NamedTuple):
    """For every example the one that pulls hardest against it."""

    cosines: Float[Array, "examples"]
    partners: Int[Array, "examples"]


def gradient_diversity(found: statistics.Moments) -> Float[Array, ""]:
    """sum_i |g_i|^2 / |sum_i g_i|^2: 1/N where all gradients are the same, 1 where they are at right angles.
    One over it is the m-coherence: how many of the N examples an example's own step helps, itself included.
    Source: Yin et al., arXiv:1706.05699; Chatterjee and Zielinski, arXiv:2008.01217.

    >>> found = statistics.Moments(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.25]), jnp.array([1.0, 1.0]))
    >>> float(gradient_diversity(found))
    1.0
    """
    return jnp.mean(found.squared_norms) / statistics.squared_norm(found.mean) / len(found.squared_norms)


def dot_products(one: Callable) -> Callable[[Params, Examples, Examples], Float[Array, "first second"]]:
    """g_i . g_j for every i of the first examples and j of the second; the gradients of both are held at once.

    >>> one = lambda params, example: jnp.vdot(params, example.inputs)
    >>> examples = Examples(jnp.array([[1.0, 5.0], [3.0, -1.0]]), jnp.zeros((2, 1)))
    >>> dot_products(one)(jnp.zeros(2), examples, examples).tolist()
    [[26.0, -2.0], [-2.0, 10.0]]
    """
    grads = gradients.per_example_gradients(one)

    def products(params: Params, first: Examples, second: Examples) -> Float[Array, "first second"]:
        return tree_products(grads(params, first), grads(params, second))

    return products


def layer_dot_products(factors: Callable) -> Callable[[list[Layer], Examples, Examples], Float[Array, "first second"]]:
    """What `dot_products` finds, for plain layers, with no gradient held: first x second numbers, and the factors.

    >>> factors = statistics.layer_factors(lambda output, target: output[0] ** 2, jnp.tanh, lambda z: z)
    >>> params = [Layer(jnp.array([[2.0]]), jnp.array([0.0]))]
    >>> examples = Examples(jnp.array([[1.0], [-0.5]]), jnp.zeros((2, 1)))  # gradients (4, 4) and (1, -2)
    >>> layer_dot_products(factors)(params, examples, examples).tolist()
    [[32.0, -4.0], [-4.0, 5.0]]
    """

    def products(params: list[Layer], first: Examples, second: Examples) -> Float[Array, "first second"]:
        pairs = zip(*(jax.vmap(factors, (None, 0))(params, some) for some in (first, second)), strict=True)
        terms = [(one.deltas @ two.deltas.T) * (one.activations @ two.activations.T + 1) for one, two in pairs]
        return jax.tree.reduce(jnp.add, terms)

    return products


def class_agreement(sums: Callable) -> Callable[[Params, Examples, Float[Array, "examples"]], Agreement]:
    """How far the examples of each class agree with their own kind and with each other class.
    `sums` is `weighted_sums(one)` or `layer_weighted_sums(factors)`; `squared_norms` are those of the moments. The mean
    cosine of two classes is the dot product of their mean unit gradients, without the pairs of an example with itself.

    >>> one = lambda params, example: jnp.vdot(params, example.inputs)
    >>> examples = Examples(jnp.array([[3.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), jnp.eye(2)[jnp.array([0, 0, 1])])
    >>> found = class_agreement(statistics.weighted_sums(one))(jnp.zeros(2), examples, jnp.array([9.0, 1.0, 4.0]))
    >>> found.products.tolist(), found.cosines.tolist(), round(float(found.within), 4)
    ([[4.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 0.0]], 0.6667)
    """

    def agreement(params: Params, examples: Examples, squared_norms: Float[Array, "examples"]) -> Agreement:
        classes = examples.targets.astype(squared_norms.dtype)
        counts = jnp.sum(classes, axis=0)
        shares = counts / len(classes)
        members = classes / jnp.maximum(counts, 1)[None]
        inverse_lengths = jnp.where(squared_norms > 0, jax.lax.rsqrt(squared_norms), 0)
        units = members * inverse_lengths[:, None]
        together = sums(params, examples, jnp.concatenate([members, units], axis=1))
        products = tree_products(together, together)
        plain, cosines = products[: len(counts), : len(counts)], products[len(counts) :, len(counts) :]
        with_themselves = (inverse_lengths > 0).astype(members.dtype) @ members
        others = (counts * jnp.diag(cosines) - with_themselves) / jnp.maximum(counts - 1, 1)
        explained = shares @ jnp.diag(plain)
        return Agreement(
            products=plain,
            cosines=jnp.fill_diagonal(cosines, others, inplace=False),
            between=explained - shares @ plain @ shares,
            within=jnp.mean(squared_norms) - explained,
        )

    return agreement


def opponents(products: Callable, chunk_size: int = 100) -> Callable[[Params, Examples], Opponents]:
    """For every example, the one whose gradient has the most negative cosine with its own: N^2 pairs, chunk x N held.
    `products` is `layer_dot_products(factors)`, or `dot_products(one)` for few examples. No gradient: cosine 0.

    >>> one = lambda params, example: jnp.vdot(params, example.inputs)
    >>> examples = Examples(jnp.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.1]]), jnp.zeros((3, 1)))
    >>> opponents(dot_products(one))(jnp.zeros(2), examples).partners.tolist()
    [2, 0, 0]
    """

    def of_all(params: Params, examples: Examples) -> Opponents:
        def length(example: Examples) -> Float[Array, ""]:
            alone = take(example, None)
            return jnp.sqrt(products(params, alone, alone)[0, 0])

        lengths = jax.lax.map(length, examples, batch_size=chunk_size)
        inverse = jnp.where(lengths > 0, 1 / lengths, 0)

        def opponent(example_and_inverse: tuple[Examples, Float[Array, ""]]) -> Opponents:
            example, own = example_and_inverse
            row = products(params, take(example, None), examples)[0]
            cosines = row * inverse * own
            return Opponents(jnp.min(cosines), jnp.argmin(cosines))

        return jax.lax.map(opponent, (examples, inverse), batch_size=chunk_size)

    return of_all


def tree_products(first: PyTree, second: PyTree) -> Float[Array, "first second"]:
    """Dot products of the rows of two trees, every leaf of which leads with an axis of rows.

    >>> tree_products([jnp.eye(2), jnp.ones((2, 1))], [jnp.eye(2), jnp.ones((2, 1))]).tolist()
    [[2.0, 1.0], [1.0, 2.0]]
    """
    flat = [[leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)] for tree in (first, second)]
    terms = [rows @ columns.T for rows, columns in zip(*flat, strict=True)]
    return jax.tree.reduce(jnp.add, terms)
