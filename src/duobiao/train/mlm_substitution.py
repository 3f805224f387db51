"""What a masked language model would put in the place of words (TinyBERT, arXiv 1909.10351, algorithm 1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from duobiao import progress
from duobiao.config import AugmentSettings
from duobiao.data.augment import Guess, Guesses
from duobiao.data.encode import batches
from duobiao.models.mlm import load_with_head
from duobiao.train.masking import mask_id

_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_LONGEST = 3
"""Words of more tokens are left alone: guesses for tokens that are masked together know nothing of each other."""
_TOKEN_BUDGET, _MAX_ROWS = 1024, 64


def masked_lm(settings: AugmentSettings) -> Guess | None:
    """The guesser that the settings ask for; None, with a note, if the encoder of ``settings.mlm`` has no masked-LM head.

    Raises:
        ConfigError: If there is no encoder in the folder.
    """
    if settings.mlm is None or not settings.copies or not settings.mlm_replace:
        return None
    found = load_with_head(settings.mlm)
    mask = mask_id(found.source.tokenizer)
    if not found.trained or mask is None:
        lacks = "mask token" if found.trained else "masked-LM head"
        progress.say(f"{settings.mlm}: this encoder has no {lacks}, so no words are guessed; other ways of augment are used")
        return None
    return MaskedLM(found.model.eval(), found.source.tokenizer, mask, found.source.pad_id, settings.mlm_top)


@dataclass(frozen=True)
class _Hole:
    """One word masked: its row, its number there, the row's ids with masks, and where these stand."""

    row: int
    word: int
    ids: list[int]
    places: list[int]
    was: tuple[int, ...]


class MaskedLM:
    """Guesses words, each masked alone, with all of its tokens.

    Only Chinese words are masked, and only Chinese tokens are guessed. For a word of several tokens, guesses are ranked by the
    sum of their tokens' log-probabilities.

    Args:
        model: A masked language model.
        tokenizer: Its tokenizer.
        mask: Id of its mask.
        pad: Id that fills short rows.
        top: Guesses a word.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer, mask: int, pad: int, top: int) -> None:
        self.model = model.cuda() if torch.cuda.is_available() else model
        self.tokenizer, self.mask, self.pad, self.top = Tokenizer.from_str(tokenizer.to_str()), mask, pad, top
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(int(getattr(model.config, "max_position_embeddings", 514)) - 2)
        vocabulary = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        self.pieces = {number: token for token, number in vocabulary if _CHINESE.fullmatch(token)}
        self.usable = torch.tensor(list(self.pieces), device=self.model.device)

    def __call__(self, rows: Sequence[Sequence[str]]) -> Guesses:
        """Guesses for the words of rows, which joined give their texts; in the order of likelihood, never the word itself."""
        found: Guesses = [{} for _ in rows]
        holes = [hole for number, words in enumerate(rows) for hole in self._holes(number, words)]
        lengths = np.array([len(hole.ids) for hole in holes], dtype=np.int64)
        if not len(self.pieces):
            return found
        with progress.task("masked-LM guesses", len(holes)) as task:
            for part in batches(lengths, _TOKEN_BUDGET, _MAX_ROWS):
                chosen = [holes[number] for number in part]
                for hole, scores in zip(chosen, self._scores(chosen), strict=True):
                    found[hole.row][hole.word] = self._best(scores, hole.was)
                task.advance(len(part))
        return found

    def _holes(self, row: int, words: Sequence[str]) -> Iterator[_Hole]:
        encoded = self.tokenizer.encode("".join(words))
        spans = [
            span if not special else (0, 0) for span, special in zip(encoded.offsets, encoded.special_tokens_mask, strict=True)
        ]
        begin = 0
        for number, word in enumerate(words):
            end = begin + len(word)
            places = [place for place, (start, stop) in enumerate(spans) if start < end and stop > begin]
            covered = places and spans[places[0]][0] == begin and spans[places[-1]][1] == end
            if _CHINESE.fullmatch(word) and covered and len(places) <= _LONGEST:
                ids = list(encoded.ids)
                for place in places:
                    ids[place] = self.mask
                yield _Hole(row, number, ids, places, tuple(encoded.ids[place] for place in places))
            begin = end

    @torch.inference_mode()
    def _scores(self, holes: Sequence[_Hole]) -> Iterator[Tensor]:
        """Log-probabilities of usable tokens in each hole, ``(places, usable)``."""
        longest = max(len(hole.ids) for hole in holes)
        ids = torch.tensor([hole.ids + [self.pad] * (longest - len(hole.ids)) for hole in holes], device=self.model.device)
        mask = torch.tensor([[1] * len(hole.ids) + [0] * (longest - len(hole.ids)) for hole in holes], device=self.model.device)
        logits = self.model(input_ids=ids, attention_mask=mask).logits
        for number, hole in enumerate(holes):
            yield logits[number, hole.places].float().log_softmax(-1)[:, self.usable].cpu()

    def _best(self, scores: Tensor, was: tuple[int, ...]) -> tuple[str, ...]:
        """The likeliest words; one more than wanted is looked for, as the word itself is mostly among them."""
        beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        names = self.usable.tolist()
        for place in scores:
            best = place.topk(min(self.top + 1, len(place)))
            options = list(zip(best.values.tolist(), (names[at] for at in best.indices.tolist()), strict=True))
            beams = [(score + more, (*ids, new)) for score, ids in beams for more, new in options]
            beams = sorted(beams, key=lambda beam: (-beam[0], beam[1]))[: self.top + 1]
        return tuple("".join(self.pieces[one] for one in ids) for _, ids in beams if ids != was)[: self.top]
