"""The report: results of every method, turned into one page that stands by itself."""

from analysis.report.computing import compute
from analysis.report.results import Results
from analysis.report.write import write_report

__all__ = ["Results", "compute", "write_report"]
