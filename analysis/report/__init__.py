"""The report: results of every question, turned into one page that stands by itself."""
