"""Models as judges: how far each may be trusted, what it says of a rationale's steps, how a weak one reads mended."""
