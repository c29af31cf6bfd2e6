"""A provider of batches on the counting server: files, batches, and their outcome, which a test decides."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chat_server import HttpReply, HttpRequest, completion
from tests.evolution.conftest import label_text

Line = dict[str, Any]


def answered(custom_id: str, text: str | None = None) -> Line:
    """A line of an output file: a good reply unless a text is given."""
    body = completion(label_text() if text is None else text)
    return {"custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def expired(custom_id: str) -> Line:
    """A line of an error file."""
    error = {"code": "batch_expired", "message": "This request was not executed in time."}
    return {"custom_id": custom_id, "response": None, "error": error}


@dataclass
class BatchProvider:
    """Speaks /v1/files and /v1/batches. `finish` ends all batches; `refuses` makes it answer with that status."""

    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    refuses: int | None = None
    loses_replies_to_creation: bool = False

    def __call__(self, request: HttpRequest) -> HttpReply:
        path = request.path.partition("?")[0].removeprefix("/v1")
        if self.refuses is not None:
            return HttpReply(self.refuses, {"error": {"message": "no"}})
        if path.startswith("/files"):
            return self._answer_of_files(request, path)
        return self._answer_of_batches(request, path)

    def _answer_of_files(self, request: HttpRequest, path: str) -> HttpReply:
        match = re.fullmatch(r"/files/(\w+)/content", path)
        if match:
            return HttpReply(body=self.files[match[1]])
        return HttpReply(body=self._keep_file(_uploaded(request)))

    def _answer_of_batches(self, request: HttpRequest, path: str) -> HttpReply:
        if request.method == "POST":
            return HttpReply(body=self._begin(request.json()), cut=0 if self.loses_replies_to_creation else None)
        match = re.fullmatch(r"/batches/(\w+)", path)
        if match:
            return HttpReply(body=self.batches[match[1]])
        return HttpReply(body={"object": "list", "data": list(self.batches.values()), "has_more": False})

    def custom_ids(self) -> list[str]:
        """Return what was sent in all batches."""
        lines = [json.loads(line) for batch in self.batches.values() for line in self._input(batch)]
        return [line["custom_id"] for line in lines]

    def finish(self, outcome: Callable[[str], list[Line]], *, status: str = "completed") -> None:
        """End every batch that is under way; `outcome` gives the lines for each request."""
        for batch in self.batches.values():
            if batch["status"] == "in_progress":
                ids = [json.loads(line)["custom_id"] for line in self._input(batch)]
                lines = [line for custom_id in ids for line in outcome(custom_id)]
                good = [line for line in lines if line["response"]]
                bad = [line for line in lines if not line["response"]]
                counts = {"total": len(ids), "completed": len(good), "failed": len(bad)}
                batch.update(status=status, request_counts=counts)
                for kind, part in (("output_file_id", good), ("error_file_id", bad)):
                    if part:
                        content = "".join(json.dumps(line) + "\n" for line in reversed(part))
                        batch[kind] = self._keep_file(content.encode())["id"]

    def _input(self, batch: dict[str, Any]) -> list[bytes]:
        return self.files[batch["input_file_id"]].splitlines()

    def _keep_file(self, content: bytes) -> dict[str, Any]:
        file_id = f"file{len(self.files)}"
        self.files[file_id] = content
        facts = {"id": file_id, "object": "file", "bytes": len(content), "created_at": 0}
        return {**facts, "filename": "f.jsonl", "purpose": "batch", "status": "processed"}

    def _begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        batch_id = f"batch{len(self.batches)}"
        n_lines = len(self.files[asked["input_file_id"]].splitlines())
        self.batches[batch_id] = {
            **asked,
            "id": batch_id,
            "object": "batch",
            "created_at": 0,
            "status": "in_progress",
            "request_counts": {"total": n_lines, "completed": 0, "failed": 0},
        }
        return self.batches[batch_id]


def _uploaded(request: HttpRequest) -> bytes:
    """Return the file of a multipart upload."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    for part in request.body.split(b"--" + boundary):
        head, found, content = part.partition(b"\r\n\r\n")
        if found and b'name="file"' in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("no file in the upload")
