"""Students: systems that learn from a teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from duobiao.config.base import Settings
from duobiao.config.systems import RunSettings
from duobiao.config.training import LossSettings, StudentTrainSettings, TrainSettings
from duobiao.config.transfer import StagedSettings


class AugmentSettings(Settings):
    """Synthetic rows that the teacher labels (arXiv 1903.12136), made from the training rows."""

    copies: int = Field(0, ge=0, description="synthetic rows for each training row, at most; 0: none")
    drop: float = Field(0.1, ge=0, lt=1, description="probability that a word is left out")
    replace: float = Field(0.1, ge=0, le=1, description="probability that a word is replaced by one of its class")
    ngram: float = Field(0.25, ge=0, le=1, description="probability that only a run of words is kept")
    join: float = Field(0.15, ge=0, le=1, description="probability that a run of words of another row is joined on")
    swap: float = Field(0.0, ge=0, le=1, description="probability that a word changes places with the next one")
    drop_characters: float = Field(0.0, ge=0, lt=1, description="probability that a character is left out")
    swap_characters: float = Field(0.0, ge=0, le=1, description="probability that a character changes places with the next one")
    synonyms: str | None = Field(
        None, description="dictionary of synonyms: a text file, the words of one group on a line, parted by spaces"
    )
    synonym: float = Field(0.2, ge=0, le=1, description="synonyms: probability that a word is replaced by one of its group")
    mlm: str | None = Field(
        None, description="folder of an encoder with its masked-LM head, mostly the one that the teacher started from"
    )
    mlm_replace: float = Field(0.3, ge=0, le=1, description="mlm: probability that a word is replaced by one that it guesses")
    mlm_top: int = Field(15, ge=1, description="mlm: a word is drawn from so many guesses")

    @model_validator(mode="after")
    def _shares(self) -> AugmentSettings:
        if self.drop + self.replace > 1:
            raise ValueError(f"drop {self.drop} and replace {self.replace} add up to more than 1")
        return self


class VocabularySettings(Settings):
    """Which tokens a student keeps of its teacher's vocabulary."""

    keep: Literal["used", "all"] = Field(
        "used", description="used: tokens of the training and transfer rows, and a margin; all: the teacher's vocabulary"
    )
    margin: float = Field(
        0.2, ge=0, description="used: further tokens, as a share of those used: single characters first, then the shortest"
    )


class StudentConfig(RunSettings):
    """What all students share that learn by gradient: what they learn from, and how much of each."""

    signal: Literal["mse", "kl"] = Field(
        "mse", description="what is learned of the teacher: mse, its logits; kl, its probabilities at a temperature"
    )
    temperature: float = Field(1.0, gt=0, description="kl: what logits are divided by before they become probabilities")
    logits_weight: float = Field(0.8, ge=0, le=1, description="weight of the loss against the teacher")
    weighting: Literal["slope", "plain"] = Field(
        "slope",
        description="mse: what a cell of an independent label weighs. slope: as far as the difference of logits changes the "
        "probability; plain: all the same",
    )
    label_weight: float = Field(0.2, ge=0, le=1, description="weight of the loss against labels")
    vocabulary: VocabularySettings = VocabularySettings()
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    train: TrainSettings = StudentTrainSettings()

    @property
    def sources(self) -> tuple[str, ...]:
        """Files and folders beside the rows that a run reads; what they hold is part of the run's name."""
        return tuple(path for path in (self.augment.synonyms, self.augment.mlm) if path)


class TokenStudentConfig(StudentConfig):
    """Students that read embedded tokens: recurrent and convolutional ones."""

    dropout: float = Field(0.15, ge=0, lt=1, description="dropout on embeddings and between the layers")
    embedding: Literal["auto", "teacher", "random"] = Field(
        "auto",
        description="where the embedding starts; auto: copied from the teacher, random for a control without teacher",
    )
    embedding_width: int = Field(128, ge=1, description="width of the embedding where it is not copied")
    components: int | None = Field(
        None, ge=1, description="keep so many principal components of the copied embedding, instead of its whole width"
    )
    train_embedding: bool = Field(True, description="whether the copied embedding goes on learning")
    stages: Literal["joint", "staged"] = Field(
        "joint",
        description="joint: the teacher's logits and labels at once; staged: the teacher's row vectors, then its logits, then "
        "labels, layer by layer (arXiv 1910.01769); passes are then set in staged, not in train.epochs",
    )
    staged: StagedSettings = StagedSettings()
    train: StudentTrainSettings = StudentTrainSettings()


class BiGRUConfig(TokenStudentConfig):
    """Embedding copied from the teacher, bidirectional GRU, two fully connected layers."""

    kind: Literal["bigru"]
    model: Literal["A", "B"] = Field("A", description="A pools the GRU's outputs, B takes the last states of both directions")
    hidden: int = Field(128, ge=1, description="width of the GRU, each direction")
    fc: int = Field(256, ge=1, description="width of the first fully connected layer")
