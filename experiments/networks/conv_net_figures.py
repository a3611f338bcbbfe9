"""The figure of conv_net: accuracy along the training, and the filters."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

WANTED = 98.5  # % correct, of the claim


def page(result: Any, settings: Any) -> Figure:
    figure, axes = plots.new_figure(15, 5.8, columns=2, width_ratios=[1.1, 1])
    own = settings.model.rpartition(":")[2] or "convolutional"
    networks = {own: result.conv, "plain": result.plain}
    draw_accuracy(axes[0, 0], networks)
    draw_filters(axes[0, 1], result.filters)
    said = [f"{100 * np.median(each.accuracy[:, -1]):.2f} % right with {each.num_parameters:,} parameters ({name})"
            for name, each in networks.items()]  # fmt: skip
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    return plots.headline(
        figure,
        f"Test images after {epochs}: {', '.join(said)}",
        f"median and range; batches of {settings.batch_size}, cost {settings.cost.rpartition(':')[2]}, learning rates "
        f"{result.conv.rate:g} and {result.plain.rate:g}, falling to zero in the second half\ntraining took "
        f"{result.conv.seconds:.0f} and {result.plain.seconds:.0f} s",
    )


def draw_accuracy(axes: Axes, networks: dict[str, Any]) -> None:
    """Accuracy on the test set against epochs, the better part of the scale."""
    for series, (name, each) in enumerate(networks.items()):
        plots.seed_band(axes, each.epochs, 100 * each.accuracy, series, name)
    lowest = min(100 * np.median(each.accuracy[:, -1]) for each in networks.values())
    axes.axhline(WANTED, color="0.4", linewidth=1, linestyle=(0, (2, 2)), label=f"{WANTED} %, asked for")
    axes.set(ylim=(max(0.0, min(90.0, lowest - 5)), 100), ylabel="correct on the test images, %", xlabel="epochs",
             title="Accuracy on new images")  # fmt: skip
    plots.name_lines(axes)


def draw_filters(axes: Axes, filters: np.ndarray) -> None:
    """The first layer's filters (rows, columns, filters) in two rows, blue for positive, red for negative weights."""
    axes.axis("off")
    if not filters.size:
        axes.set_title("No filters in this network")
        return
    height, width, count = filters.shape
    framed = np.pad(filters, ((0, 1), (0, 1), (0, count % 2)), constant_values=np.nan)
    sheet = np.block([list(half) for half in np.split(np.moveaxis(framed, 2, 0), 2)])[:-1, :-1]
    largest = float(np.abs(filters).max())
    image = axes.imshow(sheet, cmap="RdBu", vmin=-largest, vmax=largest)
    axes.figure.colorbar(image, ax=axes, shrink=0.75, label="weight")
    axes.set_title(f"What the first layer looks for: its {count} filters, {height} x {width} pixels, first seed")
