"""Text -> its label and how sure it is, by any supervised fastText model, a batch of UTF-8 bytes at a time.

Equal to the fastText library, but that a document is one line: a line break is a space. A score is fastText's:
a probability (or one of several independent ones: negative sampling, one against all) plus 0.00001, at most 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.bag import Bag
from pipeline.filters.fasttext_file import MAPPED, ModelFile, read_model

_TREE, _SOFTMAX = 1, 3
_SURE = 1e-5
"""fastText adds it to a probability before it takes the logarithm."""
_STEPS, _WIDEST = 512, 8.0
"""fastText reads the sigmoid from a table of 512 steps between -8 and 8."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Windows(NamedTuple):
    """What the parts of documents were found to be; those of document d are first[d] : first[d + 1]."""

    first: Ints
    labels: Ints
    scores: Floats
    sizes: Ints
    """Bytes."""


class Classifier:
    """A model that stands in memory, or in a file that is mapped."""

    def __init__(self, path: Path, mapped: int = MAPPED) -> None:
        """ModelFileError if the file is no supervised fastText model."""
        file = read_model(path, mapped)
        self.labels = file.labels
        self._bag, self._loss, self._output = Bag(file), file.loss, file.output
        self._children = _tree(file) if file.loss == _TREE else np.empty((0, 2), np.int64)
        steps = np.arange(_STEPS + 1, dtype=np.float32) * (2 * _WIDEST / _STEPS) - _WIDEST
        self._sigmoid = (1 / (1 + np.exp(-steps.astype(np.float64)))).astype(np.float32)

    def predict_batch(self, data: npt.NDArray[np.uint8], offsets: Ints, characters: int = 0) -> tuple[Ints, Floats]:
        """(documents,) the most probable label of each as a number in `labels`, and its score.

        A document is data[offsets[d] : offsets[d + 1]], or its first `characters`. One in which the model knows
        nothing (no word, no subword, no end of line) has label -1 and score 0.
        """
        return self.predict_spans(data, offsets[:-1], clip(data, offsets[:-1], offsets[1:], characters))

    def predict_spans(self, data: npt.NDArray[np.uint8], begins: Ints, ends: Ints) -> tuple[Ints, Floats]:
        """As predict_batch, of data[begins[d] : ends[d]]."""
        sums, counts, _, first = self._bag.sums(data, begins, ends)
        return self._best(*_whole(sums, counts, first))

    def predict_windows(
        self, data: npt.NDArray[np.uint8], begins: Ints, ends: Ints, window: int
    ) -> tuple[Ints, Floats, Windows]:
        """As predict_batch, of data[begins[d] : ends[d]]; and the same of each of its windows of `window` bytes."""
        sums, counts, sizes, first = self._bag.sums(data, begins, ends, window)
        labels, scores = self._best(*_whole(sums, counts, first))
        last = first[1:] - 1
        parts, inner = np.diff(first) - 1, np.ones(len(sums), np.bool_)
        inner[last] = False
        line_ends = np.repeat(last, parts)
        known, of = counts[inner], np.where(counts[inner], counts[inner] + counts[line_ends], 0)
        found, sure = self._best(sums[inner] + sums[line_ends] * (known > 0)[:, None], of)
        return labels, scores, Windows(np.append(0, np.cumsum(parts)), found, sure, sizes[inner])

    def probabilities(self, data: npt.NDArray[np.uint8], offsets: Ints, characters: int = 0) -> Floats:
        """(documents, labels) the score of every label; 0 in a document in which the model knows nothing."""
        begins, ends = offsets[:-1], clip(data, offsets[:-1], offsets[1:], characters)
        sums, counts, _, first = self._bag.sums(data, begins, ends)
        means, known = _means(*_whole(sums, counts, first))
        logits = _logits(means, self._output)
        if self._loss == _TREE:
            scores = _leaves(logits, self._children)
        elif self._loss == _SOFTMAX:
            scores = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores /= scores.sum(axis=1, keepdims=True)
            scores += _SURE
        else:
            scores = self._step(logits) + np.float32(_SURE)
        return np.asarray(np.minimum(scores, 1) * known[:, None], np.float32)

    def _step(self, logits: Floats) -> Floats:
        place = (np.clip(logits, -_WIDEST, _WIDEST) + _WIDEST) * _STEPS / _WIDEST / 2
        steps = self._sigmoid[place.astype(np.int64)]
        return np.where(logits < -_WIDEST, 0, np.where(logits > _WIDEST, 1, steps)).astype(np.float32)

    def _best(self, sums: Floats, counts: Ints) -> tuple[Ints, Floats]:
        means, known = _means(sums, counts)
        labels, scores = np.empty(len(means), np.int64), np.empty(len(means), np.float32)
        if self._loss == _TREE:
            _best_leaves(means, self._output, self._children, labels, scores)
        elif self._loss == _SOFTMAX:
            _best_softmax(means, self._output, labels, scores)
        else:
            steps = self._step(_logits(means, self._output))
            labels = steps.shape[1] - 1 - np.argmax(steps[:, ::-1], axis=1)  # of equal ones fastText takes the last
            scores = np.take_along_axis(steps, labels[:, None], 1)[:, 0] + np.float32(_SURE)
        return np.where(known, labels, -1), np.minimum(scores, 1) * known


def clip(data: npt.NDArray[np.uint8], begins: Ints, ends: Ints, characters: int) -> Ints:
    """The ends of the first `characters` of each document; 0 leaves the whole."""
    if not characters:
        return ends
    clipped = ends.copy()
    _clip(data, begins, clipped, characters)
    return clipped


def _whole(sums: Floats, counts: Ints, first: Ints) -> tuple[Floats, Ints]:
    if len(first) == 1:
        return sums, counts
    return np.add.reduceat(sums, first[:-1], axis=0), np.add.reduceat(counts, first[:-1])


def _means(sums: Floats, counts: Ints) -> tuple[Floats, npt.NDArray[np.bool_]]:
    return sums * (1 / np.maximum(counts, 1)).astype(np.float32)[:, None], counts > 0


def _tree(file: ModelFile) -> Ints:
    """(labels - 1, 2) the children of each node of the Huffman tree of labels; a label is a number below `labels`,
    node n is labels + n, the root is the last."""
    counts = file.counts[file.words :].tolist()
    n = len(counts)
    counts += [10**15] * (n - 1)
    children = np.zeros((n - 1, 2), np.int64)
    leaf, node = n - 1, n
    for new in range(n, 2 * n - 1):
        for side in (0, 1):
            if leaf >= 0 and counts[leaf] < counts[node]:
                children[new - n, side], leaf = leaf, leaf - 1
            else:
                children[new - n, side], node = node, node + 1
        counts[new] = counts[children[new - n, 0]] + counts[children[new - n, 1]]
    return children


@njit(cache=True)
def _clip(data: Any, begins: Any, ends: Any, characters: Any) -> None:
    for document in range(len(begins)):
        i, end = begins[document], ends[document]
        left = characters
        while end - i > left:  # fewer bytes than characters left: all of it
            block, lead = min(i + max(left, 1), end), 0
            for k in range(i, block):
                lead += (data[k] & 0xC0) != 0x80
            if left == 0 and lead:
                end = i
                break
            i, left = block, left - lead
        ends[document] = end


@njit(cache=True, fastmath=True)
def _dot(a: Any, b: Any) -> Any:
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@njit(cache=True)
def _logits(means: Any, output: Any) -> Any:
    """(documents, labels) means @ output.T, each document for itself: a BLAS adds up one row otherwise than many."""
    logits = np.empty((len(means), len(output)), np.float32)
    for document in range(len(means)):
        for label in range(len(output)):
            logits[document, label] = _dot(means[document], output[label])
    return logits


@njit(cache=True)
def _best_leaves(means: Any, output: Any, children: Any, labels: Any, scores: Any) -> None:
    """The most probable leaf, the more probable child of a node first; what cannot be better is not looked at."""
    n = len(children) + 1
    nodes, products = np.empty(n + 1, np.int64), np.empty(n + 1, np.float64)
    for document in range(len(means)):
        nodes[0], products[0], waiting = 2 * n - 2, 1.0, 1
        best, label = -1.0, 0
        while waiting:
            waiting -= 1
            node, product = nodes[waiting], products[waiting]
            if product <= best:
                continue
            if node < n:
                best, label = product, node
                continue
            right = 1 / (1 + np.exp(-np.float64(_dot(means[document], output[node - n]))))
            first = right > 0.5
            for side in (not first, first):
                nodes[waiting] = children[node - n, int(side)]
                products[waiting] = product * ((right if side else 1 - right) + _SURE)
                waiting += 1
        labels[document], scores[document] = label, best


@njit(cache=True)
def _leaves(logits: Any, children: Any) -> Any:
    """(documents, labels) the product of the probabilities on the way to each leaf."""
    n = len(children) + 1
    scores = np.ones((len(logits), 2 * n - 1), np.float64)
    for document in range(len(logits)):
        for node in range(n - 2, -1, -1):
            right = 1 / (1 + np.exp(-np.float64(logits[document, node])))
            above = scores[document, n + node]
            scores[document, children[node, 0]] = above * (1 - right + _SURE)
            scores[document, children[node, 1]] = above * (right + _SURE)
    return scores[:, :n].astype(np.float32)


@njit(cache=True)
def _best_softmax(means: Any, output: Any, labels: Any, scores: Any) -> None:
    logits = np.empty(len(output), np.float32)
    for document in range(len(means)):
        best = 0
        for label in range(len(output)):
            logits[label] = _dot(means[document], output[label])
            if logits[label] >= logits[best]:
                best = label
        total = 0.0
        for label in range(len(output)):
            total += np.exp(logits[label] - logits[best])
        labels[document], scores[document] = best, 1 / total + _SURE
