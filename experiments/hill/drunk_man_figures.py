"""The hill with all paths on it: map, surface, what the plane hides; and the moving picture."""

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from experiments.common import plots, walks
from experiments.common.walks import Way

TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # of costs
PANELS = [["map", "surface"], ["off", "cost"], ["legend", "legend"]]


def who_is_lower(result: Any) -> str:
    """The costs of the full batch and of the smallest batches after equally many examples, in words."""
    cost, ways = np.median(result.together["examples"].cost, axis=1), [walker.way for walker in result.walkers]
    number = walks.drunkest(ways)
    return (
        f"After equally many examples the drunk man ({ways[number].label}) is at cost {cost[number]:.2g}, the careful "
        f"man (full batch) at {cost[0]:.2g}."
    )


def times(walker: Any, clock: str) -> np.ndarray:
    """What the clock showed when each of the points that were looked at was reached."""
    per_step = {"examples": walker.way.batch_size, "seconds": walker.seconds_per_step}[clock]
    return per_step * walker.steps[walker.looked_at]


def seen_at(walker: Any, clock: str, reading: float) -> int:
    """The number of the last point among those looked at, when the clock shows `reading`."""
    return int(np.searchsorted(times(walker, clock), reading * (1 + 1e-9), side="right")) - 1


def readings(result: Any, clock: str, count: int) -> np.ndarray:
    """When the pictures of a walk are taken: ever further apart, from the first step seen to the last."""
    reached = [times(walker, clock) for walker in result.walkers]
    return np.concatenate([[0], np.geomspace(min(t[1] for t in reached), max(t[-1] for t in reached), count - 1)])


def passes(result: Any, walker: Any) -> np.ndarray:
    """Examples read at the points looked at, in passes over the training set; the first walker reads all at a step."""
    return times(walker, "examples") / result.walkers[0].way.batch_size


def hill(result: Any, hidden: str) -> Figure:
    figure, axes = plots.new_mosaic(
        16, 10.5, PANELS, width_ratios=[1.25, 1], height_ratios=[1.9, 1, 0.22],
        per_subplot_kw={"surface": {"projection": "3d"}},
    )  # fmt: skip
    draw_map(axes["map"], result.view, [walker.way for walker in result.walkers])
    shares, null = (sum(each[:2]) for each in (result.shares, result.null_shares))
    axes["map"].set_title(
        f"{textwrap.fill(hidden, 80)}\nThe plane nearest to all paths: {shares:.0%} of their variance "
        f"(random walks that get as far: {null:.0%})", fontsize=11,
    )  # fmt: skip
    across, along = "first direction of the plane (units of the weights)", "second direction of the plane"
    axes["map"].set(xlabel=across, ylabel=along)
    draw_surface(axes["surface"], result)
    draw_what_is_hidden(axes["off"], axes["cost"], result)
    handles, names = axes["map"].get_legend_handles_labels()
    winding = np.median(result.together["examples"].tortuosity, axis=1)
    walked = [f"{name} (way {each:.3g} x distance)" for name, each in zip(names, winding, strict=False)]
    plots.legend_in(axes["legend"], handles, walked + names[len(walked) :], columns=3)
    foot = "paths of the first seed; headline and way over distance: medians, after equally many examples"
    return plots.headline(figure, who_is_lower(result), foot)


def draw_map(axes: Axes, view: Any, ways: Sequence[Way]) -> None:
    plots.map_of_hill(axes, view.alphas, view.betas, view.surface)
    for index, (shadow, way) in enumerate(zip(view.shadows, ways, strict=True)):
        plots.path_on_map(axes, shadow, index, way.name, linewidth=1.8)
    axes.plot(*view.shadows[0][0], "*", markersize=17, color="black", markeredgecolor="white", zorder=6,
              label="common start")  # fmt: skip


def draw_surface(axes: Any, result: Any) -> None:
    view = result.view
    across, along = np.meshgrid(view.alphas, view.betas, indexing="ij")
    axes.plot_surface(
        across, along, np.log10(view.surface), cmap="Greys", alpha=0.45, linewidth=0, rstride=1, cstride=1
    )
    for index, (walker, path) in enumerate(zip(result.walkers, view.shadows, strict=True)):
        shadow, colour = path[walker.looked_at].T, plots.COLOURS[index]
        axes.plot(
            *shadow, np.log10(walker.cost[0]), color=colour, linestyle=plots.LINES[index], linewidth=2.4, zorder=9
        )
        axes.plot(*shadow, np.log10(walker.shadow_cost), color=colour, linewidth=0.9, alpha=0.8, zorder=8)
    ticks = [tick for tick in TICKS if view.surface.min() * 0.8 < tick < view.surface.max() * 1.2]
    axes.set_zticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    axes.set(xlabel="first direction", ylabel="second direction", zlabel="cost")
    axes.view_init(elev=32, azim=-58)
    axes.set_title("Thick: the path at its true cost.\nThin: its shadow on the surface")


def draw_what_is_hidden(off: Axes, cost: Axes, result: Any) -> None:
    for index, (walker, distance) in enumerate(zip(result.walkers, result.view.off_plane, strict=True)):
        colour, line, read = plots.COLOURS[index], plots.LINES[index], passes(result, walker)[1:]
        off.plot(100 * walker.steps / walker.steps[-1], distance, color=colour, linestyle=line)
        cost.plot(read, walker.cost[0][1:], color=colour, linestyle=line)
        cost.plot(read, walker.shadow_cost[1:], color=colour, linewidth=0.9, marker="x", markersize=4)
    off.set_ylim(bottom=0)
    off.set(title="What the map hides: the distance of each path from the plane",
            xlabel="% of a walker's own steps", ylabel="distance (units of the weights)")  # fmt: skip
    all_read = min(passes(result, walker)[-1] for walker in result.walkers)
    cost.axvline(all_read, color="0.3", linewidth=1, linestyle=(0, (2, 2)))
    cost.annotate(" equally many examples ", (all_read, 0.03), xycoords=("data", "axes fraction"), va="bottom",
                  ha="left", fontsize=9, color="0.3")  # fmt: skip
    log_costs(cost)
    cost.set(title="True cost (thick), and cost of the shadow on the plane (thin, x)", ylabel="cost")


def log_costs(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log", xlabel="examples read, in passes over the training set")
    plots.plain_log_ticks(axes.xaxis, [10.0**power for power in range(-5, 5)])
    plots.plain_log_ticks(axes.yaxis, TICKS)


def frames(result: Any, num_frames: int) -> Iterator[np.ndarray]:
    figure, axes = plots.new_mosaic(10, 5, [["map", "cost"]], width_ratios=[1.35, 1])
    figure.set_dpi(72)
    view = result.view
    plots.map_of_hill(axes["map"], view.alphas, view.betas, view.surface)
    axes["map"].set(xticks=[], yticks=[])
    read = [passes(result, walker) for walker in result.walkers]
    moving = []
    for index, walker in enumerate(result.walkers):
        colour, line = plots.COLOURS[index], plots.LINES[index]
        disc = {"marker": "o", "color": colour, "markersize": 9, "markeredgecolor": "white", "zorder": 5}
        axes["cost"].plot(read[index][1:], walker.cost[0][1:], color=colour, linestyle=line, alpha=0.45)
        trail = axes["map"].plot([], [], color=colour, linestyle=line, label=walker.way.name, linewidth=2)
        moving.append((*trail, *axes["map"].plot([], [], **disc), *axes["cost"].plot([], [], **disc)))
    axes["map"].plot(*view.shadows[0][0], "k*", markersize=14, markeredgecolor="white", label="start")
    log_costs(axes["cost"])
    axes["cost"].set_title("cost on all training images")
    figure.legend(*axes["map"].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    for reading in readings(result, "examples", num_frames):
        for index, (trail, head, height) in enumerate(moving):
            walker = result.walkers[index]
            at = seen_at(walker, "examples", reading)
            shadow = view.shadows[index][: walker.looked_at[at] + 1]
            trail.set_data(*shadow.T)
            head.set_data(*shadow[-1:].T)
            height.set_data([read[index][max(at, 1)]], [walker.cost[0][at]])
        done = reading / result.walkers[0].way.batch_size
        axes["map"].set_title(f"all have read {done:.3g} times the training set")
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]
    plt.close(figure)


def as_gif(pictures: Iterable[np.ndarray]) -> bytes:
    """Pictures (height, width, 3 bytes) as a moving one, in the last one's colours, that rests at its end."""
    images = list(map(Image.fromarray, pictures))
    palette = images[-1].quantize(128, Image.Quantize.MAXCOVERAGE)
    first, *others = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    pauses, file = [*[120] * len(others), 2000], io.BytesIO()  # milliseconds
    first.save(file, "GIF", save_all=True, append_images=others, duration=pauses, loop=0, optimize=True)
    return file.getvalue()
