"""A state folder of the test's own."""

import pytest


@pytest.fixture
def home(settings, tmp_path):
    """Where keys, snapshots and reports go."""
    folders = {"wartest_home": tmp_path / "home", "reports_dir": tmp_path / "reports"}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=folders)
    return tmp_path / "home"
