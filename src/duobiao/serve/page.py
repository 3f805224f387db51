"""The page on which models are tried: one file, whose own style and script are all that its policy lets run."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from duobiao.page import render_page
from duobiao.serve.wording import WORDING


def try_page() -> tuple[bytes, bytes]:
    """The page, and its content security policy, which names the digests of its style and its script."""
    script = (resources.files("duobiao.serve") / "templates" / "try.js").read_text(encoding="utf-8")
    values = {"title": WORDING["zh"]["title"], "language": "zh", "wording": WORDING, "script": script}
    page = render_page("duobiao.serve", "try.html", values)
    policy = (
        f"default-src 'none'; style-src {_digests(page, 'style')}; script-src {_digests(page, 'script')}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page.encode(), policy.encode()


def _digests(page: str, element: str) -> str:
    found = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found)
