"""What the ledger says about the judged corpus, in one word for every table."""

from __future__ import annotations

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.evaluation.exposure import what_was_seen
from mien.models.specification import Exposure


def entry(corpus: str = "wild", protocol: str = "", stage: str = "pretraining") -> Exposure:
    return Exposure(corpus=corpus, stage=stage, protocol=protocol)


def test_the_most_that_any_stage_has_seen_counts(corpus: Manifest) -> None:
    judged = Protocol(train=tuple(corpus.ids[:4]), test=tuple(corpus.ids[4:]))
    everything = Protocol(train=tuple(corpus.ids)).digest
    cases = {
        "unseen": (entry(), entry("other", "1" * 64)),
        "unknown": (entry("unknown"), entry("other", "1" * 64)),
        "corpus": (entry(), entry("renamed", judged.digest, "fine-tuning")),
        "perhaps": (entry(corpus.root.name.upper()), entry("renamed", judged.digest)),
        "clips": (entry("renamed", everything), entry(corpus.root.name)),
    }
    for level, ledger in cases.items():
        seen = what_was_seen(corpus, judged, ledger)
        assert seen.level == level
        assert seen.in_sample == (level in ("corpus", "perhaps", "clips"))
        assert ("in-sample" in seen.mark) == seen.in_sample


def test_a_corpus_may_be_named_and_a_manifest_may_hold_several(corpus: Manifest) -> None:
    judged = Protocol(test=tuple(corpus.ids))
    assert what_was_seen(corpus, judged, (entry("DFEW"),), corpus="dfew").level == "perhaps"
    several = Manifest(corpus.frame.assign(corpus=["MAFW", "DFEW"] * 6), corpus.root)
    assert what_was_seen(several, judged, (entry("DFEW"),)).level == "perhaps"
    (sentence,) = what_was_seen(several, judged, (entry("DFEW", stage="fine-tuning"),)).sentences()
    assert sentence.startswith("fine-tuning has seen clips of DFEW under another division")


def test_the_run_s_own_protocol_holds_clips_out(corpus: Manifest) -> None:
    own = Protocol(train=tuple(corpus.ids[:4]), test=tuple(corpus.ids[4:]))
    seen = what_was_seen(corpus, Protocol(test=tuple(corpus.ids[4:6])), (entry("x", own.digest),), own)
    assert seen.level == "corpus"
    assert seen.sentences() == []


def test_what_nobody_recorded_is_said(corpus: Manifest) -> None:
    seen = what_was_seen(
        corpus, Protocol(test=tuple(corpus.ids)), (entry("unknown"), entry("other", stage="fine-tuning"))
    )
    assert seen.mark == "not recorded"
    assert seen.sentences() == ["what pretraining has seen is not recorded: the judged clips may be among it"]
    assert seen.stages == (("pretraining", "unknown", "unknown"), ("fine-tuning", "other", "unseen"))


def test_nothing_is_said_where_nothing_is_recorded(corpus: Manifest) -> None:
    seen = what_was_seen(corpus, Protocol(test=tuple(corpus.ids)), ())
    assert seen.mark == "not recorded"
    assert not seen.sentences()


def test_another_corpus_of_the_same_manifest_is_unseen(corpus: Manifest) -> None:
    """Across corpora the run's own division keeps out a whole corpus, not clips of one."""
    several = Manifest(corpus.frame.assign(corpus=["MAFW"] * 4 + ["DFEW"] * 8), corpus.root)
    across = Protocol(train=tuple(corpus.ids[:4]), test=tuple(corpus.ids[4:]))
    within = Protocol(train=tuple(corpus.ids[:5]), test=tuple(corpus.ids[5:]))
    assert what_was_seen(several, across, (entry("both", across.digest),)).level == "unseen"
    assert what_was_seen(several, across, (entry("both", across.digest),), ids=corpus.ids[:2]).level == "corpus"
    assert what_was_seen(several, within, (entry("both", within.digest),)).level == "corpus"
    partly = Manifest(corpus.frame.assign(corpus=["MAFW"] * 4 + [None] * 8), corpus.root)
    assert what_was_seen(partly, across, (entry("both", across.digest),)).level == "corpus"
