"""Whether the trials can be trusted: leaks, noise, precision."""
