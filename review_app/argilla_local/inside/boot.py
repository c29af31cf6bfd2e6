"""A script that runs a module of ours in the Argilla server's environment: `python -I boot.py MODULE [WORDS]`.

`review_app` alone is made importable. The folder that holds it is not put on the path: where afrel is installed, that
folder holds the libraries of afrel's environment, whose versions the server does not bear.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def main(words: list[str]) -> int:
    """Run a module's `main` with the words that follow its name; return the exit status."""
    room = Path(__file__).resolve().parents[2]
    spec = spec_from_file_location("review_app", room / "__init__.py", submodule_search_locations=[str(room)])
    assert spec is not None and spec.loader is not None
    sys.modules["review_app"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["review_app"])
    return int(import_module(words[0]).main(words[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
