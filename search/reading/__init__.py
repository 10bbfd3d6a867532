"""What a study holds, for people and programs: its trials, how far it is, copies of it."""
