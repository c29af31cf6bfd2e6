"""The report of a run as a page of its own: for whoever may look at runs, and shut in more tightly than our pages.

It holds texts of queries and docs. So it may fetch nothing from anywhere, run no script and send no form, whatever is
in it, and the browser takes it for a stranger's page: our login is out of its reach.
"""

from __future__ import annotations

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route as WebRoute

from review_app.run_work import report_of
from review_app.server.api import told
from review_app.server.serving import Serving
from review_app.server.visitors import Visitor
from review_app.texts import texts
from storage.errors import UserError
from storage.people.accounts import Act, may

REPORTS = "/app/report/"
ACT = Act.PREPARE
POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    ]
)


def report_path(run_id: str) -> str:
    """Return where a run's report is, without the prefix."""
    return f"{REPORTS}{run_id}"


def report_routes(serving: Serving) -> list[WebRoute]:
    """Return the route of reports. The guard in front has seen to the login."""

    async def endpoint(request: Request) -> Response:
        visitor: Visitor = request.scope["afrel.visitor"]
        words = texts(request.scope["afrel.language"])
        if not may(visitor.person.role, ACT):
            role = words[f"login.role_{visitor.person.role.value}"]
            return told(403, words["login.role_may_not"].format(role=role))
        try:
            found = await to_thread.run_sync(
                report_of, visitor.person, serving.workspace, request.path_params["run_id"]
            )
        except UserError:
            found = None
        if found is None:
            return told(404, words["runs.report_missing"])
        return FileResponse(found[0], media_type="text/html; charset=utf-8", headers={"cache-control": "no-store"})

    return [WebRoute(serving.site.path(report_path("{run_id}")), endpoint, methods=["GET"])]
