"""The command line: results, every error as lines without a traceback, and the exit status."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streammon import __version__
from streammon.cli import app
from streammon.cli.watch import _allowing
from streammon.config import shipped
from streammon.detect.registry import detector_names
from streammon.entities import Room
from streammon.fleet.config import Settings, load_settings
from streammon.fleet.policies import policy_book
from streammon.ingest.config import IngestConfig
from streammon.judge.policy_load import load_policy
from streammon.models.catalog import load_catalog
from streammon.taxonomy import load_taxonomy
from tests.unit.judging import write

CONFIGS = shipped("streammon.yaml").parent


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, with no setting from outside; `watch` takes the signals, which are given back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STREAMMON_MODELS", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), "an exception came through"
    assert "Traceback" not in result.output
    return result


def refused(*arguments: str | Path) -> str:
    """What a usage error says, on one line."""
    result = run("watch", *arguments)
    assert result.exit_code == 2
    return " ".join(result.stderr.replace("│", " ").split())


def test_check_accepts_what_is_shipped() -> None:
    result = run("check", "-c", CONFIGS / "streammon.yaml")
    assert (result.exit_code, result.stdout) == (0, f"{CONFIGS / 'streammon.yaml'}: ok\n")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("policies/*.yaml")), ids=lambda path: path.name)
def test_shipped_policies_are_valid(path: Path) -> None:
    policy = load_policy(path)
    assert policy.rules
    assert policy.id == path.stem


def test_the_shipped_settings_name_shipped_policies() -> None:
    settings = load_settings(CONFIGS / "streammon.yaml")
    assert settings.policies.folder == CONFIGS / "policies"
    assert policy_book(settings).choose(Room(room_id="r", url="x")).id == "live-default"


def test_check_tells_every_fault_of_all_files_in_one_go(tmp_path: Path) -> None:
    settings = write(tmp_path, "streammon.yaml", "intervall: 2s\npolicy: 'my policy.yaml'\ndetectors: [qr, eyes]\n")
    policy = write(
        tmp_path,
        "my policy.yaml",
        "version: 1\nid: x\nlabels:\n  sexy: {review: 7}\nkeywords:\n  - {file: list.txt, label: sexy.kissing}\n",
    )
    words = write(tmp_path, "list.txt", "casino\nCasino\n")
    result = run("check", "--config", settings)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"{settings}:1: intervall: unknown key",
        f"{settings}:3: detectors[1]: no such detector; the known ones are {', '.join(detector_names())} (got 'eyes')",
        f"{policy}:4: labels.sexy.review: Input should be less than or equal to 1 (got 7)",
        f"{words}:2: stands in line 1 already (got 'Casino')",
    ]


def test_check_tells_the_faults_of_a_policy_whose_settings_are_valid(tmp_path: Path) -> None:
    write(tmp_path, "policy.yaml", "version: 2\nid: x\nlabels: {}\n")
    result = run("check", "-c", write(tmp_path, "s.yaml", "policy: policy.yaml\n"))
    assert (result.exit_code, result.stderr) == (
        2, f"{tmp_path}/policy.yaml:1: version: Input should be 1 (got 2)\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("detectors: []", "1: detectors: Tuple should have at least 1 item after validation, not 0"),
        ("detectors: [qr, ocr, qr]", "1: detectors: names a detector twice, so each of its hits would count twice"),
        ("interval: 0", "1: interval: Input should be greater than or equal to 0.1 (got 0)"),
        ("http: {port: 65536}", "1: http.port: Input should be less than or equal to 65535 (got 65536)"),
        ("version: 2", "1: version: Input should be 1 (got 2)"),
    ],
)
def test_check_refuses_what_could_not_watch(tmp_path: Path, text: str, fault: str) -> None:
    path = write(tmp_path, "s.yaml", text)
    result = run("check", "-c", path)
    assert (result.exit_code, result.stderr) == (2, f"{path}:{fault}\n")


def test_check_tells_a_file_that_is_not_there() -> None:
    result = run("check", "-c", "none.yaml")
    assert (result.exit_code, result.stderr) == (2, "none.yaml:1: cannot be read: No such file or directory\n")


def test_labels_lists_every_label_with_its_code() -> None:
    result = run("labels")
    assert result.exit_code == 0
    assert "8001  advertising.qr_code" in result.stdout.splitlines()
    assert len(result.stdout.splitlines()) == len(load_taxonomy().labels)


def test_version_is_printed() -> None:
    assert run("version").stdout == f"{__version__}\n"


def test_models_list_names_every_model_and_its_state(tmp_path: Path) -> None:
    result = run("models", "list", "--models", tmp_path)
    assert result.exit_code == 0
    rows = {words[0]: words for words in map(str.split, result.stdout.splitlines()[1:])}
    assert set(rows) == set(load_catalog().models)
    assert all("missing" in words for words in rows.values())


def test_models_verify_fails_where_weights_are_missing(tmp_path: Path) -> None:
    result = run("models", "verify", "--models", tmp_path)
    assert result.exit_code == 1
    assert "not pulled" in result.stdout


def test_models_pull_of_an_unknown_model_lists_the_known(tmp_path: Path) -> None:
    result = run("models", "pull", "none", "--models", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("streammon: no model is called 'none'; the catalogue has: ")


@pytest.mark.parametrize("interval", ["fast", "", "-1s", "0", "50ms", "11m", "nan", "9" * 400])
def test_watch_refuses_an_interval(interval: str) -> None:
    assert "should be" in refused("clip.mp4", "--room", "r", f"--interval={interval}")


@pytest.mark.parametrize("kafka", ["broker", "broker:", ":9092", "a:1,b", "a:1, b:2", "http://a:1", "a:123456"])
def test_watch_refuses_brokers_that_are_no_addresses(kafka: str) -> None:
    assert f"--kafka '{kafka}' should be HOST:PORT" in refused("clip.mp4", "--room", "r", "--kafka", kafka)


@pytest.mark.parametrize("http", ["9464x", "localhost", "127.0.0.1:", "127.0.0.1:65536", "a:²", ":" + "9" * 5000])
def test_watch_refuses_an_address_to_serve_on(http: str) -> None:
    assert "should be HOST:PORT" in refused("clip.mp4", "--room", "r", "--http", http)


@pytest.mark.parametrize("network", ["", "intranet", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8,192.168.0.0/16"])
def test_watch_refuses_a_network_that_is_none(network: str) -> None:
    assert "--allow-network" in refused("clip.mp4", "--room", "r", "--allow-network", network)


def test_networks_of_the_command_line_come_to_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "s.yaml", "ingest: {allow_networks: [192.168.0.0/16]}\n")
    settings = _allowing(load_settings(path), ["10.0.0.0/8", "fd00::/8"])
    allowed = [str(network) for network in settings.ingest.allow_networks]
    assert allowed == ["192.168.0.0/16", "10.0.0.0/8", "fd00::/8"]
    told = IngestConfig.model_validate_json(settings.ingest.model_dump_json())
    assert told == settings.ingest, "the ingest process is told the same"


def test_no_network_is_allowed_unless_it_is_named() -> None:
    assert _allowing(Settings(), []).ingest.allow_networks == ()


@pytest.mark.parametrize("url", ["ftp://a/b", "file:///etc/passwd", "concat://a", "://x", "unix://[", "tcp://[::1"])
def test_watch_refuses_other_schemes(url: str) -> None:
    assert "the URL should begin with rtmp://, rtmps://, http:// or https://" in refused(url, "--room", "r")


@pytest.mark.parametrize("room", ["", "a\nb", "\x1b[2J", "r" * 201])
def test_watch_refuses_a_room_that_cannot_be_named(room: str) -> None:
    assert "--room should be 1 to 200 printable characters" in refused("clip.mp4", f"--room={room}")


def test_watch_needs_a_room() -> None:
    assert "--room" in refused("clip.mp4")


def test_watch_without_weights_names_the_cure(tmp_path: Path) -> None:
    result = run("watch", "rtmp://127.0.0.1:9/live/1", "--room", "r", "--models", tmp_path / "none")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("streammon: the weights of ")
    assert "run `streammon models pull " in result.stderr


def test_watch_tells_the_faults_of_a_policy(tmp_path: Path) -> None:
    policy = write(tmp_path, "policy.yaml", "version: 1\nid: x\nlabels: {foo: {review: 1}}\n")
    result = run("watch", "clip.mp4", "--room", "r", "--policy", policy)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{policy}:3: labels.foo: is no label")


def test_watch_tells_the_faults_of_its_settings(tmp_path: Path) -> None:
    path = write(tmp_path, "s.yaml", "interval: soon\n")
    result = run("watch", "clip.mp4", "--room", "r", "-c", path)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("wach").exit_code == 2


def test_without_a_command_the_help_is_shown() -> None:
    assert "Watches live rooms" in run().output


def test_the_installed_command_runs() -> None:
    command = [sys.executable, "-c", "from streammon.cli import main; main()", "version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("section", ["http: {token: s3cret}", "deliver: {webhook: {url: 'http://u:s3cret@h/'}}"])
def test_a_secret_that_is_written_in_clear_is_not_repeated(tmp_path: Path, section: str) -> None:
    result = run("check", "-c", write(tmp_path, "streammon.yaml", f"version: 1\n{section}\n"))
    assert result.exit_code == 2
    assert "s3cret" not in result.output


def test_watch_refuses_a_header_without_a_value() -> None:
    assert "'Name: value'" in refused("clip.mp4", "--room", "r", "--header", "Referer")
