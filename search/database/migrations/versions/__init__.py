"""One file per version of the tables, each an upgrade from the one before it."""
