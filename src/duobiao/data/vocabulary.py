"""A smaller vocabulary for a student: the tokens that its rows use, and a margin.

The smaller tokenizer encodes the rows that it was made from exactly as the whole one does, id for id through ``kept``:

- WordPiece takes the longest piece that fits, again and again. The pieces that it took are kept and longer ones are not added,
  so it takes the same. A word that ends as unknown after some pieces have been taken keeps these pieces too; without them
  shorter ones might spell the word after all.
- Unigram takes the path with the highest sum of scores. That path is kept and others only disappear. The cost of an unknown
  character hangs on the lowest score of the vocabulary, so a piece with that score is kept.

Other texts are spelled with shorter pieces and single characters where a longer piece is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from duobiao import progress
from duobiao.config import VocabularySettings
from duobiao.data.encode import Ids, Pair, RowEncoder

PRUNABLE = ("WordPiece", "WordLevel", "Unigram")
_LEVEL_ONE = range(0xB0, 0xD8)
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@dataclass(frozen=True)
class Vocabulary:
    """A pruned tokenizer.

    Attributes:
        tokenizer: With new ids, contiguous from 0, in the old order.
        kept: The old id of each new one, ``(tokens,)``: what an embedding is indexed with to fit.
        pad_id: The new id that fills short rows.
    """

    tokenizer: Tokenizer
    kept: Ids
    pad_id: int


def prune_for(
    encoder: RowEncoder, pairs: Sequence[Pair], settings: VocabularySettings, words: Sequence[str] = ()
) -> tuple[RowEncoder, Ids | None]:
    """The encoder with the vocabulary that rows use.

    Args:
        encoder: The teacher's.
        pairs: (text, context) of every row that is learned from.
        settings: What is kept.
        words: Further texts that count as used.

    Returns:
        The encoder of the student, and the old ids of its tokens; the same encoder and None where nothing is pruned.
    """
    if settings.keep == "all":
        return encoder, None
    kind = json.loads(encoder.tokenizer.to_str())["model"]["type"]
    if kind not in PRUNABLE:
        progress.say(f"the vocabulary is kept whole: a {kind} tokenizer is not pruned")
        return encoder, None
    inputs, _ = encoder.inputs(pairs)
    texts = {part for pair in inputs for part in pair if part is not None} | {encoder.as_typed(word) for word in words}
    found = prune(encoder.tokenizer, used_tokens(encoder.tokenizer, texts), encoder.pad_id, settings.margin)
    if len(found.kept) == encoder.tokenizer.get_vocab_size():
        return encoder, None
    return RowEncoder(found.tokenizer, encoder.settings, found.pad_id, encoder.segments), found.kept


def used_tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> Ids:
    """Sorted ids of the tokens that stand for these texts, whole and without what a post-processor adds.

    Nothing is truncated here: with Unigram a sentence is one search, and what is cut off has a say in it.
    """
    whole = Tokenizer.from_str(tokenizer.to_str())
    whole.no_truncation()
    whole.no_padding()
    model = json.loads(whole.to_str())["model"]
    unknown = whole.token_to_id(model["unk_token"]) if model["type"] == "WordPiece" else None
    used: set[int] = set()
    wanted = sorted(texts)
    for text, found in zip(wanted, whole.encode_batch_fast(wanted, add_special_tokens=False), strict=True):
        used.update(found.ids)
        if unknown is not None and unknown in found.ids:
            used.update(_taken_in_vain(whole, model, text))
    return np.array(sorted(used), dtype=np.int64)


def prune(tokenizer: Tokenizer, used: Ids, pad_id: int, margin: float = 0.0) -> Vocabulary:
    """The tokenizer with the tokens used, those it cannot do without, and a margin.

    Args:
        tokenizer: A WordPiece, WordLevel or Unigram tokenizer.
        used: Ids of tokens, as from ``used_tokens``.
        pad_id: Its id that fills short rows.
        margin: Further tokens, as a share of those used; see ``_margin``.
    """
    data = json.loads(tokenizer.to_str())
    scores = _scores(data["model"])
    needed = {pad_id, *used.tolist(), *_needed(data, scores)}
    further = _margin(data["model"], scores, needed)[: round(margin * len(used))]
    kept = np.array(sorted({*needed, *further}), dtype=np.int64)
    new = {old: number for number, old in enumerate(kept.tolist())}
    data["model"] = _smaller_model(data["model"], new)
    data["added_tokens"] = [{**token, "id": new[token["id"]]} for token in data["added_tokens"]]
    data["post_processor"] = _renumbered(data["post_processor"], new)
    data["truncation"] = data["padding"] = None
    return Vocabulary(Tokenizer.from_str(json.dumps(data, ensure_ascii=False)), kept, new[pad_id])


def _scores(model: dict[str, Any]) -> dict[int, tuple[str, float]]:
    """Token and score by id; without scores, all alike."""
    if model["type"] == "Unigram":
        return {number: (token, score) for number, (token, score) in enumerate(model["vocab"])}
    return {number: (token, 0.0) for token, number in model["vocab"].items()}


def _needed(data: dict[str, Any], scores: dict[int, tuple[str, float]]) -> set[int]:
    """Ids that a tokenizer cannot do without, whatever its rows are."""
    model = data["model"]
    needed = {token["id"] for token in data["added_tokens"]} | set(_ids_of(data["post_processor"]))
    if model["type"] != "Unigram":
        return needed | {model["vocab"][model["unk_token"]]} if model["unk_token"] in model["vocab"] else needed
    needed |= {model["unk_id"]} if model["unk_id"] is not None else set()
    if model.get("byte_fallback"):
        needed |= {number for number, (token, _) in scores.items() if token in _BYTES}
    return needed | {min(scores, key=lambda number: (scores[number][1], number))}


def _smaller_model(model: dict[str, Any], new: dict[int, int]) -> dict[str, Any]:
    if model["type"] != "Unigram":
        return {**model, "vocab": {token: new[old] for token, old in model["vocab"].items() if old in new}}
    unknown = model["unk_id"]
    vocabulary = [entry for old, entry in enumerate(model["vocab"]) if old in new]
    return {**model, "vocab": vocabulary, "unk_id": None if unknown is None else new[unknown]}


# ---- post-processors, which name tokens by id ---------------------------------------------------------


def _ids_of(processor: Any) -> list[int]:
    match processor:
        case {"type": "Sequence", "processors": parts}:
            return [found for part in parts for found in _ids_of(part)]
        case {"type": "TemplateProcessing", "special_tokens": tokens}:
            return [number for token in tokens.values() for number in token["ids"]]
        case {"sep": [_, sep], "cls": [_, cls]}:
            return [sep, cls]
    return []


def _renumbered(processor: Any, new: dict[int, int]) -> Any:
    match processor:
        case {"type": "Sequence", "processors": parts}:
            return {**processor, "processors": [_renumbered(part, new) for part in parts]}
        case {"type": "TemplateProcessing", "special_tokens": tokens}:
            changed = {name: {**token, "ids": [new[old] for old in token["ids"]]} for name, token in tokens.items()}
            return {**processor, "special_tokens": changed}
        case {"sep": [sep, sep_id], "cls": [cls, cls_id]}:
            return {**processor, "sep": [sep, new[sep_id]], "cls": [cls, new[cls_id]]}
    return processor


# ---- WordPiece: words that are not in the vocabulary --------------------------------------------------


def _taken_in_vain(tokenizer: Tokenizer, model: dict[str, Any], text: str) -> set[int]:
    """Ids of the pieces taken from words before these turned out to be unknown."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    splits = tokenizer.pre_tokenizer.pre_tokenize_str(text) if tokenizer.pre_tokenizer is not None else [(text, (0, 0))]
    words = {word for word, _ in splits if len(word) <= model["max_input_chars_per_word"]}
    return {piece for word in words for piece in _greedy(word, model["vocab"], model["continuing_subword_prefix"])}


def _greedy(word: str, vocabulary: dict[str, int], prefix: str) -> list[int]:
    taken, start = list[int](), 0
    while start < len(word):
        ends = range(len(word), start, -1)
        pieces = ((end, vocabulary.get((prefix if start else "") + word[start:end])) for end in ends)
        start, piece = next(((end, piece) for end, piece in pieces if piece is not None), (len(word), None))
        taken += [] if piece is None else [piece]
    return taken


# ---- what else is kept --------------------------------------------------------------------------------


def _margin(model: dict[str, Any], scores: dict[int, tuple[str, float]], needed: set[int]) -> list[int]:
    """Ids of the other tokens, the most useful first.

    Latin letters and digits; the common Chinese characters (level 1 of GB 2312); other single characters; then longer
    pieces, those first that are spelled with characters of the rows. Among equals the likelier, then the shorter, then the
    lower id. Last come Chinese characters as pieces inside a word (``##``), which BERT's splitting never asks for.
    """
    prefix = model.get("continuing_subword_prefix") or ""
    known = {character for number in needed if number in scores for character in scores[number][0]}

    def order(number: int) -> tuple[float, ...]:
        token, score = scores[number]
        inside = bool(prefix) and token.startswith(prefix) and token != prefix
        bare = token.removeprefix(prefix) if inside else token.lstrip("▁")
        if inside and not all(character < "\u2e80" for character in bare):
            kind = 5
        elif len(bare) == 1:
            kind = 0 if bare.isascii() and bare.isalnum() else 1 if _is_common(bare) else 2
        else:
            kind = 3 if known.issuperset(bare) else 4
        return kind, -score, len(bare), number

    return sorted(scores.keys() - needed, key=order)


def _is_common(character: str) -> bool:
    try:
        code = character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and code[0] in _LEVEL_ONE
