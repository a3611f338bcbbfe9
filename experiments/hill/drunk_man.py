"""The drunk man and the careful man: what do their paths look like on the real hill, and what does a picture hide?

Full-batch descent and mini-batches of 10, 100 and 1000 from one start, on the real cost of the film's network on all
of MNIST. Their paths are laid on the plane nearest to all of them, whose cost is computed exactly; beside it what the
plane hides: how far off it the paths run, and the true cost along each against the cost of its projection. A page,
drunk_man.html, lets both walk on the surface. How drunk each is, in numbers: how_drunk.

Run:     python -m experiments drunk_man [--quick | --full] [--gif-frames 48] [--save-points] [--self-contained]
Time:    default 50 s, --quick 15 s, --full 3 min, on 2 cores, compilation included
Result:  (5 seeds) when both have read as many examples, the cost is 0.07 with batches of 10 and 0.91 with the full
         batch. One does not see the stumbling: at 181 points the path of batches of 10 winds 7.7-fold, its projection
         on the best plane 1.04-fold.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from experiments.common import hills, plots, runs, walks
from experiments.common.claims import Claim, at_most, identity, prediction
from experiments.common.plots import Page
from experiments.common.problem import Problem
from experiments.common.walks import Looks, Reading, Walk, Way
from experiments.hill import drunk_man_figures as drawn
from experiments.hill import drunk_man_page_figures as page
from research import landscape, paths

CHECKED = 20  # points of the surface that are computed once more, one by one


@dataclasses.dataclass(frozen=True)
class Settings(walks.Settings):
    """Settings of the walks, and of what is drawn."""

    resolution: Annotated[int, Ge(2)] = 41
    """Points of the surface along each direction."""
    gif_frames: Annotated[int, Ge(0)] = 48
    """Pictures in the moving one; 0 leaves it out."""
    save_points: bool = False
    """Save the whole points of the first seed's paths too, 13,002 numbers each, in arrays.npz."""
    self_contained: bool = False
    """Put plotly's script into the page, 5 MB, so that it can be sent by itself; else it lies beside, in OUT."""


QUICK = Settings(
    num_seeds=1, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=20, num_epochs=1,
    num_points=21, resolution=11, gif_frames=0,
)  # fmt: skip
FULL = Settings(num_seeds=5, num_steps=400, num_epochs=12, num_points=200, resolution=51)


class Walker(NamedTuple):
    """One way's path, where it was looked at; shadow is what the film's picture shows, its projection on the plane."""

    way: Way
    seconds_per_step: float
    steps: Int[np.ndarray, "points"]
    looked_at: Int[np.ndarray, "looks"]  # numbers of points
    cost: Float[np.ndarray, "seeds looks"]
    shadow_cost: Float[np.ndarray, "looks"]  # of the first seed's projection
    length: float  # of the first seed's path
    winding: float  # through its points: their line over displacement


class Checks(NamedTuple):
    """Costs that were computed in two ways."""

    on_grid: Float[np.ndarray, "checked"]  # points of the surface
    one_by_one: Float[np.ndarray, "checked"]
    logged: Float[np.ndarray, "seeds looks"]  # along the first way, by training itself
    looked_at: Float[np.ndarray, "seeds looks"]


class Result(NamedTuple):
    """Every way, and the first seed's paths on their principal plane."""

    walkers: tuple[Walker, ...]
    together: dict[str, Reading]  # after equally many steps, examples, seconds
    view: hills.View
    shares: Float[np.ndarray, "3"]  # of the variance of all paths together, along their principal components
    null_shares: Float[np.ndarray, "3"]  # the same for random walks that get as far
    checks: Checks
    points: tuple[np.ndarray, ...] | None  # of the first seed's paths


def measure(problem: Problem, settings: Settings) -> Result:
    """Walks every way from the same starts, then looks at the paths from above."""
    walked = walks.walk_all(problem, settings)
    looks = walks.look_at(problem, walked, settings)
    runs.console.print("timing single steps, computing the surface ...")
    seconds = walks.seconds_of(problem, walked, settings)
    points = [path.sight.point[0] for path in walked]
    union = np.concatenate(points)
    plane = jax.jit(landscape.principal_plane)(union)
    view = hills.look_down(hills.surface_of(problem), plane, points, resolution=settings.resolution)
    shadow_costs, grid = look_closer(problem, plane, view, [seen.numbers for seen in looks], settings.seed)
    distances = np.array([np.linalg.norm(path[-1] - path[0]) for path in points])
    found = zip(walked, looks, seconds, shadow_costs, strict=True)
    return Result(
        walkers=tuple(walker(*each) for each in found),
        together=walks.read_together(walked, looks, seconds),
        view=view,
        shares=np.asarray(jax.jit(landscape.explained_shares)(union)[:3]),
        null_shares=np.asarray(jax.jit(landscape.shares_of_random_walks, static_argnums=1)(distances, 3)),
        checks=Checks(*grid, walked[0].logged[:, looks[0].steps[:-1]], looks[0].cost[:, :-1]),
        points=tuple(points) if settings.save_points else None,
    )


def walker(path: Walk, looks: Looks, seconds: float, shadow_cost: np.ndarray) -> Walker:
    """What is kept of a path."""
    length, winding = float(path.sight.length[0, -1]), paths.winding(path.sight.point[0])
    return Walker(path.way, seconds, path.steps, looks.numbers, looks.cost, shadow_cost, length, winding)


def look_closer(
    problem: Problem, plane: landscape.Plane, view: hills.View, looked_at: Sequence[np.ndarray], seed: int
) -> tuple[list[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The cost of the projections where they were looked at, and of some grid points, beside what `view` has there."""
    rows, columns = np.random.default_rng(seed).integers(0, len(view.alphas), (2, CHECKED))
    places = [shadow[numbers] for shadow, numbers in zip(view.shadows, looked_at, strict=True)]
    places.append(np.stack([view.alphas[rows], view.betas[columns]], axis=1))
    points = jax.jit(jax.vmap(landscape.point_at, (None, 0)))(plane, np.concatenate(places))
    ends = np.cumsum([len(each) for each in places])[:-1]
    *shadows, plain = np.split(walks.heights(problem, np.asarray(points)), ends)
    return shadows, (view.surface[rows, columns], plain)


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """T35: that what is drawn is true, and of the film's network on MNIST that quick steps win."""
    checks = result.checks
    yield identity("T35", f"the surface is the cost itself: {CHECKED} points of it, computed one by one",
                   off(checks.on_grid, checks.one_by_one), at_most(1e-6), "largest relative error",
                   "the definition of the surface; rounding")  # fmt: skip
    yield identity("T35", "the full batch's path is drawn as it was trained: its cost and that of the training log",
                   off(checks.looked_at, checks.logged), at_most(1e-6), "largest relative error",
                   "the same cost at the same points; rounding")  # fmt: skip
    if not settings.is_the_films:
        return
    num_full = len(settings.full_batch_learning_rates)
    for clock in ("examples", "seconds"):
        cost = result.together[clock].cost
        ratio = np.max(cost[num_full:] / cost[0])
        if np.isfinite(ratio):  # unless the clocks stopped at the start
            yield prediction("T35", f"quick steps win: after equally many {clock} every mini-batch size is at a lower "
                             "cost than the full batch", ratio, at_most(1), "cost / its cost, largest of all",
                             "the film")  # fmt: skip


def off(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest relative error."""
    return float(np.max(np.abs(found - wanted) / np.abs(wanted)))


def hidden(result: Result) -> str:
    """What the map does not show of the longest path, in one sentence."""
    number = int(np.argmax([walker.length for walker in result.walkers]))
    walker, shadow = result.walkers[number], result.view.shadows[number]
    projected = paths.winding(shadow)
    return (
        f"The map {'hides' if walker.winding > 1.5 * projected else 'shows'} the stumbling: joined at {len(shadow)} "
        f"points, the path of {walker.way.label} winds {walker.winding:.3g}-fold, its projection {projected:.3g}-fold."
    )


def finding(result: Result, settings: Settings) -> str:
    """Who is lower after equally many examples, and what the map hides."""
    return f"{drawn.who_is_lower(result)} {hidden(result)}"


def figures(result: Result, settings: Settings) -> dict[str, Figure | Page]:
    """The map with the surface, the moving picture, and the page."""
    says = (
        f"{finding(result, settings)} Drag to turn. Thick: the path at its true cost; thin: its shadow on the surface."
    )
    title = "The drunk man and the careful man on the real hill"
    shown = plots.as_page(page.page(result), title=title, says=says, self_contained=settings.self_contained)
    found: dict[str, Figure | Page] = {"drunk_man": drawn.hill(result, hidden(result))}
    found["drunk_man.html"] = Page("", shown)  # drunk_man.png has the same name
    if settings.gif_frames:
        found["drunk_man.gif"] = Page("", plots.as_gif(drawn.frames(result, settings.gif_frames)))
    return found
