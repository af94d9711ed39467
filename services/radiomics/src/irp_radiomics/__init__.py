"""Features, heat-maps and models against endpoints."""
