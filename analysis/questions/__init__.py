"""The questions of a report, one folder each: numbers, figures, text and section of a chapter."""
