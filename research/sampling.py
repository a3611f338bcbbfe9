"""Theory of drawn mini-batches: finite populations, what two batch sizes tell, a constant rate on a mean of parabolas.

A mean of N parabolas, C_i = (e - e_i)^T A_i (e - e_i) / 2, is seen from its optimum: `curvatures` (N, d, d) are the
A_i, `slopes` (N, d) are each example's gradient g_i there, so that they sum to 0. One example a step, constant rate.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Shaped

Numbers = Shaped[Array, "..."] | np.ndarray | np.number | float | int
Curvatures = Float[np.ndarray, "examples d d"]
Slopes = Float[np.ndarray, "examples d"]
DRAWN_ORDERS = 10_000  # for the variance over all shuffles


class NoiseEstimate(NamedTuple):
    """What two batches of different size tell about all examples."""

    squared_norm: Numbers  # |G|^2
    total_variance: Numbers  # tr Sigma


def finite_population(batch_size: Numbers, num_examples: int) -> Numbers:
    """(N - B)/(N - 1): what drawing without replacement makes of the covariance Sigma/B of a mini-batch gradient.

    >>> finite_population(1, 8), finite_population(np.array([1, 8]), 8).tolist()
    (1.0, [1.0, 0.0])
    """
    return (num_examples - batch_size) / (num_examples - 1)


def covariances(batch_size: np.ndarray, num_examples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Over Sigma: cov g_B with replacement, without, and cov(g_B, g_B') of two batches of one shuffle.

    >>> [values.tolist() for values in covariances(np.array([1, 2]), 3)]
    [[1.0, 0.5], [1.0, 0.25], [-0.5, -0.5]]
    """
    without = np.asarray(finite_population(batch_size, num_examples)) / batch_size
    return 1 / batch_size, without, np.full(len(batch_size), -1 / (num_examples - 1))


def two_batch_estimate(small: Numbers, big: Numbers, small_size: int, big_size: int) -> NoiseEstimate:
    """|G|^2 and tr Sigma from the squared norms of the mean gradients of a small and a big batch, both unbiased.
    E |g_B|^2 = |G|^2 + tr Sigma / B, for two B. Their ratio is biased: average each over many pairs first. Without
    replacement: |G|^2 - tr Sigma/(N-1), N/(N-1) tr Sigma. Raises ValueError unless 1 <= small_size < big_size.
    Source: McCandlish et al., arXiv:1812.06162, appendix A.1.

    >>> [float(number) for number in two_batch_estimate(4.0 + 8.0 / 2, 4.0 + 8.0 / 8, small_size=2, big_size=8)]
    [4.0, 8.0]
    """
    if not 1 <= small_size < big_size:
        raise ValueError(f"the sizes are {small_size} and {big_size}; the small one must be 1 or more and the smaller")
    squared_norm = (big_size * big - small_size * small) / (big_size - small_size)
    return NoiseEstimate(squared_norm, (small - big) / (1 / small_size - 1 / big_size))


def every_shuffle(points: Float[np.ndarray, "examples d"], batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact covariances (directions, directions) over all permutations: of every batch, and of every two of a shuffle.
    `points` (N, directions) have mean 0. The second is NaN where a shuffle makes a single batch.

    >>> every_shuffle(np.array([[1.0], [-1.0]]), 1)  # variance 1, and two batches are each other's opposite
    (array([[1.]]), array([[-1.]]))
    """
    orders = np.array(list(itertools.permutations(range(len(points)))))
    steps = len(points) // batch_size
    batches = orders[:, : steps * batch_size].reshape(len(orders), steps, batch_size)
    means = points[batches].mean(axis=2)  # permutations, steps, directions
    total, each = means.sum(axis=1), means.reshape(-1, points.shape[1])
    own = each.T @ each / len(each)
    both = total.T @ total / len(total) - steps * own
    return own, both / (steps * (steps - 1)) if steps > 1 else np.full_like(own, np.nan)


def every_draw(points: Float[np.ndarray, "examples d"], batch_size: int) -> np.ndarray:
    """Exact covariance over all N^B draws with replacement; draws that differ in their order only are done at once.

    >>> every_draw(np.array([[1.0], [-1.0]]), 2).tolist()
    [[0.5]]
    """
    draws = np.array(list(itertools.combinations_with_replacement(range(len(points)), batch_size)))
    counts = (draws[:, :, None] == np.arange(len(points))).sum(axis=1)
    factorials = np.array([math.factorial(count) for count in range(batch_size + 1)])
    orders = factorials[batch_size] // factorials[counts].prod(axis=1)
    means = points[draws].mean(axis=1)
    return (means * orders[:, None]).T @ means / len(points) ** batch_size


def stationary_variance(
    learning_rate: Numbers, curvature: Numbers, noise_variance: Numbers, batch_size: Numbers
) -> Numbers:
    """E x^2 at rest of a parabola h x^2/2 whose gradient has the variance s^2/B: eta s^2 / (B h (2 - eta h)), exactly.
    Source: Var = (1 - eta h)^2 Var + eta^2 s^2/B, solved; Liu, Ziyin and Ueda, arXiv:2012.03636.

    >>> stationary_variance(0.5, 1.0, 3.0, 1)  # (1/2)^2 V + (1/2)^2 3 = V
    1.0
    """
    return learning_rate * noise_variance / (batch_size * curvature * (2 - learning_rate * curvature))


def variance_by_lot(curvatures: Curvatures, slopes: Slopes, rate: float) -> float:
    """E |e|^2, drawn with replacement: tr M, M = E (1 - eta A_i) M (1 - eta A_i) + eta^2 E g_i g_i^T, solved.

    >>> variance_by_lot(np.ones((2, 1, 1)), np.array([[1.0], [-1.0]]), 0.5)  # as `stationary_variance` with s^2 = 1
    0.333...
    """
    same = np.eye(slopes.shape[1])
    carried = np.mean([np.kron(step, step) for step in same - rate * curvatures], axis=0)
    kicks = rate**2 * slopes.T @ slopes / len(slopes)
    return float(np.trace(np.linalg.solve(np.eye(len(carried)) - carried, kicks.ravel()).reshape(same.shape)))


def excess(curvatures: Curvatures, slopes: Slopes, orders: Int[np.ndarray, "orders examples"]) -> np.ndarray:
    """xi / eta^2 = sum_(i<j) A_j g_i for every order: how far the j-th step is led astray by those before it.

    >>> excess(np.ones((2, 1, 1)), np.array([[1.0], [-1.0]]), np.array([[0, 1], [1, 0]])).ravel().tolist()
    [1.0, -1.0]
    """
    so_far = np.zeros((len(orders), slopes.shape[1]))
    total = np.zeros_like(so_far)
    for column in orders.T:
        total += np.einsum("nij,nj->ni", curvatures[column], so_far)
        so_far += slopes[column]
    return total


def bias_and_variance_shuffled(
    curvatures: Curvatures, slopes: Slopes, rates: Float[np.ndarray, "rates"], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(squared bias, variance) of random reshuffling, small steps, where all A_i have the mean h times the identity.
    |E xi|^2 / (1 - r)^2 and tr cov xi / (1 - r^2), r = (1 - eta h)^N. E xi is exact: a pair of different examples has
    E A_j g_i = -mean(A_i g_i)/(N - 1), and there are N (N - 1)/2. The variance is of drawn orders.

    >>> bias_and_variance_shuffled(np.ones((2, 1, 1)), np.array([[1.0], [-1.0]]), np.array([0.5]), 0)[0].tolist()
    [0.0]
    """
    num, steepness = len(slopes), np.trace(curvatures.mean(axis=0)) / slopes.shape[1]
    mean = -np.einsum("nij,nj->i", curvatures, slopes) / 2
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(num), (DRAWN_ORDERS, 1)), axis=1)
    variance = np.mean(np.sum((excess(curvatures, slopes, orders) - mean) ** 2, axis=1))
    left = (1 - rates * steepness) ** num
    return rates**4 * (mean @ mean) / (1 - left) ** 2, rates**4 * variance / (1 - left**2)


def resting_place(
    curvatures: Curvatures, slopes: Slopes, order: Int[np.ndarray, "examples"], rate: float
) -> Float[np.ndarray, "d"]:
    """Where an epoch in this order leads back to where it began, seen from the optimum.

    >>> resting_place(np.ones((2, 1, 1)), np.array([[1.0], [-1.0]]), np.array([0, 1]), 0.5).tolist()  # x/4 + 1/4
    [0.333...]
    """
    same = np.eye(slopes.shape[1])
    carried, moved = same, np.zeros(len(same))
    for step, slope in zip(same - rate * curvatures[order], slopes[order], strict=True):
        carried, moved = step @ carried, step @ moved - rate * slope
    return np.linalg.solve(same - carried, moved)
