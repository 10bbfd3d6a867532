"""The report: the answer to every question, turned into one page that stands by itself."""

from analysis.report.write import write_report

__all__ = ["write_report"]
