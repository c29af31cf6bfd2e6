"""Argilla on this machine: the genuine server and UI from an environment of its own, with no cluster beside it.

`environment` makes the environment, `home` is what lies in the workspace, `process` starts and stops, `people` gives
each account its user, `inside` is what runs in that environment. See docs/argilla.md.
"""
