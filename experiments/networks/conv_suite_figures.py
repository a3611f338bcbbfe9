"""The figure of conv_suite: the cost surface along the path, and the noise scale."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def page(result: Any, settings: Any, finding: str) -> Figure:
    figure, axes = plots.new_figure(15, 7, columns=2)
    own = settings.model.rpartition(":")[2] or "convolutional"
    draw_hill(axes[0, 0], result.view, settings.surface_examples)
    draw_noise(axes[0, 1], {own: result.conv.noise_scale, "plain": result.plain.noise_scale})
    few = f"gradients of {settings.statistics_examples:,} images" if settings.statistics_examples else "all gradients"
    return plots.headline(
        figure,
        finding,
        f"batches of {settings.batch_size}, cost {settings.cost.rpartition(':')[2]}, {few}; bars and numbers: medians, "
        "dots: every seed",
    )


def draw_hill(axes: Axes, view: Any, num_images: int) -> None:
    plots.map_of_hill(axes, view.alphas, view.betas, view.surface)
    plots.path_on_map(axes, view.shadows[0], 0, "its path, first seed")
    axes.plot(*view.shadows[0][0], "*", markersize=16, color="black", markeredgecolor="white", zorder=6, label="start")
    axes.set(xlabel="first direction of the plane nearest to the path", ylabel="second direction",
             title=f"The first one's cost surface, exact on {num_images:,} images;\nthe path runs up to "
             f"{view.off_plane[0].max():.2g} off the plane")  # fmt: skip
    axes.legend(loc="best")


def draw_noise(axes: Axes, networks: dict[str, np.ndarray]) -> None:
    """B_simple of both networks, (seeds, 2): at the start and at the end."""
    for series, (name, scales) in enumerate(networks.items()):
        places, middle, tops = np.arange(2) + 0.4 * series - 0.2, np.median(scales, axis=0), np.max(scales, axis=0)
        axes.bar(places, middle, 0.38, color=plots.COLOURS[series], alpha=0.75, label=name, hatch=("", "//")[series])
        axes.plot(places, scales.T, "k.", markersize=5, linestyle="none")
        for place, value, top in zip(places, middle, tops, strict=True):  # above every dot
            axes.annotate(f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", (place, top), xytext=(0, 8),
                          textcoords="offset points", ha="center")  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(top=3 * axes.get_ylim()[1])
    axes.set_xticks(range(2), ["at the start", "after training"])
    axes.set(ylabel="B_simple = tr Sigma / |G|²  (examples)", title="Single images' gradients: so large a batch has as "
             "much signal as noise\n(numbers: medians; dots: every seed)")  # fmt: skip
    axes.legend(loc="upper left")
