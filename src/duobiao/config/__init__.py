"""One YAML file is one run. Every parameter is documented in this package, in its ``description``, and nowhere else."""

from duobiao.config.cleaning import CLEAN_STEPS, clean_step
from duobiao.config.fastbert import FastBERTConfig
from duobiao.config.inputs import FeatureSettings, InputSettings, Statistic
from duobiao.config.linear_student import LinearStudentConfig
from duobiao.config.load import (
    AnyConfig,
    Config,
    apply_override,
    load_config,
    parse_config,
    shipped_configs,
    shipped_students,
    with_overrides,
)
from duobiao.config.points import Costs, PointSettings
from duobiao.config.pretraining import AdaptConfig, GeneralConfig, MaskingSettings, PlainTextSettings, VocabularyShape
from duobiao.config.students import (
    AugmentSettings,
    BiGRUConfig,
    StudentConfig,
    TokenStudentConfig,
    VocabularySettings,
)
from duobiao.config.systems import EncoderShape, LinearConfig, RunSettings, TeacherConfig
from duobiao.config.tinybert import TinyBERTConfig
from duobiao.config.tokens import BiLSTMConfig, TextCNNConfig
from duobiao.config.training import LossSettings, StudentTrainSettings, ThresholdSettings, TrainSettings
from duobiao.config.transfer import StagedSettings

__all__ = [
    "CLEAN_STEPS",
    "AdaptConfig",
    "AnyConfig",
    "AugmentSettings",
    "BiGRUConfig",
    "BiLSTMConfig",
    "Config",
    "Costs",
    "EncoderShape",
    "FastBERTConfig",
    "FeatureSettings",
    "GeneralConfig",
    "InputSettings",
    "LinearConfig",
    "LinearStudentConfig",
    "LossSettings",
    "MaskingSettings",
    "PlainTextSettings",
    "PointSettings",
    "RunSettings",
    "StagedSettings",
    "Statistic",
    "StudentConfig",
    "StudentTrainSettings",
    "TeacherConfig",
    "TextCNNConfig",
    "ThresholdSettings",
    "TinyBERTConfig",
    "TokenStudentConfig",
    "TrainSettings",
    "VocabularySettings",
    "VocabularyShape",
    "apply_override",
    "clean_step",
    "load_config",
    "parse_config",
    "shipped_configs",
    "shipped_students",
    "with_overrides",
]
