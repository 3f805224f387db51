"""Which tokens a masked language model has to guess: whole words, drawn anew each time that a sequence is read.

What is drawn depends on the seed and on the place of a sequence in the order of the run, not on the batch it stands in. So a
step that is cut into micro-batches, another number of processes and a resumed run all see the same masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from duobiao.config.pretraining import MaskingSettings
from duobiao.data.encode import Ids
from duobiao.errors import ConfigError
from duobiao.train.units import NO_WORD, WORD_BEGINS

NOT_ASKED = -100
"""The target of a token that nobody has to guess."""
MASKS = ("[MASK]", "<mask>")
_WORDS, _WAYS, _TOKENS = 1, 2, 3


@dataclass(frozen=True)
class Masker:
    """Masks whole words.

    Attributes:
        settings: How many, and what takes their place.
        seed: The seed of all draws.
        mask_id: Id of the mask token.
        ordinary: Ids that a random token is drawn from, ``(tokens,)``.
    """

    settings: MaskingSettings
    seed: int
    mask_id: int
    ordinary: Ids

    @classmethod
    def of(cls, tokenizer: Tokenizer, settings: MaskingSettings, seed: int) -> Masker:
        """For a tokenizer.

        Raises:
            ConfigError: If it has no mask token.
        """
        mask = mask_id(tokenizer)
        if mask is None:
            raise ConfigError(
                "the tokenizer has no mask token", hint=f"an encoder with {' or '.join(MASKS)} in its vocabulary is needed"
            )
        special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        known = sorted(set(tokenizer.get_vocab().values()) - special - {mask})
        return cls(settings, seed, mask, np.asarray(known, dtype=np.int64))

    def __call__(self, ids: Ids, words: Ids, places: Ids) -> tuple[Ids, Ids]:
        """Draws words of each sequence.

        Each word is drawn with probability ``rate``, all of its tokens with it. Of the tokens drawn, most become the mask, some
        another token, and the rest stays as it is (arXiv 1810.04805, section 3.1; whole words: arXiv 1906.08101).

        Args:
            ids: Tokens, ``(sequences, length)``.
            words: Their marks, alike.
            places: The place of each sequence in the order of the run, ``(sequences,)``.

        Returns:
            The tokens with masks, and the targets: the token where one has to be guessed, else ``NOT_ASKED``.
        """
        settings = self.settings
        number = np.cumsum(words == WORD_BEGINS, axis=1)
        of_word = uniform(self.seed, _WORDS, places, int(number.max(initial=0)) + 1)
        drawn = (np.take_along_axis(of_word, number, axis=1) < settings.rate) & (words != NO_WORD)
        way = uniform(self.seed, _WAYS, places, ids.shape[1])
        other = self.ordinary[(uniform(self.seed, _TOKENS, places, ids.shape[1]) * len(self.ordinary)).astype(np.int64)]
        changed = np.where(
            way < settings.mask_share, self.mask_id, np.where(way < settings.mask_share + settings.random_share, other, ids)
        )
        return np.where(drawn, changed, ids), np.where(drawn, ids, NOT_ASKED)


def mask_id(tokenizer: Tokenizer) -> int | None:
    """Id of the mask token, if there is one."""
    return next((number for token in MASKS if (number := tokenizer.token_to_id(token)) is not None), None)


def uniform(seed: int, stream: int, places: Ids, width: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) that follow from seed, stream, place and column alone: ``(places, width)``.

    SplitMix64 over a counter.
    """
    with np.errstate(over="ignore"):
        key = _mixed(np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream))
        row = _mixed(key + places.astype(np.uint64)[:, None] * np.uint64(0xD1342543DE82EF95))
        bits = _mixed(row + np.arange(width, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(bits: npt.NDArray[np.uint64] | np.uint64) -> npt.NDArray[np.uint64]:
    bits = np.asarray(bits, dtype=np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: npt.NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return found
