"""How much experts correct what a promoted model proposes."""
