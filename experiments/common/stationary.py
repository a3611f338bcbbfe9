"""From where a training ended to where the gradient vanishes: scipy's L-BFGS on all examples, in float64."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import numpy as np
import scipy.optimize
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import hills, resume, runs
from experiments.common.problem import Problem
from research.data import Examples
from research.models import Params


def go_on(hill: Callable, start: np.ndarray, levels: Sequence[float], max_iterations: int) -> np.ndarray:
    """`start`, and where |G| first is below each of the falling `levels`: (1 + levels, params). The last point reached
    stands for those that were not. `hill(point)` is (cost, gradient) of a flat point.

    >>> abs(go_on(lambda x: (x @ x / 2, x), np.array([8.0]), [1e-3], 99)).round(3).tolist()
    [[8.0], [0.0]]
    """
    places, point, norm = [start], start, np.inf

    def fun(point: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal norm
        cost, gradient = hill(point)
        norm = float(np.linalg.norm(gradient))
        return float(cost), np.array(gradient)

    def after_a_step(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        nonlocal point
        point = intermediate_result.x.copy()  # the line search evaluated last where it ends: `norm` is of this point
        below = sum(norm < level for level in levels)
        places.extend([point] * (below + 1 - len(places)))
        if below == len(levels):
            raise StopIteration

    options = {"maxcor": 20, "maxiter": max_iterations, "maxfun": 20 * max_iterations, "ftol": 0.0, "gtol": 0.0}
    scipy.optimize.minimize(fun, start, jac=True, method="L-BFGS-B", callback=after_a_step, options=options)
    return np.stack(places + [point] * (1 + len(levels) - len(places)))


def paths(problem: Problem, starts: Params, levels: Sequence[float], max_iterations: int) -> np.ndarray:
    """Every seed's places, flat: (seeds, 1 + levels, params); leaves of `starts` lead with seeds."""
    unravel = hills.unravel_of(problem)
    both = jax.jit(jax.value_and_grad(lambda point, train: problem.cost(unravel(point), train)))

    def of_all(starts: Array, train: Examples) -> np.ndarray:
        found, like = [], np.empty((1 + len(levels), starts.shape[1]))
        for seed, start in enumerate(np.asarray(starts)):
            descend = partial(go_on, lambda point: both(point, train), start, levels, max_iterations)
            found.append(resume.recall(descend, lambda: like))
            norm = np.linalg.norm(both(found[-1][-1], train)[1])
            runs.console.print(f"seed {seed}: L-BFGS has come to |G| = {norm:.2g}")
        return np.stack(found)

    return runs.in_float64(of_all)(jax.vmap(lambda params: ravel_pytree(params)[0])(starts), problem.train)
