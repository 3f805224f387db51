"""Asks whether the links of README and documentation to other places still lead somewhere.

Run ``python tools/links.py``, or ``make links``; it names each link that is dead or not to be reached, with the pages it stands
on, and ends with status 1 if there is one. It needs the network, so no test asks. Links inside the repository are checked by
``tests/documentation``.
"""

from __future__ import annotations

import http.client
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("*.md", "docs/**/*.md", "benchmarks/**/*.md", "src/duobiao/builtin/**/*.md")
LINK = re.compile(r"\]\((https?://[^)\s]+)\)|<(https?://[^>\s]+)>")
CODE = re.compile(r"^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
AGENT = "Mozilla/5.0 (compatible; duobiao-links; asks once for each link of its documentation)"
NO_HEAD = {403, 404, 405, 501}
"""Answers to HEAD after which GET is tried: some servers do not know HEAD."""
SECONDS = 20.0
"""How long a server may take."""
PAUSE = 1.0
"""Seconds between two questions to one server."""


def links(text: str) -> list[str]:
    """Links of a Markdown page to other places, without anchors; not what stands in code."""
    return [urldefrag(one or other).url for one, other in LINK.findall(CODE.sub("", text))]


def pages() -> Iterator[Path]:
    """The Markdown pages that people read."""
    for place in PLACES:
        yield from sorted(ROOT.glob(place))


def problem(link: str, seconds: float = SECONDS) -> str:
    """What is wrong with a link: the server's answer, or why there was none; empty if nothing is.

    Args:
        link: Address, ``http`` or ``https``.
        seconds: How long the server may take.
    """
    said = ""
    for method in ("HEAD", "GET"):
        try:
            asked = urllib.request.Request(link, method=method, headers={"User-Agent": AGENT})
            with urllib.request.urlopen(asked, timeout=seconds):
                return ""
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.reason}"
            if error.code not in NO_HEAD:
                break
        except (OSError, http.client.HTTPException) as error:
            return f"no answer: {getattr(error, 'reason', error) or type(error).__name__}"
    return said


def main() -> int:
    found: dict[str, list[str]] = {}
    for page in pages():
        for link in links(page.read_text(encoding="utf-8")):
            found.setdefault(link, []).append(page.relative_to(ROOT).as_posix())
    asked: dict[str, float] = {}
    wrong = 0
    for link, places in found.items():
        server = urlsplit(link).netloc
        time.sleep(max(0.0, asked.get(server, 0.0) + PAUSE - time.monotonic()))
        said = problem(link)
        asked[server] = time.monotonic()
        if said:
            wrong += 1
            print(f"{link}: {said}; it stands in {', '.join(sorted(set(places)))}")
    print(f"{len(found)} links, {wrong} of them dead or not to be reached")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
