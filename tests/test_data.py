"""Laws of research/data.py: what is read is what was written, and what cannot be had is said in one sentence."""

import gzip
import hashlib
import http.server
import io
import shutil
import socket
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.units import Size

from research import data, datasets

RNG = np.random.default_rng(0)
COLOURS = {"train": RNG.integers(0, 256, (7, 5, 4, 3), np.uint8), "test": RNG.integers(0, 256, (3, 5, 4, 3), np.uint8)}
LABELS = {"train": np.array([0, 1, 2, 0, 1, 2, 3], np.uint8), "test": np.array([3, 0, 4], np.uint8)}
GREYS = {"train": RNG.integers(0, 256, (7, 5, 4), np.uint8), "test": RNG.integers(0, 256, (3, 5, 4), np.uint8)}
CLOSED_PORT = "http://127.0.0.1:9/digits.bin"


@pytest.fixture(autouse=True)
def quiet_and_direct(monkeypatch):
    tfds.disable_progress_bar()
    monkeypatch.setenv("NO_PROXY", "*")


# Bundled MNIST.


@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("test", 10_000)])
def test_bundled_mnist_has_its_counts_shapes_and_types(split, count):
    examples = data.load("mnist", split)
    assert examples.inputs.shape == (count, 784)
    assert examples.targets.shape == (count, 10)
    assert (examples.inputs.dtype, examples.targets.dtype) == (np.uint8, np.float32)
    np.testing.assert_array_equal(examples.targets.sum(axis=1), 1)


def test_bundled_mnist_has_the_known_class_counts_mean_and_deviation():
    train = data.load()
    class_counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.targets.sum(axis=0).tolist() == class_counts
    grey_levels = np.bincount(np.asarray(train.inputs).ravel(), minlength=256) / train.inputs.size
    mean = grey_levels @ np.arange(256) / 255
    deviation = np.sqrt(grey_levels @ (np.arange(256) / 255 - mean) ** 2)
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert deviation == pytest.approx(0.3081, abs=5e-5)


def test_bundled_checksums_are_the_ones_that_tfds_has_registered():
    ours = dict(line.split()[::-1] for line in (data.MNIST_FOLDER / "SHA256SUMS").read_text().splitlines())
    registered = tfds.builder_cls("mnist").url_infos
    assert registered is not None
    assert ours == {info.filename: info.checksum for info in registered.values()}


def test_bundled_mnist_does_not_import_tfds():
    program = "import sys; from research import data; data.load(); print('tensorflow_datasets' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["False"]


@pytest.fixture
def bundled_copy(tmp_path, monkeypatch):
    folder = shutil.copytree(data.MNIST_FOLDER, tmp_path / "mnist")
    monkeypatch.setattr(data, "MNIST_FOLDER", folder)
    return folder


def test_one_changed_byte_in_the_bundled_files_is_refused(bundled_copy):
    change_byte(bundled_copy / "t10k-labels-idx1-ubyte.gz", 1000)
    with pytest.raises(
        data.DataError, match=r"t10k-labels-idx1-ubyte.gz is not the one that SHA256SUMS names; restore"
    ):
        data.load("mnist", "train")


@pytest.mark.parametrize("missing", ["train-images-idx3-ubyte.gz", "SHA256SUMS"])
def test_a_missing_bundled_file_is_named(bundled_copy, missing):
    (bundled_copy / missing).unlink()
    with pytest.raises(data.DataError, match=rf"{missing} cannot be read \(No such file or directory\); restore"):
        data.load("mnist")


def test_unknown_split_of_mnist_names_those_that_exist():
    with pytest.raises(data.DataError, match=r"no split 'validation' .* choose 'train' or 'test'"):
        data.load("mnist", "validation")


# Folders of IDX files.


def change_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


def idx_bytes(array, element_code=8):
    return bytes([0, 0, element_code, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx_folder(folder, images=GREYS, labels=LABELS, suffix=".gz"):
    folder.mkdir(exist_ok=True)
    pack = gzip.compress if suffix else bytes
    for split, prefix in data.IDX_PREFIXES.items():
        (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(images[split])))
        (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(labels[split])))
    return folder


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_idx_folder_is_read_as_it_was_written(tmp_path, split, suffix):
    folder = str(write_idx_folder(tmp_path / "digits", suffix=suffix))
    examples = data.load(folder, split)
    np.testing.assert_array_equal(examples.inputs, GREYS[split].reshape(-1, 20))
    np.testing.assert_array_equal(examples.targets.argmax(axis=1), LABELS[split])
    assert examples.targets.shape[1] == 5  # class 4 occurs in the test split alone
    assert data.image_shape(folder) == (5, 4, 1)


def test_the_name_of_a_folder_in_the_working_directory_is_enough(tmp_path, monkeypatch):
    write_idx_folder(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert len(data.load("digits").inputs) == 7


def truncate(path):
    path.write_bytes(path.read_bytes()[:-9])


def wrong_magic(path):
    path.write_bytes(gzip.compress(idx_bytes(GREYS["train"], element_code=9)))


def one_value_short(path):
    path.write_bytes(gzip.compress(idx_bytes(GREYS["train"])[:-1]))


def one_image_short(path):
    path.write_bytes(gzip.compress(idx_bytes(GREYS["train"][1:])))


def other_size(path):
    path.write_bytes(gzip.compress(idx_bytes(GREYS["train"].reshape(7, 4, 5))))


def not_gzip(path):
    path.write_bytes(b"<html>404</html>")


def empty_file(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (truncate, r"train-images-idx3-ubyte.gz cannot be read \(.*\); copy it again\.$"),
        (wrong_magic, "begins with 00000903, not with the magic number 00000803 .* copy it again"),
        (one_value_short, r"holds 139 values where its header promises \(7, 5, 4\); copy it again"),
        (one_image_short, "'train' in .* has 6 images and 7 labels; .* same source"),
        (other_size, r"size \(4, 5\) for training and \(5, 4\) for testing"),
        (not_gzip, r"cannot be read \(Not a gzipped file"),
        (empty_file, "begins with nothing, not with the magic number 00000803"),
        (remove, r"train-images-idx3-ubyte.gz \(or the same without .gz\) is missing; put"),
    ],
)
def test_a_damaged_idx_file_is_named_in_one_sentence(tmp_path, damage, sentence):
    folder = write_idx_folder(tmp_path / "digits")
    damage(folder / "train-images-idx3-ubyte.gz")
    with pytest.raises(data.DataError, match=sentence) as caught:
        data.load(str(folder), "train")
    assert "\n" not in str(caught.value)


def test_an_empty_idx_folder_is_refused(tmp_path):
    none = {split: GREYS[split][:0] for split in GREYS}, {split: LABELS[split][:0] for split in LABELS}
    with pytest.raises(data.DataError, match="0 images and 0 labels"):
        data.load(str(write_idx_folder(tmp_path / "digits", *none)))


# Data sets of TFDS: small ones that the tests prepare themselves, without TensorFlow and without a network.


def png(image):
    """An encoded image, which TFDS stores as it is (for arrays it wants TensorFlow)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    file.seek(0)
    return file


class TinyColours(tfds.core.GeneratorBasedBuilder):
    """Seven and three colour images of 5 x 4 pixels in five classes; the test split 'hidden' lacks its labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"image": tfds.features.Image(shape=(5, 4, 3)), "label": tfds.features.ClassLabel(num_classes=5)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        splits = {split: self._generate_examples(COLOURS[split], LABELS[split]) for split in COLOURS}
        return splits | {"hidden": self._generate_examples(COLOURS["test"], [-1, -1, -1])}

    def _generate_examples(self, images, labels):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield i, {"image": png(image), "label": int(label)}


class TinyDownload(TinyColours):
    """The same images; before it is prepared, it wants one file from an address."""

    VERSION = tfds.core.Version("1.0.0")

    def _split_generators(self, dl_manager):
        assert dl_manager.download(CLOSED_PORT).read_bytes() == b"12345"
        return super()._split_generators(dl_manager)


TinyDownload.url_infos = {
    CLOSED_PORT: UrlInfo(size=Size(5), checksum=hashlib.sha256(b"12345").hexdigest(), filename="digits.bin")
}


class TinyText(tfds.core.GeneratorBasedBuilder):
    """Not for image classification."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"text": "digit", "label": 0}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("prepared")
    data.load("tiny_colours", data_dir=data_dir)
    return data_dir


def as_pairs(inputs, labels):
    return sorted((bytes(row), int(label)) for row, label in zip(inputs, labels, strict=True))


@pytest.mark.parametrize("name", ["tiny_colours", "tiny_colours:1.0.0", "tiny_colours:1.*.*"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_tfds_gives_the_images_that_were_prepared_with_their_labels(prepared, name, split):
    examples = data.load(name, split, data_dir=prepared)
    assert examples.targets.shape == (len(LABELS[split]), 5)
    assert (examples.inputs.dtype, examples.targets.dtype) == (np.uint8, np.float32)
    read = as_pairs(examples.inputs, examples.targets.argmax(axis=1))
    assert read == as_pairs(COLOURS[split].reshape(-1, 60), LABELS[split])
    assert data.image_shape(name, data_dir=prepared) == (5, 4, 3)


def test_reading_in_portions_changes_nothing(prepared, monkeypatch):
    whole = data.load("tiny_colours", data_dir=prepared)
    monkeypatch.setattr(datasets, "READ_AT_ONCE", 3)
    assert data.checksum(data.load("tiny_colours", data_dir=prepared)) == data.checksum(whole)


def test_a_slice_of_a_tfds_split_is_its_beginning(prepared):
    whole, first = (data.load("tiny_colours", split, data_dir=prepared) for split in ("train", "train[:3]"))
    np.testing.assert_array_equal(first.inputs, whole.inputs[:3])


@pytest.mark.parametrize(
    ("name", "split", "sentence"),
    [
        ("tiny_colours", "validation", "no split 'validation' .* choose among 'hidden', 'test', 'train' or a slice"),
        ("tiny_colours", "hidden", "'hidden' of 'tiny_colours' has no labels"),
        ("tiny_colours:2.0.0", "train", "does not offer 'tiny_colours:2.0.0': .* only: 1.0.0"),
        ("tiny_text", "train", "not for image classification: it has the features text, label"),
        ("cats_vs_dogs", "train", r"have the shape \(None, None, 3\), where one size"),
        ("fashion_mnis", "train", "no data set 'fashion_mnis': .* did you mean 'fashion_mnist'"),
        ("./nowhere", "train", "no folder './nowhere'; name one that holds four IDX files"),
        ("nowhere", "train", "no data set 'nowhere': .* not an existing folder"),
        ("", "train", "no data set ''"),
    ],
)
def test_what_does_not_exist_is_said_in_one_sentence(prepared, name, split, sentence):
    with pytest.raises(data.DataError, match=sentence) as caught:
        data.load(name, split, data_dir=prepared)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [remove, lambda path: change_byte(path, 300), empty_file])
def test_a_damaged_prepared_folder_is_said_with_the_command_that_mends_it(prepared, tmp_path, damage):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    damage(next(copy.glob("*/*/*train.array_record*")))
    with pytest.raises(data.DataError, match=r"1.0.0 is damaged \(.*\); remove it with rm -r .*1.0.0 and run"):
        data.load("tiny_colours", data_dir=copy)


def test_a_folder_that_only_tensorflow_reads_is_said_with_the_command_that_mends_it(prepared, tmp_path):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    description = copy / "tiny_colours" / "1.0.0" / "dataset_info.json"
    description.write_text(description.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(
        data.DataError, match=r"prepared as tfrecord, which only TensorFlow reads.* remove it with rm -r"
    ):
        data.load("tiny_colours", data_dir=copy)


def test_a_file_in_the_manual_folder_serves_without_a_network(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "digits.bin").write_bytes(b"12345")
    assert len(data.load("tiny_download", data_dir=tmp_path).inputs) == 7


def test_a_wrong_file_in_the_manual_folder_is_refused(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "digits.bin").write_bytes(b"54321")
    with pytest.raises(data.DataError, match=r"could not prepare 'tiny_download' .* has wrong checksum"):
        data.load("tiny_download", data_dir=tmp_path)


def assert_unreachable_within_two_seconds(data_dir):
    """At least once in three times: the machine may have other work."""
    seconds = []
    while len(seconds) < 3 and not any(took < 2 for took in seconds):
        start = time.monotonic()
        with pytest.raises(data.DataError, match=r"127.0.0.1:9/digits.bin does not answer .* put the file into .*man"):
            data.load("tiny_download", data_dir=data_dir)
        seconds.append(time.monotonic() - start)
    assert min(seconds) < 2


def test_a_refusing_address_is_said_within_two_seconds(tmp_path):
    assert_unreachable_within_two_seconds(tmp_path)


@pytest.fixture
def proxy(monkeypatch):
    """A proxy on this machine that answers every request itself."""

    class Answer(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(b"12345")

        def log_message(self, format, *args):
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.server_port}")
        yield Answer
        server.shutdown()


def test_a_proxy_is_used_for_the_question_and_for_the_download(tmp_path, proxy):
    assert proxy.status == 200
    assert len(data.load("tiny_download", data_dir=tmp_path).inputs) == 7


def test_a_proxy_that_cannot_pass_on_is_no_answer(tmp_path, proxy):
    proxy.status = 503
    assert_unreachable_within_two_seconds(tmp_path)


def test_a_hanging_name_server_is_said_within_two_seconds(tmp_path, monkeypatch):
    test_is_over = threading.Event()

    def hang(*_args, **_options):
        test_is_over.wait(10)
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert_unreachable_within_two_seconds(tmp_path)
    test_is_over.set()


def test_mnist_by_way_of_tfds_starts_from_the_bundled_files_and_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(data.DataError, match=r"needs TensorFlow to prepare 'mnist' .* 'uv sync --extra tf'"):
        data.load("mnist:3.0.1", data_dir=tmp_path)


# Arrays.


def test_unit_interval_is_division_by_255_and_leaves_floats_alone():
    levels = jnp.arange(256, dtype=jnp.uint8)
    activations = data.unit_interval(levels)
    np.testing.assert_allclose(activations, np.arange(256) / 255, rtol=2e-7)
    np.testing.assert_array_equal(data.unit_interval(activations), activations)


def test_checksum_is_of_bytes_shapes_and_types():
    examples = data.Examples(jnp.arange(6, dtype=jnp.uint8).reshape(2, 3), jnp.eye(2))
    changed = [
        examples._replace(inputs=examples.inputs.at[0, 0].set(1)),
        examples._replace(inputs=examples.inputs.reshape(3, 2)),
        examples._replace(inputs=examples.inputs.view(jnp.int8)),
        examples._replace(targets=examples.targets[::-1]),
    ]
    checksums = {data.checksum(each) for each in [examples, *changed]}
    assert len(checksums) == 5
    assert data.checksum(jax.tree.map(np.asarray, examples)) == data.checksum(examples)
