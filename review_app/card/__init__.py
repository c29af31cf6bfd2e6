"""What runs in the browser: one component with the queue and the journal in it."""
