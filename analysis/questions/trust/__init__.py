"""Whether the trials can be trusted: leaks, failures, noise, training."""
