"""The labelling instruction's evolution: edits proposed, scored on train and dev judgments, accepted or turned away."""
