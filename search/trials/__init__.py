"""Planned trials: drawn from a space, handed out one by one, each held by a lease."""
