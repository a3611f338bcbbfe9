"""Examples and where they come from.

MNIST is bundled; a folder of four IDX files goes by its path, any other set by its TFDS name (`research.datasets`).
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, UInt8

from research import datasets
from research.datasets import MNIST_FOLDER, DataError

IDX_PREFIXES = {"train": "train", "test": "t10k"}  # as in LeCun's file names


class Examples(NamedTuple):
    """One example, a batch or the whole set: only the leading axes differ."""

    inputs: UInt8[Array, "*batch pixels"] | Float[Array, "*batch pixels"]  # grey levels 0..255 as stored, or in [0, 1]
    targets: Float[Array, "*batch classes"]  # one-hot


def unit_interval(
    inputs: UInt8[Array, "*batch pixels"] | Float[Array, "*batch pixels"],
) -> Float[Array, "*batch pixels"]:
    """Grey levels as activations in [0, 1]: uint8 is divided by 255, floats pass unchanged.

    >>> unit_interval(jnp.array([0, 255], jnp.uint8)).tolist()
    [0.0, 1.0]
    """
    if jnp.issubdtype(inputs.dtype, jnp.floating):
        return inputs
    return inputs.astype(jnp.float32) / 255


def take(tree: PyTree, rows: Any) -> PyTree:
    """Those rows of every leaf: indices, a mask or a slice.

    >>> take(Examples(np.array([5, 6, 7]), np.array([0, 1, 2])), slice(2))
    Examples(inputs=array([5, 6]), targets=array([0, 1]))
    """
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def widened(tree: PyTree) -> PyTree:
    """Every float of the tree in the widest precision that is switched on; images as `unit_interval` has them.

    >>> with jax.enable_x64(True):
    ...     widened(Examples(np.array([51], np.uint8), np.array([0.5], np.float32)))
    Examples(inputs=Array([0.2], dtype=float64), targets=Array([0.5], dtype=float64))
    """

    def wide(leaf: Any) -> Any:
        if leaf.dtype == jnp.uint8:
            return jnp.asarray(leaf, float) / 255
        return jnp.asarray(leaf, float) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(wide, tree)


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Row i is 1 at labels[i] and 0 elsewhere, float32.

    >>> one_hot(np.array([2, 0]), 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return np.eye(num_classes, dtype=np.float32)[labels]


def load(name: str = "mnist", split: str = "train", *, data_dir: str | Path | None = None) -> Examples:
    """All examples of one split, in numpy: inputs (N, pixels) uint8 in 0..255, targets (N, classes) float32 one-hot.

    - "mnist": the bundled files, checked against their SHA256SUMS;
    - the path of a folder with four IDX files named as MNIST's (`train-images-idx3-ubyte`, with or without `.gz`, ...);
      the classes are 0 up to the largest label of both splits;
    - any image classification set of TFDS: "fashion_mnist", "emnist/letters", "mnist:3.0.1". It is prepared once under
      `data_dir` (default: TFDS_DATA_DIR, else ~/tensorflow_datasets), from `<data_dir>/downloads/manual` where that has
      the files, then read without TensorFlow, in TFDS' shuffled order; `split` may be a slice, "train[:10%]".

    Pixels are flattened row by row, channels last (`image_shape`). Raises DataError, one sentence with what is wrong.

    >>> test = load("mnist", "test")
    >>> test.inputs.shape, test.targets.shape, int(test.targets[0].argmax())
    ((10000, 784), (10000, 10), 7)
    """
    if name == "mnist":
        _verify_bundled_files()
    folder = _idx_folder(name)
    images, labels, num_classes = (
        datasets.read(name, split, data_dir) if folder is None else _read_folder(folder, split)
    )
    inputs: Any = images.reshape(len(images), -1)  # Any: numpy arrays, which the functions of jax take as their own
    targets: Any = one_hot(labels, num_classes)
    return Examples(inputs, targets)


def image_shape(name: str = "mnist", *, data_dir: str | Path | None = None) -> tuple[int, int, int]:
    """(height, width, channels) of the images of `load(name)`, read from headers alone; nothing is downloaded.

    >>> image_shape("mnist")
    (28, 28, 1)
    """
    folder = _idx_folder(name)
    if folder is None:
        return datasets.image_shape(name, data_dir)
    _, height, width = _idx_shape(_idx_path(folder, "train", "images-idx3"))
    return height, width, 1


def checksum(examples: Examples) -> str:
    """SHA-256, in hexadecimal, over dtype, shape and bytes of both arrays: the name of exactly these data in run.json.

    >>> len(checksum(load("mnist", "test")))  # 256 bits
    64
    """
    digest = hashlib.sha256()
    for array in map(np.asarray, examples):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


# Folders of IDX files. The format: the bytes 0, 0, 8 (unsigned bytes), the number of axes, then each axis's length as
# a big-endian 32-bit integer, then the values row by row. http://yann.lecun.com/exdb/mnist


def _idx_folder(name: str) -> Path | None:
    folder = MNIST_FOLDER if name == "mnist" else Path(name).expanduser()
    if name.startswith((".", "/", "~")) and not folder.is_dir():
        raise DataError(
            f"There is no folder {name!r}; name one that holds four IDX files called as MNIST's "
            "(train-images-idx3-ubyte, ...), or 'mnist', or a data set of TFDS such as 'fashion_mnist'."
        )
    return folder if name and folder.is_dir() else None


def _read_folder(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Images, labels and the number of classes of one split; the other split is checked for agreeing with it."""
    if split not in IDX_PREFIXES:
        raise DataError(f"There is no split {split!r} in {folder}; choose 'train' or 'test'.")
    labels = {each: _read_idx(_idx_path(folder, each, "labels-idx1")) for each in IDX_PREFIXES}
    shapes = {each: _idx_shape(_idx_path(folder, each, "images-idx3")) for each in IDX_PREFIXES}
    for each, (num_images, *_) in shapes.items():
        if not num_images == len(labels[each]) > 0:
            raise DataError(
                f"The split {each!r} in {folder} has {num_images} images and {len(labels[each])} labels; "
                "each image needs one label, so take both files from the same source."
            )
    if shapes["train"][1:] != shapes["test"][1:]:
        raise DataError(
            f"The images in {folder} have the size {shapes['train'][1:]} for training and {shapes['test'][1:]} for "
            "testing; both need the same size, so take all four files from the same source."
        )
    num_classes = 1 + max(int(each.max()) for each in labels.values())
    return _read_idx(_idx_path(folder, split, "images-idx3")), labels[split], num_classes


def _idx_path(folder: Path, split: str, kind: str) -> Path:
    path = folder / f"{IDX_PREFIXES[split]}-{kind}-ubyte"
    compressed = path.with_name(f"{path.name}.gz")
    for candidate in (compressed, path):
        if candidate.is_file():
            return candidate
    raise DataError(f"The file {compressed} (or the same without .gz) is missing; put MNIST's four IDX files there.")


def _read_idx(path: Path) -> np.ndarray:
    shape = _idx_shape(path)
    content = _read_bytes(path)
    header_size = 4 + 4 * len(shape)
    if len(content) - header_size != math.prod(shape):
        raise DataError(
            f"The file {path} holds {len(content) - header_size} values where its header promises {shape}; "
            "copy it again."
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)


def _idx_shape(path: Path) -> tuple[int, ...]:
    num_axes = 3 if "idx3" in path.name else 1
    magic, header_size = bytes([0, 0, 8, num_axes]), 4 + 4 * num_axes
    header = _read_bytes(path, header_size)
    if len(header) != header_size or not header.startswith(magic):
        raise DataError(
            f"The file {path} begins with {header[:4].hex() or 'nothing'}, not with the magic number {magic.hex()} "
            f"of an IDX file of bytes with {num_axes} axes; copy it again."
        )
    return tuple(int(length) for length in np.frombuffer(header, ">u4", offset=4))


def _read_bytes(path: Path, size: int = -1) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"The file {path} cannot be read ({error}); copy it again.") from error


def _verify_bundled_files() -> None:
    mend = "restore it with 'git checkout research/mnist' or install this package again."
    try:
        for line in (MNIST_FOLDER / "SHA256SUMS").read_text().splitlines():
            expected, file_name = line.split()
            if hashlib.sha256((MNIST_FOLDER / file_name).read_bytes()).hexdigest() != expected:
                raise DataError(f"The bundled file {file_name} is not the one that SHA256SUMS names; {mend}")
    except OSError as error:
        raise DataError(f"The bundled file {error.filename} cannot be read ({error.strerror}); {mend}") from error
