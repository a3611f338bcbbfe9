"""Results: trees read back as they were, folders whole or not at all, verdicts by today's code, and what is stale."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import misshapen
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments import __main__
from experiments.common import (
    again,
    chapters,
    claims,
    devices,
    estimates,
    experiment,
    folders,
    gather,
    ledger,
    plots,
    records,
    resume,
    runs,
    stale,
    terminal,
    trees,
)
from experiments.common.bounds import SettingsError
from experiments.common.claims import about, at_least, at_most, exactly, identity, prediction, within
from experiments.mini_batches import full_batch_vs_sgd
from experiments.one_example import steepest
from research.data import DataError, Examples

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.xdist_group("test_steepest")  # whose smallest run serves these tests too


class Part(NamedTuple):
    label: str
    cost: Float[np.ndarray, "seeds points"]


class Tree(NamedTuple):
    parts: tuple[Part, ...]
    named: dict[str, Part]
    missing: Part | None
    there: Float[np.ndarray, "points"] | None
    pair: tuple[int, float]
    on: bool


def tree():
    part = Part("a", np.arange(6.0).reshape(2, 3))
    eleven = tuple(part._replace(cost=part.cost + number) for number in range(11))  # ten and more: not by the alphabet
    return Tree(eleven, {"z": part, "b": part}, None, np.ones(3), (1, 0.5), True)


def test_a_tree_is_read_back_as_it_was():
    found = trees.built(Tree, trees.flat(tree()))
    assert [one.cost[0, 0] for one in found.parts] == list(range(11))
    assert list(found.named) == ["z", "b"]
    assert found.missing is None
    assert (found.pair, found.on, found.parts[0].label) == ((1, 0.5), True, "a")
    np.testing.assert_array_equal(found.there, np.ones(3))
    assert list(misshapen(Tree, found)) == []


@pytest.mark.parametrize("cost", [np.zeros(3), np.zeros((2, 3), int)])
def test_an_array_of_another_shape_or_type_is_named(cost):
    wrong = tree()._replace(there=None, named={"z": Part("a", cost)})
    assert [line.split()[0] for line in misshapen(Tree, wrong)] == ["named.z.cost"]


def test_one_axis_has_one_length():
    class Two(NamedTuple):
        one: Float[np.ndarray, "points"]
        other: Float[np.ndarray, "points"]

    assert list(misshapen(Two, Two(np.zeros(2), np.zeros(2)))) == []
    assert len(list(misshapen(Two, Two(np.zeros(2), np.zeros(3))))) == 1


@pytest.mark.parametrize(
    ("measured", "bound", "holds"),
    [(1, within(0, 2), True), (0, within(0, 2), True), (2, within(0, 2), True), (3, within(0, 2), False),
     (-1, within(0, 2), False), (9, at_least(0), True), (-9, at_most(0), True), (0.1, at_most(0), False),
     (math.nan, claims.Bound(), False), (math.inf, at_least(0), False), (1.05, about(1, by=0.06), True),
     (106, about(100, share=0.05), False), (-95, about(-100, share=0.05), True), (7, exactly(7), True),
     (8, exactly(7), False)],
)  # fmt: skip
def test_a_claim_holds_within_its_bound_and_never_as_nan(measured, bound, holds):
    claim = prediction("T1", "says", measured, bound, "unit", "source", why="because")
    assert claim.holds is holds
    assert ("why" in claim.as_record()) is not holds
    assert claim.as_record()["bound"] == [None if side is None else float(side) for side in bound]


def test_a_folder_is_replaced_at_once_and_a_users_own_files_are_kept(tmp_path):
    folder = tmp_path / "name"
    folders.write(folder, {"status": "finished"}, {"a": np.ones(2)}, {"old.png": b"old"})
    (folder / "notes.html").write_text("mine")
    (folder / "mine").mkdir()
    (folder / "mine" / "data.npz").write_text("mine")
    folders.write(folder, {"status": "finished"}, {"b": np.ones(3)}, {"new.png": b"new"})
    names = {"run.json", "arrays.npz", "new.png", "notes.html", "mine"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "mine" / "data.npz").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_arrays_have_one_hash_where_they_have_the_same_bits_in_the_same_shape():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    one_bit = array.copy()
    one_bit.view(np.uint32)[1, 1] ^= 1
    other = [one_bit, array.T, array.ravel(), array.astype(np.float64), array.view(np.uint32), -array + 0.0]
    hashes = folders.fingerprints({str(number): each for number, each in enumerate([array, *other])})
    assert len(set(hashes.values())) == len(hashes)
    assert folders.fingerprints({"0": np.asfortranarray(array)}) == {"0": hashes["0"]}


def test_the_record_has_the_hashes_of_the_arrays_and_the_memory_that_was_held(ran):
    _, folder = ran("steepest")
    record = folders.read_record(folder)
    assert record["sha256_of_arrays"] == folders.fingerprints(folders.read_arrays(folder))
    assert 0 < record["peak_bytes"] <= records.peak_bytes()  # a peak only grows


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="compared with what Linux says")
def test_the_peak_of_memory_is_the_one_that_the_system_knows():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert records.peak_bytes() == pytest.approx(1024 * int(lines["VmHWM"].split()[0]), rel=0.02)


@pytest.mark.parametrize("refused", ["mkdir", "write_bytes", "exchange"])
def test_where_the_system_refuses_one_sentence_says_so_and_the_earlier_run_is_untouched(refused, tmp_path, monkeypatch):
    folder = tmp_path / "name"
    folders.write(folder, {"status": "finished"}, {"a": np.ones(2)}, {"old.png": b"old"})

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*(folders, refused) if refused == "exchange" else (folders.Path, refused), fail)
    with pytest.raises(DataError, match=r"name could not be written \(No space left on device\); what lay there"):
        folders.write(folder, {"status": "finished"}, {"a": np.ones(3)}, {})
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
    assert {path.name for path in folder.iterdir()} == {"run.json", "arrays.npz", "old.png"}


def test_a_file_where_the_folder_should_be_is_refused_before_any_work(tmp_path):
    (tmp_path / "steepest").write_text("mine")
    with pytest.raises(SettingsError, match="steepest, which is not a folder that can be written to"):
        experiment.run(steepest, steepest.Settings(out=tmp_path))


def test_what_a_killed_run_left_is_swept_and_what_another_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".name.{gone.pid}").mkdir()
    (tmp_path / f".name.{os.getppid()}").mkdir()
    folders.write(tmp_path / "name", {}, {}, {})
    assert {path.name for path in tmp_path.iterdir()} == {"name", f".name.{os.getppid()}"}


def test_where_the_system_cannot_exchange_two_folders_the_new_run_takes_the_place_of_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.ctypes, "CDLL", lambda *_, **__: object())
    for number in range(3):
        folders.write(tmp_path / "name", {"number": number}, {}, {f"{number}.png": b"drawn"})
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
    assert {path.name for path in (tmp_path / "name").iterdir()} == {"run.json", "arrays.npz", "2.png"}


def test_killed_while_writing_the_folder_is_the_earlier_run_or_the_new_one(tmp_path):
    code = textwrap.dedent("""
        import os
        import sys
        from pathlib import Path
        import numpy as np
        from experiments.common import folders
        for asked in sys.stdin:  # one start for all who are killed
            if child := os.fork():
                os.waitpid(child, 0)
                print("dead", flush=True)
                continue
            number = 0
            while True:
                number += 1
                drawn = {f"{index}.png": str(number).encode() for index in range(20)}
                folders.write(Path(sys.argv[1]), {"number": number}, {"number": np.full(9, number)}, drawn)
                if number == 1:
                    print(os.getpid(), flush=True)
    """)
    rng = np.random.default_rng(0)
    words = [sys.executable, "-c", code, str(tmp_path / "name")]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(6):
            print("write", file=process.stdin, flush=True)
            writing = int(process.stdout.readline())
            time.sleep(rng.uniform(0, 0.1))
            os.kill(writing, signal.SIGKILL)
            assert process.stdout.readline() == "dead\n"
            number = json.loads((tmp_path / "name" / "run.json").read_text())["number"]
            drawn = {(tmp_path / "name" / f"{index}.png").read_text() for index in range(20)}
            assert drawn == {str(number)}
            assert set(folders.read_arrays(tmp_path / "name")["number"].tolist()) == {number}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"status": "finished"}'])
def test_a_record_that_is_none_is_named(text, tmp_path):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run it again|run the experiment again"):
        folders.read_record(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PK", b"x" * 100])
def test_damaged_arrays_are_named(damage, tmp_path):
    (tmp_path / "arrays.npz").write_bytes(damage)
    with pytest.raises(DataError, match="is damaged"):
        folders.read_arrays(tmp_path)


@pytest.fixture
def finished(ran, tmp_path):
    """A run of steepest and a folder of its own with what it left behind."""
    run, folder = ran("steepest")
    copy = shutil.copytree(folder, tmp_path / "steepest")
    return run._replace(settings=dataclasses.replace(run.settings, out=tmp_path)), copy


def steepest_with(**changed):
    return types.SimpleNamespace(**(vars(steepest) | changed))


def leaves(*_):
    raise SystemExit(0)


PAGE = plots.Page(".html", b"")
ALIKE = steepest.Result(*[1.0] * len(steepest.Result._fields))


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"measure": leaves}, "measure of steepest ended the program by sys.exit"),
        ({"claims": leaves}, "steepest, in claims, finding or figures, ended the program by sys.exit"),
        ({"claims": lambda *_: ["it does"]}, "claims of steepest must yield Claims"),
        ({"finding": lambda *_: None}, "finding of steepest gave a NoneType; it must give a sentence"),
        ({"figures": lambda *_: None}, "figures of steepest gave a NoneType; it must give a dict of figures"),
        ({"figures": lambda *_: {"../../evil": PAGE}}, r"figures gave ../../evil.html, a Page; it must give a dict"),
        ({"figures": lambda *_: {"long" * 50: PAGE}}, r"figures gave (long){20}, a Page; .* by plain names"),
        ({"figures": lambda *_: {"": plots.Page("", b"")}}, r"figures gave , a Page"),
        ({"figures": lambda *_: {"..": plots.Page("", b"")}}, r"figures gave \.\., a Page"),
        ({"figures": lambda *_: {"\0": PAGE}}, r"figures gave .*, a Page"),
        (
            {"figures": lambda *_: {"a": PAGE, "a.html": plots.Page("", b"")}},
            r"figures of steepest gave two by one name",
        ),
        ({"figures": lambda *_: {"run": plots.Page(".json", b"")}}, r"figures gave run.json, a Page"),
        ({"figures": lambda *_: {"arrays": plots.Page(".npz", b"")}}, r"figures gave arrays.npz, a Page"),
        ({"figures": lambda *_: {"axes": 3}}, r"figures gave axes.png, a int"),
        ({"figures": lambda *_: {"page": plots.Page(".html", "text")}}, r"figures gave page.html without bytes"),
        ({"measure": lambda *_: steepest.Result(*[[]] * 4)}, "the Result of steepest cannot be kept: KeyError: "),
        (
            {"measure": lambda *_: ALIKE._replace(actual=jax.random.key(0))},
            "the Result of .* cannot be kept: TypeError: ",
        ),
        (
            {"measure": lambda *_: ALIKE._replace(actual=jnp.ones(1, jnp.bfloat16))},
            r"the Result .*: TypeError: actual \(bfloat16\)",
        ),
    ],
)
def test_a_part_that_is_not_what_it_must_be_is_refused_and_what_was_measured_is_kept(
    part, sentence, finished, tmp_path
):
    run, _ = finished
    settings = dataclasses.replace(run.settings, out=tmp_path / "again")
    parts = {"measure": lambda *_: run.result} | part
    with pytest.raises(SettingsError, match=f"^{sentence}") as error:
        experiment.run(steepest_with(**parts), settings)
    kept = settings.out / "steepest" / "run.json"
    assert kept.exists() == ("measure" not in part)
    assert any("type --rejudge" in note for note in getattr(error.value, "__notes__", [])) == kept.exists()


def test_judged_and_drawn_again_from_its_files_it_is_the_same(finished):
    _, folder = finished
    before, times = folders.read_record(folder), folder.stat().st_ino
    experiment.rejudge(steepest, folder)
    assert folders.read_record(folder) == before  # with the hashes of its figures
    assert folder.stat().st_ino != times


def test_a_result_is_judged_and_drawn_by_todays_code_without_running(finished, tmp_path):
    _, folder = finished
    before = folders.read_record(folder)
    failing = identity("T6", "now it fails", 2, at_most(1), "unit", "source", why="a test")
    page = plots.Page(".html", b"<script src=../plotly.min.js></script>")
    today = steepest_with(
        claims=lambda *_: [failing],
        finding=lambda *_: "Found anew.",
        figures=lambda *_: {"other": plots.new_figure(3, 2)[0], "page": page},
    )
    experiment.rejudge(today, folder)
    after = folders.read_record(folder)
    assert {path.name for path in folder.iterdir()} == {"run.json", "arrays.npz", "other.png", "page.html"}
    assert (after["finding"], after["claims"][0]["why"]) == ("Found anew.", "a test")
    for kept in ("commit", "command", "seconds", "settings", "dataset"):
        assert after[kept] == before[kept]
    assert (tmp_path / "plotly.min.js").exists()


def test_an_error_in_the_claims_loses_nothing_that_was_measured(finished, tmp_path):
    run, folder = finished
    with pytest.raises(ZeroDivisionError):
        experiment.run(steepest_with(measure=lambda *_: run.result, claims=lambda *_: 1 / 0), run.settings)
    assert {path.name for path in folder.iterdir()} == {"run.json", "arrays.npz"}
    record, asked = folders.read_record(folder), chapters.all_questions()["steepest"]
    assert gather.why_run(asked, record, estimates.size_of(record), {}) == "not judged"
    assert experiment.rejudge(steepest, folder) == list(steepest.claims(run.result, run.settings))
    assert (folder / "steepest.png").exists()
    assert folders.read_record(folder)["status"] == "finished"


def test_data_that_figures_cannot_find_lose_nothing_that_was_measured(finished):
    def figures(*_):
        raise DataError("none")

    run, folder = finished
    with pytest.raises(DataError, match="none") as error:
        experiment.run(steepest_with(measure=lambda *_: run.result, figures=figures), run.settings)
    assert "type --rejudge" in error.value.__notes__[0]
    assert {path.name for path in folder.iterdir()} == {"run.json", "arrays.npz"}


def test_while_a_result_is_drawn_no_other_run_goes_into_its_folder_and_nothing_of_it_is_saved(finished):
    def figures(*_):
        assert resume.CURRENT.get() is None
        with pytest.raises(DataError, match=r"another run into .* goes on"):
            experiment.rejudge(steepest, folder)
        return {}

    run, folder = finished
    experiment.run(steepest_with(measure=lambda *_: run.result, figures=figures), run.settings)


def test_a_damaged_committed_result_stops_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "COMMITTED", tmp_path)
    (tmp_path / "steepest").mkdir()
    (tmp_path / "steepest" / "run.json").write_text("{")
    assert experiment.committed(steepest, tmp_path / "mine", past()) == {}


class Labelled(NamedTuple):
    curves: dict[str, np.ndarray]


def test_an_array_that_its_annotation_would_lose_is_refused():
    with pytest.raises(TypeError, match="curves is not what its annotation says"):
        trees.as_read_back(Labelled, Labelled(np.ones(2)))


def test_the_command_is_recorded_as_one_types_it(finished, monkeypatch):
    run, folder = finished
    monkeypatch.setattr(sys, "argv", ["experiments", "steepest", "--out", "a folder"])
    experiment.run(steepest_with(measure=lambda *_: run.result), run.settings)
    assert folders.read_record(folder)["command"] == "python -m experiments steepest --out 'a folder'"


@pytest.mark.parametrize("changed", ["settings", "dataset", "versions", "device", "own_code"])
def test_a_run_goes_on_from_none_with_another_fact_or_other_code(changed, finished, monkeypatch):
    _, folder = finished
    facts = folders.read_record(folder)
    kind = experiment.kind_of(steepest, facts)
    elsewhere = {"began": "later", "command": "other words", "settings": facts["settings"] | {"out": "elsewhere"}}
    assert experiment.kind_of(steepest, facts | elsewhere) == kind
    other = facts["settings"] | {"seed": 5} if changed == "settings" else "another"
    assert experiment.kind_of(steepest, facts | {changed: other}) != kind
    monkeypatch.setattr(stale, "measuring", lambda module, read, own: {module: "other code"})
    assert experiment.kind_of(steepest, facts) != kind


def past(**changed):
    """The record of a run."""
    of_300 = {"settings": {}, "dataset": {"train": {"count": 300}}}
    return {"status": "finished", **of_300, "commit": "0" * 40, "command": "x", "seconds": 30.0, "device": "cpu",
            "machine": "mine", "claims": [], **changed}  # fmt: skip


@pytest.fixture
def says(small_mnist, tmp_path, monkeypatch, capsys):
    """(words, record of the last run) -> what steepest says, without measuring."""
    monkeypatch.setattr(experiment, "COMMITTED", tmp_path / "committed")
    began = []
    monkeypatch.setattr(experiment, "run", lambda module, settings, go_on: began.append(settings))

    def say(*words, **changed):
        folders.write(tmp_path / "committed" / "steepest", past(**changed), {}, {})
        own = ("--out", str(tmp_path / "out"), "--dataset", str(small_mnist), "--cpu-devices", "2")
        experiment.main(steepest, [*words, "--num-examples", "300", *own])
        assert bool(began) is ("--dry-run" not in words)
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().out

    return say


def test_a_dry_run_says_what_is_asked_for_and_what_the_last_run_took_and_writes_nothing(says):
    said = says("--quick", "--dry-run", "--num-seeds", "1", command="x --quick", seconds=150, peak_bytes=1.26e9)
    assert "1 seed, 300 training images and a network of 13,002 parameters. The last run of this size, `x" in said
    assert "`x --quick`, took 2.5 min and 1.3 GB (commit 000000000000, mine, cpu)." in said
    assert "No run of this size is known; another, `x`, took 30 s (today, mine, cpu)." in says(
        "--full", "--dry-run", began="today", peak_bytes=None
    )
    assert (
        estimates.by_last_run({}, set(), steepest.Settings())
        == "No run of it is known; --help says about how long it takes."
    )


@pytest.mark.parametrize("words", [("--num-seeds", "0"), ("--num-examples", "301", "--dataset", "/none")])
def test_a_dry_run_refuses_what_a_run_refuses(words, tmp_path):
    with pytest.raises(SystemExit) as left:
        experiment.main(steepest, ["--dry-run", "--out", str(tmp_path / "out"), *words])
    assert left.value.code == 2
    assert not list(tmp_path.iterdir())


def test_layers_of_which_ten_gradients_fill_the_memory_are_refused_before_anything_is_read(monkeypatch, capsys):
    asked = steepest.Settings(layer_sizes=(784, 16, 16, 10), dataset="/none")
    needed = 40 * 13002
    for memory, refusal, said in ((needed, "ten gradients", False), (needed + 1, "/none", True),
                                  (2 * needed - 1, "/none", True), (2 * needed, "/none", False),
                                  (None, "/none", False)):  # fmt: skip
        monkeypatch.setattr(records, "memory_bytes", lambda memory=memory: memory)
        with pytest.raises(ValueError, match=refusal):
            experiment.prepared(steepest, asked)
        assert ("this may take long" in capsys.readouterr().out) is said


@pytest.mark.parametrize(
    ("asked", "times"),
    [({}, 1), ({"num_seeds": 5}, 2.5), ({"num_examples": 900}, 3), ({"layer_sizes": (784, 30, 10)}, 23860 / 13002),
     ({"num_epochs": 12}, 3), ({"num_steps": 50}, 1), ({"num_epochs": 12, "num_steps": 500, "num_seeds": 4}, 10)],
)  # fmt: skip
def test_time_goes_as_seeds_images_parameters_and_what_grew_more_of_epochs_and_steps(asked, times):
    then = full_batch_vs_sgd.Settings(num_seeds=2, num_epochs=4, num_steps=100)
    record = past(settings=dataclasses.asdict(then), num_parameters=13002)
    settings = dataclasses.replace(then, **asked)
    assert estimates.work(record, settings) == pytest.approx(times)
    assert estimates.is_heavy({**record, "seconds": 3599.0 / times}, settings) is False
    assert estimates.is_heavy({**record, "seconds": 3601.0 / times}, settings) is True
    assert ("At its speed" in estimates.by_last_run(record, set(), settings)) is (times != 1)
    said = estimates.asked_for(settings, 300, 13002)
    assert f"{settings.num_seeds} seeds, {settings.num_epochs} epochs, {settings.num_steps} steps, 300 training" in said


@pytest.mark.parametrize(
    ("changed", "heavy"),
    [({"seconds": 3601}, True), ({"seconds": 3599}, False), ({"peak_bytes": 501}, True), ({"peak_bytes": 499}, False),
     ({"peak_bytes": None}, False), ({"seconds": 3601, "command": "x --full"}, False)],
)  # fmt: skip
def test_a_run_says_at_its_start_that_it_takes_above_an_hour_or_half_of_the_memory(changed, heavy, says, monkeypatch):
    monkeypatch.setattr(records, "memory_bytes", lambda: 1000)
    assert ("This may take long, or much memory. The last run" in says(**changed)) is heavy


def test_the_last_run_is_of_the_same_size_where_there_is_one_and_ones_own_before_the_committed(tmp_path):
    own, committed = tmp_path / "own", tmp_path / "committed"
    assert estimates.last_run((own, committed), set()) == {}
    folders.write(committed, past(seconds=1, command="x --full"), {}, {})
    assert estimates.last_run((own, committed), {"--quick"})["seconds"] == 1
    folders.write(own, past(seconds=2, command="x --quick"), {}, {})
    for size, seconds in ((set(), 2), ({"--quick"}, 2), ({"--full"}, 1)):
        assert estimates.last_run((own, committed), size)["seconds"] == seconds
    folders.write(own, past(seconds=3, command="x"), {}, {})
    assert estimates.last_run((own, committed), {"--full"})["seconds"] == 1


def test_each_split_of_the_data_is_described_as_if_it_were_alone():
    splits = {name: Examples(np.full((count, 2), count), np.eye(count)) for name, count in (("train", 3), ("test", 2))}
    both = records.describe_data("x", **splits)["dataset"]
    for name, of in splits.items():
        assert both[name] == records.describe_data("x", **{name: of})["dataset"][name]
    assert (both["train"]["count"], both["test"]["count"]) == (3, 2)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="compared with what Linux says")
def test_the_memory_of_the_machine_is_the_one_that_the_system_knows():
    (total,) = [line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line]
    assert records.memory_bytes() == pytest.approx(1024 * int(total), rel=1e-3)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_comes_out_again_with_the_same_bits_and_nothing_is_written(finished, capsys):
    _, folder = finished
    before = contents(folder)
    assert again.verify(steepest, folder) == []
    assert contents(folder) == before
    said = capsys.readouterr().out
    arrays = folders.read_arrays(folder)
    assert said.count(": the same bits\n") == len(arrays)
    assert said.startswith("steepest again; what is other than then: nothing\n")


def test_what_does_not_come_out_again_is_named_but_for_timings_and_rounding(finished, capsys):
    class Timed(NamedTuple):
        cost: np.ndarray
        seconds: np.ndarray
        rounded: np.ndarray
        last: np.ndarray
        new: np.ndarray | None

    _, folder = finished
    ones = np.ones(3, np.float32)
    arrays = {"cost": ones, "seconds": ones, "rounded": ones, "gone": ones}
    folders.write(folder, {**folders.read_record(folder), "commit": "another"}, arrays, {})
    today = steepest_with(Result=Timed, measure=lambda *_: Timed(2 * ones, 2 * ones, np.nextafter(ones, 2), ones, ones))
    with pytest.raises(DataError, match="another version"):
        again.verify(today, folder)
    folders.write(folder, {**folders.read_record(folder)}, {**arrays, "last": ones}, {})
    assert again.verify(today, folder) == ["cost", "gone", "new"]
    said = capsys.readouterr().out
    for line in ("what is other than then: commit", "cost: differs by 1.0e+00", "rounded: differs by 1.2e-07",
                 "seconds: differs by 1.0e+00 of its largest number (a timing", "gone: is another array",
                 "new: is another array", "last: the same bits",
                 "1 of 6 arrays have the same bits, 3 differ beyond 1e-06"):  # fmt: skip
        assert line in said


@pytest.mark.parametrize(
    ("before", "now", "share"),
    [
        ([2.0, -4.0], [2.0, -4.0], 0), ([2.0, -4.0], [1.0, -4.0], 0.25), ([0.0], [-0.0], 0), ([0.0], [1e-30], np.inf),
        ([np.nan, 1.0], [np.nan, 1.0], 0), ([np.nan, 1.0], [1.0, 1.0], np.inf), ([np.inf, 2.0], [np.inf, 1.0], 0.5),
        ([np.inf], [-np.inf], np.inf), ([1, 4], [1, 5], 0.25), ([1], [1.0], np.inf), ([1.0], [1.0, 1.0], np.inf),
        (["a"], ["a"], 0), (["a"], ["b"], np.inf), ([True, False], [True, True], 1), ([], [], 0),
    ],
)  # fmt: skip
def test_the_difference_is_a_share_of_the_largest_number_there_was(before, now, share):
    assert again.difference(np.array(before), np.array(now)) == share


def test_all_are_run_again_each_by_itself_and_what_fails_is_named(tmp_path, monkeypatch):
    for name in ("parabola", "steepest"):
        folders.write(tmp_path / name, {"status": "finished", "settings": {}, "commit": ""}, {}, {})
    started = []

    def run(command):
        started.append(command[3:])
        return int(command[-1] == "steepest")

    monkeypatch.setattr(gather.stopping, "run", run)
    with pytest.raises(SystemExit, match=r"^not the same again: steepest$"):
        gather.verify([], tmp_path)
    assert sorted(started) == [["--out", str(tmp_path), "--verify", name] for name in ("parabola", "steepest")]
    with pytest.raises(SettingsError, match=r"there is no result of hebb in .*; name folders that lie in it"):
        gather.verify(["hebb"], tmp_path)
    monkeypatch.setattr(gather.again, "verify", lambda module, folder: ["cost"] * (folder.name == "steepest"))
    gather.verify(["parabola"], tmp_path)
    with pytest.raises(SystemExit, match=r"^not the same again: cost$"):
        gather.verify(["steepest"], tmp_path)


def test_a_result_of_another_version_is_named(finished):
    _, folder = finished
    record, arrays = folders.read_record(folder), folders.read_arrays(folder)
    arrays.pop("first_order")
    folders.write(folder, record, arrays, {})
    with pytest.raises(DataError, match="was left by another version of steepest"):
        experiment.read(steepest, folder)


@pytest.mark.parametrize("name", ["arrays.npz", "run.json"])
def test_arrays_and_record_of_two_runs_are_not_taken_for_one(name, finished):
    _, folder = finished
    kept = (folder / name).read_bytes()
    record, arrays = folders.read_record(folder), folders.read_arrays(folder)
    folders.write(folder, record, {**arrays, "first_order": arrays["first_order"] + 1}, {})
    (folder / name).write_bytes(kept)
    with pytest.raises(DataError, match=r"npz is not what run\.json beside it speaks of"):
        experiment.read(steepest, folder)


@pytest.mark.parametrize(("width", "there", "beside"), [
    (60, 0.25, " (committed: 0.25)"), (200, 0.0, " (committed: 0)"), (200, None, "")
])  # fmt: skip
def test_the_terminal_shows_a_claim_in_two_lines_with_names_as_they_are_and_failures_last(
    width, there, beside, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    good, bad = (prediction(id, f"[/red] is {'a name ' * 10}", measured, within(1, 2), "[unit]", "source", "a flaw")
                 for id, measured in (("T1", 1.5), ("T2", 7)))  # fmt: skip
    terminal.show([bad, good], "So.", {("T1", good.says): there})
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    says = f"  {good.says}".rstrip() if width == 200 else f"  {good.says}"[:59].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    assert lines == [
        f"holds  T1  1.5{beside}, expected 1 to 2; [unit]", says,
        "does not hold  T2  7, expected 1 to 2; [unit]", says, "  why: a flaw", "", "So.",
    ]  # fmt: skip


@pytest.fixture
def asked_to_cache():
    asked = {
        "jax_enable_compilation_cache": True,
        "jax_compilation_cache_dir": None,
        "jax_compilation_cache_max_size": -1,
        "jax_persistent_cache_min_compile_time_secs": 1.0,
    }
    before = {name: getattr(jax.config, name) for name in asked}
    for name, value in asked.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_compiled_programs_are_kept_in_the_users_cache_which_is_said_once(
    asked_to_cache, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "backpropagation-research"
    for said in (f"compiled programs are kept for the next run, at most 1 GiB, in {folder}\n", ""):
        jax.config.update("jax_compilation_cache_dir", None)
        devices.keep_compiled()
        assert jax.config.jax_compilation_cache_dir == str(folder)
        assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("switch", "value"), [("jax_enable_compilation_cache", False), ("jax_compilation_cache_dir", "own")]
)
def test_jaxs_own_switches_of_the_cache_are_left_alone(switch, value, asked_to_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update(switch, value)
    devices.keep_compiled()
    assert getattr(jax.config, switch) == value
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_set_beside_the_committed_one_unless_it_replaces_it_or_is_of_another_problem():
    kept = experiment.COMMITTED / "steepest"
    record, somewhere = folders.read_record(kept), Path("somewhere")
    other = {**record, "settings": {**record["settings"], "cost": "research.costs:cross_entropy"}}
    fewer = {**record, "settings": {**record["settings"], "num_examples": 200, "layer_sizes": ()}}
    numbers = experiment.committed(steepest, somewhere, fewer)
    assert set(numbers.values()) == {claim["measured"] for claim in record["claims"]} != set()
    assert experiment.committed(steepest, kept, record) == experiment.committed(steepest, somewhere, other) == {}


def test_two_runs_are_of_one_problem_unless_they_differ_in_more_than_amount_luck_and_place():
    settings = dataclasses.asdict(experiment.Settings())
    others = {name: {"settings": settings | {name: "another"}} for name in settings}
    found = {name for name, other in others.items() if estimates.of_one_problem({"settings": settings}, other)}
    assert found == {"data_dir", "num_examples", "seed", "num_seeds", "cpu_devices", "out"}


@pytest.mark.parametrize(
    ("changed", "differs"),
    [(None, False), ("research/costs.py", True), ("experiments/hill/new.py", True), ("pyproject.toml", True),
     ("results/new.json", False)],
)  # fmt: skip
def test_a_commit_with_changed_or_new_files_says_so(changed, differs, tmp_path, monkeypatch):
    def git(*words):
        who = ("-c", "user.name=x", "-c", "user.email=x@y")
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    for name in ("research/costs.py", "experiments/common/records.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    for words in ("init -q", "add .", "commit -qm first"):
        git(*words.split())
    if changed:
        (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / changed).write_text("changed")
    monkeypatch.setattr(records, "__file__", str(tmp_path / "experiments/common/records.py"))
    assert records.commit() == git("rev-parse", "HEAD").strip() + "+changes" * differs


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the system has one time zone")
def test_the_time_at_which_it_began_is_that_of_greenwich(monkeypatch):
    monkeypatch.setenv("TZ", "XYZ-9")
    time.tzset()
    began = datetime.strptime(records.provenance()["began"], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    monkeypatch.undo()
    time.tzset()
    assert abs(datetime.now(UTC) - began) < timedelta(minutes=2)


def test_a_run_that_diverges_says_so_in_place_of_an_earlier_one(finished):
    def measure(problem, settings):
        resume.place_of(folder).mkdir()  # as where something was saved
        raise runs.Diverged("full batch", 7)

    run, folder = finished
    with pytest.raises(runs.Diverged):
        experiment.run(steepest_with(measure=measure), run.settings)
    assert folders.read_record(folder)["status"].startswith("diverged: full batch")
    assert {path.name for path in folder.iterdir()} == {"run.json", "arrays.npz"}
    assert not resume.place_of(folder).exists(), "it would diverge again"
    with pytest.raises(DataError, match="nothing to judge"):
        experiment.read(steepest, folder)


def test_the_foot_of_every_figure_says_network_data_and_seeds(monkeypatch):
    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kw: seen.append(figure.get_supxlabel()))
    record = {"network": "784-10", "dataset": {"name": "a/b", "train": {"count": 60_000}}}
    foot = experiment.foot(record, dataclasses.replace(steepest.Settings(), num_seeds=1, seed=5))
    plots.as_png(plots.new_figure(12, 2)[0], foot)
    for said in ({"foot": "left: first"}, {"about": "a parabola"}):
        plots.as_png(plots.headline(plots.new_figure(12, 2)[0], "Found.", **said), foot)
    said = "network 784-10, 60,000 training images of b; 1 seed"
    assert seen == [said, f"{said}; left: first", "a parabola"]


def test_a_finding_is_drawn_as_it_is_written():
    assert plots.as_png(plots.headline(plots.new_figure(3, 2)[0], r"It costs $x_1 % & \\ $ more."), "")


def test_labelled_lines_are_named_in_their_order_and_apart_where_there_is_no_legend(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kw: None)
    figure, [[axes, other]] = plots.new_figure(6, 2, columns=2)
    for label, end in {"upper": 1.001, "lower": 1.0, "": 0.5}.items():
        axes.plot([1, 2], [0, end], label=label)
    other.plot([1, 2], [0, 1], label="in the legend")
    other.legend()
    plots.as_png(figure, "")
    names = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert names.keys() == {"upper", "lower"}
    assert names["upper"] > names["lower"] + 0.05
    assert not other.texts


def test_seeds_are_drawn_as_their_median_and_all_of_them():
    x, y = np.array([1.0, 2.0]), np.array([[1.0, 10.0], [2.0, 20.0], [9.0, 90.0]])
    figure, [[band, points]] = plots.new_figure(6, 2, columns=2)
    plots.seed_band(band, x, y, 0, "")
    plots.seed_points(points, x, y, 0)
    plots.plt.close(figure)
    for axes in (band, points):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), [2, 20])
    (bars,) = points.containers[0].lines[2]
    np.testing.assert_array_equal(bars.get_segments(), [[[1, 1], [1, 9]], [[2, 10], [2, 90]]])
    (area,) = band.collections
    assert set(map(tuple, area.get_paths()[0].vertices)) == {(1, 1), (1, 9), (2, 10), (2, 90)}


MODULE, EXAMPLE, HOUSE = "experiments.hill.example", "experiments/hill/example.py", "experiments/common/experiment.py"
SOURCES = {
    EXAMPLE: '''"""A question?"""
from experiments.common import in_c, plots
from research import costs
RATE = 1.0
class Settings: pass
QUICK = Settings()
FULL = Settings()
class Result: shown: int
def helper(): return RATE, in_c
def measure(problem, settings): return costs.one(helper())
def claims(result, settings): return shown(1)
def shown(x): return x
''',
    "research/costs.py": "from research.data import load\ndef one(x): return x",
    "research/data.py": "def load(): return 0",
    "experiments/common/plots.py": "def draw(): return 0",
    "experiments/common/in_c.py": """'engine.js'
from experiments.common import plots
SOURCE = Path(__file__).with_suffix('.c')""",
    "experiments/common/in_c.c": "return 0;",
    "experiments/common/engine.js": "return 0;",
    HOUSE: "class Settings: seed = 0\ndef pose(): return load(1)\ndef load(x): return x\ndef draw(): return 2",
}


@pytest.mark.parametrize(
    ("path", "old", "new", "changed"),
    [
        (EXAMPLE, "RATE = 1.0", "RATE = 2.0", True),
        (EXAMPLE, "return RATE", "return 2 * RATE", True),
        ("experiments/common/in_c.c", "0", "1", True),
        ("experiments/common/engine.js", "0", "1", False),
        (EXAMPLE, "class Result: shown: int", "class Result: x = 1", True),
        (EXAMPLE, "QUICK = Settings()", "QUICK = Settings(1)", True),
        (EXAMPLE, "FULL = Settings()", "FULL = Settings(1)", True),
        (EXAMPLE, "return x", "return 2 * x", False),
        (EXAMPLE, "return shown(1)", "return ()", False),
        (EXAMPLE, "A question?", "Another question?", False),
        (EXAMPLE, "in_c, plots", "in_c, plots, valleys", False),
        (EXAMPLE, "in_c, plots", "plots as in_c", True),
        ("research/costs.py", "return x", "return 2 * x", True),
        ("research/costs.py", "return x", "return x  # a comment", False),
        ("research/data.py", "return 0", "return 1", True),
        ("experiments/common/plots.py", "return 0", "return 1", False),
        (HOUSE, "seed = 0", "seed = 1", True),
        (HOUSE, "return x", "return 2 * x", True),
        (HOUSE, "return 2", "return 3", False),
    ],
)
def test_only_what_measure_needs_makes_a_result_stale(path, old, new, changed):
    other = SOURCES | {path: SOURCES[path].replace(old, new)}
    assert other != SOURCES
    assert (stale.measuring(MODULE, SOURCES.get) != stale.measuring(MODULE, other.get)) is changed


def test_changed_code_is_always_stale():
    assert stale.is_stale(MODULE, {"commit": "0" * 40 + "+changes"})


def test_those_that_are_stale_are_listed_with_their_commit(tmp_path, monkeypatch, capsys):
    for name, commit in (("parabola", "0" * 40), ("steepest", "1" * 40)):
        folders.write(tmp_path / name, past(commit=commit), {}, {})
    monkeypatch.setattr(stale, "is_stale", lambda module, of: (module, of["commit"]) == (steepest.__name__, "1" * 40))
    gather.print_stale(tmp_path)
    assert capsys.readouterr().out == "steepest: measured by the code of 111111111111\n"


def claim(**changes):
    base = {"id": "T28", "kind": "prediction", "says": "a | b <c>", "measured": 3.1e-8, "unit": "difference",
            "bound": [None, 1e-6, None], "source": "theory", "holds": True}  # fmt: skip
    return {**base, **changes}


def test_the_ledger_shows_what_fails_and_why_and_escapes_names():
    record = {"status": "finished", "finding": "found", "command": "c", "commit": "0" * 40, "device": "cpu"}
    records = {
        "mine": {**record, "claims": [claim()], "files": ["figure.png", "page.html", "arrays.npz"]},
        "nudges": {**record, "claims": [claim(holds=False, why="a flaw", kind="identity")], "files": []},
    }
    text = ledger.text(records)
    assert "| T28 | prediction | a \\| b &lt;c> | 3.1e-08 difference | at most 1e-06 | holds |" in text
    assert "**does not hold** a flaw" in text
    assert "| prediction | 1 | 1 |" in text
    assert "| identity | 1 | 0 |" in text
    assert "![figure](mine/figure.png)" in text
    assert "[page.html](mine/page.html)" in text
    assert "npz" not in text
    assert text.index("## nudges") < text.index("## mine")


def test_the_ledger_says_once_what_most_results_were_made_by_and_of_the_others_what_they_were():
    record = {"status": "finished", "finding": "f", "command": "c", "claims": [], "device": "cpu"}
    text = ledger.text({name: {**record, "commit": commit * 40} for name, commit in zip("abc", "122", strict=True)})
    assert text.count("commit `222222222222`") == text.count("Where nothing else is said: commit `2") == 1
    assert text.count("commit `111111111111`") == text.count("<code>c</code>; commit `1") == 1


def test_markup_in_a_users_words_is_text_in_the_ledger():
    markup = "<b>`*_x_* [a](b) |\n# one_word"
    record = {"status": "finished", "finding": markup, "command": f"python --dataset '{markup}'", "commit": "0" * 40,
              "device": "cpu", "claims": [claim(says=markup, why=markup)], "files": []}  # fmt: skip
    text = ledger.text({"mine": record})
    assert text.count(r"&lt;b>\`\*\_x\_\* \[a\](b) \| # one_word") == 4
    assert markup not in text


def test_all_runs_what_is_due_goes_on_after_a_failure_and_says_which(tmp_path, monkeypatch, capsys):
    asked = {
        name: chapters.Question(name, f"my.{name}", "?") for name in ("none", "older", "good", "small", "bad", "few")
    }
    monkeypatch.setattr(chapters, "all_questions", lambda: asked)
    monkeypatch.setattr(stale, "is_stale", lambda module, record: record["commit"] == "old")
    record = {"status": "finished", "settings": {"num_seeds": 3}, "commit": "new", "command": "x --full",
              "seconds": 60.0, "finding": "f", "claims": [], "device": "cpu"}  # fmt: skip
    changes = {
        "older": {"commit": "old"},
        "good": {},
        "small": {"command": "x", "seconds": 600.0},
        "bad": {"status": "diverged: b"},
        "few": {"settings": {"num_seeds": 2}},
    }
    for name, changed in changes.items():
        folders.write(tmp_path / name, record | changed, {}, {})
    started, words = [], ["--full", "--num-seeds", "3"]

    def run(command):
        started.append(command[3:])
        return int(command[3] == "none")

    monkeypatch.setattr(gather.stopping, "run", run)
    monkeypatch.setattr(gather.cli, "import_module", lambda what, path: path)
    monkeypatch.setattr(gather.cli, "typed", lambda module, name, words: (None, {"num_seeds": 3}))
    gather.run_all(tmp_path, [*words, "--dry-run"])
    assert not started
    assert not (tmp_path / "README.md").exists()
    with pytest.raises(SystemExit, match=r"^failed: none$"):
        gather.run_all(tmp_path, words)
    due = (
        ("none", "missing"),
        ("older", "stale"),
        ("small", "of another size"),
        ("bad", "diverged"),
        ("few", "of other settings"),
    )
    assert started == [[name, "--out", str(tmp_path), *words] for name, _ in due]
    said = capsys.readouterr().out
    assert said.startswith(
        "5 of 6 experiments to run: about 2 min, by the last runs of 2 of them; of 3 none is known\n5 of 6"
    )
    assert "5 of 6 experiments to run: about 2 min, by the last runs of 2 of them" in said
    assert all(f"{name} ({why})" in said for name, why in due)
    assert (tmp_path / "README.md").exists()


def test_all_refuses_a_word_that_one_of_them_does_not_know_before_any_runs(tmp_path, monkeypatch):
    asked = {"parabola": chapters.all_questions()["parabola"]}
    monkeypatch.setattr(chapters, "all_questions", lambda: asked)
    monkeypatch.setattr(gather.stopping, "run", lambda command: pytest.fail("it ran"))
    with pytest.raises(SettingsError, match="--batch-size 3 is no setting of parabola"):
        gather.run_all(tmp_path, ["--quick", "--batch-size", "3"])
    assert not list(tmp_path.iterdir())


def test_verdicts_are_compared_with_the_committed_ones_by_id_and_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "COMMITTED", tmp_path / "committed")
    out = tmp_path / "out"
    said = {"same": True, "other": True, "better": False, "only there": True}
    theirs = [claim(says=says, holds=holds) for says, holds in said.items()]
    folders.write(tmp_path / "committed" / "steepest", past(claims=theirs), {}, {})
    said = {"same": True, "other": False, "better": True, "only here": False}
    ours = [claim(says=says, holds=holds) for says, holds in said.items()]
    folders.write(out / "steepest", past(claims=ours, command="x --quick"), {}, {})
    folders.write(out / "mine", past(claims=ours), {}, {})
    for words in ([], ["--quick"]):
        with pytest.raises(SystemExit) as left:
            gather.check(out, words)
        assert left.value.code == 1
        assert capsys.readouterr().out.splitlines() == [
            "steepest T28: does not hold, committed: holds; other",
            "steepest T28: holds, committed: does not hold; better",
            "3 verdicts compared with the committed ones, 2 differ",
        ]
    with pytest.raises(SettingsError, match="nothing to compare"):
        gather.check(out, ["--full"])
    folders.write(out / "steepest", past(claims=ours[:1]), {}, {})
    gather.check(out, [])
    assert "1 verdicts compared with the committed ones, 0 differ" in capsys.readouterr().out
    folders.write(out / "steepest", past(claims=ours[:1], settings={"cost": "of my own"}), {}, {})
    with pytest.raises(SettingsError, match="nothing to compare"):
        gather.check(out, [])
    with pytest.raises(SettingsError, match="name your own by --out"):
        gather.check(tmp_path / "committed", [])
    with pytest.raises(SettingsError, match="--quick, --full or neither, not --quick --full"):
        gather.check(out, ["--quick", "--full"])


def test_the_page_is_gathered_from_the_records_as_they_are(tmp_path, monkeypatch):
    said = claim(says="said long ago")
    folders.write(tmp_path / "steepest", past(finding="Found once.", claims=[said]), {}, {"steepest.png": b"drawn"})
    before = contents(tmp_path / "steepest")
    monkeypatch.setattr(sys, "path", [*sys.path])
    __main__.main(["--page", "--out", str(tmp_path)])
    assert contents(tmp_path / "steepest") == before
    for page in ("README.md", "index.html"):
        text = (tmp_path / page).read_text()
        assert "Found once." in text
        assert "said long ago" in text
    with pytest.raises(SystemExit) as left:
        __main__.main(["--page", "--out", str(tmp_path / "none")])
    assert left.value.code == 2
    assert not (tmp_path / "none").exists()


def test_a_users_own_result_is_judged_again_with_the_others_and_an_empty_folder_is_refused(finished, tmp_path):
    _, folder = finished
    with pytest.raises(SettingsError, match="there is no result in"):
        gather.rejudge_all(tmp_path / "none")
    assert gather.there_are(folder.parent) == {"steepest": steepest.__name__}
    (folder.parent / "mine").mkdir()
    (folder.parent / "mine" / "run.json").write_text((folder / "run.json").read_text())
    assert gather.there_are(folder.parent) == {"steepest": steepest.__name__, "mine": steepest.__name__}


def test_what_cannot_be_judged_again_is_named_and_the_others_are_judged(finished, tmp_path, monkeypatch, capsys):
    def rejudge(module, folder):
        if folder.name == "mine":
            raise TypeError("of its own")
        return []

    shutil.copytree(tmp_path / "steepest", tmp_path / "mine")
    monkeypatch.setattr(experiment, "rejudge", rejudge)
    monkeypatch.setattr(gather, "there_are", lambda out: dict.fromkeys(("mine", "steepest"), steepest.__name__))
    with pytest.raises(SystemExit, match="not judged again: mine"):
        gather.rejudge_all(tmp_path)
    said = capsys.readouterr()
    assert said.err == "mine: TypeError: of its own\n"
    assert "steepest: 0 of 0 claims hold" in said.out
    assert (tmp_path / "index.html").exists()


def test_a_file_in_the_place_of_all_results_is_refused_before_any_runs(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(SettingsError, match="which is not a folder that can be written to"):
        gather.run_all(tmp_path / "out", [])


@pytest.mark.parametrize(
    ("command", "sizes", "why"),
    [("x", set(), ""), ("x --full", {"--full"}, ""), ("x", {"--full"}, "of another size"),
     ("x --quick", {"--full"}, "of another size"), ("x --full", set(), "of another size")],
)  # fmt: skip
def test_a_result_of_another_size_is_due(command, sizes, why, monkeypatch):
    monkeypatch.setattr(stale, "is_stale", lambda module, record: False)
    record = {"status": "finished", "commit": "new", "command": command, "settings": {}}
    assert gather.why_run(chapters.Question("name", "my.name", "?"), record, sizes, {}) == why


@pytest.mark.parametrize(
    ("typed", "why"),
    [({"rates": (1.0, 2.0), "seed": 7, "out": Path("there"), "cpu_devices": 1}, ""), ({}, ""),
     ({"seed": 8}, "of other settings"), ({"rates": (1.0, 3.0)}, "of other settings")],
)  # fmt: skip
def test_a_result_of_other_settings_than_were_typed_is_due(typed, why, monkeypatch):
    monkeypatch.setattr(stale, "is_stale", lambda module, record: False)
    then = {"rates": [1.0, 2.0], "seed": 7, "out": "here", "cpu_devices": 2}
    record = {"status": "finished", "commit": "new", "command": "x", "settings": then}
    assert gather.why_run(chapters.Question("name", "my.name", "?"), record, set(), typed) == why
