"""Models and what grades with them: loaded or made from a config, where a run starts, what it says of pairs."""
