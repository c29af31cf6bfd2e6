"""What stands in front of every route: hosts, headers, Streamlit's own paths, bodies."""

from __future__ import annotations

import json
import re
from importlib import resources

import httpx
import pytest

from tests.review_app.server.served_app import ServedApp

# every path Streamlit 1.67 serves by itself, with the methods it knows
STREAMLIT = [
    ("GET", "_stcore/metrics"),
    ("GET", "_stcore/script-health-check"),
    ("GET", "_stcore/agent/openapi.json"),
    ("GET", "_stcore/agent/mcp"),
    ("POST", "_stcore/agent/interact"),
    ("POST", "_stcore/agent/mcp"),
    ("PUT", "_stcore/upload_file/a/b"),
    ("DELETE", "_stcore/upload_file/a/b"),
    ("OPTIONS", "_stcore/upload_file/a/b"),
    ("GET", "component/x/index.html"),
    ("GET", "app/static/secrets.toml"),
    ("GET", "auth/login"),
    ("GET", "auth/logout"),
    ("GET", "oauth2callback"),
    ("GET", "healthz"),
    ("GET", "review/_stcore/health"),
    ("GET", "anything/else"),
    ("GET", "logout"),
    ("GET", "language"),
    ("PUT", "login"),
    ("POST", "review"),
    ("DELETE", "static/js/index.js"),
]
# those it needs to draw a page
FETCHED = ["static/css", "media/0123.csv", "_stcore/bidi-components/x/y.js", "favicon.png", "static/js/index.js"]


@pytest.fixture(scope="module")
def root(app: ServedApp) -> httpx.Client:
    return app.logged_in("root")


@pytest.mark.parametrize(("method", "path"), [*STREAMLIT, *(("GET", path) for path in FETCHED)])
def test_streamlits_own_paths_answer_nobody_who_is_logged_out(app: ServedApp, method: str, path: str) -> None:
    answer = app.client().request(method, path)
    assert (answer.status_code, answer.json()["login"]) == (401, True)


@pytest.mark.parametrize(("method", "path"), STREAMLIT)
def test_what_no_page_needs_of_streamlit_is_not_there(root: httpx.Client, method: str, path: str) -> None:
    answer = root.request(method, path)
    assert answer.status_code == 404, answer.text
    assert "streamlit" not in answer.text.lower()


def test_who_is_logged_in_gets_streamlits_scripts(root: httpx.Client) -> None:
    html = root.get("review", headers={"accept": "text/html"}).text
    scripts = re.findall(r'(?:src|href)="\./(static/[^"]+)"', html)
    assert len(scripts) > 20
    assert {root.get(path).status_code for path in scripts[:3]} == {200}


def test_health_is_open_for_whoever_watches_the_server(app: ServedApp) -> None:
    answer = httpx.get(f"{app.url}/_stcore/health")
    assert (answer.status_code, answer.text) == (200, "ok")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a@127.0.0.1"])
def test_another_name_for_the_server_is_not_answered(root: httpx.Client, host: str) -> None:
    """A name that an attacker points at this machine must not make their page one of ours."""
    for path in ("login", "_stcore/health", "api/me", "review"):
        answer = root.get(path, headers={"host": host, "origin": f"http://{host}"})
        assert answer.status_code == 400
        assert root.get(path, headers={"host": host}).status_code == 400


def answers_of_all_kinds(app: ServedApp, root: httpx.Client) -> list[httpx.Response]:
    nobody = app.client()
    page = {"accept": "text/html"}
    return [
        nobody.get("login"),
        nobody.get("review", headers=page),
        nobody.get("api/me"),
        nobody.get("_stcore/health"),
        nobody.get("nowhere", headers={"host": "evil.example"}),
        nobody.post("login", data={"account": "x"}),
        nobody.post("api/claim", headers={"origin": "http://evil.example"}),
        root.get("review", headers=page),
        root.get("review/", headers=page),
        root.get("nowhere", headers=page),
        root.get("static/nothing.js"),
        root.get("media/nothing"),
        root.get("api/nothing"),
        root.get("app/nothing.js"),
        root.get("app/review.js"),
        root.get("api/me"),
        root.post("api/claim", content=b"{"),
    ]


def test_every_answer_forbids_what_it_can(app: ServedApp, root: httpx.Client) -> None:
    for answer in answers_of_all_kinds(app, root):
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'self'" and policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert "unsafe" not in policy["script-src"] and "http" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "cache-control" in answer.headers
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_the_policy_allows_exactly_the_inline_script_that_is_in_the_page(root: httpx.Client) -> None:
    from review_app.server.headers import content_policy, inline_scripts

    answer = root.get("review", headers={"accept": "text/html"})
    scripts = inline_scripts(answer.text)
    assert len(scripts) == 1 and "BACKEND_BASE_URL" in scripts[0]
    assert answer.headers["content-security-policy"] == content_policy(scripts)


def test_the_page_names_no_other_host_and_no_streamlit(root: httpx.Client) -> None:
    html = root.get("review", headers={"accept": "text/html"}).text
    assert re.findall(r"https?://[^\s\"']+", html) == ["http://www.w3.org/2000/svg"]  # the icon's own name space
    assert "<title>afrel</title>" in html and "agent" not in html


def test_the_first_page_of_the_role_is_at_the_root(root: httpx.Client) -> None:
    assert root.get("").headers["location"] == "/review"
    assert root.get("review/", headers={"accept": "text/html"}).headers["location"] == "/review"


def test_card_files_have_their_types_and_are_sent_again_only_when_changed(root: httpx.Client) -> None:
    for file in resources.files("review_app.card").iterdir():
        answer = root.get(f"app/{file.name}")
        if not file.name.endswith((".js", ".css")):
            assert answer.status_code == 404, file.name
            continue
        kind = "text/javascript" if file.name.endswith(".js") else "text/css"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert (answer.content, answer.headers["cache-control"]) == (file.read_bytes(), "no-cache")
        again = root.get(f"app/{file.name}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["../component.py", "%2e%2e/component.py", "..%2fcomponent.py", "review.js/", "component.py", "%00", ".", "x/y"],
)
def test_no_other_file_is_served(root: httpx.Client, path: str) -> None:
    request = root.build_request("GET", "app/x")
    request.url = request.url.copy_with(raw_path=f"/app/{path}".encode())
    assert root.send(request).status_code in (400, 404)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"1", b"\xff\xfe", b'{"a": NaN}', b'{"a": Infinity}', b"[" * 200_000,
     b'{"a":' * 100_000, b"\x00" * 1000],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_told_so(root: httpx.Client, body: bytes) -> None:
    answer = root.post("api/claim", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"error": "What was sent is not a JSON object."})


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_a_form_of_another_site_could_send_is_refused(root: httpx.Client, kind: str) -> None:
    answer = root.post("api/claim", content=b'{"n": 1, "held": []}', headers={"content-type": kind})
    assert (answer.status_code, answer.json()) == (400, {"error": "What was sent is not a JSON object."})


def test_a_body_too_large_is_refused_whether_or_not_it_says_its_length(root: httpx.Client) -> None:
    large = json.dumps({"x": "a" * (4 << 20)}).encode()
    kind = {"content-type": "application/json"}
    stated = root.post("api/claim", content=large, headers=kind)
    unstated = root.post("api/claim", content=iter([large[:1000], large[1000:]]), headers=kind)
    for answer in (stated, unstated):
        assert (answer.status_code, answer.json()["error"]) == (
            413,
            "What was sent is larger than 4 MB. Send it in smaller parts.",
        )
    just = root.post("api/claim", content=json.dumps({"x": "a" * ((4 << 20) - 20)}).encode(), headers=kind)
    assert just.json()["error"] != stated.json()["error"]


def test_words_come_in_the_language_of_the_person(app: ServedApp, root: httpx.Client) -> None:
    chinese = app.client(**{"accept-language": "zh-CN,zh;q=0.9"})
    assert "登录" in chinese.get("api/me").json()["error"]
    answer = root.post("api/claim", content=b"{", headers={"accept-language": "zh"})
    assert answer.json()["error"] == "发送的内容不是 JSON 对象。"


def test_nothing_broke_on_the_way(app: ServedApp) -> None:
    assert "Traceback" not in app.log
