"""HTTP for people and frontends."""
