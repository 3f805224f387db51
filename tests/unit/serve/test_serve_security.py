"""Keys, bodies, names and settings."""

from __future__ import annotations

import asyncio
import hmac
import json
from pathlib import Path

import pytest
from serving import make_bundle

from duobiao.errors import BundleError, ConfigError
from duobiao.serve.errors import Refusal
from duobiao.serve.registry import current, named_sources
from duobiao.serve.schemas import parse_request
from duobiao.serve.security import given_key, load_keys, read_body
from duobiao.serve.settings import ServeSettings, make_settings

FIRST, SECOND = "first-key-0123456789", "zweiter-schlüssel-中文"


def test_every_key_of_file_and_environment_opens(tmp_path: Path, monkeypatch):
    (tmp_path / "keys").write_text(f"# ours\n\n{FIRST}\n", encoding="utf-8")
    monkeypatch.setenv("KEYS", f"{SECOND}, another-key-0123456789,")
    keys = load_keys(tmp_path / "keys", "KEYS")
    assert all(keys.allow(key) for key in (FIRST, SECOND, "another-key-0123456789"))
    assert not any(keys.allow(key) for key in (None, "", FIRST[:-1], FIRST + "x", "# ours"))


def test_all_keys_are_compared_whatever_the_first_says(monkeypatch):
    monkeypatch.setenv("KEYS", f"{FIRST},{SECOND}")
    keys, compared = load_keys(None, "KEYS"), []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(len(b)) or real(a, b))
    assert keys.allow(FIRST)
    assert not keys.allow("wrong")
    assert compared == [32] * 4  # digests of one length


def test_without_keys_everybody_may_call(monkeypatch):
    monkeypatch.delenv("KEYS", raising=False)
    assert not load_keys(None, "KEYS")


def test_short_keys_empty_and_missing_files_are_refused(tmp_path: Path, monkeypatch):
    (tmp_path / "empty").write_text("# none\n")
    with pytest.raises(ConfigError, match="holds no key"):
        load_keys(tmp_path / "empty", "KEYS")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_keys(tmp_path / "missing", "KEYS")
    monkeypatch.setenv("KEYS", "hunter2")
    with pytest.raises(ConfigError, match="too short") as told:
        load_keys(None, "KEYS")
    assert "hunter2" not in str(told.value)


def test_keys_come_in_two_headers():
    assert given_key({"authorization": "Bearer abc"}) == "abc"
    assert given_key({"x-api-key": "abc"}) == "abc"
    assert given_key({"authorization": "Basic abc"}) is None
    assert given_key({}) is None


def bodies(*messages):
    left = list(messages)

    async def receive():
        if not left:
            await asyncio.sleep(60)
        return left.pop(0)

    return receive


def test_a_body_is_read_in_pieces_and_no_further_than_its_limit():
    part = {"type": "http.request", "body": b"abc", "more_body": True}
    last = {"type": "http.request", "body": b"d"}
    assert asyncio.run(read_body(bodies(part, part, last), None, 7, 1)) == b"abcabcd"
    for receive, length in ((bodies(part, part, last), None), (bodies(), "8")):
        with pytest.raises(Refusal) as told:
            asyncio.run(read_body(receive, length, 6, 1))
        assert told.value.status == 413


def test_a_body_that_does_not_come_is_given_up():
    with pytest.raises(Refusal) as told:
        asyncio.run(read_body(bodies({"type": "http.request", "body": b"a", "more_body": True}), None, 10, 0.05))
    assert told.value.status == 408
    with pytest.raises(Refusal) as told:
        asyncio.run(read_body(bodies({"type": "http.disconnect"}), None, 10, 1))
    assert told.value.code == "gone"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, ""),
        (b"{", 400, ""),
        (b'"\xff"', 400, ""),
        (b'{"rows": [{"text": "\\ud800"}]}', 400, ""),
        (b"[]", 422, "body"),
        (b'{"rows": []}', 422, "rows"),
        (b'{"rows": [{"text": "a"}], "topk": 1}', 422, "topk"),
        (b'{"rows": [{"text": 1}]}', 422, "rows.0.text"),
        (b'{"rows": [{"text": "a"}], "top_k": "1"}', 422, "top_k"),
        (b'{"rows": [{"text": "a"}], "top_k": 0}', 422, "top_k"),
        (b'{"rows": [{"text": "abcdef"}]}', 422, "rows.0.text: 6 characters"),
        (b'{"rows": [{"text": "a", "context": "abcdef"}]}', 422, "rows.0.context"),
        (b'{"rows": [{"text": "a"}, {"text": "a"}, {"text": "a"}]}', 422, "3 rows"),
        (b'{"rows": [{"text": "a"}, {"text": "a"}], "explain": true}', 422, "explain"),
    ],
)
def test_what_is_no_request_is_refused_with_its_place(body: bytes, status: int, told: str):
    limits = ServeSettings(max_rows=2, max_characters=5, max_explained=1)
    with pytest.raises(Refusal) as refused:
        parse_request(body, limits)
    assert refused.value.status == status
    assert told in "; ".join(refused.value.problems)


def test_a_variable_without_a_key_opens_to_nobody(monkeypatch):
    for value in ("", ",", "  "):
        monkeypatch.setenv("DUOBIAO_TEST_KEYS", value)
        with pytest.raises(ConfigError, match="holds no key"):
            load_keys(None, "DUOBIAO_TEST_KEYS")


def test_a_key_of_any_letters_opens_as_http_sends_it(monkeypatch):
    key = "钥匙" * 8
    monkeypatch.setenv("DUOBIAO_TEST_KEYS", key)
    keys = load_keys(None, "DUOBIAO_TEST_KEYS")
    sent = key.encode().decode("latin-1")  # what ASGI frameworks hand on
    assert keys.allow(given_key({"x-api-key": sent}))
    assert keys.allow(given_key({"authorization": f"Bearer {sent}"}))


def test_too_many_rows_or_keys_are_refused_before_each_is_looked_at():
    settings = ServeSettings()
    for body, told in (
        (b'{"rows": [' + b"1," * 200_000 + b"1]}", "200001 rows"),
        (json.dumps({"rows": [{"text": "a", **{f"k{n}": 1 for n in range(5000)}}]}).encode(), "5001 keys"),
        (json.dumps({"rows": [{"text": "a", "numeric": {f"k{n}": "x" for n in range(5000)}}]}).encode(), "5000 keys"),
    ):
        with pytest.raises(Refusal) as caught:
            parse_request(body, settings)
        assert caught.value.status == 422
        assert len(caught.value.problems) == 1
        assert told in caught.value.problems[0]


def test_thousands_of_problems_are_cut_short():
    with pytest.raises(Refusal) as refused:
        parse_request(b'{"rows": [' + b",".join([b"1"] * 1000) + b"]}", ServeSettings())
    assert len(refused.value.problems) == 21
    assert refused.value.problems[-1] == "... and 980 more"


def test_names_and_folders_are_checked_all_at_once(tmp_path: Path):
    good = make_bundle(tmp_path / "b")
    assert named_sources([good, f"other={good}"]) == {"b": good, "other": good}
    with pytest.raises(ConfigError) as told:
        named_sources([good, good, tmp_path / "missing", make_bundle(tmp_path / "x y")])
    assert len(told.value.problems) == 3


def test_of_versions_the_last_by_number_is_current(tmp_path: Path):
    for name in ("v2", "v10", "v9", ".v99.part"):
        make_bundle(tmp_path / name)
    (tmp_path / "v11").mkdir()  # still being copied: no manifest yet
    assert current(tmp_path).name == "v10"
    assert current(tmp_path / "v2").name == "v2"
    (tmp_path / "none").mkdir()
    with pytest.raises(BundleError, match="holds no bundle"):
        current(tmp_path / "none")


def test_settings_say_everything_that_is_wrong_with_them():
    assert make_settings({"port": 1}, ["token_budget=64", "cors=[https://a.example]"]).token_budget == 64
    with pytest.raises(ConfigError) as told:
        make_settings({"port": 1}, ["token_budget=0", "nonsense=1"])
    assert len(told.value.problems) == 2
