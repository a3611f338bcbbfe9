"""What does a plane that is drawn at random show of the paths down the cost surface?

The paths of drunk_man, laid not on the plane nearest to them but on a random one through the end of the last path, its
two directions scaled neuron by neuron to the weights (Li et al., arXiv:1712.09913, section 4): how far a path's
projection gets there, and how far the path runs from it, say how little such a picture shows. Its curvatures are means
over all directions, so that a saddle looks convex (Boettcher and Wheeler, arXiv:2208.13219).

Run:     python -m experiments random_plane [--quick | --full]
Time:    default 25 s, --quick 12 s, --full 60 s, on 2 cores, compilation included
Result:  hardly anything: the full batch's path goes 24 from start to end, its projection 1.3 (19 on the plane of
         drunk_man); the paths run up to 50 off the plane (one seed).
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Interval
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import hills, plots, walks
from experiments.common.bounds import Count
from experiments.common.claims import Claims
from experiments.common.problem import Problem
from experiments.common.walks import Way
from research import landscape


@dataclasses.dataclass(frozen=True)
class Settings(walks.Settings):
    num_seeds: Count = 1
    """How many starts, each with its own shuffles and its own random plane; the picture shows the first."""
    resolution: Annotated[int, Interval(ge=2, le=1001)] = 41
    """Points of the surface along each direction."""


QUICK = Settings(
    batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=20, num_epochs=1,
    num_points=21, resolution=11,
)  # fmt: skip
FULL = Settings(num_steps=400, num_epochs=12, num_points=200, resolution=51)


class Result(NamedTuple):
    ways: tuple[Way, ...]
    view: hills.View  # of the first seed
    moved: Float[np.ndarray, "seeds ways"]  # from start to end, by the path
    shown: Float[np.ndarray, "seeds ways"]  # from start to end, by its projection
    hidden: Float[np.ndarray, "seeds ways"]  # the farthest that the path runs from the plane


def measure(problem: Problem, settings: Settings) -> Result:
    walked, surface = walks.walk_all(problem, settings), hills.surface_of(problem)
    views = []
    for seed in range(settings.num_seeds):
        paths = [path.point[seed] for path in walked]
        plane, reach = random_plane(problem, jnp.asarray(paths[-1][-1]), settings.seed + seed)
        views.append(hills.look_down(surface, plane, paths, resolution=settings.resolution, reach=reach))
    return Result(
        ways=tuple(path.way for path in walked),
        view=views[0],
        moved=np.stack([np.linalg.norm(path.point[:, -1] - path.point[:, 0], axis=1) for path in walked], axis=1),
        shown=np.array([[np.linalg.norm(shadow[-1] - shadow[0]) for shadow in view.shadows] for view in views]),
        hidden=np.array([[distance.max() for distance in view.off_plane] for view in views]),
    )


def random_plane(problem: Problem, end: Array, seed: int) -> tuple[landscape.Plane, float]:
    """A plane through `end` along two random directions scaled to its weights, and the length of the first."""
    unravel = hills.unravel_of(problem)

    def one_direction(key: Array) -> Array:
        return ravel_pytree(landscape.filter_normalised(key, unravel(end)))[0]

    first, second = jax.jit(jax.vmap(one_direction))(jax.random.split(jax.random.key(seed)))
    return jax.jit(landscape.spanned_plane)(end, first, second), float(np.linalg.norm(first))


def claims(result: Result, settings: Settings) -> Claims:
    yield from ()  # the picture is looked at, no number was predicted


def finding(result: Result, settings: Settings) -> str:
    shown, moved = (float(np.median(each[:, 0])) for each in (result.shown, result.moved))
    return (
        f"A random plane shows hardly anything: the full batch's path goes {moved:.2g} from start to end, its shadow "
        f"on the plane {shown:.2g}, and the paths run up to {np.median(result.hidden.max(axis=1)):.2g} off it."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, ((left, right),) = plots.new_figure(15, 7.2, columns=2)
    view, start = result.view, result.view.shadows[0][0]
    plots.map_of_hill(left, view.alphas, view.betas, view.surface)
    for index, (shadow, way) in enumerate(zip(view.shadows, result.ways, strict=True)):
        plots.path_on_map(left, shadow, index, linewidth=1.8)
        plots.path_on_map(right, shadow, index, linewidth=1.8)
        below = shadow[-1, 1] < np.median([each[-1, 1] for each in view.shadows])  # so that names are apart
        plots.note(right, f"{way.label}, rate {way.learning_rate:g}", tuple(shadow[-1]), (9, -14 if below else 8),
                   color=plots.COLOURS[index], zorder=6, bbox={"color": "white", "alpha": 0.7, "pad": 0})  # fmt: skip
    low, high = (of(np.concatenate(view.shadows), axis=0) for of in (np.min, np.max))
    left.indicate_inset((*(low - 0.5), *(high - low + 1)), edgecolor="black")
    for axes, title in ((left, "The hill on the plane"), (right, "All that is seen of the paths (the frame)")):
        axes.plot(*start, "k*", markersize=15, markeredgecolor="white", zorder=6)
        axes.set(xlabel="a random direction, scaled neuron by neuron", ylabel="a second one (units of the weights)",
                 title=title)  # fmt: skip
    right.set(aspect="equal")
    right.margins(0.25)
    return {"random_plane": plots.headline(figure, finding(result, settings), "a saddle would look convex here too")}
