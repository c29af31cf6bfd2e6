"""The few calls of Argilla's HTTP interface that the bridge makes, with its errors in our words.

Plain HTTP and not the SDK: the SDK's responses carry neither an id nor a time (docs/decisions/0013-argilla-bridge.md).
What may be sent twice is tried again when a connection breaks. The key stands in a header and in no message.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from review_app.argilla_bridge.target import Target
from storage.errors import UserError

PAGE = 500  # records read at once; Argilla gives at most 1000
MOST_DELETED = 100  # Argilla's own bound
TIMEOUT = 120.0  # seconds; a batch takes a slow server some
_RETRIED = {"GET", "PUT", "DELETE"}
WAITS = (0.5, 2.0)  # seconds before each further try
_BUSY = {502, 503, 504}


@dataclass(slots=True)
class Listing:
    """What a walk over a dataset's records saw; a walk during which records came or went may have missed some."""

    totals: set[int] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        return self.totals == {len(self.seen)}


class ArgillaApi:
    """An open connection to one Argilla server, as the user whose key it is."""

    def __init__(self, target: Target, waits: Sequence[float] = WAITS) -> None:
        import httpx

        self._target, self._waits = target, waits
        is_here = urlsplit(target.url).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.Client(
            base_url=f"{target.url}/api/v1/",
            headers={
                "X-Argilla-Api-Key": target.read_key(),
                # packing what goes nowhere takes an eighth of a pull
                **({"Accept-Encoding": "identity"} if is_here else {}),
            },
            timeout=httpx.Timeout(TIMEOUT, connect=10.0),
            # a proxy of the environment is for servers elsewhere
            trust_env=not is_here,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def check_version(self) -> str:
        """Return the server's version; UserError for a server that is none of 2.8 or a later 2."""
        told = self.ask("GET", "version")
        version = str(told.get("version", "")) if isinstance(told, dict) else ""
        parts = version.split(".")
        numbers = [int(part) for part in parts[:2] if part.isdecimal()]
        if len(numbers) != 2 or numbers[0] != 2 or numbers[1] < 8:
            raise UserError(
                f"{self._target.url} runs Argilla {version or 'of an unknown version'}; the bridge speaks to 2.8 and "
                "later versions of 2. Install argilla-server 2.8, or name another server under [argilla] in afrel.toml"
            )
        return version

    def find_workspace(self) -> str:
        """Return the id of the target's workspace; UserError when the key's user has no such workspace."""
        name = self._target.workspace
        found = {str(one["name"]): str(one["id"]) for one in self.ask("GET", "me/workspaces")["items"]}
        if name not in found:
            me = self.ask("GET", "me")["username"]
            has = f"it has {', '.join(sorted(found))}" if found else "it has none"
            raise UserError(
                f"the Argilla user {me!r} has no workspace {name!r}; {has}. Add the user to it in Argilla, or correct "
                "workspace under [argilla] in afrel.toml, then run the command again"
            )
        return found[name]

    def usernames(self, workspace_id: str) -> dict[str, str]:
        """Return the users who may answer in a workspace, id -> username."""
        me = self.ask("GET", "me")
        everybody = me.get("role") == "owner"
        rows = self.ask("GET", "users" if everybody else f"workspaces/{workspace_id}/users")["items"]
        # the server tells everybody's API key as well: only names leave this function
        return {str(row["id"]): str(row["username"]) for row in rows}

    def datasets(self, workspace_id: str) -> list[dict[str, Any]]:
        """Return the workspace's datasets, drafts among them."""
        return list(self.ask("GET", "me/datasets", params={"workspace_id": workspace_id})["items"])

    def records(self, dataset_id: str, listing: Listing) -> Iterator[list[dict[str, Any]]]:
        """Yield a dataset's records with their responses, page by page; `listing` tells whether all were seen."""
        offset = 0
        while True:
            params = {"include": "responses", "offset": offset, "limit": PAGE}
            told = self.ask("GET", f"datasets/{dataset_id}/records", params=params)
            page = [one for one in told["items"] if one["id"] not in listing.seen]
            listing.totals.add(int(told["total"] or 0))
            listing.seen.update(one["id"] for one in page)
            if page:
                yield page
            offset += len(told["items"])
            if not told["items"] or offset >= int(told["total"] or 0):
                return

    def n_indexed(self, dataset_id: str) -> int:
        """Return how many records the server's search finds."""
        told = self.ask("POST", f"datasets/{dataset_id}/records/search", params={"limit": 1}, body={})
        return int(told["total"])

    def untouched(self, dataset_id: str, record_ids: Sequence[str]) -> list[str]:
        """Return those of up to 100 records that nobody has answered at this moment, drafts included."""
        scope = {"entity": "record", "property": "id"}
        body = {"filters": {"and": [{"type": "terms", "scope": scope, "values": list(record_ids)}]}}
        params = {"include": "responses", "limit": max(1, len(record_ids))}
        told = self.ask("POST", f"datasets/{dataset_id}/records/search", params=params, body=body)
        return [one["record"]["id"] for one in told["items"] if not one["record"].get("responses")]

    def send_records(self, dataset_id: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Store records by their external ids: sent again, they are the same records."""
        self.ask("PUT", f"datasets/{dataset_id}/records/bulk", body={"items": list(records)})

    def delete_records(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete up to 100 records."""
        self.ask("DELETE", f"datasets/{dataset_id}/records", params={"ids": ",".join(record_ids)})

    def ask(self, way: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """Return the JSON of an answer (None where it is empty); UserError for every refusal."""
        import httpx

        waits = self._waits if way in _RETRIED else ()
        content = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        for wait in (*waits, None):
            try:
                told = self._client.request(
                    way, path, params=dict(params or {}), content=content, headers={"Content-Type": "application/json"}
                )
            except httpx.HTTPError as error:
                if wait is None or isinstance(error, httpx.ConnectError):
                    raise self._silent(error) from None
            else:
                if told.status_code not in _BUSY or wait is None:
                    return self._answer(told.status_code, told.content, path)
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _silent(self, error: Exception) -> UserError:
        said = str(error) or type(error).__name__
        return UserError(
            f"no Argilla answers at {self._target.url} ({said}). Start the server, or correct url under [argilla] in "
            "afrel.toml; then run the command again: nothing is sent or stored twice"
        )

    def _answer(self, status: int, content: bytes, path: str) -> Any:
        url = self._target.url
        try:
            told = json.loads(content) if content.strip() else None
        except ValueError:
            told = ...
        if status < 300 and told is not ...:
            return told
        if status == 401:
            if self._target.key_file is not None:
                raise UserError(
                    f"Argilla at {url} does not know the key in {self._target.key_file}, which was changed since it "
                    "started. Stop it, afrel argilla down, and start it again: afrel argilla up"
                )
            variable = self._target.api_key_variable
            raise UserError(
                f"Argilla at {url} does not know the key in {variable}. "
                f"Copy it again from Argilla, My settings: export {variable}=…"
            )
        if status == 403:
            raise UserError(
                f"the Argilla user of the key in {self._target.api_key_variable} may not do this ({path}); an owner, "
                f"or an admin of workspace {self._target.workspace!r}, may. Use such a user's key and run it again"
            )
        if told is ... or status < 300 or not isinstance(told, dict) or (status == 404 and path == "version"):
            raise UserError(
                f"what answers at {url} is no Argilla server (status {status} for {path}). "
                "Correct url under [argilla] in afrel.toml and run the command again"
            )
        said = json.dumps(told.get("detail", told), ensure_ascii=False)[:600]
        if status == 404:
            raise UserError(
                f"Argilla has no {path} any more ({said}): somebody deleted it meanwhile. "
                "Run the command again: afrel argilla push"
            )
        raise UserError(f"Argilla at {url} refuses {path} (status {status}): {said}. See its log, then run it again")
