from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import cli
from commands.faults import FAULTS

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(get_command(cli.app).commands)  # type: ignore[attr-defined]


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    """bertmill's exit code, output and faults for these words."""
    monkeypatch.setattr("sys.argv", ["bertmill", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert f"bertmill {command}" in (ROOT / "README.md").read_text()


def test_the_commands_are_those_that_we_promise() -> None:
    promised = ["average", "compare", "evaluate", "export", "fetch", "fill-mask", "import", "look", "order", "plan",
                "run", "sample", "send", "tokenizer", "trace", "train", "verify", "what-if"]  # fmt: skip
    assert promised == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(cli.app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_help_and_plan_load_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, cli, recipes.load, recipes.plan, recipes.estimate, commands.report, commands.run\n"
        "heavy = ('torch', 'numpy', 'pyarrow', 'numba', 'datatrove', 'transformers')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"


def test_a_fault_of_the_user_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for words in (
        ("plan", tmp_path / "none.yaml"),
        ("look", tmp_path / "none"),
        ("verify", tmp_path / "none"),
        ("trace", tmp_path, 0),
        ("export", tmp_path, tmp_path / "out"),
        ("fill-mask", tmp_path, "a [MASK]"),
    ):
        code, out, err = call(capsys, monkeypatch, *words)
        assert (code, out) == (1, ""), words
        assert len(err.strip().splitlines()) == 1, err


def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(capsys, monkeypatch, "plan")[0] == 2
    assert call(capsys, monkeypatch, "paln", "x")[0] == 2


@pytest.mark.parametrize(("module", "name"), [(m, n) for m, names in FAULTS.items() for n in names])
def test_every_fault_that_is_told_in_one_line_is_an_exception(module: str, name: str) -> None:
    import importlib

    assert issubclass(getattr(importlib.import_module(module), name), Exception)


def test_a_recipe_whose_files_are_missing_is_refused_by_pattern(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recipe_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(recipe_path.read_text().replace("/web/*.warc.gz", "/web/*.arc"))
    code, _, err = call(capsys, monkeypatch, "plan", path)
    assert code == 1
    assert "*.arc matches no file" in err


def test_the_funnel_in_the_readme_is_the_one_that_is_printed(whole: Path) -> None:
    from commands.report import funnel
    from recipes.load import load

    printed = funnel(whole, load(whole / "recipe.yaml"))
    shown = (ROOT / "README.md").read_text()
    assert " ".join(printed[0].split()) in " ".join(shown.split())
    for line in printed[1:]:
        assert f"\n  {line.split()[0]} " in shown


def test_the_stages_in_the_readme_are_those_of_the_quickstart() -> None:
    from recipes.load import load
    from recipes.plan import stages

    declared = {stage.name for stage in stages(load(ROOT / "recipes" / "quickstart.yaml"))}
    shown = (ROOT / "README.md").read_text()
    named = {line.split()[0] for line in shown.splitlines() if " in " in line and " out  " in line}
    assert named
    assert named <= declared
