"""Faults that really happen: a full disk, a limit, a read-only disk, links, a folder that is moved, damaged files. Each
ends in one sentence, and what lay there before is untouched."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.common import experiment, folders, resume
from experiments.common.bounds import SettingsError
from experiments.hill import parabola
from research.data import DataError

ROOT = Path(__file__).parents[1]
RECORD = {"status": "finished", "settings": {"seed": 0}, "commit": "0" * 40, "claims": [{"id": "T1", "measured": 0.25}]}
NOISE = np.random.default_rng(0).bytes(100_000)  # does not get smaller when it is packed
LARGE = {"noise": np.frombuffer(NOISE, np.uint8)}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def earlier(tmp_path):
    """The folder of an earlier run."""
    folders.write(tmp_path / "name", RECORD, {"a": np.arange(50.0)}, {"a.png": b"drawn"})
    return tmp_path / "name"


@contextlib.contextmanager
def no_file_above(size: int):
    """As `ulimit -f` does it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_at_a_limit_for_files_the_earlier_run_is_untouched(earlier):
    before = content(earlier)
    with pytest.raises(DataError, match=r"name could not be written \(File too large\)"), no_file_above(20_000):
        folders.write(earlier, RECORD, LARGE, {})
    assert content(earlier) == before
    assert os.listdir(earlier.parent) == ["name"]


def test_where_no_checkpoint_can_be_written_the_run_goes_on(saves_at_once, tmp_path, capsys):
    noise = jnp.asarray(LARGE["noise"])
    with no_file_above(2000), resume.journal(tmp_path / "name", {}, go_on=False):
        found = [resume.recall(lambda: noise, lambda: None) for _ in range(2)]
    assert [bool((each == noise).all()) for each in found] == [True, True]
    assert capsys.readouterr().out.count("no more checkpoints") == 1


UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]  # a disk of one's own, without being root


def test_on_a_full_disk_and_on_one_that_turns_read_only_the_earlier_run_is_untouched(tmp_path):
    if not shutil.which("unshare") or subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"]).returncode:
        pytest.skip("this system lets nobody mount a disk of his own")
    code = textwrap.dedent("""
        import subprocess, sys
        from pathlib import Path
        import numpy as np
        from experiments.common import folders
        from research.data import DataError
        disk = sys.argv[1]
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", disk], check=True)
        for size in (10_000, 200_000, "ro", 10_000):
            if size == "ro":
                subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
                continue
            noise = np.random.default_rng(0).integers(0, 256, size, np.uint8)
            try:
                folders.write(Path(disk, "name"), {}, {"noise": noise}, {})
            except DataError as error:
                print(error)
            print(len(folders.read_arrays(Path(disk, "name"))["noise"]), [path.name for path in Path(disk).iterdir()])
    """)
    command = [*UNSHARE, sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    whole, refused = "10000 ['name']", f"{tmp_path}/name could not be written"
    untouched = "what lay there before is untouched"
    assert done.stdout.splitlines() == [
        whole,
        f"{refused} (No space left on device); {untouched}",
        whole,
        f"{refused} (Read-only file system); {untouched}",
        whole,
    ], done.stderr


def test_a_link_in_place_of_the_folder_is_followed_and_stays(tmp_path):
    (tmp_path / "name").symlink_to(tmp_path / "large disk" / "name")
    folders.check_writable(tmp_path / "name")
    for _ in range(2):
        folders.write(tmp_path / "name", RECORD, {}, {})
    assert (tmp_path / "name").is_symlink()
    assert os.listdir(tmp_path / "large disk") == ["name"]
    assert folders.read_record(tmp_path / "name")["status"] == "finished"


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    (tmp_path / "name").symlink_to("name")
    with pytest.raises(SettingsError, match="name, which is not a folder that can be written to"):
        folders.check_writable(tmp_path / "name")
    (tmp_path / "parabola").symlink_to("parabola")
    with pytest.raises(SettingsError, match="parabola, which is not a folder"):
        experiment.prepared(parabola, parabola.Settings(out=tmp_path))


def test_a_users_links_and_files_of_our_names_are_kept(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "data").write_text("mine")
    folder = tmp_path / "name"
    folder.mkdir()
    (folder / "mine").symlink_to(mine)
    (folder / "gone").symlink_to(tmp_path / "none")
    (folder / "b.png").symlink_to(mine / "data")
    (folder / "a.png").mkdir()
    (folder / "a.png" / "photo").write_text("mine")
    (folder / "a.png" / "gone").symlink_to(tmp_path / "none")
    (folder / "own").mkdir()
    (folder / "own" / "data").symlink_to(mine / "data")
    for _ in range(2):
        folders.write(folder, RECORD, {}, {"a.png": b"drawn", "b.png": b"drawn"})
    assert (mine / "data").read_text() == (folder / "b.png.kept").read_text() == "mine"
    assert (folder / "a.png.kept" / "photo").read_text() == "mine"
    assert (folder / "mine").readlink() == mine
    for link in ("gone", "a.png.kept/gone", "own/data"):
        assert (folder / link).is_symlink()
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes() == b"drawn"


def test_what_is_called_as_ours_and_was_written_by_no_run_is_kept(tmp_path):
    folder = tmp_path / "name"
    (folder / "run.json").mkdir(parents=True)
    (folder / "run.json" / "thesis").write_text("mine")
    (folder / "arrays.npz").write_text("mine")
    for _ in range(2):
        folders.write(folder, RECORD, {}, {})
    assert (folder / "run.json.kept" / "thesis").read_text() == (folder / "arrays.npz.kept").read_text() == "mine"
    assert folders.read_record(folder)["status"] == RECORD["status"]
    assert {path.name for path in folder.iterdir()} == {"run.json", "arrays.npz", "run.json.kept", "arrays.npz.kept"}


def test_a_folder_that_is_moved_under_the_run_leaves_the_new_one_whole(saves_at_once, tmp_path):
    folder = tmp_path / "out" / "name"
    folders.write(folder, RECORD, {}, {"old.png": b""})
    with resume.journal(folder, {}, go_on=False):
        for number in range(3):
            resume.recall(lambda: jnp.ones(3), lambda: None)
            if number == 1:
                (tmp_path / "out").rename(tmp_path / "elsewhere")
    folders.write(folder, RECORD, {}, {"new.png": b""})
    assert set(content(folder)) == {"run.json", "arrays.npz", "new.png"}
    assert set(content(tmp_path / "elsewhere" / "name")) == {"run.json", "arrays.npz", "old.png"}


def test_a_file_that_somebody_puts_in_the_folders_place_is_kept_in_the_folder(tmp_path):
    (tmp_path / "name").write_text("mine")
    for _ in range(2):
        folders.write(tmp_path / "name", RECORD, {}, {})
    assert (tmp_path / "name" / "name").read_text() == "mine"
    assert folders.read_record(tmp_path / "name")["status"] == "finished"
    assert os.listdir(tmp_path) == ["name"]


def test_a_working_folder_that_is_removed_under_the_run_is_named(saves_at_once, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with resume.journal(Path("name"), {}, go_on=False):
        shutil.rmtree(tmp_path / "here")
        assert float(resume.recall(lambda: jnp.ones(()), lambda: None)) == 1
    assert "no more checkpoints" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"name could not be written \(No such file or directory\)"):
        folders.write(Path("name"), RECORD, {}, {})


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"code": 1', b"\xff", b'{"code": 2}'])
def test_where_checkpoints_do_not_say_what_they_are_of_the_run_starts_anew(damage, saves_at_once, tmp_path):
    def computed(go_on: bool) -> int:
        calls = []
        with resume.journal(tmp_path / "name", {"code": 1}, go_on=go_on):
            resume.recall(lambda: calls.append(0) or jnp.ones(2), lambda: jnp.ones(2))
        return len(calls)

    computed(go_on=False)
    assert computed(go_on=True) == 0
    (resume.place_of(tmp_path / "name") / "about.json").write_bytes(damage)
    assert computed(go_on=True) == 1


def test_of_a_link_in_place_of_the_checkpoints_only_the_link_is_removed(saves_at_once, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data").write_text("mine")
    resume.place_of(tmp_path / "name").symlink_to(tmp_path / "mine")
    with resume.journal(tmp_path / "name", {}, go_on=False):
        resume.recall(lambda: jnp.ones(2), lambda: None)
    resume.forget(tmp_path / "name")
    assert content(tmp_path / "mine") == {"data": b"mine"}
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("name", ["a" * 256, "/".join(["a" * 200] * 30)])
def test_a_name_that_is_too_long_is_refused_before_any_work(name, tmp_path):
    with pytest.raises(SettingsError, match=r"not a folder that can be written to \(File name too long\)"):
        folders.check_writable(tmp_path / name)


@pytest.mark.parametrize("name", ["run.json", "arrays.npz"])
def test_a_flipped_bit_or_a_lost_end_of_a_result_is_noticed(name, earlier):
    whole = (earlier / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        if len(damaged) == len(whole):
            damaged[rng.integers(len(whole) - 1)] ^= 1 << rng.integers(8)  # the last byte of run.json is a new line
        (earlier / name).write_bytes(bytes(damaged))
        try:
            record = folders.read_record(earlier)
            folders.read_arrays(earlier, record.get("sha256", {}).get("arrays.npz", ""))
        except DataError:
            continue
        assert name == "run.json"
        assert {key: record[key] for key in RECORD} == RECORD  # it hit no more than the word sha256


def test_arrays_without_a_hash_are_read_or_named(earlier):
    whole = (earlier / "arrays.npz").read_bytes()
    for bit in np.random.default_rng(0).integers(8 * len(whole), size=500):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (earlier / "arrays.npz").write_bytes(bytes(damaged))
        with contextlib.suppress(DataError):
            folders.read_arrays(earlier)


def test_checkpoints_that_orbax_cannot_open_are_computed_again_and_kept_anew(
    saves_at_once, tmp_path, monkeypatch, capsys
):
    import orbax.checkpoint as ocp

    def computed(go_on: bool) -> int:
        calls = []
        with resume.journal(tmp_path / "name", {"code": 1}, go_on=go_on):
            for _ in range(3):
                resume.recall(lambda: calls.append(0) or jnp.ones(2), lambda: jnp.ones(2))
        return len(calls)

    opened, times = ocp.CheckpointManager, []

    def fail_once(*args, **options):
        times.append(args)
        if len(times) == 1:
            raise ValueError("no such format")
        return opened(*args, **options)

    assert computed(False) == 3
    monkeypatch.setattr(ocp, "CheckpointManager", fail_once)
    assert computed(True) == 3
    assert "are damaged (ValueError: no such format); all is computed again" in capsys.readouterr().out
    assert computed(True) == 0


def test_what_was_saved_with_other_bits_is_computed_again(saves_at_once, tmp_path, monkeypatch, capsys):
    def computed(go_on: bool) -> int:
        calls = []
        with resume.journal(tmp_path / "name", {}, go_on=go_on):
            resume.recall(lambda: calls.append(0) or jnp.ones(2), lambda: jnp.ones(2))
        return len(calls)

    with monkeypatch.context() as patched:
        patched.setattr(resume, "digest", lambda entry: bytes(32))  # of other bits than those that are saved
        computed(False)
    assert computed(True) == 1
    assert "is damaged; its part is computed again" in capsys.readouterr().out
