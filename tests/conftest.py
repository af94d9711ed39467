"""Fixtures that every test may ask for."""

pytest_plugins = ["irp_chassis.testing.fixtures"]
