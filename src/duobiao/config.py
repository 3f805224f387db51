"""One YAML file is one run. Every parameter is documented here, in its ``description``, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from duobiao.errors import ConfigError
from duobiao.strict_yaml import load_yaml


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_Word = Annotated[str, Field(pattern=r"^\S+$")]


class UrlsStep(_Settings):
    """Cleaning: web addresses."""

    replace: str = Field("[链接]", description="what stands in place of a web address; empty: a space")


class MaskStep(_Settings):
    """Cleaning: personal data."""

    kinds: tuple[Literal["id_card", "bank_card", "email", "phone", "plate"], ...] = Field(
        ("id_card", "bank_card", "email", "phone", "plate"), description="what is masked"
    )


class FillersStep(_Settings):
    """Cleaning: words that fill a pause."""

    words: tuple[_Word, ...] = Field(
        ("嗯", "呃", "啊", "哦", "噢", "哎", "诶", "额", "那个", "这个", "就是说", "怎么说呢"),
        description="words that are fillers in some places",
    )


class StutterStep(_Settings):
    """Cleaning: words said twice on the spot."""

    dictionary: tuple[_Word, ...] = Field(
        (), description="words beyond the segmenter's: names, products; a doubled one, such as 滴滴, then stays"
    )


class KeepOnlyStep(_Settings):
    """Cleaning: everything else is deleted."""

    script: Literal["chinese"] = Field("chinese", description="chinese: Chinese characters; dates and amounts are deleted")


_PLAIN = ("html", "invisible", "nfkc", "halfwidth", "fullwidth", "simplified", "punctuation", "whitespace")
CLEAN_STEPS: dict[str, type[_Settings]] = {
    **dict.fromkeys(_PLAIN, _Settings),
    "urls": UrlsStep,
    "mask": MaskStep,
    "fillers": FillersStep,
    "stutter": StutterStep,
    "keep_only": KeepOnlyStep,
}


def clean_step(entry: Any) -> str | dict[str, dict[str, Any]]:
    """Checks one entry of ``clean``; a step with parameters comes back with all of them.

    Raises:
        ValueError: Naming the step, or every parameter, that does not exist or has a wrong value.
    """
    name: Any = entry
    given: Any = {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        name, given = next(iter(entry.items()))
    if not isinstance(name, str):
        raise ValueError(f"{entry!r} is no step; write a name, or one name: parameters")
    if name not in CLEAN_STEPS:
        raise ValueError(f"no such step: {name} (steps are {', '.join(CLEAN_STEPS)})")
    parameters = list(CLEAN_STEPS[name].model_fields)
    if not isinstance(given, Mapping) and len(parameters) == 1:
        given = {parameters[0]: given}
    try:
        settings = CLEAN_STEPS[name].model_validate(given)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        has = f"its parameters are {', '.join(parameters)}" if parameters else "it has no parameters"
        raise ValueError(f"step {name}: {'; '.join(wrong)} ({has})") from error
    return name if isinstance(entry, str) else {name: settings.model_dump(mode="json")}


class InputSettings(_Settings):
    """What a model reads of a row; stored in the bundle, the same in training and serving."""

    context: Literal["pair", "none"] = Field(
        "pair",
        description="pair: the context is known: it is read, as features.segment says, and decides what a row is asked. none: "
        "the text alone is read, and all groups are answered from one pass (one encoding serves every node)",
    )
    max_length: int = Field(128, ge=8, le=8192, description="longest input in tokens, special tokens included")
    clean: tuple[Annotated[str | dict[str, dict[str, Any]], BeforeValidator(clean_step)], ...] = Field(
        ("invisible", "whitespace"),
        description="cleaning steps, in order; one with parameters is {name: {parameter: value}}, or {name: value}",
    )


class LossSettings(_Settings):
    """The loss against labels; unknown and unasked cells never enter it."""

    independent: Literal["bce", "asymmetric", "zlpr"] = Field(
        "bce", description="loss of independent labels: binary cross-entropy, asymmetric (2009.14119), or ZLPR (2208.02955)"
    )
    pos_weight: bool = Field(False, description="bce only: weigh positives by negatives / positives of the training rows")
    pos_weight_max: float = Field(10.0, ge=1, description="the largest such weight")
    gamma_negative: float = Field(4.0, ge=0, description="asymmetric: focusing on negatives")
    gamma_positive: float = Field(0.0, ge=0, description="asymmetric: focusing on positives")
    margin: float = Field(0.05, ge=0, lt=1, description="asymmetric: negatives below this probability cost nothing")


class ThresholdSettings(_Settings):
    """How probabilities of independent labels become labels; groups are answered by their likeliest label."""

    shrink: float = Field(
        10.0, ge=0, description="a label's own threshold counts as much as the global one at this many dev positives"
    )
    min_k: int = Field(0, ge=0, description="at least so many independent labels a row, the nearest to their thresholds")
    max_k: int | None = Field(None, ge=1, description="at most so many independent labels a row")
    fallback: str | None = Field(None, description="independent label given to rows that would have no independent label")

    @model_validator(mode="after")
    def _order(self) -> ThresholdSettings:
        if self.max_k is not None and self.min_k > self.max_k:
            raise ValueError(f"min_k {self.min_k} is larger than max_k {self.max_k}")
        return self


class TrainSettings(_Settings):
    """The training loop; the same for every system that is trained by gradient."""

    epochs: int = Field(3, ge=1, description="passes over the training rows")
    batch_size: int = Field(32, ge=1, description="rows an optimiser step, over all processes and micro-batches")
    token_budget: int = Field(
        8192, ge=1, description="padded tokens a forward pass; a step that is larger is cut into micro-batches, same result"
    )
    micro_batch_size: int | None = Field(None, ge=1, description="rows a forward pass at most")
    lr: float = Field(3e-5, gt=0, description="peak learning rate")
    head_lr: float | None = Field(None, gt=0, description="peak learning rate of layers that start from random weights")
    weight_decay: float = Field(0.01, ge=0, description="AdamW weight decay of matrices (not of biases and norms)")
    warmup: float = Field(0.1, ge=0, le=1, description="share of steps over which the learning rate rises")
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    precision: Literal["no", "bf16", "fp16"] = Field("no", description="automatic mixed precision")
    patience: int | None = Field(None, ge=1, description="stop after so many evaluations without a better score")
    evaluate_every: int | None = Field(
        None, ge=1, description="steps between evaluations, the last at the end; by default one after each epoch"
    )
    checkpoint_seconds: float = Field(
        15.0,
        ge=0,
        description="seconds between checkpoints to resume from (0: every step); longer if they cost over 5 % of the time",
    )
    seed: int = Field(0, ge=0, description="seed of weights, order and dropout")
    tracker: Literal["none", "tensorboard", "mlflow"] = Field(
        "none", description="where curves go besides metrics.jsonl, which is always written"
    )


class StudentTrainSettings(TrainSettings):
    """The same loop with a student's defaults, which hold where a file gives only some of the settings."""

    epochs: int = Field(20, ge=1, description="passes over the training rows")
    batch_size: int = Field(64, ge=1, description="rows an optimiser step, over all processes and micro-batches")
    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay of matrices (not of biases and norms)")


Statistic = Literal[
    "length", "digits", "dates", "amounts", "negations", "questions", "exclamations", "latin", "hits", "turn", "window"
]


class FeatureSettings(_Settings):
    """What stands before the text, and the numbers beside it; stored in the bundle, the same in training and serving."""

    segment: Literal["none", "node", "mined", "pairwise"] = Field(
        "node",
        description="the first segment. none: there is none, [text]. node: the context, [context][SEP][text]. mined: the "
        "context and its category words. pairwise: a pass for each label that is asked, [label and its category words]"
        "[SEP][text], one score each",
    )
    words: str | None = Field(
        None, description="file of category words that duobiao mine wrote; by default they are mined from the training rows"
    )
    top: int = Field(8, ge=1, description="category words of a label or a context that are used, the best first")
    mine_by: Literal["log_odds", "chi2", "mi"] = Field("log_odds", description="what ranks words that are mined in training")
    min_support: int = Field(3, ge=1, description="a word must stand in so many rows of its label or context to be mined")
    pairwise_max: int = Field(32, ge=1, description="pairwise only: passes a row at most; more asked labels are refused")
    statistics: tuple[Statistic, ...] = Field(
        (), description="statistics of each row that join the pooled encoding; true: all of them"
    )
    numeric: tuple[str, ...] = Field((), description="own columns of numbers that join the pooled encoding")

    @field_validator("statistics", mode="before")
    @classmethod
    def _all_or_none(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return get_args(Statistic) if value else ()
        return value

    @field_validator("statistics", "numeric")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not all(names):
            raise ValueError(f"{list(names)} holds an empty name, or one twice")
        return names

    @field_validator("numeric")
    @classmethod
    def _not_derived(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if "window" in names:
            raise ValueError("'window' is a statistic of the context; give the column another name")
        return names

    @property
    def needs_words(self) -> bool:
        """Whether category words are read at all."""
        return self.segment in ("mined", "pairwise") or "hits" in self.statistics


class _Run(_Settings):
    name: str = Field("", description="the system's name in tables; by default the configuration's")
    input: InputSettings = InputSettings()
    features: FeatureSettings = FeatureSettings()
    thresholds: ThresholdSettings = ThresholdSettings()

    @model_validator(mode="after")
    def _mined_reads_contexts(self) -> _Run:
        if self.features.segment == "mined" and self.input.context == "none":
            raise ValueError("features.segment is mined, which begins with the context, but input.context is none")
        return self


class LinearConfig(_Run):
    """Character n-gram TF-IDF and linear support vector machines: the baseline in every table."""

    kind: Literal["linear"]
    ngrams: tuple[int, int] = Field((1, 3), description="shortest and longest character n-gram")
    min_df: int = Field(1, ge=1, description="an n-gram must stand in so many training rows")
    c: float = Field(0.5, gt=0, description="inverse strength of regularisation")
    seed: int = Field(0, ge=0, description="seed of the solver")

    @field_validator("ngrams")
    @classmethod
    def _shortest_first(cls, ngrams: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= ngrams[0] <= ngrams[1]:
            raise ValueError(f"{list(ngrams)} is not [shortest, longest] with a shortest of 1 or more")
        return ngrams

    @field_validator("features")
    @classmethod
    def _no_words_in_front(cls, features: FeatureSettings) -> FeatureSettings:
        if features.segment in ("mined", "pairwise"):
            raise ValueError(
                f"segment {features.segment} is for encoders: to a linear model, words that follow from the context say "
                "nothing that the context does not (the statistic 'hits' counts them in the text)"
            )
        return features


class EncoderShape(_Settings):
    """A small BERT, for an encoder from random weights."""

    layers: int = Field(4, ge=1, description="Transformer layers")
    hidden: int = Field(256, ge=4, description="width")
    heads: int = Field(4, ge=1, description="attention heads")
    intermediate: int = Field(1024, ge=4, description="width of the feed-forward part")
    vocab_size: int = Field(6000, ge=100, description="WordPiece vocabulary learned from the training rows, at most")

    @model_validator(mode="after")
    def _heads_fit(self) -> EncoderShape:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        return self


class TeacherConfig(_Run):
    """A Transformer encoder with one fully connected output layer."""

    kind: Literal["encoder"]
    encoder: str = Field(
        "random", description="hub name or local folder of a Hugging Face encoder; random: a small one of the given shape"
    )
    revision: str | None = Field(None, description="git revision on the hub")
    shape: EncoderShape = EncoderShape()
    pooling: Literal["cls", "mean"] = Field("cls", description="row vector: first token's state, or mean over true tokens")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the output layer")
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()


class AugmentSettings(_Settings):
    """Synthetic rows that the teacher labels (arXiv 1903.12136), made from the training rows."""

    copies: int = Field(0, ge=0, description="synthetic rows for each training row, at most; 0: none")
    drop: float = Field(0.1, ge=0, lt=1, description="probability that a word is left out")
    replace: float = Field(0.1, ge=0, le=1, description="probability that a word is replaced by one of its class")
    ngram: float = Field(0.25, ge=0, le=1, description="probability that only a run of words is kept")
    join: float = Field(0.15, ge=0, le=1, description="probability that a run of words of another row is joined on")

    @model_validator(mode="after")
    def _shares(self) -> AugmentSettings:
        if self.drop + self.replace > 1:
            raise ValueError(f"drop {self.drop} and replace {self.replace} add up to more than 1")
        return self


class BiGRUConfig(_Run):
    """Embedding copied from the teacher, bidirectional GRU, two fully connected layers."""

    kind: Literal["bigru"]
    model: Literal["A", "B"] = Field("A", description="A pools the GRU's outputs, B takes the last states of both directions")
    hidden: int = Field(128, ge=1, description="width of the GRU, each direction")
    fc: int = Field(256, ge=1, description="width of the first fully connected layer")
    dropout: float = Field(0.15, ge=0, lt=1, description="dropout on embeddings and between the layers")
    embedding: Literal["auto", "teacher", "random"] = Field(
        "auto",
        description="where the embedding starts; auto: copied from the teacher, random for a control without teacher",
    )
    embedding_width: int = Field(128, ge=1, description="width of the embedding where it is not copied")
    train_embedding: bool = Field(True, description="whether the copied embedding goes on learning")
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
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    train: StudentTrainSettings = StudentTrainSettings()


Config = Annotated[LinearConfig | TeacherConfig | BiGRUConfig, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[LinearConfig | TeacherConfig | BiGRUConfig] = TypeAdapter(Config)


def shipped_configs() -> dict[str, Path]:
    """The configurations that come with duobiao, by name."""
    folder = Path(str(resources.files("duobiao") / "configs"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_config(config: str | Path, overrides: Sequence[str] = ()) -> LinearConfig | TeacherConfig | BiGRUConfig:
    """Reads a run's configuration.

    Args:
        config: Path of a YAML file, or the name of a shipped configuration.
        overrides: ``a.b=value`` each; the value is read as YAML.

    Raises:
        ConfigError: If there is no such configuration, or naming every field that is wrong.
    """
    shipped = shipped_configs()
    path = Path(config)
    if not path.is_file():
        if str(config) not in shipped:
            raise ConfigError(
                f"there is no configuration {str(config)!r}", hint=f"give a YAML file or one of {', '.join(shipped)}"
            )
        path = shipped[str(config)]
    try:
        data = load_yaml(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that does not exist
        raise ConfigError(f"{path}: not readable as YAML: {error}", hint="save it as UTF-8 YAML") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no mapping", hint="start with 'kind: ...'")
    for override in overrides:
        _override(data, override)
    data.setdefault("name", path.stem)
    return parse_config(data, str(path))


def parse_config(data: dict[str, Any], source: str = "configuration") -> LinearConfig | TeacherConfig | BiGRUConfig:
    """Checks a configuration given as a mapping.

    Raises:
        ConfigError: Naming every field that is wrong.
    """
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        # the first part of a place is the kind
        problems = [f"{'.'.join(map(str, one['loc'][1:])) or 'kind'}: {one['msg']}" for one in error.errors()]
        raise ConfigError(f"{source}: {len(problems)} problems", hint="correct these fields", problems=problems) from error


def _override(data: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {override!r} is not of the form a.b=value", hint="write --set train.lr=3e-5")
    try:
        parsed = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML", hint="quote it") from error
    *parents, last = key.strip().split(".")
    place = data
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is a value, not a section", hint="check the name")
    place[last] = parsed
