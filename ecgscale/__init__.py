"""Find the CNN that classifies twelve-lead ECGs best at every computational budget, and why."""
