"""Preferences as documents, languages, and which letters are anybody's choice."""

import pytest

from boxoffice.services.notification.domain.letter import BY_CHOICE, NECESSARY, Template
from boxoffice.services.notification.domain.preferences import NOT_CHOSEN, Preferences, read_language
from boxoffice.services.notification.domain.refusals import BadPreferencesError, PreferencesUnreadableError


class TestDocument:
    def test_is_read_as_it_was_written(self) -> None:
        wish = Preferences(receive_email=False, receive_sms=True, receive_push=False, language="zh-Hant-HK")
        assert Preferences.of(wish.document()) == wish

    @pytest.mark.parametrize(
        "change",
        [{"receiveEmail": None}, {"receiveEmail": 1}, {"receiveSms": "true"}, {"language": 7}, {"more": True}],
        ids=str,
    )
    def test_is_believed_only_as_it_was_written(self, change: dict[str, object]) -> None:
        with pytest.raises(PreferencesUnreadableError):
            Preferences.of({**Preferences().document(), **change})

    @pytest.mark.parametrize("name", list(Preferences().document()))
    def test_without_a_field_is_no_default(self, name: str) -> None:
        document = Preferences().document()
        del document[name]
        with pytest.raises(PreferencesUnreadableError):
            Preferences.of(document)

    def test_of_who_never_chose_is_version_0(self) -> None:
        assert (NOT_CHOSEN.version, NOT_CHOSEN.erased, NOT_CHOSEN.preferences) == (0, False, Preferences())


class TestLanguage:
    @pytest.mark.parametrize("tag", ["en", "zh-HK", "zh-Hant-HK", "gsw"])
    def test_is_a_tag(self, tag: str) -> None:
        assert read_language(tag) == tag

    @pytest.mark.parametrize("text", ["", "E", "english", "en_GB", "en-", "en\n", "../en", "{{7*7}}", "en-" + "a" * 9])
    def test_that_is_none_is_refused_by_its_field(self, text: str) -> None:
        with pytest.raises(BadPreferencesError) as refused:
            read_language(text)
        assert refused.value.context["errors"] == [
            {"field": "preferredLanguage", "message": "Write a language tag such as en or zh-HK."}
        ]


class TestLetters:
    def test_each_is_either_necessary_or_by_choice(self) -> None:
        assert set(Template) == NECESSARY | BY_CHOICE
        assert not NECESSARY & BY_CHOICE
