"""Who and what the study is of."""
