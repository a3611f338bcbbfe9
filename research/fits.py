"""Small fits of numbers."""

import numpy as np


def log_log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """The exponent k of y = c x^k, by least squares of log y on log x.

    >>> round(log_log_slope(np.array([1.0, 2.0, 4.0]), np.array([3.0, 12.0, 48.0])), 6)
    2.0
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
