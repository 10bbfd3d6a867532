"""Command blocks of README and docs: what they name exists; each is run or says why not."""

from __future__ import annotations

import ast
import doctest
import re
import tomllib
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from ecgscale.cli import app
from models.space_file import space_from_table
from search.definition import StudyDefinition
from tests.docs.blocks import BLOCK, CHECKED, PAGES, ROOT, Block, blocks, commands

ALL = [block for page in PAGES for block in blocks(page)]
# Programs that are not ours; what they do is not checked.
OTHERS = {
    *("cd", "chmod", "cat", "cp", "export", "mkdir", "source", "wait", "openssl", "scp", "ssh"),
    *("docker", "git", "kubectl", "nvidia-smi", "psql", "sbatch", "scancel", "squeue"),
    *("pip", "python", "python3"),
}


def of(*languages: str) -> list[Block]:
    return [block for block in ALL if block.language in languages]


def parse(arguments: list[str]) -> None:
    """Parse arguments as the command line does, without running anything."""
    command, name, parent = get_command(app), "ecgscale", None
    while True:
        if {"--help", "--version"} & set(arguments[:1]):
            return
        context = command.make_context(name, list(arguments), parent=parent)
        if not isinstance(command, TyperGroup):
            return
        rest = [*context._protected_args, *context.args]
        name, command, arguments = command.resolve_command(context, rest)
        parent = context


def test_there_are_blocks_to_check() -> None:
    assert len(of("bash")) > 20
    assert {block.page for block in ALL} >= {"README.md", "docs/tutorial.md", "CONTRIBUTING.md"}


@pytest.mark.parametrize("block", of(*CHECKED), ids=str)
def test_a_block_has_a_language_and_is_run_or_says_why_not(block: Block) -> None:
    assert block.language, "expected a language after ```, such as bash or text"
    checked_here = block.language == "toml" or ">>>" in block.text
    assert block.mark or checked_here, "expected <!-- run --> or <!-- not run: REASON --> before it"


@pytest.mark.parametrize("block", of("bash"), ids=str)
def test_its_commands_and_their_options_exist(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for words in commands(block.text):
        program = Path(words[0]).name
        if program == "ecgscale":
            try:
                parse(words[1:])
            except Exception as error:
                raise AssertionError(f"{' '.join(words)}: {error}") from error
        elif program == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, words
        else:
            assert program in OTHERS, words


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_its_definition_is_valid(block: Block) -> None:
    table = tomllib.loads(block.text)
    if table.get("recipe", {}).pop("init", None):  # a file of the reader's
        table["recipe"]["init_hash"] = "0" * 64
    if block.title == "pyproject.toml":
        return
    if table.pop("plugins", None):  # made and trained by tests/search/test_plugins.py
        return
    if "family" in table or "factors" in table:
        space_from_table(table, "space")
    else:
        StudyDefinition.from_dict({"name": "study", **table})


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_its_python_is_python_and_its_examples_hold(block: Block) -> None:
    if ">>>" not in block.text:
        ast.parse(block.text)
        return
    test = doctest.DocTestParser().get_doctest(block.text, {}, str(block), block.page, block.line)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert result.attempted
    assert not result.failed


def test_the_readme_is_short_and_narrow() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 120
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_command_stands_outside_of_a_block(page: str) -> None:
    prose = BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    assert not re.findall(r"^ {4,}(?:ecgscale|make|python|pip) .*", prose, re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_commands_and_options_in_the_text_exist(page: str) -> None:
    prose = BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    for span in re.findall(r"`(ecgscale [^`]+)`", prose):
        command, words = get_command(app), span.split()[1:]
        while isinstance(command, TyperGroup) and words and re.match("[a-z]", words[0]):
            assert words[0] in command.commands, span
            command, words = command.commands[words.pop(0)], words
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        asked = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert asked <= known | {"--help"}, span


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_of_the_code_that_the_text_names_exist(page: str) -> None:
    prose = BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    folders = "analysis|data_pipeline|definitions|docs|ecgscale|models|search|tests"
    for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", prose):
        assert (ROOT / path).exists(), path


def test_a_wrong_command_is_noticed() -> None:
    for wrong in (["prepair", "x"], ["prepare", "x", "--outt", "y"], ["cost", "--samples", "no"]):
        with pytest.raises(Exception, match=r"prepair|outt|valid integer"):
            parse(wrong)
