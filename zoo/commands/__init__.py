"""`python -m zoo COMMAND`: one module for each command, which loads what it needs when it runs."""
