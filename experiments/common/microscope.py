"""A path under the microscope: consecutive steps of small batches and of the full batch, from one place.

All start where the smallest batches stand in the middle of their walk, and have their learning rate, so that nothing
but the batch differs. They are seen on a plane that shows the stumbling, as a plane of whole paths cannot: one
direction is where the full batch gets to, the other the one along which the steps of the smallest batches vary most.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import descents, hills, runs, walks
from experiments.common.problem import Problem
from experiments.common.walks import Walk, Way
from research import landscape, models, statistics
from research.data import Examples

EVERY = 3  # steps from one arrow to the next
LOOKS = 21  # points of the surface along each direction: the ground is nearly even


class Footsteps(NamedTuple):
    """Consecutive steps of one batch size."""

    way: Way
    lengths: Float[np.ndarray, "seeds steps"]  # of the steps
    distance: Float[np.ndarray, "seeds steps"]  # from the start, after each step
    cosine: Float[np.ndarray, "seeds turns"]  # between successive steps
    downhill: Float[np.ndarray, "arrows 2"]  # of the first seed: shadow of the unit vector against the full gradient
    share: float  # of the squared lengths of the first seed's steps that lies in the plane


class Microscope(NamedTuple):
    after: int  # steps of the smallest batches before
    footsteps: tuple[Footsteps, ...]  # the full batch first
    view: hills.View  # of the first seed's steps
    noise_scale: Float[np.ndarray, "seeds"]  # B_simple at the start


def look(problem: Problem, settings: walks.Settings, walked: Sequence[Walk], num_steps: int) -> Microscope:
    """What `num_steps` steps of the full batch and of the two smallest batch sizes look like from near."""
    drunkest = walked[walks.drunkest([path.way for path in walked])]
    middle, unravel = len(drunkest.steps) // 2, hills.unravel_of(problem)
    start = jax.vmap(unravel)(jnp.asarray(drunkest.point[:, middle]))
    seen = [walk_on(problem, way, start, settings, num_steps) for way in ways_from(problem, settings, drunkest.way)]
    points = [path.point[0] for path in seen]
    on_the_way, steps = points[0][-1] - points[0][0], np.diff(points[1], axis=0)
    across = np.linalg.svd(steps, full_matrices=False)[2][0]
    plane = jax.jit(landscape.spanned_plane)(points[0][0], on_the_way, across)
    view = hills.look_down(hills.surface_of(problem), plane, points, resolution=LOOKS)
    moments = runs.over_seeds(problem.statistics.moments, (0, None))(start, problem.train)
    slopes = gradients_at(problem, np.stack(points)[:, ::EVERY])
    return Microscope(
        after=int(drunkest.steps[middle]),
        footsteps=tuple(map(footsteps, seen, view.shadows, slopes @ np.asarray(plane.directions).T)),
        view=view,
        noise_scale=np.asarray(jax.vmap(statistics.noise_scale)(moments)),
    )


def ways_from(problem: Problem, settings: walks.Settings, drunkest: Way) -> list[Way]:
    """The full batch, the smallest batches and the next larger ones, with the rate of the smallest."""
    sizes, num_examples = sorted(settings.batch_sizes)[:2], len(problem.train.inputs)
    full = Way("full batch", num_examples, drunkest.learning_rate, True)
    return [full, *(Way(f"batches of {size:,}", size, drunkest.learning_rate, False) for size in sizes)]


def walk_on(problem: Problem, way: Way, start: models.Params, settings: walks.Settings, num_steps: int) -> Walk:
    """`num_steps` steps from there, every one looked at, on shuffles that nobody has walked."""
    needed = 0 if way.is_full_batch else -(-num_steps * way.batch_size // len(problem.train.inputs))
    order = descents.begin(problem, settings, settings.num_epochs + needed).order[:, settings.num_epochs :]
    order = order.reshape(len(order), 1, -1)[..., : num_steps * way.batch_size]
    one_by_one = dataclasses.replace(settings, num_steps=num_steps, num_points=num_steps)
    return walks.walk(problem, way, descents.Beginning(start, order), one_by_one)


def gradients_at(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Unit vectors against the full gradient at points (..., params)."""
    unravel = hills.unravel_of(problem)

    def downhill(point: Array, train: Examples) -> Array:
        slope = ravel_pytree(jax.grad(problem.cost)(unravel(point), train))[0]
        return -slope / jnp.linalg.norm(slope)

    flat = points.reshape(-1, points.shape[-1])
    return np.asarray(runs.over_seeds(downhill, (0, None))(flat, problem.train)).reshape(points.shape)


def footsteps(path: Walk, shadow: np.ndarray, downhill: np.ndarray) -> Footsteps:
    points = path.point.astype(float)
    steps = np.diff(points, axis=1)
    lengths = np.linalg.norm(steps, axis=2)
    return Footsteps(
        way=path.way,
        lengths=lengths,
        distance=np.linalg.norm(points[:, 1:] - points[:, :1], axis=2),
        cosine=np.sum(steps[:, 1:] * steps[:, :-1], axis=2) / (lengths[:, 1:] * lengths[:, :-1]),
        downhill=downhill,
        share=float(np.sum(np.diff(shadow, axis=0) ** 2) / np.sum(lengths[0] ** 2)),
    )


def winding(steps: Footsteps) -> Float[np.ndarray, "seeds steps"]:
    """Path length over distance from the start, after each step: 1 straight on."""
    return np.cumsum(steps.lengths, axis=1) / steps.distance


def own_steps_away(steps: Footsteps) -> Float[np.ndarray, "seeds"]:
    """Distance from start to end in root mean square steps."""
    return steps.distance[:, -1] / np.sqrt(np.mean(steps.lengths**2, axis=1))


def expected_distance(num_steps: int, memory: float) -> float:
    """How far, in its own steps, a walk gets whose steps have this mean cosine with one another: a random walk gets
    sqrt(n) far, a straight one n.

    >>> expected_distance(9, 0.0), expected_distance(9, 1.0)
    (3.0, 9.0)
    """
    return (num_steps + num_steps * (num_steps - 1) * memory) ** 0.5


def memory(seen: Microscope, steps: Footsteps) -> float:
    """The cosine of two steps that have the slope in common and nothing else: 1/(1 + B_simple/B), the median seed's."""
    num_examples = seen.footsteps[0].way.batch_size
    scale = float(np.median(seen.noise_scale))
    return float(statistics.expected_cosine(scale, steps.way.batch_size, num_examples) ** 2)
