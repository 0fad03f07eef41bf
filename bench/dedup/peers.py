"""Near-dedup by other people's programs: what each keeps of a file of documents, and the CPU seconds by part.

Runs in the peer's own environment, one process a peer, and imports nothing of bertmill. `main DOCUMENTS OUT PEER` reads
JSON lines of `text`, writes the numbers of the kept documents to OUT/kept.json and prints seconds and peak memory. All
look for word 5-grams, 14 bands of 8 hashes and J >= .8 where they can be told so.

    datatrove    stages 1 to 4 as it ships (spaCy's words), one task
    datatrove_   the same with words by a regular expression, so that stages 2 to 4 can be measured on many documents;
                 datatrove_signed: stages 2 and 3 alone
    text_dedup   minhash with its check of false positives
    gaoya        MinHashStringIndex: a document is entered unless a query finds one of J >= .8 (by its estimate)
    rensa        RMinHashDeduplicator with LSH; words and shingles are made in Python, as its README shows
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

NGRAM, BANDS, ROWS, THRESHOLD = 5, 14, 8, 0.8

Seconds = dict[str, float]
"""signatures: texts to hashes; survivors: hashes to what is kept; rest: files and all else."""


def main(documents: str, out: str, peer: str) -> dict[str, Any]:
    """{seconds by part, peak memory in MB}."""
    one_core()
    seconds, kept = PEERS[peer](Path(documents), Path(out))
    (Path(out) / "kept.json").write_text(json.dumps(kept))
    return {"seconds": seconds, "peak": peak()}


def one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def spent() -> float:
    """CPU seconds of this process and of the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak() -> float:
    """MB of resident memory at most since the program began; `ru_maxrss` would begin with the parent's."""
    told = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s*(\d+) kB", told)[0]) / 1024


@contextmanager
def timed(seconds: Seconds, part: str) -> Iterator[None]:
    began = spent()
    yield
    seconds[part] = seconds.get(part, 0.0) + spent() - began


def texts(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def datatrove(documents: Path, out: Path, words: Callable[[str], list[str]] | None = None) -> tuple[Seconds, list[int]]:
    from datatrove.pipeline.dedup.minhash import MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    signature = MinhashDedupSignature(str(out / "signatures"), datatrove_config())
    if words:
        signature.word_tokenizer.word_tokenize = words
    signature.get_shingles("Load the tokenizer. " * 10)
    seconds: Seconds = {}
    reader = JsonlReader(str(documents.parent), glob_pattern=documents.name)
    with timed(seconds, "signatures"):
        signature.run(reader.run(), 0, 1)
    datatrove_clusters(seconds, out)
    with timed(seconds, "rest"):
        kept = MinhashDedupFilter(str(out / "remove")).run(reader.run(), 0, 1)
        written = JsonlWriter(str(out / "kept"), compression=None).run(kept, 0, 1)
        numbers = [int(document.id) for document in written]
    return seconds, numbers


def datatrove_config() -> Any:
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    return MinhashConfig(n_grams=NGRAM, num_buckets=BANDS, hashes_per_bucket=ROWS)


def datatrove_clusters(seconds: Seconds, out: Path) -> None:
    """Its stages 2 and 3."""
    from datatrove.pipeline.dedup.minhash import MinhashDedupBuckets, MinhashDedupCluster

    config = datatrove_config()
    with timed(seconds, "survivors"):
        for rank in range(BANDS):
            MinhashDedupBuckets(str(out / "signatures"), str(out / "buckets"), config=config).run(None, rank, BANDS)
        MinhashDedupCluster(str(out / "buckets"), str(out / "remove"), config).run(None, 0, 1)


def datatrove_signed(_: Path, out: Path) -> tuple[Seconds, list[int]]:
    """From signatures that stand already; which documents are kept is not told."""
    seconds: Seconds = {}
    datatrove_clusters(seconds, out)
    return seconds, []


def datatrove_(documents: Path, out: Path) -> tuple[Seconds, list[int]]:
    return datatrove(documents, out, re.compile(r"\w+|[^\w\s]").findall)


def text_dedup(documents: Path, out: Path) -> tuple[Seconds, list[int]]:
    os.environ["HF_HOME"] = str(out / "cache")
    from text_dedup import minhash
    from text_dedup.config.base import load_config_from_toml

    (out / "config.toml").write_text(
        f"""
        [input]
        input_type = "local_files"
        file_type = "json"
        read_arguments = {{path = "json", data_files = "{documents}", split = "train"}}
        [algorithm]
        algorithm_name = "minhash"
        text_column = "text"
        ngram_size = {NGRAM}
        num_perm = {BANDS * ROWS}
        bands = {BANDS}
        rows = {ROWS}
        threshold = {THRESHOLD}
        check_false_positive = true
        num_proc = 1
        [output]
        output_dir = "{out / "kept"}"
        [debug]
        """
    )
    config = load_config_from_toml(out / "config.toml")
    seconds: Seconds = {}
    with timed(seconds, "rest"):
        read, _, _ = minhash.load_and_preprocess(config)
    with timed(seconds, "signatures"):
        signed = minhash.fingerprint(config, read)
    with timed(seconds, "survivors"):
        assigned = minhash.assign(config, read, minhash.cluster(config, signed))
        checked, clusters = minhash.check_false_positives(config, assigned)
    with timed(seconds, "rest"):
        kept = minhash.remove_duplicates(config, checked)
        numbers = [int(number) for number in kept[config.algorithm.internal_index_column]]
        minhash.save_dataset(config, final_data=kept, clusters=clusters)
    return seconds, numbers


def gaoya(documents: Path, out: Path) -> tuple[Seconds, list[int]]:
    from gaoya.minhash import MinHashStringIndex

    index = MinHashStringIndex(
        hash_size=32,
        jaccard_threshold=THRESHOLD,
        num_bands=BANDS,
        band_size=ROWS,
        analyzer="word",
        lowercase=True,
        ngram_range=(NGRAM, NGRAM),
        id_container="vec",
    )
    seconds: Seconds = {}
    kept = []
    with timed(seconds, "survivors"):
        for number, text in enumerate(texts(documents)):
            if not index.query(text):
                index.insert_document(number, text)
                kept.append(number)
    return seconds, kept


def rensa(documents: Path, out: Path) -> tuple[Seconds, list[int]]:
    from rensa import RMinHash, RMinHashDeduplicator

    deduplicator = RMinHashDeduplicator(THRESHOLD, BANDS * ROWS, True, BANDS)
    split = re.compile(r"\W+").split
    seconds: Seconds = {}
    kept: list[bool] = []
    waiting = texts(documents)
    while batch := list(islice(waiting, 256)):
        with timed(seconds, "rest"):
            words = [[word for word in split(text.lower()) if word] for text in batch]
            shingles = [[" ".join(one[i : i + NGRAM]) for i in range(len(one) - NGRAM + 1)] for one in words]
        with timed(seconds, "signatures"):
            signed = RMinHash.from_token_sets(shingles, BANDS * ROWS, 42)
        with timed(seconds, "survivors"):
            for number, signature in enumerate(signed, len(kept)):
                kept.append(deduplicator.add(str(number), signature))
    return seconds, [number for number, stays in enumerate(kept) if stays]


PEERS: dict[str, Callable[[Path, Path], tuple[Seconds, list[int]]]] = {
    "datatrove": datatrove,
    "datatrove_": datatrove_,
    "datatrove_signed": datatrove_signed,
    "text_dedup": text_dedup,
    "gaoya": gaoya,
    "rensa": rensa,
}

if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[-3:])))
