"""How scores are distributed, overall and at equal cost."""
