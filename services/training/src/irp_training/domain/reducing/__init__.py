"""Networks in int8, and the trial that each has to pass."""
