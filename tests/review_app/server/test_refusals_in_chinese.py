"""What a person did wrong is told by the routes in the language of the page they come from."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.review_app.server.served_app import ServedApp


def chinese(app: ServedApp, account: str) -> httpx.Client:
    client = app.logged_in(account)
    client.cookies.set("afrel_language", "zh")
    return client


def act(n: int, **fields: Any) -> dict[str, Any]:
    return {
        "session": "20cafe20",
        "sequence": n,
        "candidate_id": "c_1",
        "act": "submitted",
        "grade": 1,
        "at": 1e12,
        **fields,
    }


def test_a_refused_answer_says_why_in_its_receipt(app: ServedApp) -> None:
    sent = [
        act(1, grade=9),
        act(2, candidate_id="c_gone"),
        act(3, act="discarded", grade=None),
        act(4, act="later", grade=None),
        act(4, candidate_id="c_2"),
        act(5, grade="one"),
    ]
    answer = chinese(app, "ana").post("api/acts", json={"acts": sent})
    receipts = sorted(answer.json()["receipts"], key=lambda receipt: receipt["sequence"])
    assert [receipt["refused"] for receipt in receipts if receipt["refused"]] == [
        "等级 9 不在量表中，可用的是 [0, 1, 2, 3]。",
        "候选 'c_gone' 已不存在，请继续下一条。",
        "请说明丢弃的原因。",
        "这个答案与另一条的编号相同，未被保存。请刷新页面后重新作答。",
        "这个操作的格式不正确：grade。",
    ]


@pytest.mark.parametrize(
    ("account", "path", "body", "status", "told"),
    [
        ("ana", "api/adjudicate/pairs", {}, 403, "你的账户（审核员）无权进行此操作。"),
        ("ana", "api/rule", {"rule_id": "r_0"}, 400, "没有规则 'r_0'。全部规则见“规则”页。"),
        ("ana", "api/claim", {"n": "many"}, 400, "`n` 须为数字，收到的是 'many'。"),
        ("ana", "api/list/docs", {"query_id": "q_0"}, 400, "这里没有查询 'q_0'。"),
        (
            "dora",
            "api/adjudicate/decide",
            {"session": "20cafe20", "sequence": 1, "candidate_id": "c_0", "seen": [], "act": "settle", "reason": ""},
            400,
            "候选 'c_0' 已不存在，请继续下一条。",
        ),
        ("dora", "api/adjudicate/decide", {"act": "settle"}, 400, "这个裁决的格式不正确："),
    ],
)
def test_a_refusal_is_told_in_chinese(
    app: ServedApp, account: str, path: str, body: dict[str, Any], status: int, told: str
) -> None:
    answer = chinese(app, account).post(path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(told)


def test_a_page_of_another_role_is_refused_with_the_roles_name(app: ServedApp) -> None:
    answer = chinese(app, "ana").get("sql", headers={"accept": "text/html", "sec-fetch-mode": "navigate"})
    assert answer.status_code == 403 and "你的账户（审核员）无权打开此页面" in answer.text
