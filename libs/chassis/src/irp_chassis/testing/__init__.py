"""For tests and tutorials: in-memory twins of the real parts, and fixtures that start the real ones."""

from irp_chassis.testing.twins import InMemoryObjects, RecordedFacts

__all__ = ["InMemoryObjects", "RecordedFacts"]
