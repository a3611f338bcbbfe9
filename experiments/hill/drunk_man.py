"""The drunk man and the careful man: what do their paths look like on the real hill, and what does a picture hide?

Full-batch descent and mini-batches of 10, 100 and 1000 from one start, on the real cost of the film's network on all
of MNIST. Their paths are laid on the plane nearest to all of them, whose cost is computed exactly; beside it what the
plane hides: how far off it the paths run. Under a microscope, 60 consecutive steps from one place with one rate show
the stumbling; n steps without memory get sqrt(n) steps far, and two gradients of batches of B, with noise that is
independent, have the cosine 1/(1 + B_simple/B). A page, drunk_man.html, lets both walk on the surface. How drunk each
is, in numbers: how_drunk.

Run:     python -m experiments drunk_man [--quick | --full] [--gif-frames 48] [--save-points] [--self-contained]
Time:    default 70 s, --quick 20 s, --full 4.5 min, on 2 cores, compilation included
Result:  (first of 5 seeds) batches of 10 go 171 times as far as they get, seen at 181 points 7.7 times, on the
         plane 1.04; microscope, 60 steps, median: 6.8 (full batch 1.05). One claim fails: batches of 100 turn more.
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge, Interval
from jaxtyping import Float, Int

from experiments.common import hills, microscope, plots, walks
from experiments.common.claims import Claims, about, at_most, identity, prediction, worst
from experiments.common.microscope import Microscope
from experiments.common.problem import Problem
from experiments.common.walks import Reading, Way
from experiments.hill import drunk_man_figures as drawn
from experiments.hill import drunk_man_stumble_figures as near
from experiments.hill.drunk_man_page_figures import as_page, page
from research import landscape, paths

CHECKED = 20  # points of the surface that are computed once more, one by one
UNEVEN = ("finding: the ground is not even; the valley's walls turn a step back, by eta times the curvature along it, "
          "which would decide")  # fmt: skip
DRUNK = (10, 100)  # the batch sizes that the claims on stumbling are about


@dataclasses.dataclass(frozen=True)
class Settings(walks.Settings):
    resolution: Annotated[int, Interval(ge=2, le=1001)] = 41
    """Points of the surface along each direction."""
    microscope_steps: Annotated[int, Ge(4)] = 60
    """Consecutive steps under the microscope."""
    gif_frames: Annotated[int, Interval(ge=0, le=1000)] = 48
    """Pictures in the moving one; 0 leaves it out."""
    save_points: bool = False
    """Save the whole points of the first seed's paths too, 13,002 numbers each, in arrays.npz."""
    self_contained: bool = False
    """Put plotly's script into the page, 5 MB, so that it can be sent by itself; else it lies beside, in OUT."""


QUICK = Settings(
    num_seeds=1, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=20, num_epochs=1,
    num_points=21, resolution=11, microscope_steps=20, gif_frames=0,
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


class Result(NamedTuple):
    walkers: tuple[Walker, ...]
    together: dict[str, Reading]  # after equally many steps, examples, seconds
    view: hills.View
    microscope: Microscope
    shares: Float[np.ndarray, "3"]  # of the variance of all paths together, along their principal components
    null_shares: Float[np.ndarray, "3"]  # the same for random walks that get as far
    off_grid: float  # largest relative error of some points of the surface, computed one by one
    off_log: float  # likewise of the cost along the first way, computed by training itself
    points: tuple[np.ndarray, ...] | None  # of the first seed's paths


def measure(problem: Problem, settings: Settings) -> Result:
    walked, looks, seconds, together = walks.walk_and_look(problem, settings)
    points = [path.point[0] for path in walked]
    union = np.concatenate(points)
    plane = jax.jit(landscape.principal_plane)(union)
    view = hills.look_down(hills.surface_of(problem), plane, points, resolution=settings.resolution)
    rows, columns = np.random.default_rng(settings.seed).integers(0, len(view.alphas), (2, CHECKED))
    places = [shadow[seen.numbers] for shadow, seen in zip(view.shadows, looks, strict=True)]
    places.append(np.stack([view.alphas[rows], view.betas[columns]], axis=1))
    point_at = jax.jit(jax.vmap(landscape.point_at, (None, 0)))
    *shadow_costs, plain = walks.heights(problem, [np.asarray(point_at(plane, each)) for each in places])
    distances = np.array([np.linalg.norm(path[-1] - path[0]) for path in points])
    walkers = (
        Walker(path.way, each, path.steps, seen.numbers, seen.cost, shadow_cost, float(path.length[0, -1]),
               paths.winding(path.point[0]))
        for path, seen, each, shadow_cost in zip(walked, looks, seconds, shadow_costs, strict=True)
    )  # fmt: skip
    return Result(
        walkers=tuple(walkers),
        together=together,
        view=view,
        shares=np.asarray(jax.jit(landscape.explained_shares)(union)[:3]),
        null_shares=np.asarray(jax.jit(landscape.shares_of_random_walks, static_argnums=1)(distances, 3)),
        microscope=microscope.look(problem, settings, walked, settings.microscope_steps),
        off_grid=abs(worst(view.surface[rows, columns] / plain - 1)),
        off_log=abs(worst(looks[0].cost[:, :-1] / walked[0].logged[:, looks[0].steps[:-1]] - 1)),
        points=tuple(points) if settings.save_points else None,
    )


def claims(result: Result, settings: Settings) -> Claims:
    yield identity("T35", f"the surface is the cost itself: {CHECKED} points of it, computed one by one",
                   result.off_grid, at_most(1e-6), "largest relative error",
                   "the definition of the surface; rounding")  # fmt: skip
    yield identity("T35", "the full batch's path is drawn as it was trained: its cost and that of the training log",
                   result.off_log, at_most(1e-6), "largest relative error",
                   "the same cost at the same points; rounding")  # fmt: skip
    if not settings.is_the_films:
        return
    num_full = len(settings.full_batch_learning_rates)
    for clock in ("examples", "seconds"):
        cost = result.together[clock].cost
        ratio = np.max(cost[num_full:] / cost[0])
        if np.isfinite(ratio):  # unless the clocks stopped at the start
            yield prediction("T35", f"after equally many {clock} every mini-batch size is lower than the full batch",
                             ratio, at_most(1), "cost over the full batch's, largest", "the film")  # fmt: skip
    yield from stumbling(result.microscope)


def stumbling(seen: Microscope) -> Claims:
    for steps in seen.footsteps:
        if steps.way.batch_size in DRUNK:
            memory, num_steps = microscope.memory(seen, steps), steps.lengths.shape[1]
            yield prediction("T35", f"{steps.way.label} stumble: steps' cosine is the noise scale's, on even ground",
                             np.mean(steps.cosine),
                             about(memory, by=0.05), "cosine, mean", "1/(1 + B_simple/B), McCandlish et al. "
                             "arXiv:1812.06162; cosines of some 0.2 leave 0.01 in the mean of 300", UNEVEN)  # fmt: skip
            yield prediction("E8", f"{num_steps} steps of {steps.way.label} lead no farther than the noise scale's "
                             "cosine allows", np.median(microscope.own_steps_away(steps)),
                             at_most(microscope.expected_distance(num_steps, memory)), "root mean square steps, median",
                             "sqrt(n + n (n - 1) cosine); sqrt(n) is a random walk")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    number = walks.drunkest([walker.way for walker in result.walkers])
    walker, projected = result.walkers[number], paths.winding(result.view.shadows[number])
    cost, wound = np.median(result.together["examples"].cost, axis=1), result.together["examples"].tortuosity[number, 0]
    return (
        f"After equally many examples the drunk man ({walker.way.label}) is at cost {cost[number]:.2g}, the careful "
        f"man (full batch) at {cost[0]:.2g} (medians). The map "
        f"{'hides' if walker.winding > 1.5 * projected else 'shows'} the drunk man's stumbling: every step counted, "
        f"his path is {wound:.3g} times as long as from start to end, seen at "
        f"{len(walker.steps)} points {walker.winding:.2g} times, its shadow {projected:.3g} times (first seed). "
        f"{near.found(result.microscope)}"
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure | plots.Page]:
    says, title = finding(result, settings), "The drunk man and the careful man on the real hill"
    how = f"{says} Drag to turn. Thick: the path at its true cost; thin: its shadow on the surface."
    shown = as_page(page(result), title=title, says=how, self_contained=settings.self_contained)
    found = {
        "drunk_man": drawn.hill(result, says.partition(" The map")[0]),
        "stumble": near.stumble(result.microscope),
        "drunk_man.html": plots.Page("", shown),
    }
    if settings.gif_frames:
        found["drunk_man.gif"] = plots.Page("", drawn.as_gif(drawn.frames(result, settings.gif_frames)))
    return found
