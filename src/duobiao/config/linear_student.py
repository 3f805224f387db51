"""The linear student: hashed character n-grams fitted to soft labels."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from duobiao.config.base import SHARED, Ngrams, Shared
from duobiao.config.students import StudentConfig, VocabularySettings
from duobiao.config.training import StudentTrainSettings


class LinearStudentConfig(StudentConfig):
    """Hashed character n-grams times a matrix: the floor in latency. It is solved, without a learning rate or batches."""

    unread: ClassVar[tuple[str, ...]] = ("signal", "temperature", "weighting", "vocabulary", "loss", "train")
    """Settings of other students that mean nothing here (of ``train`` the seed does): refused, unless they are the default."""

    kind: Literal["linear-student"]
    ngrams: Ngrams = Field((1, 3), description="shortest and longest character n-gram")
    buckets: int = Field(2**16, ge=2**8, le=2**24, description="buckets that n-grams are hashed into, a power of two")
    logits_weight: float = Field(0.2, ge=0, le=1, description="weight of the loss against the teacher's probabilities")
    label_weight: float = Field(0.8, ge=0, le=1, description="weight of the loss against labels")
    c: float = Field(2.0, gt=0, description="inverse strength of regularisation")
    passes: int = Field(6, ge=1, description="passes of the solver over the rows; it ends sooner where little changes")
    shared: Shared = Field("auto", description=SHARED)
    tolerance: float = Field(
        1e-3, ge=0, description="the solver ends when a pass changes the dual variables by less, on average"
    )
    vocabulary: VocabularySettings = VocabularySettings(keep="all")
    train: StudentTrainSettings = StudentTrainSettings()

    @field_validator("buckets")
    @classmethod
    def _power_of_two(cls, buckets: int) -> int:
        if buckets & (buckets - 1):
            raise ValueError(f"{buckets} is not a power of two")
        return buckets

    @model_validator(mode="after")
    def _only_what_is_read(self) -> LinearStudentConfig:
        fields = type(self).model_fields
        given = [name for name in self.unread if name != "train" and getattr(self, name) != fields[name].default]
        usual = StudentTrainSettings(seed=self.train.seed)
        given += [f"train.{name}" for name, value in usual if getattr(self.train, name) != value]
        if given:
            raise ValueError(f"a linear student does not read {', '.join(given)}: it is solved, and of train only seed counts")
        return self
