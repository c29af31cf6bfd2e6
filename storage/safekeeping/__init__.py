"""Back up, examine, erase: what keeps a workspace whole and lets go of what must not stay."""
