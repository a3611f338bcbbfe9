"""Paths on a plane: the exact surface round them, their projections, and how far off the plane they run."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import records, resume
from experiments.common.problem import Problem
from research import landscape, models, sharding
from research.data import Examples
from research.landscape import PlainLayers, Plane

POINTS = 2000  # examples that meet all points of a grid at a time, on a CPU
Surface = Callable[[Plane, np.ndarray, np.ndarray], Array]


class View(NamedTuple):
    """Projections of some paths on one plane, and the exact cost surface round them."""

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    surface: Float[np.ndarray, "alphas betas"]  # the cost at every point of the grid
    shadows: tuple[np.ndarray, ...]  # every path's projection: points, 2
    off_plane: tuple[np.ndarray, ...]  # of every path: points; the distance of each from its projection


def unravel_of(problem: Problem) -> Callable[[Array], models.Params]:
    """A flat point -> the parameters of the problem's model."""
    shapes = jax.eval_shape(problem.model.init, jax.random.key(0))
    return ravel_pytree(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))[1]


def surface_of(problem: Problem) -> Surface:
    """The cost on the training set as a function of plane and grid: the quick way for plain layers, else point by
    point."""
    unravel = unravel_of(problem)

    def point_by_point(plane: Plane, examples: Examples, alphas: Array, betas: Array) -> Array:
        return landscape.surface(lambda point: problem.cost(unravel(point), examples), plane, alphas, betas)

    rows = point_by_point
    if problem.activations is not None:
        layers = PlainLayers(unravel, problem.cost_fn, *problem.activations)
        at_once = problem.at_once(POINTS, problem.train.inputs.shape[-1])
        rows = partial(landscape.surface_of_layers, layers, chunk_size=at_once)
    on_grid = resume.kept(sharding.together(jax.jit(sharding.rows_over_devices(rows, (None, None, 0, None)))))
    return lambda plane, alphas, betas: on_grid(plane, problem.train, alphas, betas)


def look_down(
    surface: Surface, plane: Plane, paths: Sequence[np.ndarray], *, resolution: int, reach: float = 0.0
) -> View:
    """Any paths, each (points, params), on any plane: their projections, and the exact surface in a frame round these.
    The frame is a quarter of the projections' extent wider than they are on every side, but reaches at least `reach`
    from its middle, with `resolution` points along each direction."""
    seen = jax.jit(jax.vmap(lambda point: (landscape.coordinates(plane, point), landscape.off_plane(plane, point))))
    shadows, off_plane = zip(*(map(np.asarray, seen(path)) for path in paths), strict=True)
    places = np.concatenate(shadows)
    low, high = places.min(axis=0), places.max(axis=0)
    middle, half = (low + high) / 2, np.maximum((high - low) * 0.75, max(reach, 1e-6))
    alphas, betas = np.linspace(middle - half, middle + half, resolution, dtype=np.float32).T
    heights = np.asarray(surface(plane, alphas, betas))
    records.trim_memory()
    return View(alphas, betas, heights, shadows, off_plane)
