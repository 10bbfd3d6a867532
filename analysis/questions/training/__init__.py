"""How training went: what learned nothing, what failed, and whether the curves still rose."""
