"""What somebody touches who adds an action: done once in a copy of the project, and laid beside the how-to page.

The copy gets a class, its row, its words and its runbook, as a person would give it. Then the project's own tests say
what they still ask for; when that is done too they pass, and what differs from the project is what was touched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TOY = HERE / "toy_action"
ACTIONS = "src/twokey/providers/aws/actions"
RUNBOOK = "aws.take-users-tag"
COPIED = (
    *("src", "runbooks", "rules", "templates", "deploy", "docs", "tests", "tools", "pyproject.toml"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "LICENSE"),
)
WORDS = {
    "en": {
        "aws.iam.grants_hang_on_tag": "What policies grant by the tag {tag} of {user} ends.",
        "aws.iam.tag_is_ours": "{tag} is twokey's own: people set it, and no plan takes it off.",
    },
    "ja": {
        "aws.iam.grants_hang_on_tag": "{user} のタグ {tag} によって与えられている権限がなくなります。",
        "aws.iam.tag_is_ours": "{tag} は twokey 自身のタグです。人が設定し、計画では外しません。",
    },
}
ROW = (
    "| `aws.iam.set_user_tag` | modify | `user_name`, `tag`, `value?` | `user_name`, `tag` |"
    " `iam:ListUserTags`, `iam:TagUser`, `iam:UntagUser` |\n"
)
CONTRACT = """

class TestSetUserTag(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, leak: Any) -> Scene:
        def tags() -> object:
            return aws.admin("iam", aws.victim).list_user_tags(UserName=leak.user)["Tags"]

        inputs = {"user_name": leak.user, "tag": "team"}
        name = "aws.iam.set_user_tag"
        back = lambda outputs, prior: {**inputs, **prior}  # noqa: E731
        return a_scene(aws, name, inputs, tags, undo=name, undo_inputs=back)
"""

# Tests of the project that are red as long as something is missing, by what they ask for.
ROW_IS_ASKED_FOR = ("tests/catalog/test_shipped.py::test_no_shipped_runbook_has_a_fault",)
REST_IS_ASKED_FOR = {
    "src/twokey/locale/en/aws.po": "tests/test_words.py::test_every_code_that_is_raised_has_words[en]",
    "src/twokey/locale/ja/aws.po": "tests/test_words.py::test_every_code_that_is_raised_has_words[ja]",
    "deploy/aws/iam": "tests/providers/aws/test_permissions.py::test_the_files_are_what_the_code_declares",
    "docs/reference/aws-actions.md": (
        "tests/test_docs.py::test_every_action_check_and_parameter_type_is_in_the_reference"
    ),
    "runbooks/approved.lock": (
        "tests/catalog/test_shipped.py::test_every_shipped_runbook_is_approved_as_it_is"
    ),
    "README.md": "tests/test_docs.py::test_every_shipped_runbook_is_named_in_the_readme",
}
ALL = (
    *("tests/test_words.py", "tests/catalog/test_shipped.py", "tests/providers/aws/test_permissions.py"),
    *("tests/providers/aws/test_words.py", "tests/test_docs.py::test_every_module_is_on_the_map"),
    *(REST_IS_ASKED_FOR["docs/reference/aws-actions.md"], REST_IS_ASKED_FOR["README.md"]),
)


class Copy:
    """A copy of the project that somebody adds an action to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(ROOT / name, folder / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, folder / name)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={"PATH": "", "HOME": str(self.folder), "PYTHONPATH": str(self.folder / "src")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def failed(self, *tests: str) -> set[str]:
        """Run tests of the copy, and return those that failed; that any ran is asserted."""
        done = self.run("-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", *tests)
        assert re.search(r"^\d+ (passed|failed)", done.stdout, re.MULTILINE), done.stdout + done.stderr
        assert "ERROR" not in done.stdout, done.stdout
        return set(re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE))

    def change(self, name: str, old: str, new: str) -> None:
        """Put something in the place of something that stands once in a file."""
        path = self.folder / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, (name, old)
        path.write_text(text.replace(old, new), "utf-8")

    def touched(self) -> set[str]:
        """Return the files that are not as they are in the project."""
        files = [
            path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ]
        names = {path.relative_to(self.folder).as_posix() for path in files}
        return {
            name
            for name in names
            if not (ROOT / name).is_file() or (ROOT / name).read_bytes() != (self.folder / name).read_bytes()
        }

    # what a person does

    def add_the_class_and_its_runbook(self) -> None:
        shutil.copy(TOY / "iam_set_user_tag.py", self.folder / ACTIONS / "iam_set_user_tag.py")
        shutil.copy(TOY / f"{RUNBOOK}.yaml", self.folder / "runbooks" / f"{RUNBOOK}.yaml")

    def add_the_row(self) -> None:
        neighbour = "from twokey.providers.aws.actions.iam_simulate_denied import SimulateDenied\n"
        mine = "from twokey.providers.aws.actions.iam_set_user_tag import SetUserTag\n"
        self.change(f"{ACTIONS}/__init__.py", neighbour, mine + neighbour)
        self.change(
            f"{ACTIONS}/__init__.py", "    SimulateDenied,\n", "    SetUserTag,\n    SimulateDenied,\n"
        )

    def add_the_rest(self) -> None:
        for language, words in WORDS.items():
            with (self.folder / f"src/twokey/locale/{language}/aws.po").open("a", encoding="utf-8") as file:
                file.writelines(f'\nmsgid "{code}"\nmsgstr "{text}"\n' for code, text in words.items())
        for command in (
            ("tools/compile_words.py",),
            ("-m", "twokey", "permissions", "aws", "--out", "deploy/aws/iam"),
            ("-m", "twokey", "runbook", "approve", RUNBOOK, "--by", "somebody"),
            ("-m", "twokey", "runbook", "approve", RUNBOOK, "--by", "somebody.else"),
        ):
            done = self.run(*command)
            assert done.returncode == 0, done.stdout + done.stderr
        neighbour = "| `aws.iam.simulate_denied` | read"
        self.change("docs/reference/aws-actions.md", neighbour, ROW + neighbour)
        with (self.folder / "README.md").open("a", encoding="utf-8") as file:
            file.write(f"\n`{RUNBOOK}` takes a tag off a user.\n")
        with (self.folder / "CHANGELOG.md").open("a", encoding="utf-8") as file:
            file.write("\n- The role must be given `iam:TagUser` and `iam:UntagUser`.\n")
        contracts = (HERE / "test_action_contracts.py").relative_to(ROOT)
        with (self.folder / contracts).open("a", encoding="utf-8") as file:
            file.write(CONTRACT)


def rows_of_the_page() -> list[str]:
    """Return the files that the how-to page says are touched, as patterns."""
    page = (ROOT / "docs" / "how-to" / "add-an-action.md").read_text("utf-8")
    section = page.partition("## What is touched")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def matches(row: str, name: str) -> bool:
    """Say whether a file is what a row of the page means: `<service>` stands for a part of a name."""
    return re.fullmatch(re.sub(r"<[a-z]+>", "[^/]+", row.replace(".", r"\.")), name) is not None


def test_an_action_touches_what_the_how_to_names_and_nothing_else(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy")
    assert copy.touched() == set()
    copy.add_the_class_and_its_runbook()
    assert copy.failed(*ROW_IS_ASKED_FOR) == set(ROW_IS_ASKED_FOR)
    copy.add_the_row()
    assert copy.failed(*ALL) >= set(REST_IS_ASKED_FOR.values())
    copy.add_the_rest()
    assert copy.failed(*ALL, "tests/providers/aws/test_action_contracts.py::TestSetUserTag") == set()
    touched = copy.touched()
    found = {row: {name for name in touched if matches(row, name)} for row in rows_of_the_page()}
    assert touched == set().union(*found.values())
    assert [row for row, names in found.items() if not names] == []
