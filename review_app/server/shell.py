"""The page that Streamlit's script draws into: Streamlit's own, with our name and nothing that we do not offer."""

from __future__ import annotations

import json
import re
from pathlib import Path

from streamlit import file_util

from review_app.server.markup import ICON
from review_app.server.site import Site

# Told where the app is, the page need not ask around: without it, two failing requests come before the first paint.
_BEGIN = """<script>
      window.__streamlit = {
        BACKEND_BASE_URL: window.location.origin + %s,
        HOST_CONFIG: { allowedOrigins: [window.location.origin], useExternalAuthToken: false },
      };
    </script>"""


def shell_html(site: Site) -> str:
    """Return the page. Its scripts and styles are fetched relative to its address."""
    html = (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")
    html = re.sub(r"<!--.*?-->\s*", "", html, flags=re.S)
    html = re.sub(r"<title>.*?</title>", "<title>afrel</title>", html)
    html = re.sub(r'<link rel="shortcut icon"[^>]*>', f'<link rel="icon" href="{ICON}" />', html)
    html = re.sub(r'\s*<link rel="service-desc"[^>]*>', "", html)
    html = re.sub(r'\s*<link\s+rel="preload"[^>]*\bas="font"[^>]*>', "", html)
    html = re.sub(
        r"<noscript>.*?</noscript>",
        "<noscript>This app needs JavaScript. 本应用需要 JavaScript。</noscript>",
        html,
        flags=re.S,
    )
    html = html.replace("</head>", '<script type="module" src="./app/streamlit_words.js"></script></head>')
    # Streamlit's own inline script only tells search engines when to look
    begin = _BEGIN % json.dumps(site.path("/"))
    return re.sub(r"<script>\s*window\.prerenderReady = false\s*</script>", lambda _: begin, html)
