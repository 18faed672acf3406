"""The rules that the EAF 3.0 schema sets, checked on a written document."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree as xml

import pytest

from mien.inference.timeline import Timeline

ORDER = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"]  # of the elements that mien writes


@pytest.fixture
def document(classified: Timeline, tmp_path: Path) -> xml.Element:
    return xml.parse(classified.to_eaf(tmp_path / "talk.eaf")).getroot()


def annotations(tier: xml.Element) -> list[tuple[str, str, str]]:
    found = tier.findall("ANNOTATION/ALIGNABLE_ANNOTATION")
    return [(a.attrib["TIME_SLOT_REF1"], a.attrib["TIME_SLOT_REF2"], a.findtext("ANNOTATION_VALUE", "")) for a in found]


def test_elements_stand_in_the_order_of_the_schema(document: xml.Element) -> None:
    positions = [ORDER.index(child.tag) for child in document]
    assert positions == sorted(positions)
    assert Counter(child.tag for child in document)["HEADER"] == 1
    assert [child.tag for child in document[0]] == ["MEDIA_DESCRIPTOR", "PROPERTY"]


def test_required_attributes(document: xml.Element) -> None:
    assert {"AUTHOR", "DATE", "VERSION", "FORMAT"} <= set(document.attrib)
    assert document.attrib["FORMAT"] == "3.0"
    assert datetime.fromisoformat(document.attrib["DATE"]).tzinfo is not None
    schema = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
    assert document.attrib[schema].endswith("/EAFv3.0.xsd")
    types = {kind.attrib["LINGUISTIC_TYPE_ID"] for kind in document.iter("LINGUISTIC_TYPE")}
    for tier in document.iter("TIER"):
        assert tier.attrib["LINGUISTIC_TYPE_REF"] in types
    stereotypes = {c.attrib["STEREOTYPE"] for c in document.iter("CONSTRAINT")}
    assert stereotypes == {"Time_Subdivision", "Symbolic_Subdivision", "Symbolic_Association", "Included_In"}


def test_attributes_are_those_of_the_schema(document: xml.Element) -> None:
    allowed = {
        "HEADER": "MEDIA_FILE TIME_UNITS",
        "MEDIA_DESCRIPTOR": "MEDIA_URL RELATIVE_MEDIA_URL MIME_TYPE TIME_ORIGIN EXTRACTED_FROM",
        "PROPERTY": "NAME",
        "TIME_ORDER": "",
        "TIME_SLOT": "TIME_SLOT_ID TIME_VALUE",
        "TIER": "TIER_ID PARTICIPANT ANNOTATOR LINGUISTIC_TYPE_REF DEFAULT_LOCALE PARENT_REF EXT_REF LANG_REF",
        "ANNOTATION": "",
        "ALIGNABLE_ANNOTATION": "ANNOTATION_ID TIME_SLOT_REF1 TIME_SLOT_REF2 SVG_REF EXT_REF LANG_REF CVE_REF",
        "ANNOTATION_VALUE": "",
        "LINGUISTIC_TYPE": "LINGUISTIC_TYPE_ID TIME_ALIGNABLE CONSTRAINTS GRAPHIC_REFERENCES "
        "CONTROLLED_VOCABULARY_REF EXT_REF LEXICON_REF",
        "CONSTRAINT": "STEREOTYPE DESCRIPTION",
    }
    found = [element for element in document.iter() if element is not document]
    for element in found:
        assert set(element.attrib) <= set(allowed[element.tag].split()), element.tag
    ids = [value for element in found for name in ("TIME_SLOT_ID", "ANNOTATION_ID") if (value := element.get(name))]
    assert len(set(ids)) == len(ids), "both are of the type ID, of which a document has each once"
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", one) for one in ids)
    assert all(re.fullmatch(r"\d+", slot.attrib["TIME_VALUE"]) for slot in document.iter("TIME_SLOT"))
    assert document[0].attrib["TIME_UNITS"] == "milliseconds"
    last = document.findtext("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']")
    assert last == str(len(list(document.iter("ALIGNABLE_ANNOTATION"))))


def test_ids_are_unique_and_references_resolve(document: xml.Element) -> None:
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in document.iter("TIME_SLOT")}
    ids = [a.attrib["ANNOTATION_ID"] for a in document.iter("ALIGNABLE_ANNOTATION")]
    tiers = [tier.attrib["TIER_ID"] for tier in document.iter("TIER")]
    assert len(slots) == len(list(document.iter("TIME_SLOT")))
    assert len(set(ids)) == len(ids)
    assert len(set(tiers)) == len(tiers)
    assert list(slots.values()) == sorted(slots.values())
    for tier in document.iter("TIER"):
        spans = [(slots[a], slots[b]) for a, b, _ in annotations(tier)]
        assert all(a < b for a, b in spans)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_values_are_those_of_the_table(document: xml.Element, classified: Timeline) -> None:
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in document.iter("TIME_SLOT")}
    tier = document.find("TIER[@TIER_ID='face 1 sadness']")
    assert tier is not None
    rows = classified.of(1)["sadness"]
    expected = [(round(a * 1000), round(b * 1000), f"{v:.3f}") for (_, _, a, b), v in rows.items()]
    assert [(slots[a], slots[b], text) for a, b, text in annotations(tier)] == expected


def test_equal_neighbours_of_the_prediction_are_one_annotation(document: xml.Element, classified: Timeline) -> None:
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in document.iter("TIME_SLOT")}
    tier = document.find("TIER[@TIER_ID='face 0 prediction']")
    assert tier is not None
    spans = [(slots[a], slots[b], text) for a, b, text in annotations(tier)]
    seen = classified.of(0)["prediction"].dropna()
    assert sum(b - a for a, b, _ in spans) == 200 * len(seen)
    assert len(spans) < len(seen)
    for (_, _, start, _), word in seen.items():
        assert [text for a, b, text in spans if a <= round(start * 1000) < b] == [word]
    assert all(x[1] < y[0] or x[2] != y[2] for x, y in itertools.pairwise(spans))


def test_the_recording_is_linked(classified: Timeline, document: xml.Element) -> None:
    medium = document.find("HEADER/MEDIA_DESCRIPTOR")
    assert medium is not None
    assert Path(unquote(urlparse(medium.attrib["MEDIA_URL"]).path)) == Path("talk.mp4").resolve()
    assert medium.attrib["MIME_TYPE"] == "video/mp4"
    assert medium.attrib["RELATIVE_MEDIA_URL"].startswith("../")
    assert document[1].tag == "TIME_ORDER"


def test_a_recording_beside_the_document_or_on_another_drive(
    classified: Timeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def descriptor() -> dict[str, str]:
        written = xml.parse(classified.to_eaf(tmp_path / "talk.eaf")).getroot()
        return next(written.iter("MEDIA_DESCRIPTOR")).attrib

    monkeypatch.chdir(tmp_path)
    assert descriptor()["RELATIVE_MEDIA_URL"] == "./talk.mp4"

    def elsewhere(path: object, start: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("os.path.relpath", elsewhere)
    assert set(descriptor()) == {"MEDIA_URL", "MIME_TYPE"}


def test_spans_without_a_face_stay_empty(document: xml.Element) -> None:
    tier = document.find("TIER[@TIER_ID='nobody happiness']")
    assert tier is not None
    assert annotations(tier) == []
