"""One self-contained page about a project, and the same figures as JSON. It draws; it computes nothing."""
