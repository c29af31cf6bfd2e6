"""The bridge to an Argilla server: candidates go out as suggestions, responses come back as acts of their people.

`target` reads where the server is, `api` speaks to it, `settings` and `record` say what is sent, `answer` what comes
back; `datasets`, `push` and `pull` do it, and can be run again after any kill. See docs/argilla.md.
"""
