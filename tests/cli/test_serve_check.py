"""``mralab serve --check`` validates a configuration with the files that it names, and warns as the start does."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.diagnose.minted import mint

from .command import mralab

RULES = "Url,Deployment,HttpMethods,MatchType,Description\n"


def check(folder: Path, text: str) -> tuple[int, str, list[str]]:
    (folder / "mralab.toml").write_text(text)
    result = mralab("serve", "--check", "-c", "mralab.toml", cwd=folder)
    return result.returncode, result.stdout, result.stderr.splitlines()


def test_a_valid_configuration_is_summarized_and_nothing_listens(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(mint("Root", ca=True).pem)
    (tmp_path / "rules.csv").write_text(RULES + "https://cucm.example.test/,,GET,prefix,\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f'[proxy]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n[trust]\nstore = "ca.pem"\n'
        text += '[allow]\nrules = "rules.csv"\n[hosts]\n"cucm.example.test" = { dial = "127.0.0.1" }\n'
        text += '[log]\nfile = "proxy.log"\n'
        checked = check(tmp_path, text)
    assert checked == (
        0,
        "mralab.toml: valid. X14.2, verify.origin on; trusted certificates: 1, rules: 1, hosts: 1\n",
        [],
    )
    assert not (tmp_path / "proxy.log").exists()


def test_each_suspicious_setting_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(mint("Old", ca=True, days=(-20, -10)).pem)
    (tmp_path / "rules.csv").write_text(RULES + "https://cucm.example.test/,,PURGE,prefix,\n")
    code, out, warnings = check(tmp_path, '[trust]\nstore = "ca.pem"\n[allow]\nrules = "rules.csv"\n')
    assert (code, out.startswith("mralab.toml: valid.")) == (0, True)
    expired, method = warnings
    assert expired.startswith("mralab: warning: trust.store: CN=Old expired on ")
    assert method.startswith(
        "mralab: warning: allow.rules: https://cucm.example.test:443/ allows PURGE, unknown to Exp"
    )
    code, out, warnings = check(tmp_path, "")
    assert (code, [line.split(": ")[2] for line in warnings]) == (0, ["trust.store", "allow.rules"])
    assert check(tmp_path, 'release = "X14.0.7"\nhosts.a.dial = "127.0.0.1"\n')[::2] == (0, [])


def test_every_problem_of_every_file_is_printed(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    (tmp_path / "rules.csv").write_text(RULES + "ftp://cucm.example.test/,,GET,prefix,\n")
    code, out, errors = check(tmp_path, '[trust]\nstore = "ca.pem"\n[allow]\nrules = "rules.csv"\n')
    assert (code, out, len(errors)) == (2, "", 2)
    assert errors[0].endswith("ca.pem: holds no PEM certificate")
    assert "rules.csv:2: Url has protocol" in errors[1]
    assert check(tmp_path, "[trst]\n")[0] == 2
