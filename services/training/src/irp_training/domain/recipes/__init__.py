"""How a run learns: every key, how it is read, and how the cases choose what was left open."""
