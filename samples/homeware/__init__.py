"""A homeware-and-grocery shop, written by hand and drawn by seed: the same bytes on every run.

Build it again with `python -m samples.homeware.generate [OUT_DIR]`.
"""

from __future__ import annotations

__all__: list[str] = []
