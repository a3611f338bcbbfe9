"""The hill with all paths on it: the map, the costs, what the map hides; and the moving picture."""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from experiments.common import plots
from experiments.common.walks import Way

TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # of costs
PANELS = [["map", "cost"], ["map", "off"], ["legend", "legend"]]


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


def passes(result: Any) -> list[np.ndarray]:
    """Of every walker: passes over the training set at the points looked at; the first walker's step is one pass."""
    return [times(walker, "examples") / result.walkers[0].way.batch_size for walker in result.walkers]


def hill(result: Any, says: str) -> Figure:
    figure, axes = plots.new_mosaic(16, 9.6, PANELS, width_ratios=[1.15, 1], height_ratios=[1, 0.8, 0.2])
    draw_map(axes["map"], result.view, [walker.way for walker in result.walkers])
    shares, null = (sum(each[:2]) for each in (result.shares, result.null_shares))
    axes["map"].set(title=f"The plane nearest to all paths: {100 * shares:.0f} % of their variance\n(of random walks "
                    f"that get as far: {100 * null:.0f} %)", xlabel="first direction of the plane (units of the "
                    "weights)", ylabel="second direction of the plane")  # fmt: skip
    draw_costs(axes["cost"], result)
    for index, (walker, distance) in enumerate(zip(result.walkers, result.view.off_plane, strict=True)):
        share = 100 * walker.steps / walker.steps[-1]
        axes["off"].plot(share, distance, color=plots.COLOURS[index], linestyle=plots.LINES[index])
    axes["off"].set(title="What the map hides: how far off its plane each path runs", ylim=(0, None),
                    xlabel="% of a walker's own steps", ylabel="distance (units of the weights)")  # fmt: skip
    plots.legend_in(axes["legend"], *axes["map"].get_legend_handles_labels(), columns=3)
    return plots.headline(figure, says, "paths of the first seed; costs in the headline: medians")


def draw_map(axes: Axes, view: Any, ways: Sequence[Way]) -> None:
    plots.map_of_hill(axes, view.alphas, view.betas, view.surface)
    for index, (shadow, way) in enumerate(zip(view.shadows, ways, strict=True)):
        plots.path_on_map(axes, shadow, index, way.name, linewidth=1.8)
    axes.plot(*view.shadows[0][0], "k*", markersize=17, markeredgecolor="white", zorder=6, label="common start")


def draw_costs(axes: Axes, result: Any) -> None:
    """The true cost along each path, and that of its projection; a line where the first walker ends."""
    read = passes(result)
    for index, walker in enumerate(result.walkers):
        colour, line = plots.COLOURS[index], plots.LINES[index]
        axes.plot(read[index][1:], walker.cost[0][1:], color=colour, linestyle=line)
        axes.plot(read[index][1:], walker.shadow_cost[1:], color=colour, linewidth=0.9)
    all_read = min(each[-1] for each in read)
    axes.axvline(all_read, color="0.3", linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(" equally many examples", (all_read, 0.03), xycoords=("data", "axes fraction"), color="0.3")
    log_costs(axes)
    axes.set(title="Thick: the true cost along each path; thin: that of its shadow on the map", ylabel="cost")


def log_costs(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log", xlabel="passes over the training images")
    plots.plain_log_ticks(axes.xaxis, [10.0**power for power in range(-5, 5)])
    plots.plain_log_ticks(axes.yaxis, TICKS)


def frames(result: Any, num_frames: int) -> Iterator[np.ndarray]:
    figure, axes = plots.new_mosaic(10, 5.2, [["map", "cost"]], width_ratios=[1.1, 1])
    figure.set_dpi(84)
    view, read, moving = result.view, passes(result), []
    plots.map_of_hill(axes["map"], view.alphas, view.betas, view.surface)
    axes["map"].set(xticks=[], yticks=[], title="The real hill from above: height lines are costs")
    for index, walker in enumerate(result.walkers):
        colour, line = plots.COLOURS[index], plots.LINES[index]
        disc = {"marker": "o", "color": colour, "markersize": 9, "markeredgecolor": "white", "zorder": 5}
        axes["cost"].plot(read[index][1:], walker.cost[0][1:], color=colour, linestyle=line, alpha=0.45)
        trail = axes["map"].plot([], [], color=colour, linestyle=line, label=walker.way.name, linewidth=2)
        moving.append((*trail, *axes["map"].plot([], [], **disc), *axes["cost"].plot([], [], **disc)))
    axes["map"].plot(*view.shadows[0][0], "k*", markersize=14, markeredgecolor="white", label="common start")
    log_costs(axes["cost"])
    axes["cost"].set_title("Cost on all training images")
    figure.legend(*axes["map"].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10)
    for reading in readings(result, "examples", num_frames):
        for index, (trail, head, height) in enumerate(moving):
            walker, at = result.walkers[index], seen_at(result.walkers[index], "examples", reading)
            shadow = view.shadows[index][: walker.looked_at[at] + 1]
            trail.set_data(*shadow.T)
            head.set_data(*shadow[-1:].T)
            height.set_data([read[index][max(at, 1)]], [walker.cost[0][at]])
        figure.suptitle(how_far(reading / result.walkers[0].way.batch_size, read), fontsize=13, fontweight="bold")
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]
    plt.close(figure)


def how_far(passed: float, read: Sequence[np.ndarray]) -> str:
    """How often the careful man and the drunk ones have gone through the training set, who stop where they end.

    >>> how_far(400.0, [np.array([0.0, 400.0]), np.array([0.0, 12.0])])
    'Passes over the training images: full batch 400, mini-batches 12'
    """
    careful, drunk = (min(passed, float(each[-1])) for each in (read[0], read[-1]))
    return f"Passes over the training images: full batch {careful:.3g}, mini-batches {drunk:.3g}"


def as_gif(pictures: Iterable[np.ndarray]) -> bytes:
    """Pictures (height, width, 3 bytes) as a moving one, in the last one's commonest colours, that rests at its end."""
    coarse = [picture & 252 for picture in pictures]  # Pillow compares the upper six bits only
    colours, count = np.unique(coarse[-1].reshape(-1, 3), axis=0, return_counts=True)
    commonest = colours[np.argsort(-count)[:255]]  # of 256 one is left for what does not change
    palette = Image.new("P", (1, 1))
    palette.putpalette(commonest.tobytes())
    images = [Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in coarse]
    for image in images:
        image.putpalette((commonest | 3).tobytes())  # white is white again
    pauses, file = [*[120] * (len(images) - 1), 2000], io.BytesIO()  # milliseconds
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=pauses, loop=0, optimize=True)
    return file.getvalue()
