"""What is tried before the first step, so that a run that must fail fails at once and says what to change."""
