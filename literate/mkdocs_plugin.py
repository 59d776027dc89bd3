"""The adapter between the press and mkdocs: everything clever is elsewhere.

`mkdocs build` stops at the first sign of trouble and leaves the old site alone; `mkdocs serve`
shows a failing block in its place and lives on.
"""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path
from typing import Any, Literal, cast

from mkdocs.config.base import Config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import BasePlugin
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from literate import site
from literate.pressed import Pressed
from literate.problems import PressError, counted
from literate.project import Project
from literate.run import Failed, press_all

log = logging.getLogger("mkdocs.plugins.literate")


class Settings(Config):
    """The plugin has no settings of its own: `[tool.literate]` in pyproject.toml has them."""


class LiteratePlugin(BasePlugin[Settings]):
    """Presses notes/ (and the examples in docs/) and hands the result to mkdocs."""

    def __init__(self) -> None:
        self.serving = False
        self.final: Path | None = None
        self.project: Project | None = None
        self.pressed: list[Pressed] = []
        self.pages: dict[str, str] = {}

    def on_startup(self, *, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
        """Remember what mkdocs was asked for."""
        self.serving = command == "serve"

    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        """Build beside the old site; it is replaced when everything has succeeded."""
        self.project = Project.find(Path(config.config_file_path))
        if not self.serving and self.final is None:
            self.final = Path(config.site_dir)
            config.site_dir = f"{self.final}.building"
        return config

    def on_pre_build(self, *, config: MkDocsConfig) -> None:
        """Press every page; in a build, stop here if any fails."""
        assert self.project is not None
        project, docs = self.project, Path(config.docs_dir)
        prose = site.with_examples(docs)
        try:
            self.pressed = press_all(project.pages(), project, whole=True, prose=prose)
        except Failed as failed:
            self.pressed = failed.pressed
            self._report(failed)
        self.pressed = site.in_order(self.pressed, project, cast("object", config["nav"]))
        self.pages = site.pages(self.pressed, project, docs)

    def _report(self, failed: PressError) -> None:
        count = counted(len(failed.problems), "problem")
        if not self.serving:
            raise PluginError(f"{failed}\n{count}; the old site stays as it was")
        for problem in failed.problems:
            log.error("%s", problem)

    def on_files(self, files: Files, *, config: MkDocsConfig) -> Files:
        """Add the chapters and the modules they walk."""
        for path, content in self.pages.items():
            if (there := files.get_file_from_path(path)) is not None:
                files.remove(there)
            files.append(File.generated(config, path, content=content))
        return files

    def on_page_markdown(
        self, markdown: str, *, page: Page, config: MkDocsConfig, files: Files
    ) -> str:
        """Add what every page shares: the tooltips of the glossary."""
        assert self.project is not None
        return markdown + "\n\n" + site.tooltips(Path(config.docs_dir), page.file.src_uri)

    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """Publish what can be taken away."""
        assert self.project is not None
        name, about = config.site_name, config.site_description or ""
        for path, text in site.extras(self.pressed, self.project, name, about).items():
            target = Path(config.site_dir) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def on_serve(
        self, server: LiveReloadServer, /, *, config: MkDocsConfig, builder: Any
    ) -> LiveReloadServer:
        """Watch everything that a page can depend on."""
        assert self.project is not None
        for folder in (self.project.notes, self.project.modules, self.project.tests):
            server.watch(str(self.project.root / folder))
        return server

    def on_shutdown(self) -> None:
        """Put the new site in the place of the old one, unless the build failed."""
        if self.final is None:
            return
        built = Path(f"{self.final}.building")
        # mkdocs calls this while the exception that ended the build, if any, is on its way.
        if sys.exc_info()[0] is None and built.is_dir():
            shutil.rmtree(self.final, ignore_errors=True)
            built.rename(self.final)
        else:
            shutil.rmtree(built, ignore_errors=True)
