"""Every corpus in small: the official names and columns, with files that hold next to nothing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

from tests.data.corpora.building import Miniature, frames, touch, write


def dfew(root: Path) -> None:
    clips = [(number, number % 7 + 1, number % 5 + 1) for number in range(1, 11)]
    for fold in range(1, 6):
        for part, there in (("test", True), ("train", False)):
            rows = [f"{number},{label}" for number, label, own in clips if (own == fold) is there]
            text = "\r\n".join(["video_name,label", *rows])
            write(root, f"DFEW/EmoLabel_DataSplit/{part}(single-labeled)/set_{fold}.csv", text)
    frames(root, [f"DFEW/Clip/clip_224x224/{number:05d}" for number in range(1, 12)], "{1}_{0:05d}.jpg")


def crema_d(root: Path) -> None:
    names = ["1001_IEO_ANG_LO", "1001_DFA_NEU_XX", "1019_TIE_HAP_XX", "1091_ITH_SAD_XX"]
    touch(root, *(f"VideoFlash/{name}.flv" for name in names))
    rows = [f'{number},"{name}"' for number, name in enumerate(names, start=1)]
    write(root, "SentenceFilenames.csv", "\n".join(['"Stimulus_Number","Filename"', *rows]))
    people = ['1001,51,"Male","Caucasian","Not Hispanic"', '1019,22,"Female","Asian","Not Hispanic"']
    write(root, "VideoDemographics.csv", "\n".join(['"ActorID","Age","Sex","Race","Ethnicity"', *people]))
    votes = ['"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"']
    votes += [f'"{at}","{name}","N","60","N","60","{vote}","60"' for at, (name, vote) in enumerate(
        zip(names, ("A", "A:N", "H", "N"), strict=True))]  # fmt: skip
    write(root, "processedResults/summaryTable.csv", "\n".join(votes))


def ravdess(root: Path) -> None:
    """All takes of speech, since the design of the corpus is the list."""
    for actor in range(1, 25):
        for emotion in range(1, 9):
            for intensity in (1, 2) if emotion > 1 else (1,):
                for take in ("01-01", "01-02", "02-01", "02-02"):
                    name = f"01-{emotion:02d}-{intensity:02d}-{take}-{actor:02d}"
                    write(root, f"Actor_{actor:02d}/01-{name}.mp4", "x")
                    if actor == 24:
                        write(root, f"Actor_{actor:02d}/02-{name}.mp4", "x")


def ferv39k(root: Path) -> None:
    lists = {"train": ("Crime/Angry/0063 Angry", "War/Fear/0063 Fear"), "test": ("Crime/Happy/0001 Happy",)}
    for part, rows in lists.items():
        write(root, f"drive-download-1/4_setups/All_scenes/{part}_All.csv", "\n".join(rows) + "\n\n")
    clips = [row.split()[0] for rows in lists.values() for row in rows]
    frames(root, [f"2_ClipsforFaceCrop-002/2_ClipsforFaceCrop/{clip}" for clip in clips])
    touch(root, *(f"0_7_LabelClips/{clip}.mp4" for clip in clips))


def mafw(root: Path) -> None:
    """Single labels without captions, compound labels with them in GBK."""
    names = ("anger", "disgust", "fear", "contempt", "anxiety")
    for fold in range(1, 6):
        for part in ("train", "test"):
            own = [at for at in range(5) if (at + 1 == fold) is (part == "test")]
            single = "\n".join(f"{at + 25:05d}.mp4 {names[at]}" for at in own)
            write(root, f"Train & Test Set/single/no_caption/set_{fold}/{part}.txt", single)
            joined = "\r\n".join(f"{at + 25:05d}.mp4\tsadness_surprise\t一个男人大声讲话。\tA man talks." for at in own)
            place = f"Train & Test Set/compound/with_caption_new/set_{fold}/{part}.txt"
            write(root, place, joined.encode("gbk"))
    touch(root, *(f"data/clips/{at + 25:05d}.mp4" for at in range(6)))
    frames(root, [f"data/frames/{at + 25:05d}" for at in range(5)], "{0:05d}.png")


def enterface05(root: Path) -> None:
    """All clips, since the design of the corpus is the list; names of files lie as in the original."""
    for subject in range(1, 45):
        for emotion in ("anger", "disgust", "fear", "happiness", "sadness", "surprise"):
            if subject == 6:
                write(root, f"enterface database/subject 6/{emotion}/s6_{emotion[:2]}.avi", "x")
                continue
            for sentence in range(1, 6):
                if (subject, emotion) != (23, "happiness") or sentence > 3:
                    name = f"s{12 if subject == 11 else subject}_{emotion[:2]}_{sentence}.avi"
                    place = f"enterface database/subject {subject}/{emotion}/sentence {sentence}"
                    write(root, f"{place}/{name}", "x")


def voxceleb2(root: Path) -> None:
    touch(root, *(f"dev/mp4/{name}.mp4" for name in (
        "id00134/oEx3CRfDXMQ/00048", "id00134/oEx3CRfDXMQ/00049", "id08423/abc_-def123/00001")))  # fmt: skip
    rows = ["VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set ", "id00134 ,n000140 ,f ,dev ", "id08423 ,n000009 ,m ,dev ",
            "id00017 ,n000001 ,m ,test "]  # fmt: skip
    write(root, "vox2_meta.csv", "\ufeff" + "\r\n".join(rows))


def lrs3(root: Path) -> None:
    for name in ("pretrain/0af00UcTOSc/00001", "trainval/UGtFXtnWME4/50021", "test/0Fi83BHQsMA/00002"):
        touch(root, f"lrs3/{name}.mp4")
        write(root, f"lrs3/{name}.txt", "Text:  SO IT GOES\nConf:  4\n\nWORD START END ASDSCORE\nSO 0.1 0.2 3.1\n")


def _course(values: int, step: float = 0.1, start: str = "", separator: str = ";") -> str:
    """Four rows of a time and values that grow by 0.1 a row, the next value 0.2 above."""
    rows = [[f"{step * at:.2f}", *(f"{0.1 * at + 0.2 * one:.2f}" for one in range(values))] for at in range(4)]
    return "\n".join(start + separator.join(row) for row in rows)


SEWA = ("SAH_C1_S001_P001_VC1_000742_001590", "SAH_C6_S181_P362_VC1_000000_000100")


def sewa(root: Path) -> None:
    for name in SEWA:
        touch(root, f"{name}/{name}.avi")
        for value in ("Arousal", "Valence"):
            write(
                root, f"{name}/{value.lower()}/{name}_{value}_V_Aligned.csv", "time,A1,A2\n" + _course(2, separator=",")
            )


def sewa_avec(root: Path) -> None:
    for name in ("Train_DE_01", "Devel_HU_14"):
        header = "name;timestamp;arousal;valence;liking\n" if name.startswith("Train") else ""
        write(root, f"AVEC2019/labels/{name}.csv", header + _course(3, start=f"'{name}';"))
        touch(root, f"AVEC2019/video/{name}.avi", f"AVEC2019/audio/{name}.wav")


def recola(root: Path) -> None:
    people = (16, 17, 19, 21, 23, 25, 26, 28, 30, 34, 37, 39, 41, 42, 43, 45, 46, 48, 56, 58, 62, 64, 65)
    header = "time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3\n"
    for person in people:
        for value in ("arousal", "valence"):
            write(root, f"RECOLA-Annotation/emotional_behaviour/{value}/P{person}.csv", header + _course(6, 0.04))
        if person != 17:
            touch(root, f"RECOLA-Video-recordings/P{person}.mp4")
    rows = [f"{person} ;{person // 2};x" for person in people]
    write(root, "RECOLA-metadata.csv", "\n".join(["User ;Group_id;Gender", *rows, ";;mean"]))


def recola_avec(root: Path) -> None:
    head = "@relation GOLDSTANDARD\n@attribute Instance_name string\n@attribute frameTime numeric\n"
    for name in ("train_1", "dev_2"):
        touch(root, f"recordings_video/{name}.mp4")
        for value in ("arousal", "valence"):
            rows = "\n".join(f"{name},{0.04 * at:.2f},-0.0{at}" for at in range(4))
            gold = f"{head}@attribute GoldStandard numeric\n@data\n{rows}\n"
            write(root, f"ratings_gold_standard/{value}/{name}.arff", gold)
            write(root, f"ratings_individual/{value}/{name}.csv", "time;a;b;c;d;e;f\n" + _course(6, 0.04))


def msp_face(root: Path) -> None:
    """Two segments as files, one only inside its video, one without a majority class."""
    entries = {"0001_0001": ("H", "Train", "1"), "0001_0002": ("X", "Train", "1"),
               "0002_0001": ("C", "Validation", "2"), "0003_0001": ("A", "Test", "3")}  # fmt: skip
    labels = {
        f"MSP-FACE_{name}.mp4": [{"EmoClass_Major": letter, "EmoAct": "5.43", "EmoDom": "5.0", "EmoVal": "4.86",
                                  "SpkrID": speaker, "Gender": "Female", "Split_Set": part}]
        for name, (letter, part, speaker) in entries.items()
    }  # fmt: skip
    write(root, "Labels/label_consensus.json", json.dumps(labels))
    write(root, "Doc/Partitions.txt", "\n".join(f"{one[1]}; MSP-FACE_{name}.mp4" for name, one in entries.items()))
    write(root, "Doc/speaker_id_segments.txt",
          "\r\n".join(f"MSP-FACE_{name}.mp4,Speaker_{one[2]}" for name, one in entries.items()))  # fmt: skip
    write(root, "Doc/segments_data.txt", "\r\n".join(f"1.5\t4.25\tMSP-FACE_{name}.mp4" for name in entries))
    for name in ("0001_0001", "0001_0002", "0002_0001"):
        video = f"MSP-FACE_{name[:4]}"
        touch(root, f"MSP-Face/{video}/Segments/MSP-FACE_{name}/MSP-FACE_{name}.mp4")
    touch(root, "MSP-Face/MSP-FACE_0003/MSP-FACE_0003.mp4")


_HUME = "Adoration,Amusement,Anxiety,Disgust,Empathic-Pain,Fear,Surprise"


def hume_reaction(root: Path) -> None:
    write(root, "c2_muse_reaction_2022/partition.csv", "Id,Proposal\n[00001],train\n[00002],devel\n[00003],test\n")
    rows = [f"[0000{at}],0.1,0.2,0.3,0.4,0.5,0.6,0.{at}" for at in (1, 2)]
    write(root, "c2_muse_reaction_2022/labels.csv", "\n".join([f"File_ID,{_HUME}", *rows]))
    touch(root, *(f"raw/{part}/0000{at}.mp4" for at, part in enumerate(("train", "devel", "test"), start=1)))


def hume_info(root: Path) -> None:
    rows = [
        "[00001],Train,0.1,0.2,0.3,0.4,0.5,0.6,0.1",
        "[00002],Val,0.1,0.2,0.3,0.4,0.5,0.6,0.2",
        "[00003],Test,,,,,,,",
    ]
    write(root, "data_info.csv", "\n".join([f"File_ID,Split,{_HUME}", *rows]))
    touch(root, *(f"mp4/0000{at}.mp4" for at in (1, 2, 3)))


def werewolf_xl(root: Path) -> None:
    rows = ["01_01_128_aligned,0.5,0.25,1.0", "07_02_001_aligned,1.0,-0.25,1.0", "30_08_010_aligned,1.0,0.5,0.5"]
    header = "VideoName,Mean_A_1_2_4,Mean_P_1_2_4,Mean_D_1_2_4"
    write(root, "Train_CV_1.csv", "\n".join([header, *rows[:2]]))
    write(root, "Test_CV_1.csv", "\n".join([header, *rows[1:]]))
    for row in rows:
        name = row.split(",")[0]
        frames(root, [f"openface/{name.removesuffix('_aligned')}/{name}"], "frame_det_00_{0:06d}.bmp")


def avcaffe(root: Path) -> None:
    tasks = ("aiim001_task_1", "aiim003_task_2")
    words = {"arousal": ("Excited", "Calm"), "valence": ("Unsatisfied", "Pleased"), "mental_demand": ("12.0", "3")}
    for name, values in words.items():
        rows = [f"{task}, {value}" for task, value in zip(tasks, values, strict=True)]
        write(root, f"data/ground_truths/{name}.txt", "\n".join(["participant and task", *rows]))
    touch(
        root,
        *(f"data/videos/shorter_segments/{task[:7]}/{task[8:]}/{task}_{at}.avi" for task in tasks for at in (1, 2)),
    )


TRAITS = ("extraversion", "neuroticism", "agreeableness", "conscientiousness", "interview", "openness")


def first_impressions(root: Path) -> None:
    files = {"training": ("_uNup91ZYw0.002", "-AmMDnVl4s8.003"), "validation": ("-AmMDnVl4s8.001",),
             "test": ("abcdefghijk.000",)}  # fmt: skip
    for at, (part, names) in enumerate(files.items()):
        table = {trait: {f"{name}.mp4": 0.1 * at + 0.01 * len(trait) for name in names} for trait in TRAITS}
        short = {"training": "train", "validation": "val", "test": "test"}[part]
        write(root, f"{short}-annotation/annotation_{part}.pkl", pickle.dumps(table, protocol=2))
        touch(root, *(f"{short}-1/{part}80_01/{name}.mp4" for name in names))


def class_folders(root: Path) -> None:
    touch(root, "train/happy/s1_a.mp4", "train/sad/s2_b.mp4", "test/happy/s3_c.avi")


def frame_folders(root: Path) -> None:
    frames(root, ["faces/s1/a", "faces/s2/b"])
    write(root, "labels.csv", "id,subject,split,label\nfaces/s1/a,s1,train,calm\nfaces/s2/b,s2,test,tense\n")


MINIATURES: dict[str, Miniature] = {
    "dfew": Miniature(
        dfew,
        tuple(f"{number:05d}" for number in range(1, 11)),
        {"label": ("sad", "neutral", "angry", "surprise", "disgust", "fear", "happy", "sad", "neutral", "angry"),
         "fold": ("2", "3", "4", "5", "1") * 2},
        remove="DFEW/Clip/clip_224x224/00003",
        lists="DFEW/EmoLabel_DataSplit/test(single-labeled)/set_3.csv",
        cropped=True,
    ),
    "crema-d": Miniature(
        crema_d,
        ("1001_DFA_NEU_XX", "1001_IEO_ANG_LO", "1019_TIE_HAP_XX", "1091_ITH_SAD_XX"),
        {"label": ("neutral", "angry", "happy", "sad"), "subject": ("1001", "1001", "1019", "1091"),
         "fold": ("1", "1", "2", "5"), "level": ("unspecified", "low", "unspecified", "unspecified"),
         "sex": ("male", "male", "female", None)},
        remove="VideoFlash/1019_TIE_HAP_XX.flv",
    ),
    "ferv39k": Miniature(
        ferv39k,
        ("Crime/Angry/0063", "Crime/Happy/0001", "War/Fear/0063"),
        {"label": ("angry", "happy", "fear"), "split": ("train", "test", "train"), "scene": ("Crime", "Crime", "War")},
        remove="2_ClipsforFaceCrop-002/2_ClipsforFaceCrop/War/Fear/0063",
        lists="drive-download-1/4_setups/All_scenes/test_All.csv",
        cropped=True,
    ),
    "ferv39k recordings": Miniature(
        ferv39k,
        ("Crime/Angry/0063", "Crime/Happy/0001", "War/Fear/0063"),
        remove="0_7_LabelClips/War/Fear/0063.mp4",
        choices={"pictures": "recordings"},
        columns={"split": ("train", "test", "train")},
    ),
    "mafw": Miniature(
        mafw,
        ("00025", "00026", "00027", "00028", "00029"),
        {"label": ("anger", "disgust", "fear", "contempt", "anxiety"), "fold": ("1", "2", "3", "4", "5")},
        remove="data/clips/00027.mp4",
        lists="Train & Test Set/single/no_caption/set_4/train.txt",
    ),
    "mafw compound": Miniature(
        mafw,
        ("00025", "00026", "00027", "00028", "00029"),
        {"label": ("sadness_surprise",) * 5, "text": ("A man talks.",) * 5, "text_zh": ("一个男人大声讲话。",) * 5,
         "fold": ("1", "2", "3", "4", "5")},
        remove="data/frames/00028",
        lists="Train & Test Set/compound/with_caption_new/set_2/test.txt",
        choices={"labels": "compound", "captions": "yes", "pictures": "frames"},
    ),
    "voxceleb2": Miniature(
        voxceleb2,
        ("id00134/oEx3CRfDXMQ/00048", "id00134/oEx3CRfDXMQ/00049", "id08423/abc_-def123/00001"),
        {"subject": ("id00134", "id00134", "id08423"), "sex": ("female", "female", "male"),
         "group": ("id00134/oEx3CRfDXMQ",) * 2 + ("id08423/abc_-def123",), "split": ("train",) * 3},
        remove="dev/mp4/id08423",
        cropped=True,
    ),
    "lrs3": Miniature(
        lrs3,
        ("pretrain/0af00UcTOSc/00001", "test/0Fi83BHQsMA/00002", "trainval/UGtFXtnWME4/50021"),
        {"split": ("train", "test", "train"), "group": ("0af00UcTOSc", "0Fi83BHQsMA", "UGtFXtnWME4"),
         "text": ("SO IT GOES",) * 3},
        remove="lrs3/trainval/UGtFXtnWME4/50021.mp4",
        lists="lrs3/test",
        choices={"text": "yes"},
        cropped=True,
    ),
    "sewa": Miniature(
        sewa,
        SEWA,
        {"subject": ("P001", "P362"), "group": ("S001", "S181"), "culture": ("C1", "C6")},
        remove=f"{SEWA[1]}/{SEWA[1]}.avi",
    ),
    "sewa avec": Miniature(
        sewa_avec,
        ("Devel_HU_14", "Train_DE_01"),
        {"split": ("validation", "train"), "culture": ("HU", "DE")},
        remove="AVEC2019/video/Devel_HU_14.avi",
        lists="AVEC2019/labels",
        choices={"form": "avec"},
    ),
    "recola": Miniature(
        recola,
        tuple(f"P{number}" for number in (16, 19, 21, 23, 25, 26, 28, 30, 34, 37, 39, 41, 42, 43, 45, 46, 48, 56, 58,
                                          62, 64, 65)),
        remove="RECOLA-Video-recordings/P65.mp4",
        lists="RECOLA-Annotation/emotional_behaviour/valence",
    ),
    "recola avec": Miniature(
        recola_avec,
        ("dev_2", "train_1"),
        {"split": ("validation", "train"), "subject": ("dev_2", "train_1")},
        remove="recordings_video/dev_2.mp4",
        lists="ratings_gold_standard",
        choices={"form": "avec", "labels": "gold"},
    ),
    "msp-face": Miniature(
        msp_face,
        ("MSP-FACE_0001_0001", "MSP-FACE_0002_0001", "MSP-FACE_0003_0001"),
        {"label": ("happy", "contempt", "angry"), "split": ("train", "validation", "test"),
         "subject": ("Speaker_1", "Speaker_2", "Speaker_3"), "start": (None, None, 1.5), "end": (None, None, 4.25),
         "activation": (5.43,) * 3},
        remove="MSP-Face/MSP-FACE_0002",
        lists="Doc/Partitions.txt",
        patchy=True,
    ),
    "hume-reaction": Miniature(
        hume_reaction,
        ("00001", "00002"),
        {"split": ("train", "validation"), "Surprise": (0.1, 0.2), "Empathic-Pain": (0.5, 0.5)},
        remove="raw/devel/00002.mp4",
        lists="c2_muse_reaction_2022/labels.csv",
    ),
    "hume-reaction info": Miniature(
        hume_info,
        ("00001", "00002", "00003"),
        {"split": ("train", "validation", "test"), "Surprise": (0.1, 0.2, None)},
        remove="mp4/00001.mp4",
        choices={"test": "with"},
    ),
    "werewolf-xl": Miniature(
        werewolf_xl,
        ("01_01_128", "07_02_001", "30_08_010"),
        {"fold": ("1", "2", "5"), "valence": (0.25, -0.25, 0.5), "group": ("01", "07", "30")},
        remove="openface/07_02_001",
        cropped=True,
    ),
    "avcaffe": Miniature(
        avcaffe,
        tuple(f"{place}/{place.replace('/', '_')}_{at}" for place in ("aiim001/task_1", "aiim003/task_2")
              for at in (1, 2)),
        {"split": ("test", "test", "train", "train"), "arousal": ("excited", "excited", "calm", "calm"),
         "valence": ("unsatisfied", "unsatisfied", "pleased", "pleased"), "mental_demand": (12.0, 12.0, 3.0, 3.0),
         "subject": ("aiim001", "aiim001", "aiim003", "aiim003")},
        remove="data/videos/shorter_segments/aiim003",
        lists="data/ground_truths/valence.txt",
    ),
    "first-impressions": Miniature(
        first_impressions,
        ("-AmMDnVl4s8.001", "-AmMDnVl4s8.003", "_uNup91ZYw0.002", "abcdefghijk.000"),
        {"subject": ("-AmMDnVl4s8", "-AmMDnVl4s8", "_uNup91ZYw0", "abcdefghijk"),
         "split": ("validation", "train", "train", "test"), "openness": (0.18, 0.08, 0.08, 0.28)},
        remove="val-1",
        lists="val-annotation/annotation_validation.pkl",
    ),
    "class-folders": Miniature(
        class_folders,
        ("test/happy/s3_c", "train/happy/s1_a", "train/sad/s2_b"),
        {"label": ("happy", "happy", "sad"), "subject": ("s3", "s1", "s2"), "split": ("test", "train", "train")},
        choices={"subject": r"(s\d+)_"},
    ),
    "frame-folders": Miniature(
        frame_folders,
        ("faces/s1/a", "faces/s2/b"),
        {"label": ("calm", "tense"), "subject": ("s1", "s2"), "split": ("train", "test"), "fps": (12.5, 12.5)},
        remove="faces/s2/b",
        lists="labels.csv",
        choices={"table": "labels.csv", "fps": "12.5", "faces": "yes"},
        cropped=True,
    ),
}  # fmt: skip
