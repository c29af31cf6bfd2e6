"""What is refused on a page of Streamlit is told in its language."""

from __future__ import annotations

from review_app.long_work import WORK
from review_app.views.sql_editor import TEXT_KEY
from review_app.views.tab import KEY as TAB_KEY
from storage.store import Store
from tests.conftest import PASSWORD
from tests.review_app.tier_shop import Shop
from tests.review_app.views.drawn import button, drawn, field, words


def test_refused_sql(shop: Shop) -> None:
    app = drawn(shop, "sql", "cleo", "zh")
    for sql, told in {
        "select gradee from judgments": "查询被拒绝：judgments 中没有列 gradee。是否指 judgments.grade？",
        "select 1; select 2": "查询被拒绝：给出了 2 条语句，一次只能运行一条。",
        "": "没有 SQL。请先写一条",
    }.items():
        app.session_state[TEXT_KEY] = sql
        button(app, "运行").click().run()
        work = WORK.find(("sql", shop.workspace.root, "cleo", app.session_state[TAB_KEY]))
        if work is not None:
            assert work.wait(90)
            app.run()
        assert told in words(app), sql


def test_refused_accounts_and_passwords(shop: Shop, served_store: Store) -> None:
    app = drawn(shop, "accounts", "root", "zh")
    for name, own, told in [
        ("cleo", PASSWORD, "cleo 已有账户，角色为策展人，请改为更改角色。"),
        ("Neu!", PASSWORD, "账户名 'Neu!' 不可用"),
        ("neu", "wrong", "root 的密码不正确，请重试。"),
        ("neu", "", "此操作需要 root 的密码，请输入。"),
    ]:
        app.checkbox[0].set_value(False).run()
        field(app, "账户名").set_value(name)
        for label in ("首个密码", "再次输入"):
            field(app, label).set_value(PASSWORD)
        field(app, "你（root）的密码").set_value(own)
        button(app, "新增账户").click().run()
        assert told in words(app), name
    assert "neu" not in served_store.read("accounts").column("account").to_pylist()
