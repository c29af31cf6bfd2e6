"""Every kind the shop sells, by name."""

from __future__ import annotations

from samples.homeware.grocery import GROCERY
from samples.homeware.home import HOME
from samples.homeware.kinds import Kind
from samples.homeware.kitchen import KITCHEN

KINDS: dict[str, Kind] = {kind.name: kind for kind in (*KITCHEN, *HOME, *GROCERY)}
