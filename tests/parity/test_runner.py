"""The runner itself: it collects everything and fails on what it does not know, or on numbers that are off."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from tests.parity.collect import Case, cases
from tests.parity.test_parity import SYSTEMS, run_whole, runner

DATA = Path(__file__).parent / "data"


def named(name: str) -> Case:
    return next(case for case in cases(DATA) if case.name == name)


def test_collects_cases_and_further_tables(tmp_path: Path) -> None:
    content = {"meta": {"torch": "2"}, "note": "text", "cases": [{"case": "a"}], "masks": {"x": 1}, "rows": [1]}
    (tmp_path / "toy.json").write_text(json.dumps(content))
    (tmp_path / "notes.txt").write_text("no system")
    assert [str(case) for case in cases(tmp_path)] == ["toy-a", "toy-masks", "toy-rows"]


def test_every_file_of_numbers_has_a_case_builder() -> None:
    assert {file.stem for file in DATA.glob("*.json")} <= {file.stem for file in SYSTEMS.glob("*.py")}


def test_an_unknown_system_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="no case builder for system 'toy'"):
        runner("toy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "prophecy"}, "no way to run"),
        ({"intermediates": {"mood of block 3": {}}}, "no way to see 'mood of block 3'"),
        ({"targets": {"dreams": {}}}, "no way to make the target 'dreams'"),
    ],
)
def test_a_case_that_cannot_be_run_fails(change: dict, message: str) -> None:
    case = named("videomae_pt_tiny")
    with pytest.raises(pytest.fail.Exception, match=message):
        runner("videomae")(Case("videomae", case.name, case.data | change, DATA))


def test_what_nobody_looked_at_fails() -> None:
    case = next(case for case in cases(DATA) if case.name == "byol_sem")
    data = case.data | {"dreams": 3, "note": "words are for people", "kwargs": case.data["kwargs"] | {"mood": 1}}
    with pytest.raises(AssertionError, match=r"no way to look at dreams, kwargs.mood of pretext-byol_sem"):
        run_whole(Case("pretext", case.name, data, DATA))


def test_what_nobody_looked_at_in_a_part_fails() -> None:
    case = named("maedfer_ft_small_region")
    data = case.data | {"training": case.data["training"] | {"warmth": 3, "note": "words"}}
    with pytest.raises(AssertionError, match=r"no way to look at training.warmth of maedfer"):
        run_whole(Case("maedfer", case.name, data, DATA))


@pytest.mark.parametrize("path", [("output", "values", 3), ("losses", "mse | raw pixels"), ("training", "grad_norm")])
def test_numbers_that_are_off_fail(path: tuple[str | int, ...]) -> None:
    case = named("videomae_pt_tiny")
    data = copy.deepcopy(case.data)
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] *= 1.01
    with pytest.raises(AssertionError):
        runner("videomae")(Case("videomae", case.name, data, DATA))


@pytest.mark.parametrize("name", ["pretrained_loading", "pickled_checkpoint"])
def test_a_case_finds_what_it_needs_where_its_folder_holds_it_alone(name: str, tmp_path: Path) -> None:
    case = named(name)
    (tmp_path / f"{case.system}.json").write_text(json.dumps({"cases": [case.data]}))
    (alone,) = cases(tmp_path)
    run_whole(alone)
