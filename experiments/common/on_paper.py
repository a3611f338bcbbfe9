"""Sharing the examples of a step out over devices, on paper: arithmetic against the all-reduce.

A step takes 6 P B / flops on one device, forwards 2 and backwards 4 operations for each of P parameters and B examples;
on n devices it takes a share of that, and an all-reduce of 4 P bytes: by a ring 2 (n - 1) messages of 4 P / n bytes, by
doubling log2 n messages of 4 P, whichever is quicker (Thakur, Rabenseifner and Gropp 2005). Sending while computing
could hide no more than the computing.
"""

import math
from typing import NamedTuple

import numpy as np


class Net(NamedTuple):
    """Devices, and what lies between two of them."""

    devices: int
    flops: float  # operations a second
    bandwidth: float  # bytes a second
    latency: float  # seconds a message


def all_reduce(net: Net, num_parameters: int) -> float:
    """Seconds until every device has the sum of all.

    >>> all_reduce(Net(4, 1.0, bandwidth=4.0, latency=0.0), 100)
    150.0
    >>> [all_reduce(Net(devices, 1.0, 1e9, latency=1.0), 0) for devices in (4, 6, 8)]
    [2.0, 3.0, 3.0]
    """
    whole = 4 * num_parameters / net.bandwidth
    ring = 2 * (net.devices - 1) * (net.latency + whole / net.devices)
    return min(ring, math.ceil(math.log2(net.devices)) * (net.latency + whole))


def gain(net: Net, num_parameters: int, batch_size: np.ndarray) -> np.ndarray:
    """How many times as fast as on one device a step is."""
    alone = 6 * num_parameters * batch_size / net.flops
    return alone / (alone / net.devices + all_reduce(net, num_parameters))


def least_batch(net: Net, num_parameters: int) -> float:
    """The batch size above which a step gains anything."""
    return all_reduce(net, num_parameters) * net.flops / (6 * num_parameters * (1 - 1 / net.devices))
