"""`bertmill tokenizer`: how well tokenizers fit texts, by source and language."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from typer.testing import CliRunner

from cli import app
from commands.tokenizer import measured, told
from pipeline.fertility import RARE, Uses
from pipeline.tokenizer import TokenizerError
from tests.test_tokenizer import trained

TEXTS = [("web", "en", "the quick brown fox"), ("web", "de", "die Größe"), ("code", "en", "    return    x")]


def jsonl(folder: Path, texts: list[tuple[str, str, str]] = TEXTS) -> Path:
    path = folder / "texts.jsonl"
    rows = [json.dumps({"source": s, "language": lang, "text": text}) + "\n" for s, lang, text in texts]
    path.write_text("".join(rows))
    return path


def test_bytes_words_and_tokens_are_those_of_the_texts_by_source_and_language(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    (found,) = measured([tmp_path / "t.json", jsonl(tmp_path)], [], None, 10**6)
    fits = {(fit["by"], fit["name"]): fit for fit in found["fits"]}
    assert set(fits) == {("all", "all"), ("source", "web"), ("source", "code"), ("language", "en"), ("language", "de")}
    for group, chosen in (
        (("all", "all"), TEXTS),
        (("source", "web"), TEXTS[:2]),
        (("language", "en"), TEXTS[::2]),
    ):
        size = sum(len(text.encode()) for *_, text in chosen)
        tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for *_, text in chosen)
        words = sum(len(text.split()) for *_, text in chosen)
        fit = fits[group]
        assert (fit["documents"], fit["bytes"], fit["words"], fit["tokens"]) == (len(chosen), size, words, tokens)
        assert fit["bytes_per_token"] == size / tokens
        assert fit["tokens_per_word"] == tokens / words
    assert found["changed_documents"] == 0


def test_a_table_needs_no_source_and_no_language(tmp_path: Path) -> None:
    trained(tmp_path)
    path = tmp_path / "plain.jsonl"
    path.write_text('{"text": "the quick brown fox"}\n{"text": "the fox", "source": null}\n')
    (found,) = measured([tmp_path / "t.json", path], [], None, 10**6)
    fits = {(fit["by"], fit["name"]): fit["documents"] for fit in found["fits"]}
    assert fits == {("all", "all"): 2, ("source", "plain.jsonl"): 2, ("language", "-"): 2}


def test_ids_that_no_text_uses_and_rare_ones_are_counted_without_special_ones(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    (found,) = measured([tmp_path / "t.json", jsonl(tmp_path)], [], None, 10**6)
    used = {n for *_, text in TEXTS for n in tokenizer.encode(text, add_special_tokens=False).ids}
    special = sum(token.special for token in tokenizer.get_added_tokens_decoder().values())
    assert found["ids"] == 512
    assert found["special_ids"] == special
    assert found["unused_ids"] == 512 - special - len(used)
    assert found["rare_ids"] == len(used)  # all under RARE times
    assert max(item["uses"] for item in found["longest"]) < RARE
    assert [len(item["token"]) for item in found["longest"]] == sorted(
        (len(item["token"]) for item in found["longest"]), reverse=True
    )


def test_layout_and_habits_tell_a_prefix_space_and_lost_text(tmp_path: Path) -> None:
    trained(tmp_path)
    other = Tokenizer(BPE(vocab={letter: n for n, letter in enumerate("abc")}, merges=[]))
    other.pre_tokenizer = ByteLevel(add_prefix_space=True)
    other.save(str(tmp_path / "other.json"))
    ours, theirs = measured([tmp_path / "t.json", jsonl(tmp_path)], [tmp_path / "other.json"], None, 10**6)
    assert ours["layout"]["prefix_space"] is False
    assert ours["layout"]["mask_takes_the_space_before_it"] is True
    assert ours["layout"]["multiple_of_64"] is True
    assert ours["layout"]["runs_of_spaces"] == list(range(2, 25))
    assert ours["habits"]["    return x"][0] == "    "
    assert theirs["layout"]["prefix_space"] is True
    assert theirs["layout"]["mask_takes_the_space_before_it"] is theirs["layout"]["multiple_of_64"] is False
    assert theirs["changed_documents"] == 3
    assert "(no multiple of 64)" in told([ours, theirs])


def test_a_special_token_written_in_a_text_is_text(tmp_path: Path) -> None:
    uses = Uses(tokenizer=trained(tmp_path))
    uses.add(["[MASK]"], [{}])
    assert not uses.counts[uses.tokenizer.token_to_id("[MASK]")]
    assert uses.fits["all", "all"].tokens > 1


def test_the_sample_is_bounded_and_never_empty(tmp_path: Path) -> None:
    trained(tmp_path)
    path = jsonl(tmp_path, [("web", "en", "word " * 100)] * 50)
    (found,) = measured([tmp_path / "t.json", path], [], None, 1_200)
    assert found["fits"][0]["documents"] == 3
    (found,) = measured([tmp_path / "t.json", path], [], None, 1)
    assert found["fits"][0]["documents"] == 1


def test_a_plain_file_is_one_document_and_an_empty_one_has_no_ratio(tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / "a.txt").write_text("the fox")
    (tmp_path / "b.txt").write_text("")
    (found,) = measured([tmp_path / "t.json", tmp_path / "a.txt", tmp_path / "b.txt"], [], None, 10**6)
    fits = {fit["name"]: fit for fit in found["fits"] if fit["by"] == "source"}
    assert fits["a.txt"]["words"] == 2
    assert fits["b.txt"]["bytes_per_token"] is None
    assert "b.txt" in told([found])


def test_what_cannot_be_measured_is_refused_in_one_line(tmp_path: Path) -> None:
    trained(tmp_path)
    tokenizer, text = tmp_path / "t.json", jsonl(tmp_path)
    for paths, said in (
        ([text], "name one recipe"),
        ([tokenizer], "there is no text to measure on"),
        ([tokenizer, tmp_path / "none.txt"], "there is no such file"),
        ([tmp_path / "none.json", text], "there is no such file"),
        ([tmp_path / "a.yaml", tmp_path / "b.yaml"], "name one recipe"),
    ):
        with pytest.raises(TokenizerError, match=said):
            measured(paths, [], None, 10**6)


def test_the_command_prints_tables_or_json(tmp_path: Path) -> None:
    trained(tmp_path)
    arguments = ["tokenizer", str(tmp_path / "t.json"), str(jsonl(tmp_path)), "--compare", str(tmp_path / "t.json")]
    plain = CliRunner().invoke(app, arguments)
    assert plain.exit_code == 0
    assert "bytes/token [2]" in plain.stdout
    assert "language de" in plain.stdout
    answer = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert [one["ids"] for one in answer] == [512, 512]
