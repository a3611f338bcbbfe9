"""Small fits, intervals and areas: of numpy's numbers, one at a time."""

from typing import NamedTuple

import numpy as np

Z = 1.96  # standard deviations on either side that hold 95 % of a normal distribution


def log_log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """The exponent k of y = c x^k, by least squares of log y on log x.

    >>> round(log_log_slope(np.array([1.0, 2.0, 4.0]), np.array([3.0, 12.0, 48.0])), 6)
    2.0
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


class Hyperbola(NamedTuple):
    """y = least (1 + critical / x), and how much of the variance of log y it explains."""

    least: float
    critical: float
    explained: float

    def at(self, x: np.ndarray) -> np.ndarray:
        """What it says for these x."""
        return self.least * (1 + self.critical / x)


def hyperbola(x: np.ndarray, y: np.ndarray) -> Hyperbola:
    """Least squares in log y. For each `critical` of a fine grid the best `least` is known: the mean of what is left.

    >>> x = np.array([1.0, 10.0, 100.0, 1000.0])
    >>> found = hyperbola(x, 7 * (1 + 40 / x))
    >>> round(found.least, 2), round(found.critical, 1), round(found.explained, 6)
    (7.0, 40.0, 1.0)
    """
    grid = np.geomspace(x.min() / 100, x.max() * 100, 20_001)
    left = np.log(y) - np.log1p(grid[:, None] / x)
    squares = ((left - left.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    best = int(squares.argmin())
    total = ((np.log(y) - np.log(y).mean()) ** 2).sum()
    return Hyperbola(float(np.exp(left[best].mean())), float(grid[best]), float(1 - squares[best] / total))


def wilson_interval(share: np.ndarray | float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval for a probability of which `share` was seen in `count` trials; Wilson 1927.

    >>> [round(float(end), 4) for end in wilson_interval(0.98, 10_000)]
    [0.9771, 0.9826]
    """
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return np.asarray(middle - half), np.asarray(middle + half)


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The share of all pairs in which the positive one scores higher, ties counting half: Mann and Whitney's U over
    the number of pairs, which is the area under the ROC curve.

    >>> auroc(np.array([3.0, 1.0]), np.array([0.0, 1.0]))
    0.875
    """
    ordered = np.sort(negative)
    below, not_above = (np.searchsorted(ordered, positive, side) for side in ("left", "right"))
    return float(np.mean(below + not_above) / (2 * len(negative)))


def power_law(sizes: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """(a, b, R^2) of errors = a N^-b, a straight line fitted to the logarithms.

    >>> [round(number, 6) for number in power_law(np.array([1.0, 4.0, 16.0]), np.array([2.0, 1.0, 0.5]))]
    [2.0, 0.5, 1.0]
    """
    x, y = np.log(sizes), np.log(errors)
    slope, height = np.polyfit(x, y, 1)
    return float(np.exp(height)), float(-slope), float(1 - np.var(y - height - slope * x) / np.var(y))
