"""Networks as a recipe asks for them, begun from what others learnt."""
