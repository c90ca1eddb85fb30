"""Publishing to every kind of root on a real server, and phones that boot from what real servers hand out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import inventories
import peers
import repositories
from offhook.cli.run import run
from offhook.phone.boot import boot
from places import BUCKET, KINDS, Place, Places, environment, s3_client
from test_flow import effective
from test_publish import MACS, Repository, fleet

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with environment(), ExitStack() as stack:
        yield Places(stack, tmp_path_factory.mktemp("places"))


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(len(MACS)):
        monkeypatch.setenv(f"OFFHOOK_SECRET_USERS_U{number}", f"pass-{number}")


def connection(place: Place, folder: Path) -> dict[str, Any]:
    """What the inventory says of how a place is reached; files are put into the repository."""
    options = place.options
    said: dict[str, Any] = {"endpoint": options.endpoint, "region": options.region}
    for name in ("ca_file", "known_hosts"):
        path = getattr(options, name)
        if path is not None:
            shutil.copy(path, folder / name)
            said[name] = name
    return {name: value for name, value in said.items() if value}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_every_kind_of_root(
    kind: str,
    layout: str,
    places: Places,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = places[kind]
    top = f"publish-{layout}"
    place.root(f"{top}/root").close()
    place.state(f"{top}/state").close()
    if place.options.ssh_key is not None:
        ssh = Path(tmp_path / ".ssh")
        ssh.mkdir()
        shutil.copy(place.options.ssh_key, ssh / "id_ed25519")
        monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "fleet").mkdir()
    where = {
        "publish": f"{place.address}/{top}/root",
        "state": f"{place.address}/{top}/state",
        "layout": layout,
        "connection": connection(place, tmp_path / "fleet"),
    }
    repository = Repository(tmp_path, capsys, **where)
    assert repository.json("publish", "production")["done"]["release"] == 1
    told = effective(inventories.read(repository.folder))
    look = lambda path: place.look(f"{top}/root/{path}")  # noqa: E731
    for number, mac in enumerate(MACS):
        own = look(f"{mac}.cfg") if layout == "flat" else look(_last_include(look(f"{mac}.boot")))
        assert own is not None
        assert f"=pass-{number}\n".encode() in own
        assert told[mac]
    repository.files["phones/all.yaml"][MACS[3]]["settings"] = {"local_time.time_format": "1"}
    repository.commit()
    assert repository.json("publish", "production")["phones"]["changed"] == [MACS[3]]
    assert "nothing to do" in repository.run("publish", "production")
    found = repository.json("status", "production")
    assert found["changed"] == found["missing"] == found["waiting"] == []
    assert found["strangers"] == ([] if place.lists else None)


def _last_include(content: bytes | None) -> str:
    assert content is not None
    return content.decode().strip().splitlines()[-1].split('"')[1]


@pytest.mark.parametrize("server", [peers.tftpd, peers.nginx])
@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_phones_boot_from_what_real_servers_hand_out(
    server: Any, layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(tmp_path, capsys, layout=layout)
    repository.run("publish", "production")
    repository.files["sites/all.yaml"]["lyon"]["utc_offset"] = "+2"
    repository.commit()
    repository.run("publish", "production", "--allow", "changed:lyon")
    told = effective(inventories.read(repository.folder))
    with server(repository.root) as url:
        for number, mac in enumerate(MACS):
            opened = {
                name: f"pass-{number}" if value.startswith("secret:") else value for name, value in told[mac].items()
            }
            assert boot(mac, url).settings == opened


def test_s3_keeps_type_cache_and_commit(places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = places["moto"]
    where = {"publish": f"{place.address}/about/root", "state": f"{place.address}/about/state"}
    repository = Repository(tmp_path, capsys, **where, connection={"endpoint": place.options.endpoint})
    commit = repositories.git(repository.folder, "rev-parse", "HEAD")
    repository.run("publish", "production")
    found = s3_client(place.options.endpoint).head_object(Bucket=BUCKET, Key=f"about/root/{MACS[0]}.cfg")
    assert found["ContentType"] == "text/plain; charset=utf-8"
    assert found["CacheControl"] == "no-cache"
    assert found["Metadata"] == {"commit": commit}


def test_cloudfront_is_told_what_changed_and_nothing_else(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    place = places["moto"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", place.options.endpoint)
    client = boto3.session.Session().client("cloudfront", region_name="us-east-1")
    origin = {"Id": "s3", "DomainName": "acme-phones.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    behaviour = {"TargetOriginId": "s3", "ViewerProtocolPolicy": "allow-all", "MinTTL": 0}
    behaviour["ForwardedValues"] = {"QueryString": False, "Cookies": {"Forward": "none"}}
    config = {
        "CallerReference": "1",
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behaviour,
    }
    distribution = client.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
    where = {"publish": f"{place.address}/cdn/root", "state": f"{place.address}/cdn/state", "cloudfront": distribution}
    repository = Repository(tmp_path, capsys, **where, connection={"endpoint": place.options.endpoint})
    repository.run("publish", "production")
    repository.files["phones/all.yaml"][MACS[3]]["settings"] = {"local_time.time_format": "1"}
    repository.commit()
    repository.run("publish", "production")
    repository.run("publish", "production")
    rows = client.list_invalidations(DistributionId=distribution)["InvalidationList"]["Items"]
    batches = [
        client.get_invalidation(DistributionId=distribution, Id=row["Id"])["Invalidation"]["InvalidationBatch"]
        for row in rows
    ]
    paths = sorted((batch["Paths"]["Items"] for batch in batches), key=len)
    assert paths[0] == [f"/x/{MACS[3]}.cfg"]
    assert len(paths) == 2
    assert f"/x/{MACS[0]}.boot" in paths[1]


def test_a_distribution_that_refuses_is_a_warning(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", places["moto"].options.endpoint)
    files = fleet(tmp_path, cloudfront="E000NOSUCH")
    repository = Repository(tmp_path, capsys)
    repository.files = files
    repository.commit()
    capsys.readouterr()
    assert run(["-C", str(repository.folder), "publish", "production"]) == 0
    assert "CloudFront E000NOSUCH was not told" in capsys.readouterr().err


def test_where_nothing_changed_the_root_is_asked_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[str, str]] = []

    def watch(request: dict[str, Any]) -> None:
        asked.append((request["REQUEST_METHOD"], request["PATH_INFO"]))

    with environment(), peers.moto(watch) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        where = {"publish": f"s3://{BUCKET}/root", "state": f"s3://{BUCKET}/state"}
        repository = Repository(tmp_path, capsys, **where, connection={"endpoint": endpoint, "region": "us-east-1"})
        repository.run("publish", "production")
        asked.clear()
        repository.run("publish", "production")
        nothing = asked.copy()
        repository.files["phones/all.yaml"][MACS[3]]["settings"] = {"local_time.time_format": "1"}
        repository.commit()
        asked.clear()
        repository.run("publish", "production")
        one = [path for method, path in asked if method == "PUT" and "/root/" in path]
    assert [method for method, _ in nothing] == ["GET"] * 3  # head, manifest and key, however many objects there are
    assert not [path for _, path in nothing if "/root/" in path]
    assert one == [f"/{BUCKET}/root/{MACS[3]}.cfg"]
    assert len(asked) < 20
