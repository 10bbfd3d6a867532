"""The keys of a study's definition, below the help of a command that takes one."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class DefinitionCommand(TyperCommand):
    """A command whose help ends with a definition to copy."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, then the keys; they are read only now, so other helps stay quick."""
        from search.template import template

        super().format_help(ctx, formatter)
        formatter.write(template())
