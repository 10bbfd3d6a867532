"""Numbered migrations of our tables, run by Alembic; Optuna has its own for its tables."""
