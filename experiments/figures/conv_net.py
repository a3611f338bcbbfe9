"""The figure of conv_net: accuracy along the training, the noise scale, the filters, and the hill."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

WANTED = 98.5  # % correct, of the claim


def conv_figure(record: dict, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> Figure:
    """Everything on one page."""
    figure, axes = plots.new_mosaic(
        15, 10, [["accuracy", "hill"], ["noise", "filters"]], height_ratios=[1.35, 1], width_ratios=[1.1, 1]
    )
    draw_accuracy(axes["accuracy"], record, arrays, names)
    draw_hill(axes["hill"], record, arrays)
    draw_noise(axes["noise"], record, arrays, names)
    draw_filters(axes["filters"], arrays["filters"])
    plots.headline(figure, headline(record, arrays, names))
    settings = record["settings"]
    rates = " and ".join(format(record["rates"][name], "g") for name in names)
    seconds = " and ".join(format(record["seconds_of_training"][name], ".0f") for name in names)
    plots.foot(
        figure, record,
        f"batches of {settings['batch_size']}, cost {settings['cost'].partition(':')[2]}, learning rates {rates}; "
        f"training of {settings['num_seeds']} seeds took {seconds} s",
    )  # fmt: skip
    return figure


def headline(record: dict, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> str:
    """How many of the test images each network reads right at the end."""
    said = [
        f"{100 * np.median(arrays[f'{name}_accuracy'][:, -1]):.2f} % right with {record['num_parameters'][name]:,} "
        f"parameters ({name})"
        for name in names
    ]
    return f"Test images after {record['settings']['num_epochs']} epochs: {', '.join(said)}"


def label(record: dict, name: str) -> str:
    """What a network is, in a few words."""
    sizes = f" {'-'.join(map(str, record['layer_sizes']))}" if name == "plain" else ""
    return f"{name}{sizes}, {record['num_parameters'][name]:,} parameters"


def draw_accuracy(axes: Axes, record: dict, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    """Accuracy on the test set against epochs, the better part of the scale."""
    for series, name in enumerate(names):
        plots.seed_band(axes, arrays[f"{name}_epochs"], 100 * arrays[f"{name}_accuracy"], series, label(record, name))
    lowest = min(100 * np.median(arrays[f"{name}_accuracy"], axis=0)[-1] for name in names)
    axes.set_ylim(max(0.0, min(90.0, lowest - 5)), 100)
    axes.axhline(WANTED, color="0.35", linestyle=(0, (2, 2)), linewidth=1, label=f"{WANTED} %, asked for")
    num_seeds = record["settings"]["num_seeds"]
    axes.set_xlabel("epochs; the learning rate falls to zero in the second half")
    axes.set_ylabel(f"correct on the {record['dataset']['test']['count']:,} test images, %")
    axes.set_title("Accuracy on new images")
    axes.legend(loc="lower right", title=f"median and range of {num_seeds} seeds")


def draw_hill(axes: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The map of the convolutional network's hill, and the shadow of its path."""
    shadow = arrays["shadow"]
    plots.map_of_hill(axes, arrays["alphas"], arrays["betas"], arrays["surface"])
    plots.path_on_map(axes, shadow, 0, "its path, first seed")
    axes.plot(*shadow[0], "*", markersize=16, color="black", markeredgecolor="white", zorder=6, label="start")
    axes.set_title(
        f"Its hill, exact on {record['settings']['surface_examples']:,} images;\nthe path runs up to "
        f"{arrays['off_plane'].max():.2g} off the plane"
    )
    axes.set_xlabel("first direction of the plane nearest to the path")
    axes.set_ylabel("second direction")
    axes.legend(loc="best")


def draw_noise(axes: Axes, record: dict, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    """B_simple of both networks at the start and at the end."""
    for series, name in enumerate(names):
        places = np.arange(2) + 0.4 * series - 0.2
        middle = np.median(arrays[f"{name}_noise_scale"], axis=0)
        axes.bar(places, middle, 0.38, color=plots.COLOURS[series], alpha=0.75, label=name, hatch=("", "//")[series])
        for seed in arrays[f"{name}_noise_scale"]:
            axes.plot(places, seed, "k.", markersize=5, linestyle="none")
        tops = np.max(arrays[f"{name}_noise_scale"], axis=0)  # above every dot
        for place, value, top in zip(places, middle, tops, strict=True):
            axes.annotate(f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", (place, top), xytext=(0, 8),
                          textcoords="offset points", ha="center")  # fmt: skip
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 3)
    axes.set_xticks(range(2), ["at the start", "after training"])
    axes.set_ylabel("B_simple = tr Sigma / |G|²  (examples)")
    axes.set_title(
        "Single images' gradients: so large a batch has as much signal as noise\n(numbers: medians; dots: every seed)"
    )
    axes.legend(loc="upper left")


def draw_filters(axes: Axes, filters: np.ndarray) -> None:
    """The first layer's filters side by side, blue for positive, red for negative weights."""
    axes.axis("off")
    if not filters.size:
        axes.set_title("No filters in this network")
        return
    side, count = filters.shape[0], filters.shape[2]
    columns = -(-count // 2)
    sheet = np.full((2 * (side + 1) - 1, columns * (filters.shape[1] + 1) - 1), np.nan)
    for number in range(count):
        row, column = divmod(number, columns)
        top, left = row * (side + 1), column * (filters.shape[1] + 1)
        sheet[top : top + side, left : left + filters.shape[1]] = filters[:, :, number]
    largest = float(np.abs(filters).max())
    image = axes.imshow(sheet, cmap="RdBu", vmin=-largest, vmax=largest)
    axes.figure.colorbar(image, ax=axes, shrink=0.75, label="weight")
    axes.set_title(f"What the first layer looks for: its {count} filters, {side} x {side} pixels, first seed")
