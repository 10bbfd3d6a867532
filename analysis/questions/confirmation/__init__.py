"""Confirmation on held-out records: whom to confirm, and what came of it."""
