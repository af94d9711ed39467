"""How a service stands up."""
