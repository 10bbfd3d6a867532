"""How many more trials would settle what is open."""
