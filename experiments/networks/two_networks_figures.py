"""The figures of conv_net and conv_suite: accuracy and filters; the cost surface along the path and the noise scale."""

from typing import Any

import numpy as np

from experiments.common import plots

WANTED = 98.5  # % correct, of the claim


def training(result: Any, settings: Any, finding: str) -> plots.Figure:
    figure, axes = plots.new_figure(15, 5.8, columns=2, width_ratios=[1.1, 1])
    draw_accuracy(axes[0, 0], by_name(result, settings))
    draw_filters(axes[0, 1], result.filters)
    foot = f"learning rates {result.conv.rate:g} and {result.plain.rate:g}, falling to zero in the second half"
    return plots.headline(figure, finding, f"{common_foot(settings)}\n{foot}; median and range")


def suite(result: Any, settings: Any) -> plots.Figure:
    figure, axes = plots.new_figure(15, 5.8, columns=2)
    networks = by_name(result, settings)
    draw_hill(axes[0, 0], result.view, next(iter(networks)), settings.surface_examples)
    draw_noise(axes[0, 1], networks)
    few = f"gradients of {settings.statistics_examples:,} images" if settings.statistics_examples else "all gradients"
    grows = " and ".join("from {:,.0f} to {:,.0f} images".format(*np.median(each.noise_scale, axis=0)) + f" ({name})"
                         for name, each in networks.items())  # fmt: skip
    headline = f"In training the batch in which noise and signal are equal grows {grows}"
    return plots.headline(figure, headline, f"{common_foot(settings)}, {few}; median and range")


def by_name(result: Any, settings: Any) -> dict[str, Any]:
    return {settings.model.rpartition(":")[2] or "convolutional": result.conv, "plain": result.plain}


def common_foot(settings: Any) -> str:
    return f"batches of {settings.batch_size}, cost {settings.cost.rpartition(':')[2]}"


def draw_accuracy(axes: plots.Axes, networks: dict[str, Any]) -> None:
    """Accuracy on the test set against epochs, the better part of the scale."""
    for series, (name, each) in enumerate(networks.items()):
        plots.seed_band(axes, each.epochs, 100 * each.accuracy, series, f"{name}, {each.seconds:.0f} s")
    lowest = min(100 * np.median(each.accuracy[:, -1]) for each in networks.values())
    axes.axhline(WANTED, color="0.4", linewidth=1, linestyle=(0, (2, 2)), label=f"{WANTED} %, asked for")
    axes.set(ylim=(max(0.0, min(90.0, lowest - 5)), 100), ylabel="correct on the test images, %", xlabel="epochs",
             title="On new images; seconds: all seeds' training")  # fmt: skip


def draw_filters(axes: plots.Axes, filters: np.ndarray) -> None:
    """The first layer's filters (rows, columns, filters) in two rows: bright for positive weights, dark for
    negative ones."""
    axes.axis("off")
    if not filters.size:
        axes.set_title("No filters in this network")
        return
    height, width, count = filters.shape
    framed = np.pad(filters, ((0, 1), (0, 1), (0, count % 2)), constant_values=np.nan)
    sheet = np.block([list(half) for half in np.split(np.moveaxis(framed, 2, 0), 2)])[:-1, :-1]
    largest = float(np.abs(filters).max())
    image = axes.imshow(sheet, cmap="cividis", vmin=-largest, vmax=largest)
    axes.figure.colorbar(image, ax=axes, shrink=0.75, label="weight")
    axes.set_title(f"What the first layer looks for: its {count} filters, {height} x {width} pixels, first seed")


def draw_hill(axes: plots.Axes, view: Any, name: str, num_images: int) -> None:
    plots.map_of_hill(axes, view.alphas, view.betas, view.surface)
    plots.path_on_map(axes, view.shadows[0], 0)
    axes.plot(*view.shadows[0][0], "k*", markersize=16)
    axes.set(xlabel="first direction of the plane nearest to the path", ylabel="second direction",
             title=f"{name}: hill, exact on {num_images:,} images, and path from the star;\nfirst seed, the "
             f"path runs up to {view.off_plane[0].max():.2g} off the plane")  # fmt: skip


def draw_noise(axes: plots.Axes, networks: dict[str, Any]) -> None:
    """B_simple of both networks, at the start and at the end."""
    for series, (name, each) in enumerate(networks.items()):
        places = np.arange(2) + 0.1 * series - 0.05
        plots.seed_points(axes, places, each.noise_scale, series)
        for place, value in zip(places, np.median(each.noise_scale, axis=0), strict=True):
            plots.note(axes, f"{name}: {value:,.0f}", (place, value), (16 * series - 8, 0), series=series,
                       ha=("right", "left")[series], va="center")  # fmt: skip
    axes.set_xticks(range(2), ["at the start", "after training"])
    axes.set(yscale="log", xlim=(-0.6, 1.6), ylabel="B_simple = tr Sigma / |G|^2, examples",
             title="In a batch of so many examples noise and signal are equal")  # fmt: skip
