import gzip
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commands.look import look
from commands.run import prepare
from commands.what_if import what_if
from pipeline.engines.run import Engine
from pipeline.filters import urls
from pipeline.filters.lists import files_of, named, stamps_of
from pipeline.filters.rules import first_failed
from pipeline.filters.settings import Urls
from pipeline.stage import StageError
from pipeline.units import InputError
from recipes.load import load
from recipes.recipe import Recipe


def batch(*addresses: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"url": pa.array(addresses, pa.string())})


def lists(folder: Path, **entries: str) -> Urls:
    """Settings over one file of entries for each list."""
    for name, text in entries.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Urls(**{name: (str(folder / name),) for name in entries})  # type: ignore[arg-type]


def reason(settings: Urls, address: str | None) -> str | None:
    """Why a page at this address is dropped."""
    asked = urls.rules(settings)
    number = first_failed(urls.measure(batch(address), settings), asked, 1)[0]
    return asked[number].reason if number >= 0 else None


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://evil.com/", "evil.com"),
        ("https://a.b.evil.com/page", "evil.com"),
        ("HTTP://WWW.EVIL.COM", "evil.com"),
        ("http://user:pw@evil.com:8080/x", "evil.com"),
        ("http://evil.com.:80/", "evil.com"),
        ("http://evil.com?q", "evil.com"),
        ("//evil.com/x", "evil.com"),
        ("evil.com/x", "evil.com"),
        ("<http://evil.com/x>", "evil.com"),
        ("http://sub.listed.org/", None),
        ("http://only.listed.org/", "only.listed.org"),
        ("http://notevil.com/", None),
        ("http://evil.com.org/", None),
        ("http://good.org/evil.com", None),
        ("http://good.org/?u=@evil.com", None),
        ("http://evil.com@good.org/", None),
        ("http://münchen.example/", "xn--mnchen-3ya.example"),
        ("http://xn--mnchen-3ya.example/", "xn--mnchen-3ya.example"),
        ("http://straße.test/ü", "strasse.test"),
        ("http://1.2.3.4/", "1.2.3.4"),
        ("http://9.1.2.3.4/", None),
        ("http://[2001:DB8::1]:80/", "2001:db8::1"),
        ("http://www.x.porn/", "porn"),
        ("http://", None),
        ("@", None),
        ("", None),
        (None, None),
    ],
)
def test_a_domain_is_blocked_with_all_below_it(tmp_path: Path, address: str | None, found: str | None) -> None:
    entries = "# comment\n\nevil.com\r\n*.only.listed.org\nMÜNCHEN.example\nstrasse.test\n1.2.3.4\n2001:db8::1\nporn"
    settings = lists(tmp_path, blocked_domains=entries)
    assert urls.measure(batch(address), settings)["urls.domain"].tolist() == [found]
    assert reason(settings, address) == ("url_blocked_domain" if found else None)


@pytest.mark.parametrize(
    ("address", "blocked"),
    [
        ("http://site.org/bad", True),
        ("https://www.site.org/BAD/", True),
        ("http://site.org/bad/deeper", True),
        ("http://site.org:80/bad?x=1#y", True),
        ("http://site.org/badly", False),
        ("http://site.org/", False),
        ("http://sub.site.org/bad", False),
        ("http://site.org/x/bad", False),
        ("http://whole.org/any/thing", True),
        ("http://q.org/?id=3", True),
        ("http://q.org/?id=33", False),
    ],
)
def test_a_url_is_blocked_with_what_goes_on_from_it(tmp_path: Path, address: str, blocked: bool) -> None:
    settings = lists(tmp_path, blocked_urls="site.org/bad/\nhttp://www.whole.org/\nhttp://q.org/?id=3\n")
    assert (reason(settings, address) == "url_blocked_url") == blocked


def test_words_of_a_url_are_banned_whole_softly_and_in_part(tmp_path: Path) -> None:
    settings = lists(
        tmp_path, banned_words="vice\nx-rated\nпорок\n", soft_banned_words="Hot\ncold\n", banned_subwords="dirtyvid\n"
    )
    expected = {
        "http://a.org/vice/": "url_banned_word",
        "http://a.org/VICE": "url_banned_word",
        "http://a.org/v%69ce": "url_banned_word",
        "http://a.org/%20vice": "url_banned_word",
        "http://a.org/advice": None,
        "http://a.org/xrated": "url_banned_word",
        "http://a.org/порок": "url_banned_word",
        "http://a.org/%D0%BF%D0%BE%D1%80%D0%BE%D0%BA": "url_banned_word",
        "http://a.org/hot-hot": None,
        "http://hot.org/cold": "url_soft_banned_words",
        "http://a.org/my-dirty_Vid.html": "url_banned_subword",
        "http://a.org/100%": None,
    }
    assert {address: reason(settings, address) for address in expected} == expected
    counts = urls.measure(batch("http://hot.org/cold-hot", None), settings)["urls.soft_words"]
    assert counts[0] == 2
    assert np.isnan(counts[1])


def test_only_lists_that_are_named_are_measured_and_asked(tmp_path: Path) -> None:
    settings = lists(tmp_path, banned_words="vice\n")
    assert list(urls.measure(batch("http://a.org"), settings)) == ["urls.word"]
    assert [rule.reason for rule in urls.rules(settings)] == ["url_banned_word"]
    assert urls.rules(Urls()) == []
    assert urls.measure(batch("http://a.org"), Urls()) == {}


def test_folders_in_the_layout_of_ut1_are_read_plain_or_gzip(tmp_path: Path) -> None:
    for category, ending in (("games", ""), ("drugs", ".gz")):
        folder = tmp_path / "blacklists" / category
        folder.mkdir(parents=True)
        for name in ("domains", "urls"):
            content = f"{category}.com\n".encode() if name == "domains" else f"x.org/{category}\n".encode()
            (folder / f"{name}{ending}").write_bytes(gzip.compress(content) if ending else content)
    everything = str(tmp_path / "blacklists")
    settings = Urls(blocked_domains=(everything,), blocked_urls=(everything,))
    for category in ("games", "drugs"):
        assert reason(settings, f"http://{category}.com") == "url_blocked_domain"
        assert reason(settings, f"http://x.org/{category}/1") == "url_blocked_url"
    one = Urls(blocked_domains=(str(tmp_path / "blacklists" / "games"),))
    assert [path.parent.name for path in files_of(one, "blocked_domains")] == ["games"]
    assert reason(one, "http://drugs.com") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "names no list"), (b"", "holds no entry"), (b"# only\n\n", "holds no entry"), (b"\x1f\x8b1", "be read")],
)
def test_a_list_that_is_missing_empty_or_damaged_is_told_by_its_place(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "list.gz"
    if content is not None:
        path.write_bytes(content if content.startswith(b"\x1f") else gzip.compress(content))
    with pytest.raises(InputError, match=rf"sources\.web\.filters\..*{said}"):
        stamps_of(Urls(banned_words=(str(path),)), "web")


def test_a_part_of_one_letter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'x' would ban nearly every URL"):
        urls.measure(batch("http://a.org"), lists(tmp_path, banned_subwords="x\n"))


def test_lists_are_part_of_the_stages_print_and_their_folder_is_not(tmp_path: Path) -> None:
    settings = lists(tmp_path, banned_words="vice\n")
    before = stamps_of(settings, "web")
    assert list(before) == ["urls.banned_words/0/banned_words"]
    (tmp_path / "banned_words").write_text("virtue\n")
    os.utime(tmp_path / "banned_words", ns=(1, 1))
    assert stamps_of(settings, "web") != before
    assert named(settings)["banned_words"] == ["banned_words"]


def test_a_million_entries_are_loaded_in_two_seconds_and_take_eight_bytes_each(tmp_path: Path) -> None:
    settings = lists(tmp_path, blocked_domains="".join(f"s{n}.host{n % 997}.com\n" for n in range(500_000)))
    urls.measure(batch("http://a.org"), lists(tmp_path, blocked_urls="warm.org\n"))
    began = time.process_time()
    found = urls.measure(batch("http://x.s7.host7.com/", "http://s8.host7.com/"), settings)["urls.domain"]
    assert time.process_time() - began < 1.0
    assert found.tolist() == ["s7.host7.com", None]
    assert urls._load(settings)[0].nbytes == 8 * 500_000


@pytest.mark.parametrize(
    "hostile",
    ["http://" + "a." * 500_000 + "com", "http://x/" + "/" * 10**6, "@" * 10**6, "http://" + "ü." * 300_000,
     "ab" * 500_000, "%4" * 500_000, ":" * 10**6],
)  # fmt: skip
def test_a_hostile_url_costs_time_by_its_length_alone(tmp_path: Path, hostile: str) -> None:
    settings = lists(tmp_path, blocked_domains="a.b\n", blocked_urls="a.b/c\n", banned_words="c\n",
                     soft_banned_words="d\n", banned_subwords="abababababababac\n")  # fmt: skip
    urls.measure(batch("http://a.org"), settings)
    began = time.process_time()
    urls.measure(batch(hostile), settings)
    assert time.process_time() - began < 2


def test_a_run_drops_pages_on_a_list_and_refuses_a_changed_list(recipe_path: Path, tmp_path: Path) -> None:
    """The folder of the list is no part of the stage, its content is."""
    blocked = tmp_path / "lists" / "blocked"
    blocked.parent.mkdir()
    recipe = load(recipe_path)
    prepare(recipe, tmp_path / "work", Engine(), until="ingest/web")
    address = next(look(tmp_path / "work" / "ingest" / "web", 1))["url"]
    blocked.write_text(address + "\n")
    changed = tmp_path / "urls.yaml"

    def listed(name: str) -> Recipe:
        text = recipe_path.read_text().replace("fineweb: null", f"urls: {{blocked_urls: {name}}}, fineweb: null")
        changed.write_text(text)
        return load(changed)

    prepare(listed(str(blocked)), tmp_path / "work", Engine(), until="filter/web")
    dropped = list(look(tmp_path / "work" / "filter" / "web", 99, reason="url_blocked_url"))
    assert {item["value"] for item in dropped} == {address.partition("://")[2].removeprefix("www.").rstrip("/")}
    found = what_if(tmp_path / "work", ["web", "urls=null"])
    assert found["dropped"].get("url_blocked_url", {"after": 0})["after"] == 0
    blocked.parent.rename(tmp_path / "moved")
    prepare(listed(str(tmp_path / "moved" / "*")), tmp_path / "work", Engine(), until="ingest/web")
    moved = listed(str(tmp_path / "moved" / "blocked"))
    prepare(moved, tmp_path / "work", Engine(), until="filter/web")
    (tmp_path / "moved" / "blocked").write_text("other.org\n")
    with pytest.raises(StageError, match=r"input files changed: urls.blocked_urls/0/blocked.*--redo filter/web"):
        prepare(moved, tmp_path / "work", Engine(), until="filter/web")
