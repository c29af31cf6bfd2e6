"""The server's database: brought to the version of the server, with the owner whose key the bridge uses.

An older database is copied before it is migrated. One of a later version is refused, and left as it is.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from review_app.argilla_local.inside.telling import CannotStartError

DATABASE = Path("argilla.db")
OWNER = "_afrel"  # no account can have this name
OWNER_KEY = Path("owner.key")


def migrate() -> None:
    """Bring the database up to date; CannotStartError when it is damaged or of a later version."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from argilla_server.database import ALEMBIC_CONFIG_FILE, sync_engine

    config = Config()  # without its file: that one silences the server's loggers
    config.set_main_option("script_location", str(Path(ALEMBIC_CONFIG_FILE).with_name("alembic")))
    script = ScriptDirectory.from_config(config)
    _open_write_ahead()
    with sync_engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    head = script.get_current_head()
    if current == head:
        return
    if current is not None:
        try:
            script.get_revision(current)
        except CommandError:
            raise CannotStartError(
                f"{DATABASE.absolute()} was made by another version of Argilla: 2.8 does not know its revision "
                f"{current}. Start it with that version, or move the file away and push anew: afrel argilla up"
            ) from None
        shutil.copyfile(DATABASE, f"{DATABASE}.before-{head}")
    command.upgrade(config, "head")


def _open_write_ahead() -> None:
    """Let the server read while the worker writes; it stays so, for it is noted in the file."""
    try:
        with sqlite3.connect(DATABASE, timeout=30) as connection:
            connection.execute("pragma journal_mode = wal").fetchone()
    except sqlite3.DatabaseError as error:
        raise CannotStartError(
            f"{DATABASE.absolute()} cannot be read as a database ({error}). Put a copy of it back, or move it away "
            "and push anew, which asks again what was not pulled yet: afrel argilla up"
        ) from None
    finally:
        connection.close()


async def ensure_owner() -> None:
    """Make the owner whose key lies in the folder, or give it that key."""
    import secrets

    from argilla_server.contexts.accounts import hash_password
    from argilla_server.database import AsyncSessionLocal
    from argilla_server.models import User, UserRole

    key = OWNER_KEY.read_text(encoding="ascii").strip()
    async with AsyncSessionLocal() as session:
        owner: Any = await User.get_by(session, username=OWNER)
        if owner is None:
            # nobody logs in as this user: its password is known to nobody
            secret = hash_password(secrets.token_urlsafe(32))
            session.add(
                User(first_name="afrel", username=OWNER, role=UserRole.owner, api_key=key, password_hash=secret)
            )
        elif owner.api_key != key:
            owner.api_key = key
        await session.commit()
