"""Bad inputs, 300 and more, from every experiment's declared bounds and by hand: each is refused in one sentence."""

import contextlib
import dataclasses
import functools
import importlib
import io
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments.common import bad_inputs, bounds, chapters, cli, experiment
from experiments.common.bounds import Field, SettingsError

QUESTIONS = chapters.all_questions()


def module_of(name: str) -> ModuleType:
    return importlib.import_module(QUESTIONS[name].module)


@functools.cache
def declared() -> list[tuple[str, list[str]]]:
    return list(bad_inputs.declared())


def refused(name: str, words: list[str]) -> str:
    """What is said of these words: one sentence of at most 500 letters, with exit code 2."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as left:
        experiment.main(module_of(name), [*words, "--dry-run"])
    assert left.value.code == 2
    sentence = said.getvalue().removesuffix("\n")
    assert sentence.startswith("error: "), sentence
    assert len(sentence) <= cli.LONGEST + 5, sentence
    assert "\n" not in sentence
    return sentence


def test_there_are_300_and_each_is_another():
    inputs = bad_inputs.all_of_them()
    assert len({(name, *words) for name, words in inputs}) == len(inputs) >= 300


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_a_declaration_forbids_is_refused_by_its_flag(name):
    for words in (words for of, words in declared() if of == name):
        flag = words[0].partition("=")[0]
        assert refused(name, words).removeprefix("error: ").startswith(flag)


@pytest.mark.parametrize("words", bad_inputs.WORDS)
def test_words_that_are_none_of_any_experiment_are_refused(words):
    refused("steepest", words.split(" "))


@pytest.mark.parametrize("words", bad_inputs.WITH_FILES)
def test_a_folder_data_or_a_function_that_cannot_serve_is_refused_and_nothing_is_written(words, small_mnist, tmp_path,
                                                                                         monkeypatch):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    refused("steepest", ["--dataset", str(small_mnist), "--cpu-devices", "2", *words.split(" ")])
    assert list(tmp_path.iterdir()) == []


@functools.cache
def numbers() -> list[tuple[type, Field]]:
    kinds = [module_of(name).Settings for name in QUESTIONS]
    return [(kind, field) for kind in kinds for field in bounds.fields_of(kind)
            if field.kind in (int, float) and field.single]  # fmt: skip


def forbidden(field: Field) -> st.SearchStrategy[float]:
    """Numbers that break one of the field's rules."""
    numbers = st.integers(-(10**6), 10**12) if field.kind is int else st.floats(width=32)
    return numbers.filter(lambda number: not all(rule.holds(number) for rule in field.single))


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_number_out_of_its_bounds_is_refused_by_its_flag(data):
    kind, field = data.draw(st.sampled_from(numbers()))
    number = data.draw(forbidden(field))
    settings = dataclasses.replace(kind(), **{field.name: (number,) if field.is_tuple else number})
    with pytest.raises(SettingsError) as error:
        bounds.check(settings)
    assert str(error.value).startswith(field.flag)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e-320, 1e-39, 1e-30, 1.0, 1e38, 1e39, np.inf, np.nan])
def test_a_number_of_either_sign_is_one_that_float32_holds_with_all_its_digits(size, sign):
    holds = float(np.finfo(np.float32).tiny) <= size <= float(np.finfo(np.float32).max)
    assert bounds.IN_FLOAT32.holds(sign * size) == holds
