"""Settings: checked at start, every complaint at once, one table in the docs."""

from dataclasses import fields
from pathlib import Path

import pytest

from boxoffice.runtime.settings import BadSettingsError, Settings, env_name, load, table

ROOT = Path(__file__).parents[3]


class TestLoad:
    def test_defaults_are_usable(self) -> None:
        assert load({}) == Settings()

    def test_order_is_override_environment_file_default(self, tmp_path: Path) -> None:
        file = tmp_path / "settings.toml"
        file.write_text('port = 1\nhost = "file"\nlog_level = "error"\nmail_from = "file@example.org"\n')
        known = load(
            {"BOXOFFICE_PORT": "2", "BOXOFFICE_HOST": "environment"},
            file=file,
            defaults={"token_issuer": "found", "log_level": "debug"},
            port=3,
        )
        assert (known.port, known.host, known.log_level, known.token_issuer) == (3, "environment", "error", "found")

    def test_reads_types(self) -> None:
        known = load({"BOXOFFICE_DEMO": "yes", "BOXOFFICE_SMTP_TLS": "0", "BOXOFFICE_SMTP_PORT": "25"})
        assert (known.demo, known.smtp_tls, known.smtp_port) == (True, False, 25)

    def test_says_everything_that_is_wrong_at_once(self) -> None:
        with pytest.raises(BadSettingsError) as refused:
            load(
                {
                    "BOXOFFICE_PROT": "1",
                    "BOXOFFICE_PORT": "70000",
                    "BOXOFFICE_SMTP_PORT": "many",
                    "BOXOFFICE_DEMO": "perhaps",
                    "BOXOFFICE_REDIS_URL": "localhost",
                    "BOXOFFICE_TOKEN_MINUTES": "60",
                    "BOXOFFICE_SESSION_SECRET": "changeme",
                    "BOXOFFICE_LOG_LEVEL": "loud",
                }
            )
        said = str(refused.value)
        for name in ("PROT", "PORT", "SMTP_PORT", "DEMO", "REDIS_URL", "TOKEN_MINUTES", "SESSION_SECRET", "LOG_LEVEL"):
            assert f"BOXOFFICE_{name}" in said

    def test_a_file_that_is_missing_or_no_toml_is_a_complaint(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.toml"
        broken.write_text("port: 1")
        for file in (broken, tmp_path / "missing.toml"):
            with pytest.raises(BadSettingsError, match=str(file)):
                load({}, file=file)

    def test_the_cache_of_searches_is_on_off_or_left_to_us(self) -> None:
        assert load({"BOXOFFICE_SEARCH_CACHE": "off"}).search_cache == "off"
        with pytest.raises(BadSettingsError, match="SEARCH_CACHE: 'sometimes' is none of on, off, auto"):
            load({"BOXOFFICE_SEARCH_CACHE": "sometimes"})

    @pytest.mark.parametrize("name", ["MONGODB_URL", "LOG_ARCHIVE_URL"])
    def test_a_store_of_documents_is_of_a_kind_that_there_is_and_its_password_is_not_shown(self, name: str) -> None:
        for url in ("mongodb://one,two/boxoffice", "mongodb+srv://box:office@example.org"):
            assert getattr(load({f"BOXOFFICE_{name}": url}), name.lower()) == url
        with pytest.raises(BadSettingsError, match=f"{name}: it must begin with mongodb://") as refused:
            load({f"BOXOFFICE_{name}": "couchdb://box:hunter2@example.org"})
        assert "hunter2" not in str(refused.value)

    def test_an_archive_may_be_in_postgresql_and_preferences_are_there_by_themselves(self) -> None:
        assert load({"BOXOFFICE_LOG_ARCHIVE_URL": "postgresql://host/logs"}).log_archive_url
        with pytest.raises(BadSettingsError, match="MONGODB_URL"):
            load({"BOXOFFICE_MONGODB_URL": "postgresql://host/logs"})

    @pytest.mark.parametrize("days", ["0", "-1", "3651"])
    def test_an_archive_keeps_records_for_days_that_can_be(self, days: str) -> None:
        assert load({"BOXOFFICE_LOG_ARCHIVE_DAYS": "3650"}).log_archive_days == 3_650
        with pytest.raises(BadSettingsError, match="LOG_ARCHIVE_DAYS"):
            load({"BOXOFFICE_LOG_ARCHIVE_DAYS": days})

    def test_a_search_engine_is_of_a_kind_that_there_is(self) -> None:
        url = "elasticsearch+https://box:office@search.example.org:9200/concerts"
        assert load({"BOXOFFICE_SEARCH_ENGINE_URL": url}).search_engine_url == url
        with pytest.raises(BadSettingsError, match="SEARCH_ENGINE_URL: its scheme must be one of opensearch"):
            load({"BOXOFFICE_SEARCH_ENGINE_URL": "https://search.example.org"})

    def test_a_secret_is_not_repeated_in_complaints(self) -> None:
        with pytest.raises(BadSettingsError) as refused:
            load({"BOXOFFICE_SESSION_SECRET": "tooshort-secret"})
        assert "tooshort-secret" not in str(refused.value)

    @pytest.mark.parametrize("name", ["data_dir", "settings_file"], ids=str)
    def test_variables_of_the_command_line_are_no_settings(self, name: str) -> None:
        load({env_name(name): "x"})


class TestTable:
    def test_is_in_the_docs_as_generated(self) -> None:
        assert (ROOT / "docs" / "settings.md").read_text() == table(), "run `make docs`"

    def test_lists_every_setting_and_shows_no_secret(self) -> None:
        written = table()
        for entry in fields(Settings):
            [line] = [row for row in written.splitlines() if f"`{env_name(entry.name)}`" in row]
            assert entry.metadata["doc"] in line
            if entry.metadata["secret"]:
                assert "(secret)" in line
