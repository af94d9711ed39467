"""Alembic versions of the training room's database."""
