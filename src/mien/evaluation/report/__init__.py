"""Results as one HTML page that loads nothing from elsewhere, and the same tables as CSV, LaTeX and Markdown."""

from mien.evaluation.report.page import Look, render, write_report
from mien.evaluation.report.sources import Source, load_source, of_result
from mien.evaluation.report.tables import interval_text

__all__ = ["Look", "Source", "interval_text", "load_source", "of_result", "render", "write_report"]
