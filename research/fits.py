"""Small fits of numbers."""

from typing import NamedTuple

import numpy as np


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
