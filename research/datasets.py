"""Image classification sets of TensorFlow Datasets, by their names; tensorflow-datasets is imported only when asked.

A set is prepared once, as array_record files, and then read without TensorFlow. Errors are one sentence.
"""

import difflib
import io
import re
import shlex
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np

MNIST_FOLDER = Path(__file__).parent / "mnist"
REACH_SECONDS = 1.5
READ_AT_ONCE = 1000  # reading examples one by one is six times slower


class DataError(ValueError):
    """A data set that cannot be had: one sentence with what is wrong, what is allowed and what to do."""


def read(name: str, split: str, data_dir: str | Path | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Images (N, height, width, channels), labels (N) and the number of classes of one split, prepared if need be;
    raises DataError where they cannot be had."""
    builder = _builder(name, data_dir)
    shape = _image_shape(builder)
    _prepare(builder)
    source = _source(builder, split)
    images, labels = np.empty((len(source), *shape), np.uint8), np.empty(len(source), np.int64)
    try:
        for start in range(0, len(source), READ_AT_ONCE):
            rows = range(start, min(start + READ_AT_ONCE, len(source)))
            for row, example in zip(rows, source.__getitems__(rows), strict=True):
                images[row], labels[row] = example["image"], example["label"]
    except Exception as error:
        raise DataError(f"{builder.data_dir} is damaged ({_one_line(error)}); {_how_to_renew(builder)}.") from error
    if len(labels) == 0 or labels.min() < 0:
        raise DataError(f"The split {split!r} of {name!r} has no labels; choose among {_splits(builder)}.")
    return images, labels, builder.info.features["label"].num_classes


def image_shape(name: str, data_dir: str | Path | None) -> tuple[int, int, int]:
    """(height, width, channels), from the description of the set. Raises DataError where it is not what is needed."""
    return _image_shape(_builder(name, data_dir))


def _builder(name: str, data_dir: str | Path | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        with redirect_stdout(io.StringIO()):  # TFDS prints banners that say less than the errors below
            return tfds.builder(name, data_dir=data_dir)
    except Exception as error:
        if _lacks_tensorflow(error):
            raise DataError(_tensorflow_wanted(name)) from error
        known_names = tfds.list_builders(with_community_datasets=False)
        base_name = re.split("[/:]", name)[0]
        if base_name in known_names:
            reason = _one_line(error).rpartition('": ')[2]  # after TFDS's own prefix
            raise DataError(f"TFDS does not offer {name!r}: {reason}.") from error
        close_names = ", ".join(map(repr, difflib.get_close_matches(base_name, known_names)))
        raise DataError(
            f"There is no data set {name!r}: it is not 'mnist', not an existing folder and not a name that TFDS knows; "
            f"{f'did you mean {close_names}?' if close_names else 'check the spelling.'}"
        ) from error


def _image_shape(builder: Any) -> tuple[int, int, int]:
    import tensorflow_datasets as tfds

    described = builder.info.features
    features = dict(described.items()) if isinstance(described, tfds.features.FeaturesDict) else {}
    image: Any = features.get("image")
    label: Any = features.get("label")
    if not (isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel)):
        raise DataError(
            f"{builder.name!r} is not for image classification: it has the features {', '.join(features) or 'none'}, "
            "where 'image' and 'label' are needed; choose another data set."
        )
    shape: Any = image.shape
    if image.np_dtype != np.uint8 or None in shape:
        raise DataError(
            f"The images of {builder.name!r} have the shape {shape}, where one size for all and grey levels 0..255 in "
            "uint8 are needed; choose another data set."
        )
    return shape


def _prepare(builder: Any) -> None:
    import tensorflow_datasets as tfds

    if builder.is_prepared():
        return
    if Path(builder.data_dir).exists():
        raise DataError(f"{builder.data_dir} is damaged (its description is missing); {_how_to_renew(builder)}.")
    manual_folder = _manual_folder(builder)
    config = tfds.download.DownloadConfig(manual_dir=manual_folder, try_download_gcs=False)
    try:
        with _reachable_first(tfds.download.DownloadManager, manual_folder), redirect_stdout(io.StringIO()):
            builder.download_and_prepare(file_format="array_record", download_config=config)
    except DataError:
        raise
    except Exception as error:
        if _lacks_tensorflow(error):
            raise DataError(_tensorflow_wanted(builder.name)) from error
        raise DataError(
            f"TFDS could not prepare {builder.name!r} in {builder.data_dir}: {_one_line(error)}; "
            f"mend that, or put the original files into {manual_folder}."
        ) from error


def _manual_folder(builder: Any) -> Path:
    """Where TFDS looks for files before it downloads; the bundled ones serve for MNIST where the user has none."""
    folder = Path(builder.data_dir_root) / "downloads" / "manual"
    bundled_files = MNIST_FOLDER.glob("*.gz")
    if builder.name == "mnist" and not any((folder / file.name).exists() for file in bundled_files):
        return MNIST_FOLDER
    return folder


@contextmanager
def _reachable_first(manager_class: Any, manual_folder: Path) -> Iterator[None]:
    """Within it, TFDS asks whether an address answers before it downloads; left alone, it retries for 200 s."""
    download = manager_class._download

    def download_if_reachable(manager: Any, resource: Any) -> Any:
        _require_reachable(resource.url, manual_folder)
        return download(manager, resource)

    manager_class._download = download_if_reachable
    try:
        yield
    finally:
        manager_class._download = download


def _require_reachable(url: str, manual_folder: Path) -> None:
    if not url.startswith("http"):
        return
    import requests  # as TFDS does, hence with the same proxies and certificates

    answered = threading.Event()

    def ask() -> None:
        with suppress(requests.RequestException), requests.get(url, stream=True, timeout=REACH_SECONDS) as response:
            if response.status_code < 500:
                answered.set()

    # A thread, because no timeout of requests covers a name server that does not answer.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(REACH_SECONDS)
    if not answered.is_set():
        raise DataError(
            f"The data set is not on this machine and {url} does not answer within {REACH_SECONDS} s; connect to the "
            f"network (or set HTTPS_PROXY), or put the file into {manual_folder}."
        )


def _tensorflow_wanted(name: str) -> str:
    return (
        f"TFDS needs TensorFlow to prepare {name!r} (not to read it afterwards); install it with "
        "'uv sync --extra tf' or \"pip install '.[tf]'\" and run the same again."
    )


def _lacks_tensorflow(error: BaseException | None) -> bool:
    if error is None:
        return False
    missing = isinstance(error, ModuleNotFoundError) and error.name == "tensorflow"
    return missing or _lacks_tensorflow(error.__cause__ or error.__context__)


def _source(builder: Any, split: str) -> Any:
    try:
        return builder.as_data_source(split)
    except NotImplementedError as error:  # how TFDS says that it cannot read this format without TensorFlow
        raise DataError(
            f"{builder.data_dir} is prepared as {builder.info.file_format.value}, which only TensorFlow reads, where "
            f"array_record is needed; {_how_to_renew(builder)}."
        ) from error
    except ValueError as error:
        raise DataError(
            f"There is no split {split!r} in {builder.name!r}; choose among {_splits(builder)} "
            "or a slice of them such as 'train[:10%]'."
        ) from error


def _splits(builder: Any) -> str:
    return ", ".join(map(repr, sorted(builder.info.splits)))


def _how_to_renew(builder: Any) -> str:
    return f"remove it with rm -r {shlex.quote(builder.data_dir)} and run the same again to prepare it anew"


def _one_line(error: Exception) -> str:
    return textwrap.shorten(str(error), 300).rstrip(" .:") or type(error).__name__
