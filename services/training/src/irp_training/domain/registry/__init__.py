"""Versions of models, which of them serves, and what is compared before one does."""
