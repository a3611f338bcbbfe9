"""How a path runs: its length, its turns, how far it gets, how much it winds.

A path is the points that a descent was seen at, one a row. Looked at rarely it seems shorter; `odometer` sees all.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

from research import fits

Points = Float[np.ndarray, "points params"]


class Walked(NamedTuple):
    """What an odometer shows; from the differences of two readings follows what happened between them."""

    last_step: PyTree
    steps: Int[Array, ""]
    length: Float[Array, ""]  # of the path: the sum of |step|
    turns: Float[Array, ""]  # the sum of the cosines between each step and the one before it


def odometer() -> optax.GradientTransformation:
    """Changes no step, but adds up how long the path is and how sharply it turns, with nothing stored on the way.
    Put it behind the optimizer, `optax.chain(optax.sgd(0.1), odometer())`, and read `state.opt_state[-1]`, a `Walked`:
    of a straight walk turns / (steps - 1) is 1, of one without memory about 0. A step of length 0 turns by 0.

    >>> optimizer = odometer()
    >>> walked = optimizer.init(jnp.zeros(2))
    >>> for step in ([3.0, 4.0], [6.0, 8.0], [-4.0, 3.0]):  # straight on, then a right angle
    ...     _, walked = optimizer.update(jnp.array(step), walked)
    >>> int(walked.steps), float(walked.length), round(float(walked.turns), 6)
    (3, 20.0, 1.0)
    """

    def init(params: PyTree) -> Walked:
        zero = jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))
        return Walked(jax.tree.map(jnp.zeros_like, params), jnp.int32(0), zero, zero)

    def update(updates: PyTree, state: Any, params: PyTree | None = None) -> tuple[PyTree, Walked]:
        length, before = optax.tree.norm(updates), optax.tree.norm(state.last_step)
        both = jnp.asarray(length * before)
        cosine = jnp.where(both > 0, optax.tree.vdot(updates, state.last_step) / jnp.where(both > 0, both, 1), 0)
        return updates, Walked(updates, state.steps + 1, state.length + length, state.turns + cosine)

    return optax.GradientTransformation(init, update)


def squared_displacements(points: Points) -> Float[np.ndarray, "lags"]:
    """Mean of |p(t + lag) - p(t)|^2 over t, for lag = 1, 2, ... up to half of the path, in float64.
    From the dot products of all pairs, |p|^2 + |q|^2 - 2 p . q, about the mean: points x points numbers are held.

    >>> squared_displacements(np.array([[0.0], [1.0], [2.0], [3.0]])).round(9).tolist()
    [1.0, 4.0]
    """
    centred = points.astype(float) - points.mean(axis=0, dtype=float)
    products = centred @ centred.T
    squares = products.diagonal()[:, None] + products.diagonal()[None] - 2 * products
    return np.array([squares.diagonal(lag).mean() for lag in range(1, max(2, len(points) // 2 + 1))])


def exponent(displacements: Float[np.ndarray, "lags"]) -> float:
    """k of displacement = c lag^k, by least squares of the logarithms over the first half of the lags: 2 is straight
    ahead, 1 a random walk (Einstein 1905), less is held back.

    >>> round(exponent(np.array([1.0, 4.0, 9.0, 16.0])), 9)
    2.0
    """
    lags = np.arange(1, max(3, len(displacements) // 2 + 1))
    return fits.log_log_slope(lags, displacements[: len(lags)])


def winding(points: Points) -> float:
    """Path length over displacement: the line through the points over the distance from the first to the last.

    >>> winding(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]))  # 3 + 4 over 5
    1.4
    """
    points = points.astype(float)
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum() / np.linalg.norm(points[-1] - points[0]))
