"""Encoders of three kinds and tokenizers score what a plain computation by `transformers` gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from model.bert import Bert
from model.hub import export_hub
from model.initialise import initialise
from packing.encode import Encoder
from tests.toy_training import SHAPE, document, tokenizer_at
from train.guessers import ModelError, ours, theirs
from train.spans import hidden, score

transformers = pytest.importorskip("transformers")
CPU = torch.device("cpu")
TEXTS = [*(document(source, n) for source in ("web", "code") for n in range(6)), "Ünïcode, [MASK] and 漢字 isn't 42!"]
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


def word_pieces(folder: Path) -> Any:
    """BERT's: lower case, pieces with ##, unknown words."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(TEXTS[:12], vocab_size=90, show_progress=False)
    tokenizer.save(str(folder / "raw.json"))
    return transformers.BertTokenizerFast(tokenizer_file=str(folder / "raw.json"), model_max_length=64)


def byte_pairs(folder: Path) -> Any:
    """RoBERTa's: bytes, <s> ... </s>, a mask that takes the space before it."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing

    tokenizer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(TEXTS, vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer._tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, cls_token="<s>", sep_token="</s>", **names
    )


def saved(folder: Path, kind: str) -> Path:
    """A random model of a kind, made to prefer something, with its tokenizer."""
    folder.mkdir()
    torch.manual_seed(2)
    tokenizer = word_pieces(folder) if kind == "bert" else byte_pairs(folder)
    size = {**SIZE, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if kind == "bert":
        model = transformers.BertForMaskedLM(transformers.BertConfig(**size, max_position_embeddings=64))
    elif kind == "roberta":
        model = transformers.RobertaForMaskedLM(transformers.RobertaConfig(**size, max_position_embeddings=40))
    else:
        model = transformers.ModernBertForMaskedLM(
            transformers.ModernBertConfig(**size, max_position_embeddings=48, cls_token_id=0, sep_token_id=2)
        )
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def by_hand(folder: Path, texts: list[str], rate: float, room: int) -> tuple[float, int, int]:
    """(nats, hidden tokens, bytes that unknown tokens stand for): one input at a time, by `transformers` alone."""
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    nats, count, unknown = 0.0, 0, 0
    for text in texts:
        spans = hidden(text, rate).tolist()
        told = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        ids, offsets = told["input_ids"], told["offset_mapping"]
        many = math.ceil(len(ids) / room)
        for part in range(many):
            begin, end = (int(len(ids) * one / many) for one in (part, part + 1))
            input_ids, labels = [tokenizer.cls_token_id], {}
            for token, (a, z) in zip(ids[begin:end], offsets[begin:end], strict=True):
                if touched := [span for span in spans if a < span[1] and z > span[0]]:
                    labels[len(input_ids)] = token
                    if token == tokenizer.unk_token_id:
                        (span,) = touched
                        unknown += len(text[max(a, span[0]) : min(z, span[1])].encode())
                    token = tokenizer.mask_token_id
                input_ids.append(token)
            input_ids.append(tokenizer.sep_token_id)
            with torch.no_grad():
                logits = model(torch.tensor([input_ids])).logits[0].double().log_softmax(-1)
            nats -= sum(float(logits[place, token]) for place, token in labels.items())
            count += len(labels)
    return nats, count, unknown


@pytest.mark.parametrize(("kind", "context"), [("bert", 64), ("roberta", 38), ("modernbert", 48)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_encoder_scores_what_transformers_gives_one_input_at_a_time(kind: str, context: int, tmp_path: Path) -> None:
    folder = saved(tmp_path / kind, kind)
    guesser, module = theirs(str(folder), None, CPU)
    assert guesser.context == context, "RoBERTa's first two positions are the padding's"
    assert not module.training
    for rate in (0.15, 0.3):
        found = score(guesser, TEXTS, rate)
        assert found
        nats, count, unknown = by_hand(folder, TEXTS, rate, context - 2)
        assert found.tokens == count
        assert found.bits_per_byte == pytest.approx((nats / math.log(2) + 8 * unknown) / found.bytes, rel=1e-5)
        assert (found.unknown > 0) is (unknown > 0)
    shorter, _ = theirs(str(folder), 20, CPU)
    assert shorter.context == 20
    again = score(shorter, TEXTS, 0.3)
    assert again
    assert found
    assert (again.asked, again.tokens) == (found.asked, found.tokens), "a shorter view, the same questions"


def test_our_model_and_its_export_in_transformers_score_alike(tmp_path: Path) -> None:
    tokenizer = tokenizer_at(tmp_path / "tokenizer.json", merges=100)
    model = Bert(SHAPE, Encoder(tokenizer).vocab_size)
    initialise(model, 3)
    export_hub(model, tmp_path / "hub", tokenizer, 64)
    mine = score(ours(model, tokenizer, 64, CPU), TEXTS, 0.3)
    hub = score(ours(model, tmp_path / "hub" / "tokenizer.json", 64, CPU), TEXTS, 0.3)
    guesser, _ = theirs(str(tmp_path / "hub"), None, CPU)
    guesser = type(guesser)(**{**vars(guesser), "before": [Encoder(tokenizer).cls], "after": [Encoder(tokenizer).sep]})
    there = score(guesser, TEXTS, 0.3)
    assert mine == hub
    assert mine
    assert there
    assert (there.asked, there.tokens, there.unknown) == (mine.asked, mine.tokens, mine.unknown)
    assert there.bits_per_byte == pytest.approx(mine.bits_per_byte, rel=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_cannot_be_asked_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = saved(tmp_path / "bert", "bert")
    headless = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
    headless.save_pretrained(tmp_path / "headless")
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "headless")
    with pytest.raises(ModelError, match=r"headless: has no weights for .* saved with its head$"):
        theirs(str(tmp_path / "headless"), None, CPU)

    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=10)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt")
    with pytest.raises(ModelError, match=r"gpt: transformers cannot load it as a masked-language model \(.*\)$"):
        theirs(str(tmp_path / "gpt"), None, CPU)

    unmasked = transformers.AutoTokenizer.from_pretrained(folder)
    unmasked.mask_token = None
    unmasked.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"bert: its tokenizer has no mask token"):
        theirs(str(folder), None, CPU)
