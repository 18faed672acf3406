"""What only one corpus has: designs as lists, label files over time, pickles, pointers, votes, damage."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.data.corpora.building import frames, touch, write
from tests.data.corpora.miniatures import (
    avcaffe,
    crema_d,
    dfew,
    enterface05,
    ferv39k,
    first_impressions,
    hume_reaction,
    mafw,
    msp_face,
    recola,
    recola_avec,
    sewa,
    sewa_avec,
    voxceleb2,
    werewolf_xl,
)

from mien.data.corpora import get_corpus
from mien.data.corpora.official import write_official
from mien.data.manifest import Manifest
from mien.errors import UsageError


def labels_of(name: str, copy: Path, out: Path, **choices: str) -> pd.DataFrame:
    """Label file of the first row."""
    manifest = Manifest.read(write_official(get_corpus(name), copy, out, choices, partial=True).manifest)
    row = manifest.row(manifest.ids[0])
    assert row.labels is not None
    return pd.read_csv(row.labels)


def test_enterface_goes_by_folders_and_is_as_published(tmp_path: Path) -> None:
    enterface05(tmp_path)
    scan = get_corpus("enterface05").scan(tmp_path)
    assert [finding.level for finding in scan.findings] == ["note"]
    assert len(scan.findings[0].items) == 6
    rows = scan.frame.set_index("id")
    assert len(rows) == 1287
    assert "subject 11" in rows.loc["11/anger/1", "path"]
    assert (rows.loc["11/anger/1", "fold"], rows.loc["10/anger/1", "fold"]) == ("2", "1")


@pytest.mark.parametrize(
    ("name", "build", "choices", "arousal"),
    [
        ("sewa", sewa, {}, [0.1, 0.2, 0.3, 0.4]),
        ("sewa", sewa, {"delay": "0.1"}, [0.2, 0.3, 0.4]),
        ("sewa", sewa_avec, {"form": "avec"}, [0.0, 0.1, 0.2, 0.3]),
        ("recola", recola, {}, [0.5, 0.6, 0.7, 0.8]),
        ("recola", recola_avec, {"form": "avec"}, [0.5, 0.6, 0.7, 0.8]),
        ("recola", recola_avec, {"form": "avec", "labels": "gold"}, [0.0, -0.01, -0.02, -0.03]),
    ],
)
def test_label_files(name: str, build: object, choices: dict[str, str], arousal: list[float], tmp_path: Path) -> None:
    """Means of the raters, worked by hand; a delay takes the first rows away."""
    build(tmp_path / "copy")  # type: ignore[operator]
    table = labels_of(name, tmp_path / "copy", tmp_path / "out", **choices)
    assert table["arousal"].to_numpy() == pytest.approx(arousal)
    assert table["time"].iloc[0] == 0
    if build is sewa_avec:
        assert (table["valence"] - table["arousal"]).to_numpy() == pytest.approx(0.2)
        assert (table["liking"] - table["arousal"]).to_numpy() == pytest.approx(0.4)


def test_delay_must_be_a_number(tmp_path: Path) -> None:
    sewa(tmp_path / "copy")
    with pytest.raises(UsageError, match="delay='soon' is not a number"):
        labels_of("sewa", tmp_path / "copy", tmp_path / "out", delay="soon")


def test_recola_names_pairs_and_excuses_the_absent_video(tmp_path: Path) -> None:
    recola(tmp_path)
    scan = get_corpus("recola").scan(tmp_path)
    assert scan.frame.set_index("id")["group"].loc["P65"] == "32"
    assert [(finding.level, finding.items) for finding in scan.findings] == [("note", ("P17",))]


def test_crema_d_votes_and_pointers(tmp_path: Path) -> None:
    crema_d(tmp_path)
    corpus = get_corpus("crema-d")
    rows = corpus.scan(tmp_path, label="perceived").frame.set_index("id")["label"]
    # 1001_DFA_NEU_XX has a tie; 1091_ITH_SAD_XX was seen as neutral.
    assert rows.to_dict() == {"1001_IEO_ANG_LO": "angry", "1019_TIE_HAP_XX": "happy", "1091_ITH_SAD_XX": "neutral"}
    told = [one for one in corpus.scan(tmp_path, label="perceived").findings if one.items == ("1001_DFA_NEU_XX",)]
    assert [one.text for one in told] == ["1 clip(s) without a single winner are left out"]
    (tmp_path / "SentenceFilenames.csv").unlink()
    assert any("was not checked clip by clip" in finding.text for finding in corpus.scan(tmp_path).findings)
    write(tmp_path, "VideoFlash/1001_IEO_ANG_LO.flv", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(UsageError, match=r"1001_IEO_ANG_LO.flv: holds a pointer of git-lfs.*git lfs pull"):
        corpus.scan(tmp_path)


def test_clips_with_known_damage_are_excused(tmp_path: Path) -> None:
    crema_d(tmp_path)
    names = (tmp_path / "SentenceFilenames.csv").read_text()
    write(tmp_path, "SentenceFilenames.csv", names + '\n5,"1076_MTI_SAD_XX"\n')
    scan = get_corpus("crema-d").scan(tmp_path)
    assert not scan.of_level("error")
    assert any("a picture of an error" in one.text and one.items == ("1076_MTI_SAD_XX",) for one in scan.findings)


def test_dfew_spellings_and_lists_that_contradict(tmp_path: Path) -> None:
    dfew(tmp_path)
    lists = tmp_path / "DFEW/EmoLabel_DataSplit"
    (lists / "test(single-labeled)/set_2.csv").rename(lists / "test(single-labeled)/test_set_2.csv")
    scan = get_corpus("dfew").scan(tmp_path)
    assert len(scan.frame) == 10
    train = lists / "train(single-labeled)/set_1.csv"
    train.write_text("\n".join(train.read_text().split("\n")[:-1]))
    scan = get_corpus("dfew").scan(tmp_path)
    assert any("fold 1 are in both or neither" in one.text and one.items == ("00009",) for one in scan.findings)
    write(tmp_path, "DFEW/EmoLabel_DataSplit/test(single-labeled)/set_1.csv", "video_name,label\n5,8\n")
    with pytest.raises(UsageError, match=r"set_1.csv: '8' is no class of dfew \(1, 2, 3, 4, 5, 6, 7\)"):
        get_corpus("dfew").scan(tmp_path)


def test_ferv39k_folder_and_name_must_agree(tmp_path: Path) -> None:
    ferv39k(tmp_path)
    file = tmp_path / "drive-download-1/4_setups/All_scenes/test_All.csv"
    file.write_text("Crime/Happy/0001 Sad\n")
    with pytest.raises(UsageError, match="Crime/Happy/0001 is listed as Sad"):
        get_corpus("ferv39k").scan(tmp_path)


def test_unlisted_and_empty_clips_are_told(tmp_path: Path) -> None:
    ferv39k(tmp_path)
    touch(tmp_path, "0_7_LabelClips/War/Sad/0009.mp4")
    findings = get_corpus("ferv39k").scan(tmp_path, pictures="recordings").findings
    assert any("in no list" in one.text and one.items == ("War/Sad/0009",) for one in findings)
    mafw(tmp_path / "mafw")
    (tmp_path / "mafw/data/frames/00025/00001.png").unlink()
    (tmp_path / "mafw/data/frames/00025/00002.png").unlink()
    scan = get_corpus("mafw").scan(tmp_path / "mafw", pictures="frames")
    assert "00025" not in set(scan.frame["id"])
    assert any("hold no picture" in one.text for one in scan.findings)


def test_first_impressions_never_executes_a_pickle(tmp_path: Path) -> None:
    class Crafted:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os

            return os.mkdir, (str(tmp_path / "broken-in"),)

    first_impressions(tmp_path)
    file = tmp_path / "train-annotation/annotation_training.pkl"
    write(tmp_path, str(file.relative_to(tmp_path)), pickle.dumps({"openness": Crafted()}))
    with pytest.raises(UsageError, match=r"annotation_training.pkl: not a plain table .*mkdir"):
        get_corpus("first-impressions").scan(tmp_path)
    assert not (tmp_path / "broken-in").exists()
    names = {"interview": 0.5, "openness": 0.5, "conscientiousness": 0.5, "extraversion": 0.5, "agreeableness": 0.5}
    table = {name: {"abcdefghijk.000.mp4": np.float64(value)} for name, value in {**names, "neuroticism": 0.25}.items()}
    write(tmp_path, str(file.relative_to(tmp_path)), pickle.dumps(table))
    touch(tmp_path, "train-1/abcdefghijk.000.mp4")
    rows = get_corpus("first-impressions").scan(tmp_path).frame
    assert rows.set_index("id").loc["abcdefghijk.000", "neuroticism"] == pytest.approx(0.25)


def test_hume_labels_must_be_there_once(tmp_path: Path) -> None:
    hume_reaction(tmp_path)
    labels = tmp_path / "c2_muse_reaction_2022/labels.csv"
    text = labels.read_text()
    labels.write_text(text + "\n[00002],0,0,0,0,0,0,0\n")
    with pytest.raises(UsageError, match="clip 00002 has two rows"):
        get_corpus("hume-reaction").scan(tmp_path)
    labels.write_text(text.split("[00002]")[0])
    scan = get_corpus("hume-reaction").scan(tmp_path)
    assert [finding.items for finding in scan.of_level("error")] == [("00002",)]


def test_werewolf_takes_a_table_of_other_columns(tmp_path: Path) -> None:
    werewolf_xl(tmp_path)
    write(tmp_path, "mine.csv", "clip,a,v,d\n01_01_128,0.1,0.2,0.3\n")
    columns = "id:clip,arousal:a,valence:v,dominance:d"
    rows = get_corpus("werewolf-xl").scan(tmp_path, table="mine.csv", columns=columns).frame
    assert rows[["arousal", "valence", "dominance"]].iloc[0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(UsageError, match="goes with table=FILE"):
        get_corpus("werewolf-xl").scan(tmp_path, columns="id:clip")


def test_voxceleb2_without_its_list_of_people(tmp_path: Path) -> None:
    voxceleb2(tmp_path)
    (tmp_path / "vox2_meta.csv").unlink()
    scan = get_corpus("voxceleb2").scan(tmp_path)
    assert len(scan.frame) == 3
    assert any("was not checked" in one.text for one in scan.of_level("warning"))
    with pytest.raises(UsageError, match="no test here"):
        get_corpus("voxceleb2").scan(tmp_path, part="test")


@pytest.mark.parametrize("pattern", ["(", "s1", "(x)_"])
def test_subjects_by_names_need_one_group_that_finds_somebody(pattern: str, tmp_path: Path) -> None:
    touch(tmp_path, "happy/s1_a.mp4")
    with pytest.raises(UsageError, match="subject="):
        get_corpus("class-folders").scan(tmp_path, subject=pattern)
    unknown = get_corpus("class-folders").scan(tmp_path)
    assert any("subjects are unknown" in one.text for one in unknown.findings)


def test_subjects_that_are_not_found_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"happy/{name}.mp4" for name in ("s1_a", "guest", "link", "other", "test")))
    with pytest.raises(UsageError, match=r"subject=\(s\\d\) finds nobody in 4 of 5 names, such as 'happy/guest', "):
        get_corpus("class-folders").scan(tmp_path, subject=r"(s\d)")


def test_ones_own_corpus_goes_by_its_folder_or_by_a_chosen_name(tmp_path: Path) -> None:
    """Else two collections would be one corpus in ledgers, and a model held to have seen the other."""
    for folder in ("lab", "field"):
        touch(tmp_path, f"{folder}/Wu\u0308tend/s1_a.mp4", f"{folder}/froh/s1_b.mp4")
        write_official(get_corpus("class-folders"), tmp_path / folder, tmp_path / f"{folder}-out")
    first, second = (pd.read_csv(tmp_path / f"{folder}-out/manifest.csv") for folder in ("lab", "field"))
    assert (set(first["corpus"]), set(second["corpus"])) == ({"lab"}, {"field"})
    assert set(first["label"]) == {"W\u00fctend", "froh"}  # one character, as it is typed
    corpus = get_corpus("class-folders")
    write_official(corpus, tmp_path / "lab", tmp_path / "named", {"name": "lab-2024"})
    assert set(pd.read_csv(tmp_path / "named/manifest.csv")["corpus"]) == {"lab-2024"}


def test_a_single_class_is_told(tmp_path: Path) -> None:
    """The commonest mistake with class folders is to name one of them."""
    touch(tmp_path, "happy/s1/a.mp4", "happy/s2/a.mp4")
    scan = get_corpus("class-folders").scan(tmp_path, subject=r"/(s\d)/")
    assert [one.line for one in scan.findings] == [
        "'happy' is the only class; give the folder that holds a folder for each class"
    ]


def test_avcaffe_faces_have_sixteen_frames_a_second(tmp_path: Path) -> None:
    avcaffe(tmp_path)
    frames(
        tmp_path, [f"data/images/shorter_segments_face/{task}/clip_1" for task in ("aiim001/task_1", "aiim003/task_2")]
    )
    scan = get_corpus("avcaffe").scan(tmp_path, pictures="faces")
    assert scan.cropped
    assert scan.frame["id"].tolist() == ["aiim001/task_1/clip_1", "aiim003/task_2/clip_1"]
    assert set(scan.frame["fps"]) == {16.0}


@pytest.mark.parametrize(
    ("pictures", "clip"),
    [
        ("faces16", "DFEW/Clip/clip_224x16f/{0:05d}"),
        ("faces", "DFEW/Clip/clip_224x224/clip_224x224_part_1/{0:05d}"),
        ("recordings", "DFEW/Clip/original/part_1/{0:05d}.mp4"),
    ],
)
def test_dfew_in_other_forms_and_wrapped_parts(pictures: str, clip: str, tmp_path: Path) -> None:
    """Padded or not, sixteen frames or all, faces or recordings, each part of the archive in a folder of its own."""
    dfew(tmp_path)
    shutil.rmtree(tmp_path / "DFEW/Clip")
    names = [clip.format(number) for number in range(1, 11)]
    if pictures == "recordings":
        touch(tmp_path, *names)
    else:
        frames(tmp_path, names, "{0}.jpg")
    scan = get_corpus("dfew").scan(tmp_path, pictures=pictures)
    assert [Path(path).relative_to(tmp_path).as_posix() for path in scan.frame["path"]] == names
    assert scan.cropped is (pictures != "recordings")


def test_crema_d_without_the_damaged_clips(tmp_path: Path) -> None:
    crema_d(tmp_path)
    listing = tmp_path / "SentenceFilenames.csv"
    listing.write_text(listing.read_text() + '\n5,"1064_IEO_DIS_MD"\n')
    touch(tmp_path, "VideoFlash/1064_IEO_DIS_MD.flv")
    corpus = get_corpus("crema-d")
    whole, dropped = (corpus.scan(tmp_path, damaged=choice) for choice in ("keep", "drop"))
    assert set(whole.frame["id"]) - set(dropped.frame["id"]) == {"1064_IEO_DIS_MD"}
    assert any("published are 7,437" in one.text for one in dropped.findings)


def test_msp_face_says_nothing_of_segments_without_a_label(tmp_path: Path) -> None:
    """Two thirds of the official segments have none, so they are nothing odd."""
    msp_face(tmp_path)
    touch(tmp_path, "MSP-Face/MSP-FACE_0001/Segments/MSP-FACE_0001_0009/MSP-FACE_0001_0009.mp4")
    assert not any("in no list" in one.text for one in get_corpus("msp-face").scan(tmp_path).findings)


def test_enterface_with_underscores_for_blanks(tmp_path: Path) -> None:
    enterface05(tmp_path)
    for folder in sorted((tmp_path / "enterface database").glob("subject *")):
        folder.rename(folder.with_name(folder.name.replace(" ", "_")))
    assert len(get_corpus("enterface05").scan(tmp_path).frame) == 1287
