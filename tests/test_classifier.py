"""Any supervised fastText model gives the labels and scores that the fastText library gives."""

from __future__ import annotations

import random
import struct
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt
import pytest

from pipeline.filters.bag import Bag
from pipeline.filters.classifier import Classifier, clip
from pipeline.filters.fasttext_file import ModelFileError, read_model

THREADS = 11
"""With fewer, fastText begins to train with a part of its matrix as it finds the memory."""
WORDS = {
    "__label__sea": ["wave", "boat", "salt", "harbour", "tide", "über", "naïve", "fisk"],
    "__label__hill": ["stone", "peak", "goat", "path", "snow", "ridge", "山", "горы"],
    "__label__town": ["street", "shop", "bus", "crowd", "noise", "lamp", "door", "καφές"],
}
ODD = [
    *("", " ", "\t\r\v\f", "wave", "wave\x00boat\x00\x00", "ridge " * 500, "x" * 70_000, "山" * 3_000, "</s>"),
    *("wave </s> ridge goat", "__label__hill wave", "__label__unseen boat", "wave\xa0boat", "wave\u2028boat"),
    *("\ufeffwave \U0001f600 goat", "éé́ é", "a" * 16 + " " + "a" * 17, "nothing of this was seen before"),
    *("<wave> boat>", "bus  bus\tbus"),
]
FORMS: dict[str, dict[str, Any]] = {
    "words": {"minn": 0, "maxn": 0},
    "runs": {"minn": 0, "maxn": 0, "wordNgrams": 3, "bucket": 3000},
    "subwords": {"minn": 2, "maxn": 4, "bucket": 3000},
    "both": {"minn": 1, "maxn": 3, "wordNgrams": 2, "bucket": 2000},
}
QUANTISED: dict[str, dict[str, Any]] = {
    "plain": {"dsub": 2},
    "normed": {"dsub": 3, "qnorm": True},
    "pruned": {"dsub": 2, "qnorm": True, "cutoff": 300},
    "whole": {"dsub": 4, "qout": True, "cutoff": 400, "qnorm": True},
}


def sentences(seed: int, count: int) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        label = draw.choice(list(WORDS))
        others = [word for words in WORDS.values() for word in words] + [f"w{draw.randrange(400)}" for _ in range(9)]
        made.append((label, " ".join(draw.choice(WORDS[label] + others[:12]) for _ in range(draw.randrange(3, 12)))))
    return made


def train(folder: Path, *, labels: int = 3, quantise: dict[str, Any] | None = None, **how: Any) -> Path:
    text = folder / "train.txt"
    lines = sentences(1, 400)
    if labels > 3:
        lines = [(f"__label__{n % labels}", text + f" w{n % labels}") for n, (_, text) in enumerate(lines)]
    text.write_text("".join(f"{label} {line}\n" for label, line in lines))
    model = fasttext.train_supervised(str(text), dim=10, epoch=8, lr=0.1, thread=THREADS, verbose=0, **how)
    if quantise:
        model.quantize(input=str(text), retrain=False, thread=THREADS, verbose=0, **quantise)
    path = folder / ("model.ftz" if quantise else "model.bin")
    model.save_model(str(path))
    return path


def packed(texts: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    parts = [text.encode() for text in texts]
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum([0, *map(len, parts)])


def assert_same(path: Path, texts: list[str], mapped: int = 1 << 30, stepped: bool = False) -> None:
    """`stepped`: the library reads a sigmoid from a table, whose next step the last bit of a sum may reach.

    Of labels that the library holds for equal, but for the last bits of their scores, either is right.
    """
    library, ours = fasttext.load_model(str(path)), Classifier(path, mapped)
    data, offsets = packed(texts)
    labels, scores = ours.predict_batch(data, offsets)
    expected = np.zeros((len(texts), len(ours.labels)))
    wrong = []
    for text, label, score, row in zip(texts, labels, scores, expected, strict=True):
        known = dict(zip(*library.predict(text, k=-1, threshold=-1.0), strict=True))
        row[:] = [min(1.0, known.get(name, 0.0)) for name in ours.labels]
        found, sure = library.predict(text, k=1)
        same = (found[0] if found else None) == (ours.labels[label] if label >= 0 else None)
        tied = found and label >= 0 and known.get(ours.labels[label], 0.0) > sure[0] - 1e-6
        if not (same or tied) or abs(score - (min(1.0, sure[0]) if found else 0.0)) > 1e-4:
            wrong.append(text)
    apart = np.abs(ours.probabilities(data, offsets) - expected)
    if stepped:
        assert apart.max() < 0.008
        assert np.mean(apart > 1e-4) < 0.01
        assert len(wrong) <= 1
    else:
        assert apart.max() < 1e-4
        assert not wrong


@pytest.mark.parametrize(("loss", "form"), [*product(["softmax", "hs", "ns", "ova"], FORMS)])
def test_every_loss_and_every_kind_of_feature_gives_the_library_s_labels_and_scores(
    loss: str, form: str, tmp_path: Path
) -> None:
    path = train(tmp_path, loss=loss, **FORMS[form])
    assert_same(path, ODD + [text for _, text in sentences(2, 40)], stepped=loss in ("ns", "ova"))


@pytest.mark.parametrize(("form", "kind"), [*product(["runs", "subwords"], QUANTISED)])
def test_quantised_models_give_the_library_s_labels_and_scores(form: str, kind: str, tmp_path: Path) -> None:
    labels = 300 if QUANTISED[kind].get("qout") else 3  # a quantiser wants at least 256 rows
    path = train(tmp_path, labels=labels, quantise=QUANTISED[kind], **FORMS[form])
    assert_same(path, ODD + [text for _, text in sentences(3, 40)])
    assert_same(path, ODD, mapped=0)


def test_a_tree_of_many_labels_is_searched_to_its_best_leaf(tmp_path: Path) -> None:
    path = train(tmp_path, labels=50, loss="hs", **FORMS["subwords"])
    assert_same(path, ODD + [text for _, text in sentences(4, 40)])


def test_a_mapped_model_is_the_same_as_one_in_memory(tmp_path: Path) -> None:
    path = train(tmp_path, **FORMS["both"])
    data, offsets = packed(ODD)
    here, there = Classifier(path), Classifier(path, mapped=0)
    assert np.array_equal(here.probabilities(data, offsets), there.probabilities(data, offsets))


def test_a_line_break_is_a_space(tmp_path: Path) -> None:
    model = Classifier(train(tmp_path, **FORMS["both"]))
    spaces, breaks = (model.probabilities(*packed([f"wave{x}boat{x}unseen{x}tide"])) for x in (" ", "\n"))
    assert np.array_equal(spaces, breaks)


def test_a_document_s_score_does_not_depend_on_what_came_before(tmp_path: Path) -> None:
    path = train(tmp_path, **FORMS["both"])
    texts = ODD + [text for _, text in sentences(5, 200)]
    together = Classifier(path).probabilities(*packed(texts))
    alone = np.concatenate([Classifier(path).probabilities(*packed([text])) for text in texts[:30]])
    assert np.array_equal(together[:30], alone)


def test_bytes_that_are_no_utf8_are_read_to_the_end(tmp_path: Path) -> None:
    model = Classifier(train(tmp_path, **FORMS["both"]))
    data = np.frombuffer(bytes(random.Random(6).randrange(256) for _ in range(5000)), np.uint8)
    scores = model.probabilities(data, np.arange(0, 5001, 50), 20)
    assert np.all((scores >= 0) & (scores <= 1))


def test_no_document_is_no_label(tmp_path: Path) -> None:
    model = Classifier(train(tmp_path, **FORMS["words"]))
    labels, scores = model.predict_batch(np.empty(0, np.uint8), np.zeros(1, np.int64))
    assert len(labels) == len(scores) == 0
    assert model.probabilities(np.empty(0, np.uint8), np.zeros(1, np.int64)).shape == (0, 3)


def test_windows_add_up_to_the_document(tmp_path: Path) -> None:
    file = read_model(train(tmp_path, **FORMS["subwords"]))
    data, offsets = packed([text for _, text in sentences(7, 30)])
    whole, counts, _, first = Bag(file).sums(data, offsets[:-1], offsets[1:])
    parts, part_counts, sizes, part_first = Bag(file).sums(data, offsets[:-1], offsets[1:], 12)
    np.testing.assert_allclose(
        np.add.reduceat(parts, part_first[:-1]), np.add.reduceat(whole, first[:-1]), rtol=1e-4, atol=1e-5
    )
    assert part_counts.sum() == counts.sum()
    assert np.array_equal(np.add.reduceat(sizes, part_first[:-1]), np.diff(offsets))
    assert len(parts) > 2 * len(whole)


@pytest.mark.parametrize("characters", [1, 2, 5, 1000])
def test_a_text_is_clipped_by_characters(characters: int) -> None:
    texts = ["", "abc", "äöüß€", "山川草木", "a\U0001f600b\U0001f600c", "x" * 3000]
    data, offsets = packed(texts)
    ends = clip(data, offsets[:-1], offsets[1:], characters)
    clipped = [data[a:b].tobytes().decode() for a, b in zip(offsets, ends, strict=False)]
    assert clipped == [text[:characters] for text in texts]


def test_a_file_that_is_cut_off_anywhere_says_so(tmp_path: Path) -> None:
    for name, quantise in (("dense", None), ("quantised", QUANTISED["pruned"])):
        (tmp_path / name).mkdir()
        whole = train(tmp_path / name, quantise=quantise, **FORMS["subwords"]).read_bytes()
        short = tmp_path / "short.bin"
        for size in [*range(8, 400, 7), *range(400, len(whole), len(whole) // 40), len(whole) - 1]:
            short.write_bytes(whole[:size])
            with pytest.raises(ModelFileError, match=rf"short\.bin: the fastText model is cut off at {size:,} bytes"):
                read_model(short)


def test_what_is_no_classifier_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a b c d e f g h\n" * 50)
    vectors = fasttext.train_unsupervised(
        str(tmp_path / "text.txt"), dim=4, bucket=10, minCount=1, thread=THREADS, verbose=0
    )
    vectors.save_model(str(tmp_path / "vectors.bin"))
    (tmp_path / "empty.bin").touch()
    model = train(tmp_path, **FORMS["words"]).read_bytes()
    (tmp_path / "newer.bin").write_bytes(model[:4] + struct.pack("<i", 13) + model[8:])
    (tmp_path / "odd.bin").write_bytes(model[:32] + struct.pack("<i", 9) + model[36:])
    for name, told in (
        ("vectors.bin", "word vectors, not a classifier"),
        ("text.txt", "no fastText model"),
        ("empty.bin", "no fastText model"),
        ("newer.bin", "of version 13"),
        ("odd.bin", "its settings make no sense"),
        ("missing.bin", "No such file"),
    ):
        with pytest.raises(ModelFileError) as fault:
            read_model(tmp_path / name)
        assert str(fault.value).startswith(f"{tmp_path / name}: ")
        assert told in str(fault.value)
        assert "\n" not in str(fault.value)


def test_a_damaged_file_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    model, draw = train(tmp_path, quantise=QUANTISED["pruned"], **FORMS["subwords"]).read_bytes(), random.Random(8)
    data, offsets = packed(["wave boat", "unseen"])
    for _ in range(60):
        changed = bytearray(model)
        for _ in range(3):
            changed[draw.randrange(8, 2000)] = draw.randrange(256)
        (tmp_path / "damaged.ftz").write_bytes(changed)
        with suppress(ModelFileError):
            labels, _ = Classifier(tmp_path / "damaged.ftz").predict_batch(data, offsets)
            assert len(labels) == 2
