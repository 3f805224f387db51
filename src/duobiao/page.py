"""Pages for people: one self-contained HTML file each, light and dark, all of one look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import jinja2


def render_page(
    package: str, template: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """Fills in a template that extends ``page.html``, which holds the head and what all pages share of their style.

    Args:
        package: The package that the template belongs to.
        template: Its file name in the package's folder ``templates``.
        values: What it shows; ``title`` and ``language`` among them.
        filters: Its own filters.
    """

    def read(name: str) -> str:
        place = resources.files("duobiao") / name if name == "page.html" else resources.files(package) / "templates" / name
        return place.read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read), autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(values)
