"""What a model costs: parameters, multiplies, memory, time."""
