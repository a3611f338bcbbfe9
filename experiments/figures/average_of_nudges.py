"""The film's table with computed numbers, a heat map of many more, and how fast the average settles."""

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from experiments.common import plots

FILMS_COLUMNS = (2, 5, 0, 4, 1, 9)  # the digits of the film's table, in its order
HEAT_ROWS = 12  # parameters of every layer in the heat map
HEAT_COLUMNS = 4  # examples of every class in the heat map
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
MINUS = "\N{MINUS SIGN}"
WISH_COLOURS = LinearSegmentedColormap.from_list("wishes", (plots.COLOURS[1], "white", plots.COLOURS[0]))

# Which weights and examples of so many are shown.


def layer_slices(layer_sizes: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Where the weights and the biases of every layer lie among w_0, w_1, ...

    >>> layer_slices((2, 3))
    [(slice(0, 6, None), slice(6, 9, None))]
    """
    slices, begin = [], 0
    for num_in, num_out in itertools.pairwise(layer_sizes):
        middle, end = begin + num_in * num_out, begin + num_out * (num_in + 1)
        slices.append((slice(begin, middle), slice(middle, end)))
        begin = end
    return slices


def table_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...]) -> np.ndarray:
    """The first and the last parameter, and from each layer the weight and the bias with the largest requests."""
    loudest = [part.start + int(mean_square[part].argmax()) for pair in layer_slices(layer_sizes) for part in pair]
    return np.unique([0, *loudest, len(mean_square) - 1])


def heat_map_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...], seed: int) -> np.ndarray:
    """From each layer HEAT_ROWS parameters for which anyone asks, drawn at random, in their order."""
    rng = np.random.default_rng(seed)
    rows = []
    for weights, biases in layer_slices(layer_sizes):
        asked = weights.start + np.flatnonzero(mean_square[weights.start : biases.stop])
        rows.append(np.sort(rng.choice(asked, min(HEAT_ROWS, len(asked)), replace=False)))
    return np.concatenate(rows)


def first_of_each(labels: np.ndarray, classes: list[int], how_many: int) -> np.ndarray:
    """Where the first examples of each class are, class by class.

    >>> first_of_each(np.array([5, 2, 2, 5, 2]), [2, 5], 2).tolist()
    [1, 2, 0, 3]
    """
    return np.concatenate([np.flatnonzero(labels == label)[:how_many] for label in classes])


def parameter_name(index: int, layer_sizes: tuple[int, ...]) -> str:
    """Where the film's w_index sits: neurons counted from 0, in layers of weights counted from 1.

    >>> parameter_name(0, (784, 16, 16, 10)), parameter_name(13001, (784, 16, 16, 10))
    ('pixel 0 to neuron 0 of layer 1', 'bias of output 9')
    """
    for layer, (num_in, num_out) in enumerate(itertools.pairwise(layer_sizes), start=1):
        last = layer == len(layer_sizes) - 1
        if index < num_out * num_in:
            neuron, source = divmod(index, num_in)
            origin = f"pixel {source}" if layer == 1 else f"neuron {source}"
            return f"{origin} to output {neuron}" if last else f"{origin} to neuron {neuron} of layer {layer}"
        index -= num_out * num_in
        if index < num_out:
            return f"bias of output {index}" if last else f"bias of neuron {index} of layer {layer}"
        index -= num_out
    raise ValueError(f"there is no parameter so far behind the last of a network {layer_sizes}")


# The figures.


def row_scaled(wanted: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Every row divided by its largest request in size, so that small and large ones are seen alike; zeros stay."""
    largest = np.abs(wanted).max(axis=1)
    scale = np.where(largest > 0, largest, 1)
    return [(array.T / scale).T for array in (wanted, *others)]


def table_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The film's table with computed numbers: one row a weight, one column an example, then the average of all."""
    wanted, average, gradient = (arrays[f"table_{name}"] for name in ("wanted", "average", "gradient"))
    num_examples, num_columns = record["dataset"]["train"]["count"], wanted.shape[1]
    numbers = np.column_stack([wanted, average, gradient])
    colours = np.column_stack(row_scaled(wanted, average, gradient))
    figure, axes = plots.new_figure(4.2 + 1.15 * (num_columns + 3), 2.6 + 0.52 * len(wanted))
    axis = axes[0, 0]
    axis.imshow(np.pad(colours, ((0, 0), (0, 1))), cmap=WISH_COLOURS, vmin=-1.3, vmax=1.3, aspect="auto")
    for row, column in np.ndindex(numbers.shape):
        bold = "bold" if column >= num_columns else "normal"
        axis.text(column, row, signed(1000 * float(numbers[row, column])), ha="center", va="center", weight=bold)
    for row, (more, less) in enumerate(zip(arrays["table_more"], arrays["table_less"], strict=True)):
        axis.text(num_columns + 2, row, f"{100 * more:.0f} : {100 * less:.0f}", ha="center", va="center")
    headings = [
        *(f"a {label}" for label in arrays["table_labels"]),
        f"average of\nall {num_examples:,}",
        "minus the\ngradient",
        "want it\nup : down, %",
    ]
    axis.set_xticks(range(len(headings)), headings)
    axis.set_yticks(range(len(wanted)), row_names(arrays["table_rows"], record["layer_sizes"]))
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.axvline(num_columns - 0.5, color="black", linewidth=2)
    thumbnails(axis, arrays["table_images"])
    axis.set_xlabel(
        f"what each wants for each weight, in thousandths (blue +: more, orange {MINUS}: less; colours scaled row by "
        f"row), after {epochs_of(record)}\nrows: the first and the last parameter, and from every layer the weight and "
        "the bias with the largest wishes",
        fontsize=9,
    )
    title = "Every example has its own wish for each weight; averaged over all, the wishes are minus the gradient"
    plots.headline(figure, title)
    plots.foot(figure, record, "first seed")
    return figure


def epochs_of(record: dict) -> str:
    num_epochs = record["settings"]["num_epochs"]
    return "1 epoch of training" if num_epochs == 1 else f"{num_epochs} epochs of training"


def signed(value: float) -> str:
    """Three digits with a sign; an exact zero without.

    >>> signed(12.345), signed(0.00001), signed(0.0)
    ('+12.3', '+0.000', '0')
    """
    digits = f"{value:+.3f}" if abs(value) < 1 else f"{value:+#.3g}".rstrip(".")
    return digits.replace("-", MINUS) if value else "0"


def row_names(rows: np.ndarray, layer_sizes: list[int]) -> list[str]:
    """The parameters' places and the film's names for them.

    >>> row_names(np.array([13001]), [784, 16, 16, 10])
    ['bias of output 9   w₁₃₀₀₁']
    """
    return [f"{parameter_name(int(row), tuple(layer_sizes))}   w{str(row).translate(SUBSCRIPTS)}" for row in rows]


def thumbnails(axis: Axes, images: np.ndarray) -> None:
    """Each example's image above its column."""
    for column, image in enumerate(images):
        place = axis.inset_axes((column - 0.4, -2.35, 0.8, 1.1), transform=axis.transData)
        place.imshow(image, cmap="gray", vmin=0, vmax=1)
        place.set_axis_off()


def heat_map_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Many more weights and examples, before and after training; a wish for less carries a dash besides its colour."""
    num_columns = len(arrays["before_labels"])
    figure, axes = plots.new_figure(17, 9, columns=4, sharey=True, width_ratios=(num_columns, 2, num_columns, 2))
    stages = {"before": "before training", "after": f"after {epochs_of(record)}"}
    for (stage, title), (left, right) in zip(stages.items(), axes[0].reshape(2, 2), strict=True):
        scaled = row_scaled(arrays[f"{stage}_wanted"], arrays[f"{stage}_average"])
        wanted, average = (np.sign(array) * np.sqrt(np.abs(array)) for array in scaled)
        wishes(left, wanted)
        wishes(right, average[:, None])
        name_classes(left, arrays[f"{stage}_labels"])
        left.set_title(title)
        left.set_xlabel(f"examples, the first {HEAT_COLUMNS} of every class")
        right.set_xticks([0], [f"average\nof all {record['dataset']['train']['count']:,}"])
    rows = arrays["before_rows"]
    axes[0, 0].set_yticks(range(len(rows)), row_names(rows, record["layer_sizes"]), fontsize=8)
    bar = figure.colorbar(
        ScalarMappable(Normalize(-1, 1), WISH_COLOURS), ax=axes, shrink=0.5, ticks=(-1, -0.5, 0, 0.5, 1)
    )
    bar.ax.set_yticklabels([f"{MINUS} less: {MINUS}1", f"{MINUS}1/4", "0", "+1/4", "+ more: +1"])
    bar.set_label("what the example wants for the weight,\nas a share of the largest wish in its row")
    agree = [100 * agreement(arrays[f"{stage}_more"], arrays[f"{stage}_less"]) for stage in stages]
    plots.headline(
        figure,
        f"Which way should a weight go? Before training {agree[0]:.0f} % of the examples that care agree, after "
        f"{epochs_of(record)} {agree[1]:.0f} % (median of {len(rows)} weights)",
    )
    plots.foot(figure, record, "first seed; colours scaled row by row")
    return figure


def agreement(more: np.ndarray, less: np.ndarray) -> float:
    """Of the examples that want a weight changed, the share of the larger side; the median over weights.

    >>> agreement(np.array([0.5, 0.0]), np.array([0.5, 0.2]))
    0.75
    """
    care = more + less > 0
    return float(np.median(np.maximum(more, less)[care] / (more + less)[care])) if care.any() else 1.0


def wishes(axis: Axes, matrix: np.ndarray) -> None:
    """A heat map of numbers between -1 and 1, with a dash on the negative ones."""
    rows, columns = np.nonzero(matrix < 0)
    axis.plot(columns, rows, linestyle="none", marker="_", color="black", markersize=3.5, markeredgewidth=0.7)
    axis.grid(False)
    axis.tick_params(length=0)
    axis.imshow(matrix, cmap=WISH_COLOURS, vmin=-1, vmax=1, aspect="auto")


def name_classes(axis: Axes, labels: np.ndarray) -> None:
    """Names each run of equal labels below its columns and draws a line where one ends."""
    changes = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(labels)]
    for begin in changes[1:-1]:
        axis.axvline(begin - 0.5, color="black", linewidth=0.8)
    centres = [(begin + end - 1) / 2 for begin, end in itertools.pairwise(changes)]
    axis.set_xticks(centres, [f"{labels[begin]}s" for begin in changes[:-1]])


def running_mean_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """How far the average of the first n requests is from the average of all, against n."""
    counts, num_examples = arrays["counts"], record["dataset"]["train"]["count"]
    num_seeds, before_last = record["settings"]["num_seeds"], counts < counts[-1]
    figure, axes = plots.new_figure(8.5, 5.8)
    axis = axes[0, 0]
    for series, (network, when) in enumerate(((num_seeds, f"after {epochs_of(record)}"), (0, "before training"))):
        distance, expected = 100 * arrays["distance"][network], 100 * arrays["expected"][network]
        plots.seed_band(
            axis,
            counts[before_last],
            distance[:, before_last],
            series,
            f"{when}, {len(distance)} order{'s' * (len(distance) > 1)}",
        )
        label = f"theory: $\\sqrt{{B/n \\cdot (N-n)/(N-1)}}$ with $B$ = {float(f'{expected[0] ** 2 / 1e4:.3g}'):,g}"
        axis.plot(counts[before_last], expected[before_last], color="black", linestyle=":", linewidth=1.5, label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, [10**power for power in range(len(str(num_examples)))])
    plots.plain_log_ticks(axis.yaxis, (0.01, 0.1, 1, 10, 100, 1000))
    plots.reference_line(axis, 100, "as far away as no step at all")
    axis.set_ylim(bottom=0.1)
    axis.set_xlabel(f"examples averaged so far, n (of N = {num_examples:,})")
    axis.set_ylabel("distance from the gradient, % of its length")
    axis.legend(loc="lower left", fontsize=9)
    plots.headline(figure, running_mean_title(counts, arrays["distance"][[0, num_seeds]]))
    plots.foot(figure, record, "first seed; median and range of the orders")
    return figure


def running_mean_title(counts: np.ndarray, distance: np.ndarray) -> str:
    """The finding in words; distance (2, orders, counts) is that of one network, untrained and trained."""
    untrained, trained = (counts[np.flatnonzero(median <= 0.1)[0]] for median in np.median(distance, axis=1))
    return (
        f"To come within 10 % of the gradient takes {untrained:,} examples before training, {trained:,} after; each "
        "time, four times as many examples halve the distance"
    )
