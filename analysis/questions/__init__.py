"""One folder per question: its numbers, figures and chapter."""
