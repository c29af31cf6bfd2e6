"""What a person sees when the script of a page fails: words, and a number that finds the traceback in the log."""

from __future__ import annotations

import logging
import secrets

import streamlit as st

from review_app.server.cookies import chosen_language
from review_app.texts import texts
from review_app.texts.refusals import why_not
from review_app.views.plain import plain
from storage.errors import UnavailableError, UserError

logger = logging.getLogger("afrel.server")


def told_in_words(error: Exception) -> bool:
    """Show an error of the script in words; True keeps Streamlit from showing it, too."""
    language = chosen_language(st.context.cookies.to_dict(), st.context.locale)
    if isinstance(error, UnavailableError):
        logger.warning("%s", error)
        st.error(why_not(language, error))
    elif isinstance(error, UserError):
        st.error(plain(why_not(language, error)))
    else:
        number = secrets.token_hex(3)
        logger.error("a page broke, number %s", number, exc_info=error)
        st.error(texts(language)["login.page_broke"].format(number=number))
    return True
