"""The project's own templates, rendered as the program does it."""

from pathlib import Path

import pytest

from twokey.app import disclosure
from twokey.publish.render import PostmortemRenderer, TemplateRenderer

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


@pytest.fixture
def renderer() -> PostmortemRenderer:
    return PostmortemRenderer(TEMPLATES, disclosure(), zone="Asia/Tokyo")


@pytest.fixture
def with_template(tmp_path):
    """Return a function that renders one template of somebody's own making."""

    def fill(source: str, **facts):
        folder = tmp_path / "templates"
        folder.mkdir(exist_ok=True)
        (folder / "page.md.j2").write_text(source, "utf-8")
        return TemplateRenderer(folder).render("page.md.j2", facts, "not recorded")

    return fill
