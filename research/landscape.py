"""The cost surface: flat cross-sections, the projections of paths on them, and how far off them the paths run.

A point is all parameters as one flat vector (`ravel_pytree`); the cost is any function of it. A plane shows a path's
projection: ask `off_plane` how much it hides, and compare the share that it explains with `random_walk_shares`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from research import gradients
from research.data import Examples, unit_interval

Point = Float[Array, "params"]


class Plane(NamedTuple):
    """origin + alpha directions[0] + beta directions[1]; the directions are orthonormal, so lengths are true."""

    origin: Float[Array, "params"]
    directions: Float[Array, "2 params"]


def principal_plane(trajectory: Float[Array, "points params"]) -> Plane:
    """The plane nearest to the points of one path or more: through their mean, along two principal components.
    Each direction is turned so that the first point lies on its negative side: paths from it lead to the right and
    upwards. Raises ValueError for fewer than three points.
    Source: Lorch 2016; Li et al., arXiv:1712.09913, section 7.

    >>> plane = principal_plane(jnp.array([[0.0, 0.0, 5.0], [2.0, 1.0, 5.0], [4.0, 0.0, 5.0]]))
    >>> [round(float(size), 3) for size in jnp.abs(plane.directions).ravel()]
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    if len(trajectory) < 3:
        raise ValueError(f"the trajectory has {len(trajectory)} points; a plane needs three or more")
    mean = trajectory.mean(axis=0)
    directions = jnp.linalg.svd(trajectory - mean[None], full_matrices=False)[2][:2]
    signs = jnp.where(directions @ (trajectory[0] - mean) > 0, -1, 1).astype(directions.dtype)
    return Plane(mean, signs[:, None] * directions)


def explained_shares(trajectory: Float[Array, "points params"]) -> Float[Array, "components"]:
    """Which share of the points' variance lies along each principal component, the largest first.

    >>> explained_shares(jnp.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])).tolist()
    [0.8..., 0.2...]
    """
    squares = jnp.linalg.svd(trajectory - trajectory.mean(axis=0)[None], compute_uv=False) ** 2
    return squares / squares.sum()


def random_walk_shares(num_components: int) -> Float[Array, "components"]:
    """The shares that a long random walk in many dimensions has: 6 / (pi k)^2 for component k = 1, 2, ...
    Steps without any aim look planar too: 76 % lies in the first two. Source: Antognini and Sohl-Dickstein, 2018.

    >>> [round(100 * float(share), 1) for share in random_walk_shares(3)]
    [60.8, 15.2, 6.8]
    """
    return 6 / (jnp.pi * jnp.arange(1.0, num_components + 1)) ** 2


def shares_of_random_walks(distances: Float[Array, "walks"], num_components: int) -> Float[Array, "components"]:
    """The shares of the union of several independent random walks from one start that get as far as `distances`.
    Expected products of positions after the shares s and t of the steps are distance^2 min(s, t) within one walk, 0
    between two; the shares are the eigenvalues of this matrix, centred, as in `explained_shares` of the points' own.

    >>> [round(100 * float(share), 1) for share in shares_of_random_walks(jnp.ones(1), 2)]
    [60.8, 15.2]
    """
    done = jnp.linspace(0, 1, 200)
    within = jnp.minimum(done[:, None], done[None])
    products = jnp.kron(jnp.diag(distances**2), within)
    products -= products.mean(axis=0)[None]
    products -= products.mean(axis=1)[:, None]
    shares = jnp.linalg.eigvalsh(products)[::-1]
    return shares[:num_components] / shares.sum()


def spanned_plane(origin: Point, first: Point, second: Point) -> Plane:
    """The plane through `origin` along two directions, which are made orthonormal (Gram and Schmidt).
    Through three points a, b, c: `spanned_plane(a, b - a, c - a)`. Directions that are parallel give NaN.

    >>> spanned_plane(jnp.zeros(3), jnp.array([2.0, 0.0, 0.0]), jnp.array([5.0, 0.0, -3.0])).directions.tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]
    """
    first = first / jnp.linalg.norm(first)
    for _ in range(2):  # once more, for what rounding left of `first` where the two are nearly parallel
        second = second - (second @ first) * first
    return Plane(origin, jnp.stack([first, second / jnp.linalg.norm(second)]))


def filter_normalised(key: Key[Array, ""], params: PyTree, *, neuron_axis: int = 0) -> PyTree:
    """A random direction scaled to the network: every neuron's weights as long as its own weights are; biases 0.
    Leaves of two or more axes hold weights, one neuron an index of `neuron_axis` (0 for `models.Layer`, -1 for flax).
    Source: Li et al., arXiv:1712.09913, section 4: d <- d |theta| / |d|, filter by filter.

    >>> direction = filter_normalised(jax.random.key(0), [jnp.array([[3.0, 4.0], [0.0, 0.0]]), jnp.ones(2)])
    >>> [round(float(norm), 3) for norm in jnp.linalg.norm(direction[0], axis=1)], direction[1].tolist()
    ([5.0, 0.0], [0.0, 0.0])
    """

    def of_leaf(leaf: Array, random: Array) -> Array:
        if leaf.ndim < 2:
            return jnp.zeros_like(leaf)
        inputs = [axis for axis in range(leaf.ndim) if axis != neuron_axis % leaf.ndim]
        own, drawn = (jnp.sqrt(jnp.sum(each**2, axis=inputs, keepdims=True)) for each in (leaf, random))
        return random * (own / drawn)

    flat, unravel = ravel_pytree(params)
    return jax.tree.map(of_leaf, params, unravel(jax.random.normal(key, flat.shape, flat.dtype)))


def coordinates(plane: Plane, point: Point) -> Float[Array, "2"]:
    """Where on the plane the point's projection falls: (alpha, beta), in the units of the parameters.

    >>> coordinates(Plane(jnp.ones(3), jnp.eye(3)[:2]), jnp.array([2.0, 1.0, 9.0])).tolist()
    [1.0, 0.0]
    """
    return plane.directions @ (point - plane.origin)


def point_at(plane: Plane, place: Float[Array, "2"]) -> Point:
    """The point of the plane with these coordinates; `point_at(plane, coordinates(plane, p))` is the projection of p.

    >>> point_at(Plane(jnp.ones(3), jnp.eye(3)[:2]), jnp.array([1.0, 0.0])).tolist()
    [2.0, 1.0, 1.0]
    """
    return plane.origin + place @ plane.directions


def off_plane(plane: Plane, point: Point) -> Float[Array, ""]:
    """How far the point is from the plane, its residual: what a picture on the plane does not show.

    >>> float(off_plane(Plane(jnp.ones(3), jnp.eye(3)[:2]), jnp.array([2.0, 1.0, 9.0])))
    8.0
    """
    return jnp.linalg.norm(point - point_at(plane, coordinates(plane, point)))


def surface(
    fun: Callable[[Point], Float[Array, ""]], plane: Plane, alphas: Float[Array, "a"], betas: Float[Array, "b"]
) -> Float[Array, "a b"]:
    """The exact value of `fun`, of any model and any cost, at every point of a grid on the plane: row i at alphas[i].
    One point at a time, in the memory of one evaluation: let `fun` average in chunks (`gradients.mean_over_examples`).

    >>> surface(lambda point: jnp.sum(point**2), Plane(jnp.zeros(2), jnp.eye(2)), jnp.arange(2.0), jnp.arange(3.0))
    Array([[0., 1., 4.],
           [1., 2., 5.]], dtype=float32)
    """
    return _over_grid(lambda place: fun(point_at(plane, place)), alphas, betas)


class PlainLayers(NamedTuple):
    """A point in the landscape of plain layers, and what they compute with."""

    unravel: Callable  # point -> list of models.Layer
    cost_fn: Callable
    activation: Callable
    output_activation: Callable


def surface_of_layers(
    network: PlainLayers, plane: Plane, examples: Examples, alphas: Float[Array, "a"], betas: Float[Array, "b"],
    *, chunk_size: int = 2000,
) -> Float[Array, "a b"]:  # fmt: skip
    """`surface` of the mean cost of plain layers, some ten times faster: the first layer's product is made only thrice.
    On a plane W x + b = (W_o x + b_o) + alpha (W_u x + b_u) + beta (W_v x + b_v): the 784 pixels of an example shrink
    to three times 16 weighted sums, once for all points. Neurons are rows and examples columns, `chunk_size` examples
    at a time meet all points: both for the cache's sake.

    >>> from research import costs, models
    >>> point, unravel = ravel_pytree(models.mlp((2, 3, 2)).init(jax.random.key(0)))
    >>> examples, plane = Examples(jnp.ones((1, 2)), jnp.ones((1, 2))), Plane(point, jnp.eye(17)[:2])
    >>> silent = PlainLayers(unravel, costs.sum_of_squares, jnp.tanh, lambda sums: 0 * sums)  # outputs 0: cost 1 + 1
    >>> surface_of_layers(silent, plane, examples, jnp.zeros(1), jnp.zeros(1)).tolist()
    [[2.0]]
    """
    parts = [network.unravel(point)[0] for point in (plane.origin, *plane.directions)]  # o, u, v

    def add(total: Float[Array, "a b"], chunk: Examples) -> tuple[Float[Array, "a b"], None]:
        pixels, targets = unit_interval(chunk.inputs), chunk.targets.T
        origin, along, across = (part.weights @ pixels.T + part.biases[:, None] for part in parts)

        def cost(place: Float[Array, "2"]) -> Float[Array, ""]:
            sums = origin + place[0] * along + place[1] * across
            for layer in network.unravel(point_at(plane, place))[1:]:
                sums = layer.weights @ network.activation(sums) + layer.biases[:, None]
            outputs = jax.vmap(network.output_activation, 1, 1)(sums)  # an example at a time: it may be a softmax
            return jax.vmap(network.cost_fn, (1, 1))(outputs, targets).sum()

        return total + _over_grid(cost, alphas, betas), None

    zeros = jnp.zeros((len(alphas), len(betas)), plane.origin.dtype)
    return gradients.scan_in_chunks(add, zeros, examples, chunk_size)[0] / len(examples.inputs)


def _over_grid(
    fun: Callable[[Float[Array, "2"]], Float[Array, ""]], alphas: Float[Array, "a"], betas: Float[Array, "b"]
) -> Float[Array, "a b"]:
    """fun of (alpha, beta) at every point of the grid, one after the other."""

    def row(alpha: Float[Array, ""]) -> Float[Array, "b"]:
        return jax.lax.map(lambda beta: fun(jnp.stack([alpha, beta])), betas)

    return jax.lax.map(row, alphas)
