"""Mode-balanced Stepwise-GRPO: reinforcement with a supervised term beside it that keeps rules alive."""
