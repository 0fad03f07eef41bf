import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.documents import SCHEMA
from pipeline.filters import kinds, pii
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.redaction import Pii
from pipeline.filters.settings import Filters, ScienceFilters, TextFilters, WebFilters
from pipeline.tokenizer import PERSONAL

ALL = Pii(phones="redact")
SHORT = {"|||EMAIL_ADDRESS|||": "<e>", "|||IP_ADDRESS|||": "<i>", "|||PHONE_NUMBER|||": "<p>"}


def redacted(text: str, settings: Pii = ALL) -> str:
    (out,) = pii.redact([text], settings)
    for long, short in SHORT.items():
        out = out.replace(long, short)
    return out


def batch(*texts: str) -> pa.RecordBatch:
    rows = [{"id": str(n), "text": text, "source": "s", "kind": "web", "origin": "o"} for n, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def test_placeholders_are_tokens_of_the_tokenizer() -> None:
    assert {text.decode() for text in pii.PLACEHOLDERS} == set(PERSONAL) == set(SHORT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to a.b+c@mail.example.co.uk.", "write to <e>."),
        ("Joe <joe_x@x.org>, (me@x.org)", "Joe <<e>>, (<e>)"),
        ("href='mailto:joe@x.org?subject=hi'", "href='mailto:<e>?subject=hi'"),
        ("联系foo@bar.com联系", "联系<e>联系"),
        ("jörg@müller.de, иван.петров@почта.рф! jose\u0301@x.org", "<e>, <e>! <e>"),
        ("見foo@bar.comへ ติดต่อfoo@bar.com ฯลฯ 문의: foo@bar.com으로", "見<e>へ ติดต่อ<e> ฯลฯ 문의: <e>으로"),
        ("用户a@例子.中国，👋a@x.org·✉\ufe0fb@x.org…“é@x.org”", "用户<e>，👋<e>·✉\ufe0f<e>…“<e>”"),
        ("a@bar.com.谢谢 a@bar.ru.Спасибо", "<e>.谢谢 <e>.Спасибо"),
        ("a@bar，x.com a@b.谢谢谢谢谢",) * 2,
        ("é" * 32 + "@x.org " + "é" * 33 + "@x.org", "<e> " + "é" * 33 + "@x.org"),
        ("a@x.xn--p1ai", "<e>"),
        ("a@1.2.3.4 a@[1.2.3.4]", "<e> <e>"),
        ("one@two@three.org", "one@<e>"),
        ("a..b@c.org .d@c.org", "a..<e> .<e>"),
        ("a.@c.org a@c a@c. a@-c.org a@c..org @c.org", "a.@c.org a@c a@c. a@-c.org a@c..org @c.org"),
        ("icon@2x.png left-pad@1.3.0 x@y.sum(1) git@host.org:a/b",) * 2,
        ("a" * 65 + "@x.org", "a" * 65 + "@x.org"),
        ("@decorator.of(x) @media", "@decorator.of(x) @media"),
    ],
)  # fmt: skip
def test_email_addresses_are_redacted_and_what_looks_like_them_is_not(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 163.36.107.25, 4.132.211.142. http://13.83.69.70:80/x", "from <i>, <i>. http://<i>:80/x"),
        ("our server 98.8.8.8", "our server <i>"),
        ("999.1.1.1 108.0.0.01 0.1.2.3 192.168.l.1 912.456.123.123 .3.3.3.0 1.2.3.4.5 1.2.3.456",) * 2,
        ("10.0.0.1 127.0.0.2 172.16.0.9 172.31.254.254 192.168.1.2 169.254.1.1 100.64.0.1 198.18.0.1 192.0.2.1 "
         "198.51.100.7 203.0.113.9 224.0.0.1 255.255.255.0 0.0.0.0",) * 2,
        ("version 5.4.3.2, v5.4.3.2 Section 5.4.3.2 pkg-5.4.3.2.tar pkg==5.4.3.2 Chrome/91.0.4.12 5.4.3.2-rc1",) * 2,
        ("2.3.1.4 Methods\n2.3.1.5.\xa0Über\n", "2.3.1.4 Methods\n2.3.1.5.\xa0Über\n"),
        ("zlib 1.3.1.1 or 17.0.0.0 (\"2.3.4.5\"), JRuby 9.2.16.0; see ISO C99 6.7.2.2.(4), 8.8.8.8:1",) * 2,
        ("ping 8.8.8.8, ParseIP(\"1.2.3.4\") nameserver 9.9.9.9", "ping <i>, ParseIP(\"<i>\") nameserver <i>"),
        ("http://1.2.3.4/ zip 1.2.3.4 1.2.3.4:8080\nip\n1.2.3.4", "http://<i>/ zip 1.2.3.4 <i>:8080\nip\n1.2.3.4"),
        ("1.208.0.0/12 198.51.99.0/24 but 1.208.0.1/12 1.208.0.0/32 1.208.0.0/path",
         "1.208.0.0/12 198.51.99.0/24 but <i>/12 <i>/32 <i>/path"),
        ("2001:20::/28, 2001:20::1/28", "2001:20::/28, <i>/28"),
        ("ping 2600:1f18:22ba:8c00::1.", "ping <i>."),
        ("2001:db8::1 fe80::1 12:30:45 std::x abcd::ef 1234:5678",) * 2,
    ],
)  # fmt: skip
def test_public_ip_addresses_are_redacted_and_versions_and_reserved_ones_are_not(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_reserved_addresses_are_redacted_if_asked() -> None:
    assert redacted("at 10.0.0.1 and fe80::1 and 98.8.4.4", Pii(private_ips=True)) == "at <i> and <i> and <i>"


def test_reserved_ranges_are_those_of_the_registry() -> None:
    """The standard library knows the registry, but for multicast, 6to4's old relays, and parts of 192.0.0.0/24."""
    import ipaddress

    dice = np.random.default_rng(5)
    edges = [f"{a}.{b}.{c}.{d}" for a in (100, 169, 172, 192, 198, 203) for b in (0, 15, 16, 18, 19, 20, 31, 32, 51, 63,
             64, 88, 127, 128, 168, 254) for c in (0, 2, 99, 100, 113) for d in (0, 255)]  # fmt: skip
    drawn = [".".join(map(str, row)) for row in dice.integers(0, 256, (4000, 4))]
    for text in edges + drawn:
        address = ipaddress.IPv4Address(text)
        ours = any(address in ipaddress.IPv4Network(f"192.{net}.0/24") for net in ("88.99", "0.0"))
        public = address.is_global and not address.is_multicast and not ours
        assert (redacted(f"ip {text},") == "ip <i>,") == public, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+49 30 1234567, +33 (0)1 23 45 67 89, +14155552671", "<p>, <p>, <p>"),
        ("+1 415 555 2671 2020", "<p> 2020"),
        ("(415) 555-2671, 415-555-2671 415.555.2671 1-800-555-1234", "<p>, <p> <p> <p>"),
        ("Tel: 030/1234567", "Tel: <p>"),
        ("Fax. 020 7946 0958; call us at 555 1234567", "Fax. <p>; call us at <p>"),
        ("téléphone : 01 23 45 67 89", "téléphone : <p>"),
        ("电话：010-12345678 тел. 8 (495) 123-45-67", "电话：<p> тел. <p>"),
        ("2019-12-31 10:20:30, tel. 2012-05-03, phone 12.05.2019",) * 2,
        ("ISBN 978-3-16-148410-0 and 0-306-40615-2, 123-45-6789",) * 2,
        ("$1,234,567.89 +1234567.89 1.234.567.890 3.14159265358979 12345678901",) * 2,
        ("415 555 2671 300 200\n310 555 1212 1 2",) * 2,
        ("a +12345678 x+49301234567 hotel 1234567 id=415-555-2671 /415-555-2671/ 415-555-26712",) * 2,
    ],
)
def test_phone_numbers_are_redacted_and_other_numbers_are_not(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_measures_count_what_each_rule_asks_for() -> None:
    texts = ("a@x.org b@x.org 98.8.8.8", "", "none", "call (415) 555-2671")
    columns = pii.measure(batch(*texts), Pii())
    assert {name: values.tolist() for name, values in columns.items()} == {
        "pii.emails": [2, 0, 0, 0], "pii.ips": [1, 0, 0, 0], "pii.phones": [0, 0, 0, 1],
    }  # fmt: skip
    sliced = pii.measure(batch(*texts).slice(3, 1), Pii())
    assert sliced["pii.phones"].tolist() == [1]
    assert pii.rules(Pii()) == []
    (rule,) = pii.rules(Pii(emails="drop"))
    assert rule.reason == "pii_emails"
    assert rule.fails(columns["pii.emails"]).tolist() == [True, False, False, False]


def test_what_is_kept_or_dropped_is_not_redacted() -> None:
    text = "a@x.org 98.8.8.8 (415) 555-2671"
    assert redacted(text, Pii()) == "<e> <i> (415) 555-2671"
    assert redacted(text, Pii(emails="drop", ips="keep", phones="redact")) == "a@x.org 98.8.8.8 <p>"
    assert pii.redact([text], Pii(emails="keep", ips="keep")) == [text]


def test_text_around_is_kept_to_the_byte_and_a_second_time_changes_nothing() -> None:
    texts = ["", "ä a@x.org ö\n98.8.8.8\u2028+49 30 1234567 😀", "😀", "a@x.org"]
    once = pii.redact(texts, ALL)
    expected = ["", "ä <e> ö\n<i>\u2028<p> 😀", "😀", "<e>"]
    for short in SHORT:
        expected = [text.replace(SHORT[short], short) for text in expected]
    assert once == expected
    assert pii.redact(once, ALL) == once


@pytest.mark.parametrize(
    "hostile",
    ["@" * 10**6, "é@" * 300_000, "é" * 10**6 + "@x.org", "a@" + "é." * 300_000, "\u0301" * 500_000 + "@",
     "a@" * 500_000, "a." * 500_000 + "@", "a.a.a." * 200_000, "1." * 500_000, "+1" * 500_000,
     "1 " * 500_000, "abcd:" * 200_000, "a@" + "b." * 500_000, "1" * 10**6, "(" * 10**6, "tel 1234567 " * 50_000,
     "x@1.2.3.4," * 50_000, "tel" + " " * 10**6 + "1234567"],
)  # fmt: skip
def test_hostile_text_costs_time_by_its_length_alone(hostile: str) -> None:
    pii.redact(["warm a@x.org"], ALL)
    began = time.process_time()
    pii.redact([hostile], ALL)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("filters", [WebFilters(languages=(), language_score=0, gopher=None, repetition=None, c4=None,
                                     fineweb=None), CodeFilters(licenses="any", starcoder=None), TextFilters(),
                                     ScienceFilters(languages=(), min_words=1, min_paragraphs=1)])  # fmt: skip
def test_documents_of_every_kind_are_redacted_on_their_way(filters: Filters) -> None:
    text = "# the leaves of the tree are green, said joe@x.org to the tree from 98.8.4.4\n"
    documents = batch(text)
    measured = kinds.measure(documents, filters)
    assert measured.columns["pii.emails"].tolist() == measured.columns["pii.ips"].tolist() == [1]
    assert measured.redact
    expected = text.replace("joe@x.org", "|||EMAIL_ADDRESS|||").replace("98.8.4.4", "|||IP_ADDRESS|||")
    assert measured.redact([text]) == [expected]
    without = kinds.measure(documents, replace(filters, pii=None))
    assert "pii.emails" not in without.columns
    dropping = [rule.reason for rule in kinds.rules(replace(filters, pii=Pii(ips="drop")))]
    assert dropping == [*(rule.reason for rule in kinds.rules(filters)), "pii_ips"]
