"""The charset of a page: declared in header or page, by a mark, or nowhere, and sometimes untruly."""

from __future__ import annotations

import pytest

from pipeline.ingest.charset import codec, decode

RUSSIAN = "<p>Съешь же ещё этих мягких французских булок, да выпей чаю.</p>" * 20
JAPANESE = "<p>いろはにほへと ちりぬるを わかよたれそ つねならむ 有為の奥山 今日越えて</p>" * 20
FRENCH = "<p>Voix ambiguë d’un cœur qui, au zéphyr, préfère les jattes de kiwis.</p>" * 20
CHINESE = "<p>天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏。</p>" * 20
WRITTEN = [
    (RUSSIAN, "koi8-r"),
    (RUSSIAN, "windows-1251"),
    (JAPANESE, "shift_jis"),
    (JAPANESE, "euc-jp"),
    (CHINESE, "gb2312"),
    (CHINESE, "gb18030"),
    (FRENCH, "windows-1252"),
]


@pytest.mark.parametrize(("text", "label"), WRITTEN)
def test_a_charset_is_found_in_the_header_in_the_page_and_in_the_bytes(text: str, label: str) -> None:
    page = text.encode(codec(label) or "")
    assert decode(page, label)[0] == text
    assert decode(b'<meta charset="%b">' % label.encode() + page)[0].endswith(text)
    assert decode(page)[0] == text


@pytest.mark.parametrize(("text", "label"), WRITTEN)
def test_utf_8_is_utf_8_whatever_is_declared(text: str, label: str) -> None:
    assert decode(b'<meta charset="%b">' % label.encode() + text.encode(), label)[0].endswith(text)


@pytest.mark.parametrize(("text", "label"), WRITTEN[:4])
def test_a_page_that_calls_itself_utf_8_and_is_not_is_read_as_what_it_is(text: str, label: str) -> None:
    assert decode(text.encode(label), "utf-8")[0] == text


@pytest.mark.parametrize(("text", "label"), [(FRENCH[:60], "windows-1252"), (RUSSIAN[:60], "koi8-r")])
def test_a_few_letters_in_much_markup_show_that_a_page_is_not_utf_8(text: str, label: str) -> None:
    page = "<p class='some'>plain words</p>" * 2000 + text * 3
    assert decode(page.encode(label), "utf-8")[0] == page


def test_a_utf_8_page_with_some_broken_letters_is_still_utf_8() -> None:
    page = RUSSIAN.encode() + b"\xff\xe9 " * 40 + RUSSIAN.encode()
    assert decode(page, "utf-8") == (page.decode("utf-8", "replace"), "utf-8")


@pytest.mark.parametrize("label", ["latin-1", "ISO-8859-1", "latin1", "us-ascii", " 'windows-1252' "])
def test_latin_1_means_windows_1252(label: str) -> None:
    assert decode(FRENCH.encode("cp1252"), label) == (FRENCH, "cp1252")


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_decides(mark: str) -> None:
    assert decode(RUSSIAN.encode(mark), "koi8-r")[0] == RUSSIAN


@pytest.mark.parametrize("label", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("declared", [None, "utf-16", "utf-8"])
def test_utf_16_without_a_mark_shows_itself(label: str, declared: str | None) -> None:
    assert decode(("<html>" * 99 + FRENCH).encode(label), declared) == ("<html>" * 99 + FRENCH, label)


def test_iso_2022_jp_is_told_by_its_escapes() -> None:
    assert decode(JAPANESE.encode("iso2022_jp")) == (JAPANESE, "iso2022_jp")


def test_a_page_cut_off_within_a_character_keeps_its_charset() -> None:
    page = (RUSSIAN * 3).encode()[:-41]
    assert page[-1] >= 0xC0
    assert decode(page, "utf-8") == (page[:-1].decode() + "\ufffd", "utf-8")


@pytest.mark.parametrize("label", [None, "", "none", "utf-7", "x-user-defined", "nonsense", "\0", "é"])
def test_a_label_that_names_nothing_is_passed_over(label: str | None) -> None:
    assert codec(label) is None
    assert decode(b"plain", label) == ("plain", "utf-8")


def test_the_bytes_that_fit_nothing_still_give_text() -> None:
    assert decode(b"") == ("", "utf-8")
    junk = bytes(range(256)) * 40
    text, name = decode(junk, "utf-8")
    assert len(text) > len(junk) / 4
    assert name
