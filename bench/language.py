"""Language identification: agreement with labelled texts by language, and how many megabytes a CPU second.

    python bench/language.py [TEXTS] [--pages PATH ...]

TEXTS is a JSON lines file (.gz too) of `lang` and `text`, one document a variant, such as the Universal Declaration of
Human Rights: an ISO 639-3 code, and behind _ the script or orthography. Each is judged by its first 2,000 characters,
and in parts of about 500 and 200 characters (whole lines). For speed: TEXTS, and pages (Parquet; those that `bertmill
sample` makes if none are given). The peer is the fastText library with the same model and the same characters; rounds
alternate, medians.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.samples import samples
from pipeline.documents import Document
from pipeline.filters.classifier import Classifier
from pipeline.filters.known import CLAIMED, CLAIMED_LONG
from pipeline.filters.language import READ, SURE, codes, identify_batch, inspect_batch, model_path
from pipeline.ingest.web import read_captures

NAMES = (
    "afr:af amh:am arb:ar ast:ast azj:az bcl:bcl bel:be ben:bn bho:bh bod:bo bos:bs bre:br bul:bg cat:ca ceb:ceb "
    "ces:cs ckb:ckb cmn:zh cos:co cym:cy dan:da deu:de div:dv ell:el eml:eml eng:en epo:eo est:et eus:eu fin:fi "
    "fra:fr fri:fy gla:gd gle:ga glg:gl gug:gn guj:gu hat:ht heb:he hin:hi hrv:hr hsb:hsb hun:hu hye:hy ido:io "
    "ilo:ilo ina:ia ind:id isl:is ita:it jav:jv jpn:ja kan:kn kat:ka kaz:kk khk:mn khm:km kir:ky kor:ko lao:lo "
    "lat:la lav:lv lit:lt ltz:lb mai:mai mal:ml mar:mr min:min mkd:mk mlt:mt mly:ms mya:my nds:nds nep:ne nld:nl "
    "nno:nn nob:no oss:os pam:pam pan:pa pes:fa plt:mg pnb:pnb pol:pl por:pt quy:qu quz:qu roh:rm ron:ro rus:ru "
    "sah:sah san:sa sco:sco slk:sk slv:sl som:so spa:es srp:sr sun:su swe:sv swh:sw tam:ta tat:tt tgk:tg tgl:tl "
    "tha:th tuk:tk tur:tr tyv:tyv uig:ug ukr:uk urd:ur uzn:uz vec:vec vep:vep vie:vi war:war wln:wa ydd:yi yor:yo "
    "als:sq lnc:oc prv:oc auv:oc "
)
CODE = dict(pair.split(":") for pair in NAMES.split())
"""ISO 639-3 -> lid.176's code, of the languages that both have; macrolanguages by the member that has texts."""

LENGTHS = (2000, 500, 200)
NAN = float("nan")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("texts", nargs="?", type=Path)
    options.add_argument("--pages", nargs="*", type=Path)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    if asked.texts:
        labelled = list(read_labelled(asked.texts))
        agreement(labelled)
        speed("labelled texts", [text for _, text in labelled], asked.rounds)
    pages = list(read_pages(asked.pages))
    speed("web pages", pages, asked.rounds)
    speed("web pages, 200 characters", [text[:200] for text in pages], asked.rounds)


def read_labelled(path: Path) -> Iterator[tuple[str, str]]:
    data = path.read_bytes()
    for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines():
        row = json.loads(line)
        yield row["lang"], row["text"]


def read_pages(paths: list[Path] | None) -> Iterator[str]:
    """The texts of Parquet files, or those of the sample's pages as they are ingested."""
    import pyarrow.parquet as pq

    for path in paths or []:
        yield from pq.read_table(path, columns=["text"]).column("text").to_pylist()
    if not paths:
        for path in samples("web/*.warc.gz"):
            for found in read_captures(path):
                if isinstance(found.what, Document):
                    yield found.what.text


def parts(text: str, least: int) -> Iterator[str]:
    """Whole lines, together until they have `least` characters."""
    gathered = ""
    for line in filter(None, map(str.strip, text.split("\n"))):
        gathered = f"{gathered}\n{line}" if gathered else line
        if len(gathered) >= least:
            yield gathered
            gathered = ""


def packed(texts: list[str]) -> tuple[Any, Any]:
    encoded = [text.encode(errors="replace") for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)])


def agreement(labelled: list[tuple[str, str]]) -> None:
    """Recall by language at each length; precision among claimed languages; what others are taken for them."""
    found: dict[int, dict[str, Counter[str]]] = {length: defaultdict(Counter) for length in LENGTHS}
    strangers: dict[str, Counter[str]] = defaultdict(Counter)
    for length in LENGTHS:
        items = [(lang, part) for lang, text in labelled for part in cut(text, length)]
        names, scores = identify_batch(*packed([part for _, part in items]))
        for (lang, _), name, score in zip(items, names, scores, strict=True):
            code = CODE.get(lang.split("_")[0])
            if code:
                found[length][code][name] += 1
            if length == 500 and code != name and score >= SURE:
                strangers[name][lang] += 1
    print("         recall            precision      what is taken for it with a score of 0.65 | what it is taken for")
    print("code     2000  500   200   500   200      (of 500 characters)                       | (of 200)")
    rest = sorted(found[500].keys() - {*CLAIMED, *CLAIMED_LONG})
    for mark, chosen in (("+", CLAIMED), ("o", CLAIMED_LONG), ("-", rest)):
        for code in chosen:
            taken = ", ".join(f"{lang} {n}" for lang, n in strangers[code].most_common(4))
            mistaken = ", ".join(str(name) for name, _ in found[200][code].most_common(4) if name != code)
            print(f"{mark} {code:5}", *(f"{x:.3f}" for x in rates(found, code)), f"  {taken} | {mistaken}")
    for title, claimed in (("claimed", CLAIMED), ("claimed from 500 characters on", CLAIMED_LONG)):
        for length in LENGTHS:
            hits = sum(found[length][code][code] for code in claimed)
            n = sum(found[length][code].total() for code in claimed)
            print(f"{title}: {hits / n:.4f} of {n} texts of {length} characters in {len(claimed)} languages agree")


def rates(found: dict[int, dict[str, Counter[str]]], code: str) -> list[float]:
    """Recall of the three lengths, precision of the shorter two among the languages claimed at that length."""
    rates = [share(found[length][code][code], found[length][code].total()) for length in LENGTHS]
    for length, claimed in ((500, (*CLAIMED, *CLAIMED_LONG)), (200, CLAIMED)):
        named = sum(found[length][other][code] for other in claimed)
        rates.append(share(found[length][code][code], named) if code in claimed else NAN)
    return rates


def cut(text: str, length: int) -> list[str]:
    """The document's beginning, or its parts; the last line of a short part may be long, and is cut off."""
    if length == READ:
        return [text[:READ]]
    return [part[:length] if length == 200 else part for part in parts(text, length)]


def share(part: int, whole: int) -> float:
    return part / whole if whole else NAN


def speed(title: str, texts: list[str], rounds: int) -> None:
    import fasttext

    library = fasttext.load_model(str(model_path()))
    clipped = [text[:READ] for text in texts]
    lines = [text.replace("\n", " ") for text in clipped]
    whole, short = packed(texts), packed(clipped)
    read = len(short[0]) / 1e6
    model = Classifier(model_path())

    def peer() -> list[Any]:
        return [library.predict(line, k=1) for line in lines]

    labels, scores = model.predict_batch(*short)
    for label, score, (names, sure) in zip(labels, scores, peer(), strict=True):
        assert (names[0] if names else None) == (model.labels[label] if label >= 0 else None)
        assert not names or abs(score - min(1.0, sure[0])) < 1e-4
    ways = {
        "labels and scores": lambda: model.predict_batch(*short),
        "languages": lambda: identify_batch(*whole),
        "languages and their shares": lambda: inspect_batch(*whole),
        "fastText library": peer,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            times[name].append(time.process_time() - began)
    print(f"{title}: {len(texts)} texts, {read:.2f} MB in their first {READ:,} characters; labels equal; a CPU second")
    base = median(times["fastText library"][1:])
    for name, seconds in times.items():
        mid = median(seconds[1:])  # the first round warms up
        print(f"  {name:27} {read / mid:7.1f} MB, {len(texts) / mid:9,.0f} texts, {base / mid:5.1f} x the library")


if __name__ == "__main__":
    assert codes() >= set(CODE.values())
    main()
