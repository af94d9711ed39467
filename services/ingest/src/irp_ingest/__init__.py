"""Everything that enters."""
