"""A user's own files beside ours: their code is known, they take no place of ours, and nothing of theirs is lost."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Literal

import jax
import pytest

from experiments import __main__
from experiments.common import bounds, claims, devices, experiment, folders, front, gather, ledger, resume, stale
from experiments.common.bounds import SettingsError
from experiments.common.claims import Claim, at_most, prediction
from research.data import DataError

ROOT = Path(__file__).parents[1]


OWN = '''"""A question?"""
from research import fits
def measure(problem, settings): return fits
def finding(result, settings): return "found"
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of a user's own in the current folder, imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine" / "cost.py"
    file.write_text(OWN)
    module = types.ModuleType("mine.cost")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "mine.cost", module)
    return file


def test_the_code_of_a_users_own_is_what_is_neither_ours_nor_installed(own, tmp_path, monkeypatch):
    elsewhere = tmp_path / "v" / "site-packages" / "linked.py"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.symlink_to(own)
    for name, file in {"linked": str(elsewhere), "odd": object(), "gone": "gone.py", "none": None}.items():
        module = types.ModuleType(name)
        module.__file__ = file
        monkeypatch.setitem(sys.modules, name, module)
    found = stale.users_code("mine.cost")
    assert len(found["mine/cost.py"]) == 64
    assert str(Path(__file__).resolve()) in found, "this test is no part of what is installed"
    assert not {"gone.py", str(elsewhere)} & found.keys()
    for module in (experiment, jax, hashlib):
        assert not any(Path(name).resolve() == Path(module.__file__).resolve() for name in found)


@pytest.mark.parametrize(
    ("old", "new", "other"),
    [
        ("return fits", "return fits, 1", True),
        ("return fits", "return (", True),
        ("A question?", "Another question?", False),
        ("return fits", "return fits  # the fits", False),
        ('return "found"', "return 1 / 0", False),
    ],
)
def test_a_users_own_has_changed_where_what_measures_has(old, new, other, own, monkeypatch):
    monkeypatch.setattr(stale, "at_commit", lambda commit, path: stale.as_it_is(path))
    record = {"commit": "now", "own_code": {"mine/cost.py": stale.users_code("mine.cost")["mine/cost.py"]}}
    assert not stale.is_stale("mine.cost", record)
    own.write_text(OWN.replace(old, new))
    assert stale.changed("mine.cost", record) == ["mine/cost.py"] * other
    assert stale.is_stale("mine.cost", record) is other
    assert stale.changed("another", record) == ["mine/cost.py"], "of another experiment all of the file counts"
    own.unlink()
    assert stale.changed("mine.cost", record) == ["mine/cost.py"]


@pytest.mark.parametrize("line", ["from research import fits", "import research.fits", "from research.fits import one"])
def test_a_users_own_is_stale_when_what_it_uses_of_ours_has_changed(line, own, monkeypatch):
    own.write_text(OWN.replace("from research import fits", line).replace("return fits", "return research, fits, one"))
    assert "research/fits.py" in stale.measuring("mine.cost", stale.as_it_is)
    assert "research/fits.py" in stale.measuring("mine.none", stale.as_it_is, ["mine/cost.py"]), "by a helper"
    assert "research/fits.py" not in stale.measuring("mine.none", stale.as_it_is)
    changed = lambda commit, path: (stale.as_it_is(path) or "") + "\nx = 1" * (path == "research/fits.py")
    monkeypatch.setattr(stale, "at_commit", changed)
    assert stale.is_stale("mine.none", {"commit": "now", "own_code": stale.users_code("mine.none")})


def test_what_has_changed_is_named_and_where_nothing_has_that_is_said(own, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stale, "at_commit", lambda commit, path: stale.as_it_is(path))
    record = {"status": "finished", "settings": {}, "commit": "now", "own_code": {"mine/cost.py": "another"}}
    folders.write(tmp_path / "out" / "one", record, {}, {})
    gather.print_stale(tmp_path / "out")
    folders.write(tmp_path / "out" / "one", record | {"own_code": {}}, {}, {})
    gather.print_stale(tmp_path / "out")
    assert capsys.readouterr().out.splitlines() == [
        "one: mine/cost.py is not here, or no longer what it was",
        f"none of the 1 results in {tmp_path / 'out'} was measured by other code than that of today",
    ]


def test_what_is_no_result_of_ours_in_out_is_named_and_left_out(tmp_path, capsys):
    folders.write(tmp_path / "mine", {"status": "finished", "settings": {}, "commit": "c", "claims": []}, {}, {})
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "run.json").write_text('{"rate": 1}')
    assert gather.there_are(tmp_path) == {"mine": "mine"}
    assert (
        capsys.readouterr().err
        == f"left out: {tmp_path}/wandb/run.json is no record of a run; run the experiment again\n"
    )


def test_an_experiment_of_ones_own_has_no_name_of_ours(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        __main__.main(["my.wiggle"])
    assert left.value.code == 2
    assert "my.wiggle is called as our wiggle is, and would take its place in OUT" in capsys.readouterr().err


def test_a_result_of_another_experiment_of_that_name_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "divide", lambda count: None)
    record = {"status": "finished", "settings": {}, "commit": "c", "module": "other.steepest"}
    folders.write(tmp_path / "steepest", record, {}, {})
    module = types.ModuleType("my.steepest")
    with pytest.raises(SettingsError, match=r"steepest has a result of other\.steepest; call one otherwise"):
        experiment.prepared(module, experiment.Settings(out=tmp_path))


@pytest.mark.parametrize("name", ["README.md", "index.html"])
def test_a_page_of_somebodys_in_the_place_of_ours_is_kept(name, tmp_path):
    (tmp_path / name).write_text("<title>my thesis</title>")
    for _ in range(2):  # the second time it is ours
        gather.write_ledger(tmp_path)
        assert (tmp_path / f"{name}.kept").read_text() == "<title>my thesis</title>"
    assert (ledger.TITLE if name.endswith(".md") else front.TITLE) in (tmp_path / name).read_text()
    (tmp_path / "elsewhere").write_text("linked")
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    gather.write_ledger(tmp_path)
    assert (tmp_path / f"{name}.kept").read_text() == "<title>my thesis</title>"
    assert (tmp_path / f"{name}.kept2").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "linked"


def test_a_file_that_cannot_be_written_is_told_in_one_sentence_by_its_own_name(tmp_path):
    (tmp_path / "page").mkdir()
    with pytest.raises(DataError, match=r"page could not be written .*; what lay there before is untouched"):
        folders.write_file(tmp_path / "page", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/page could not be written .*; what lay there before is untouched"):
        folders.write_file(tmp_path / "file" / "page", b"")
    with pytest.raises(DataError, match=r"file/x could not be written"), folders.alone(*[tmp_path / "file" / "x"] * 2):
        pass


def test_a_run_json_of_somebodys_and_what_lies_beside_it_is_kept(tmp_path):
    folder = tmp_path / "name"
    for theirs in ('{"rate": 1}', "[1]", '{"status": "finished", "files": 5}'):
        folder.mkdir()
        for name in ("run.json", "arrays.npz", "a.png", "a.png.kept"):
            (folder / name).write_text(theirs + name)
        (folder / "run.json").write_text(theirs)
        folders.write(folder, {"status": "finished"}, {}, {"a.png": b"ours"})
        assert (folder / "run.json.kept").read_text() == theirs
        assert (folder / "arrays.npz.kept").read_text() == theirs + "arrays.npz"
        assert {(folder / f"a.png.kept{more}").read_text() for more in ("", ".kept")} == {
            theirs + "a.png",
            theirs + "a.png.kept",
        }
        assert (folder / "a.png").read_bytes() == b"ours"
        folders.remove(folder)


def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(tmp_path):
    (tmp_path / f".name.{os.getpid()}").mkdir()
    folders.write(tmp_path / "name", {"status": "finished"}, {}, {})
    assert os.listdir(tmp_path) == ["name"]


def test_a_run_that_was_moved_aside_by_a_process_that_was_killed_then_comes_back(tmp_path, monkeypatch):
    folders.write(tmp_path / "name", {"status": "finished"}, {}, {})
    (tmp_path / "name" / "note.txt").write_text("mine")
    (tmp_path / "name").rename(tmp_path / ".name.77.aside")
    monkeypatch.setattr(folders, "alive", lambda pid: False)
    folders.write(tmp_path / "name", {"status": "finished"}, {}, {})
    assert (tmp_path / "name" / "note.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["name"]


def test_what_another_run_is_writing_is_not_judged_again(tmp_path):
    results = tmp_path / "small"
    with (
        folders.alone(resume.place_of(results), results),
        pytest.raises(DataError, match=r"another run into .* goes on"),
    ):
        experiment.rejudge(types.ModuleType("small"), results)


@pytest.mark.parametrize(
    "annotation",
    [Literal["a", "b"], dict, complex, int | float, list[int], tuple, tuple[int, int], tuple[int | None, ...], bytes],
    ids=str,
)
def test_a_setting_of_another_type_than_can_be_typed_is_refused(annotation):
    kind = dataclasses.make_dataclass("Own", [("mine", annotation, None)], frozen=True)
    with pytest.raises(SettingsError, match=r"^the setting mine is annotated .*; it must be int, float, str, bool or"):
        bounds.fields_of(kind)


@pytest.mark.parametrize(
    ("annotation", "value", "wanted"),
    [(tuple[float, ...], 0.5, "a tuple, each float"), (tuple[int, ...], ("2",), "a tuple, each int"), (int, 2.5, "int"),
     (float, None, "float"), (str, len, "str"), (int | None, "all", "int"), (Path, "here", "Path")],
)  # fmt: skip
def test_a_default_of_another_type_than_its_setting_is_refused(annotation, value, wanted):
    kind = dataclasses.make_dataclass("Own", [("mine", annotation)])
    with pytest.raises(SettingsError, match=f"^--mine is .* in the Settings; it must be {wanted}$"):
        bounds.check(kind(value))
    bounds.check(dataclasses.make_dataclass("Own", [("mine", float), ("other", int | None)])(1, None))


@pytest.mark.parametrize("name", bounds.RESERVED)
def test_a_setting_is_not_called_as_a_flag_of_the_house(name):
    kind = dataclasses.make_dataclass("Own", [(name, int, 1)])
    with pytest.raises(SettingsError, match=f"a setting is called {name}; that is the house's own flag"):
        bounds.fields_of(kind)


def test_annotations_that_cannot_be_read_and_checks_that_fail_are_told_in_one_sentence():
    kind = dataclasses.make_dataclass("Own", [("mine", "Unknown", 1)])
    with pytest.raises(SettingsError, match=r"annotations of .*Own cannot be read: NameError"):
        bounds.fields_of(kind)
    kind = dataclasses.make_dataclass("Own", [("mine", int, 1)], namespace={"check": lambda self: 1 / 0})
    with pytest.raises(SettingsError, match="check of the Settings failed: ZeroDivisionError"):
        bounds.check(kind())

    def refuses(self):
        raise SettingsError("--mine is 1; give 2")

    kind = dataclasses.make_dataclass("Own", [("mine", int, 1)], namespace={"check": refuses})
    with pytest.raises(SettingsError, match=r"^--mine is 1; give 2$"):
        bounds.check(kind())


def test_a_path_is_expanded_however_it_was_typed(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    (field,) = bounds.fields_of(dataclasses.make_dataclass("Own", [("there", Path, Path())]))
    assert field.converted("~/x") == __main__.asked(["--page", "--out=~/x"])[0].out == Path("/somewhere/x")
    assert field.converted("~nobody at all/x") == Path("~nobody at all/x")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": 7}, "a claim has .*, which must all be texts"),
        ({"why": None}, "a claim has .*, which must all be texts"),
        ({"kind": "hunch"}, "the claim 'E5', 'it grows', is of the kind 'hunch'; it must be one of prediction"),
        ({"bound": (0, 100)}, r"the claim 'E5', 'it grows', has the bound \(0, 100\); take within"),
        ({"bound": at_most(float("inf"))}, r"the claim 'E5', 'it grows', has the bound Bound\(.*inf.*\); take within"),
        ({"bound": at_most("1")}, r"the claim 'E5', 'it grows', has the bound Bound"),
        ({"measured": "many"}, "the claim 'E5', 'it grows', has measured no number: ValueError"),
    ],
)
def test_a_claim_that_is_none_is_refused_when_it_is_made(change, sentence):
    made = dataclasses.asdict(prediction("E5", "it grows", 4.5, at_most(5), "one", "a guess"))
    with pytest.raises(SettingsError, match=sentence):
        Claim(**(made | {"bound": at_most(5)} | change))
    assert claims.prediction("E5", "it grows", 4.5, at_most(5), "one", "a guess").holds


def test_jax_that_has_begun_too_early_or_finds_nothing_is_told_in_one_sentence(monkeypatch):
    def begun(*_):
        raise RuntimeError("should be updated before backends are initialized")

    monkeypatch.setattr(devices.jax.config, "update", begun)
    with pytest.raises(SettingsError, match="JAX had made an array before it was told of its devices"):
        devices.divide(3)
    monkeypatch.undo()
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(devices.jax, "devices", lambda: 1 / 0)
    with pytest.raises(SettingsError, match=r"JAX finds no device \(JAX_PLATFORMS is cuda\): ZeroDivisionError"):
        devices.divide(jax.config.jax_num_cpu_devices)


def test_a_terminal_of_ascii_and_a_notebooks_backend_stop_nothing(tmp_path):
    code = "import runpy, sys; sys.argv = ['x']; runpy.run_module('experiments', run_name='__main__'); print(chr(955))"
    odd = {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "module://none", "PYTHONPATH": str(ROOT)}
    code += "; import matplotlib.pyplot"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=odd)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("?\n")
