"""What runs in the Argilla server's environment: it imports that environment and the search, nothing else of afrel."""
