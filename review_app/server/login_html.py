"""How the login page is written: labelled fields that password managers know, one form, no script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from review_app.server.markup import page_html
from review_app.server.site import Site
from review_app.texts import LANGUAGES, texts


@dataclass(frozen=True, slots=True)
class LoginFields:
    """What the form starts with: its one-time mark, the account typed before, the page to go on to."""

    mark: str
    account: str
    page: str


def login_html(language: str, site: Site, fields: LoginFields, *, told: str, provider: str | None) -> str:
    """Return the page; `told` is markup, `provider` names whom people may log in with instead."""
    words = texts(language)
    parts = [f"<h1>{escape(words['login.heading'])}</h1>", told]
    if provider is not None:
        with_provider = escape(words["login.with_provider"].format(name=provider))
        target = escape(site.path(f"/login/with?next={fields.page}"))
        parts.append(f'<a class="button" href="{target}">{with_provider}</a>')
        parts.append(f'<p class="or">{escape(words["login.or_local"])}</p>')
    parts.append(_form(language, site, fields, is_second=provider is not None))
    parts.append(f'<p class="foot">{escape(words["login.no_account"])}</p>')
    other = next(tongue for tongue in LANGUAGES if tongue != language)
    parts.append(
        f'<form class="tongue" method="post" action="{escape(site.path("/language"))}">'
        '<input type="hidden" name="from" value="login">'
        f'<button name="language" value="{other}" lang="{other}">{escape(words["login.other_language"])}</button>'
        "</form>"
    )
    return page_html(language, title=words["login.title"], body="\n".join(parts))


def _form(language: str, site: Site, fields: LoginFields, *, is_second: bool) -> str:
    words = texts(language)
    to_account, to_password = ("", " autofocus") if fields.account else (" autofocus", "")
    kind = ' class="button second"' if is_second else ""
    return "\n".join(
        [
            f'<form method="post" action="{escape(site.path("/login"))}">',
            f'<input type="hidden" name="mark" value="{escape(fields.mark)}">',
            f'<input type="hidden" name="next" value="{escape(fields.page)}">',
            f"<label><span>{escape(words['login.account'])}</span>"
            f'<input name="account" value="{escape(fields.account)}" autocomplete="username" autocapitalize="none" '
            f'spellcheck="false" maxlength="64" required{to_account}></label>',
            f"<label><span>{escape(words['login.password'])}</span>"
            '<input name="password" type="password" autocomplete="current-password" maxlength="1000" '
            f"required{to_password}></label>",
            f"<button{kind}>{escape(words['login.log_in'])}</button>",
            "</form>",
        ]
    )
