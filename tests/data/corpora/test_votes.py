"""DFEW's annotation.xlsx: a workbook read without a library, and its votes beside the official labels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.data.corpora.miniatures import dfew

from mien.data.corpora import Scan, get_corpus
from mien.data.corpora.spreadsheet import read_sheet
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
HEADER = ["1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "order", "label"]


def workbook(path: Path, sheet: str, texts: str = "", **parts: str) -> Path:
    """A file as ECMA-376 has it, its first sheet not the one that was stored first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
                      '<sheet name="b" sheetId="2" r:id="rId7"/><sheet name="a" sheetId="1" r:id="rId1"/>'
                      "</sheets></workbook>")  # fmt: skip
        book.writestr("xl/_rels/workbook.xml.rels", "<Relationships><Relationship Id='rId1' "
                      "Target='worksheets/sheet1.xml'/><Relationship Id='rId7' Target='worksheets/sheet2.xml'/>"
                      "</Relationships>")  # fmt: skip
        if texts:
            book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{texts}</sst>')
        book.writestr("xl/worksheets/sheet1.xml", f'<worksheet xmlns="{MAIN}"><sheetData/></worksheet>')
        book.writestr(
            "xl/worksheets/sheet2.xml",
            parts.get("raw", f'<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData></worksheet>'),
        )
    return path  # fmt: skip


def rows_of(table: list[list[object]]) -> str:
    """Numbers as numbers, text inside its cell."""
    lines = []
    for row in table:
        cells = (f"<c t='inlineStr'><is><t>{one}</t></is></c>" if isinstance(one, str) else f"<c><v>{one}</v></c>"
                 for one in row)  # fmt: skip
        lines.append(f"<row>{''.join(cells)}</row>")
    return "".join(lines)


def votes(number: int, label: int) -> list[object]:
    """Seven votes for the label, three for the next class."""
    own = [0] * 7
    if label:
        own[label - 1], own[label % 7] = 7, 3
    return [*own, number, label]


def annotated(root: Path, table: list[list[object]]) -> Scan:
    workbook(root / "DFEW/Annotation/annotation.xlsx", rows_of(table))
    return get_corpus("dfew").scan(root)


def official() -> list[list[object]]:
    """Of the miniature: ten listed clips, and one without a single label."""
    return [[*HEADER], *(votes(number, number % 7 + 1) for number in range(1, 11)), votes(11, 0)]


def test_a_workbook_as_excel_writes_it(tmp_path: Path) -> None:
    """Shared text, runs of formatted text, hints of pronunciation, absent cells, formulas with their stored value."""
    texts = "<si><t>first</t></si><si><r><t>se</t></r><r><t>cond </t></r><rPh><t>x</t></rPh></si>"
    sheet = ("<row r='1'><c r='B1' t='s'><v>1</v></c><c r='AA1' t='s'><v>0</v></c></row><row r='3'/>"
             "<row r='4'><c r='A4'><f>1+1</f><v>2</v></c><c r='C4' t='str'><v>three</v></c></row>")  # fmt: skip
    rows = read_sheet(workbook(tmp_path / "a.xlsx", sheet, texts))
    assert rows == [["", "second", *[""] * 24, "first"], [], ["2", "", "three"]]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet>&a;</worksheet>', "no plain XML"),
        ("<worksheet><row>", "no element found|unclosed"),
        (f'<worksheet xmlns="{MAIN}"><row><c t="s"><v>5</v></c></row></worksheet>', "out of range"),
    ],
)
def test_what_is_no_workbook_is_refused(content: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"a.xlsx: not a workbook of Excel \(.*({why})"):
        read_sheet(workbook(tmp_path / "a.xlsx", "", raw=content))
    (tmp_path / "b.xlsx").write_text("1happy,2sad")
    with pytest.raises(UsageError, match=r"b.xlsx: not a workbook"):
        read_sheet(tmp_path / "b.xlsx")


def test_votes_stand_beside_the_labels_and_choose_training_clips(tmp_path: Path) -> None:
    dfew(tmp_path)
    plain = get_corpus("dfew").scan(tmp_path).frame
    table = official()
    table[3][0:7] = [0, 0, 0, 10, 0, 0, 0]  # all agree on clip 3, angry
    table[5][7] = "00005.mp4"
    frame = annotated(tmp_path, table).frame
    assert frame[list(plain.columns)].equals(plain)
    assert frame["agreement"].tolist() == [0.7, 0.7, 1.0, *[0.7] * 7]
    assert frame.set_index("id").loc["00001", ["vote_sad", "vote_neutral", "vote_fear"]].tolist() == [0.7, 0.3, 0.0]
    settings = ProtocolSettings(by="fold", fold="1", published=True, lowest={"agreement": 0.9})
    assert Protocol.from_manifest(Manifest(frame, tmp_path), settings).train == ("00003",)


def test_labels_that_differ_from_the_lists_are_refused(tmp_path: Path) -> None:
    dfew(tmp_path)
    table = official()
    table[2] = votes(2, 6)
    table[4] = votes(4, 0)
    with pytest.raises(UsageError, match=r"clip 00002 is 6 here and 3 \(neutral\) in the split lists; 2 clip"):
        annotated(tmp_path, table)


def test_odd_annotations_are_told(tmp_path: Path) -> None:
    dfew(tmp_path)
    told = {one.text: one.items for one in annotated(tmp_path, official()[:-2]).findings}
    assert told["1 listed clip(s) are not in annotation.xlsx and have no votes"] == ("00010",)
    assert "annotation.xlsx has 9 clips and 9 single labels, published are 16,372 and 12,059" in told
    table = official()
    table[1][0:7] = [9, 0, 1, 0, 0, 0, 0]
    told = {one.text: one.items for one in annotated(tmp_path, table[1:]).findings}
    assert told["another class has more votes than the label"] == ("00001",)
    assert any("its columns are taken in this order" in text for text in told)
    for odd, why in (([*table, votes(3, 4)], "clip 00003 has two rows"), ([*table, ["x", 1, 2]], "is no row of seven")):
        with pytest.raises(UsageError, match=why):
            annotated(tmp_path, odd)


def test_columns_go_by_their_official_names(tmp_path: Path) -> None:
    dfew(tmp_path)
    turned = [[row[8], *row[:8]] for row in official()]
    assert set(annotated(tmp_path, turned).frame["agreement"]) == {0.7}
