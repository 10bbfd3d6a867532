"""Whether the trials can be trusted: leaks and noise."""
