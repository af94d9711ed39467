"""Project configurations to begin with; `irp project create NAME --template ...`."""
