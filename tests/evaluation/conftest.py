"""Fixtures of the brightness corpus for every test of evaluation."""

from tests.evaluation.brightness import classifier, corpus, make_bundle, reader, register, run

__all__ = ["classifier", "corpus", "make_bundle", "reader", "register", "run"]
