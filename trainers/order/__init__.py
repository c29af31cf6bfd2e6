"""The order in which rows are taken: made before the first step, a pure function of lengths, tiers and seed."""
