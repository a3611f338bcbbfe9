"""The plain network that runs are held against: its slopes by moving every parameter both ways."""

import numpy as np
import plain

from research.data import Examples
from research.models import Layer


def test_the_gradient_is_the_differences():
    rng = np.random.default_rng(0)
    params = [Layer(rng.normal(size=(3, 5)), rng.normal(size=3)), Layer(rng.normal(size=(2, 3)), rng.normal(size=2))]
    examples = Examples(rng.integers(256, size=(4, 5), dtype=np.uint8), np.eye(2)[[0, 1, 1, 0]])
    slopes = []
    for part in (part for layer in params for part in layer):
        for place in np.ndindex(part.shape):
            at, found = part[place], []
            for part[place] in (at + 1e-5, at - 1e-5):
                found.append(plain.costs(params, examples))
            part[place] = at
            slopes.append((found[0] - found[1]) / 2e-5)
    np.testing.assert_allclose(plain.flat(plain.gradients(params, examples), leading=1).T, slopes, atol=1e-9)
    np.testing.assert_allclose(plain.flat(plain.gradient(params, examples)), np.mean(slopes, axis=1), atol=1e-9)
    moved = plain.descend(params, examples, [[0, 1, 2, 3]], rate=0.5)[1]
    np.testing.assert_allclose(plain.flat(moved), plain.flat(params) - 0.5 * np.mean(slopes, axis=1), atol=1e-9)
