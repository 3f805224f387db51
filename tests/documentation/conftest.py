"""The workspace, made once."""

from pathlib import Path

import pytest
from workspace import make


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, wwm_folder: Path, albert_folder: Path, bert_folder: Path) -> Path:
    """Files and bundles that pages name; each page works on a copy."""
    return make(tmp_path_factory.mktemp("workspace"), wwm_folder, albert_folder, bert_folder)
