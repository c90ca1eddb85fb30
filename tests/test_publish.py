"""Publishing to a folder: what is written, planned, refused and found to have drifted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import inventories
import repositories
from offhook.cli.run import run
from offhook.phone.boot import boot
from test_flow import effective

MACS = [f"0021f20000{number:02x}" for number in range(1, 21)]
COMMON = {"y000000000000.boot", "y000000000000.cfg"}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(len(MACS)):
        monkeypatch.setenv(f"OFFHOOK_SECRET_USERS_U{number}", f"pass-{number}")


def fleet(folder: Path, **environment: Any) -> dict[str, Any]:
    """Twenty phones, ten in berlin, nine in lyon and one nowhere, published to folder/root."""
    place = {"url": "https://prov.example.com/x/", "publish": "root", **environment}
    return {
        "fleet.yaml": {
            "sip": {"server": "pbx.example.com"},
            "secrets": {"provider": "env"},
            "utc_offset": "+0",
            "settings": {"local_time.time_format": "0"},
            "environments": {"production": place},
        },
        "sites/all.yaml": {"berlin": {"utc_offset": "+1"}, "lyon": {"utc_offset": "+1"}},
        "accounts/all.yaml": {
            f"user{number}": {"extension": f"{100 + number}", "password": f"secret:users/u{number}"}
            for number in range(len(MACS))
        },
        "phones/all.yaml": {
            mac: {"model": "FIP14G", "accounts": [f"user{number}"]}
            | ({"site": "berlin" if number < 10 else "lyon"} if number < 19 else {})
            for number, mac in enumerate(MACS)
        },
    }


class Repository:
    """A fleet's repository, its root, and the command line on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], **environment: Any) -> None:
        self.folder = repositories.start(folder / "fleet")
        self.root = self.folder / "root"
        self.root.mkdir()
        self.files = fleet(folder, **environment)
        self._capsys = capsys
        self.commit()

    def commit(self, message: str = "change") -> str:
        (self.folder / ".gitignore").write_text("root*\n")
        return repositories.commit(self.folder, self.files, message)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a verb; it must end with `code`. Returns standard output, and standard error where it is refused."""
        self._capsys.readouterr()
        found = run(["-C", str(self.folder), *arguments])
        said = self._capsys.readouterr()
        assert found == code, said.err
        return said.out + (said.err if code == 1 else "")

    def json(self, *arguments: str, code: int = 0) -> Any:
        said = self.run(*arguments, "--format", "json", code=code)
        return json.loads(said[: said.rindex("}") + 1])

    def published(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def inodes(self) -> dict[str, int]:
        return {str(path.relative_to(self.root)): path.stat().st_ino for path in self.root.rglob("*") if path.is_file()}

    def agrees(self) -> None:
        """Every phone that boots from the root has what the compiler says, secrets opened."""
        read = inventories.read(self.folder)
        for mac, settings in effective(read).items():
            opened = {
                name: os.environ["OFFHOOK_SECRET_" + value.removeprefix("secret:").replace("/", "_").upper()]
                if value.startswith("secret:")
                else value
                for name, value in settings.items()
            }
            assert boot(mac, f"{self.root.as_uri()}/").settings == opened


@pytest.fixture(params=["flat", "layered"])
def repository(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Repository:
    return Repository(tmp_path, capsys, layout=request.param)


@pytest.fixture
def flat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Repository:
    return Repository(tmp_path, capsys)


def test_phones_end_with_what_was_compiled_and_secrets_are_open(repository: Repository) -> None:
    repository.run("publish", "production")
    repository.agrees()
    repository.files["sites/all.yaml"]["lyon"]["utc_offset"] = "+2"
    repository.files["phones/all.yaml"][MACS[0]]["settings"] = {"local_time.time_format": "1"}
    repository.commit()
    repository.run("publish", "production", "--allow", "changed:lyon")
    repository.agrees()


def test_nothing_is_written_where_nothing_changed(repository: Repository) -> None:
    repository.run("publish", "production")
    before, state = repository.inodes(), sorted((repository.folder / "root.offhook-state").rglob("*"))
    assert "nothing to do" in repository.run("publish", "production")
    repository.files["fleet.yaml"]["description"] = "no phone is told this"
    repository.commit()
    assert "nothing to do" in repository.run("publish", "production")
    assert repository.inodes() == before
    assert sorted((repository.folder / "root.offhook-state").rglob("*")) == state


def test_only_what_differs_is_written(flat: Repository) -> None:
    flat.run("publish", "production")
    before = flat.inodes()
    flat.files["phones/all.yaml"][MACS[3]]["settings"] = {"local_time.time_format": "1"}
    flat.commit()
    answer = flat.json("publish", "production")
    after = flat.inodes()
    assert [path for path in after if after[path] != before[path]] == [f"{MACS[3]}.cfg"]
    assert answer["phones"] == {"added": [], "removed": [], "changed": [MACS[3]]}
    assert answer["done"] == {"release": 2, "new": True, "written": 1, "deleted": 0}


def test_a_rotated_password_of_equal_length_is_sent(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.run("publish", "production")
    monkeypatch.setenv("OFFHOOK_SECRET_USERS_U4", "pass-X")
    plan = repository.json("publish", "production", "--dry-run")
    assert plan["phones"]["changed"] == [MACS[4]]
    repository.run("publish", "production")
    repository.agrees()


def test_a_dry_run_writes_nothing(flat: Repository) -> None:
    said = flat.run("publish", "production", "--dry-run")
    assert "20 added" in said
    assert not flat.published()
    assert not [path for path in (flat.folder / "root.offhook-state").rglob("*") if path.is_file()]


def test_the_layered_root_keeps_what_boot_files_of_a_moment_ago_include(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Repository(tmp_path, capsys, layout="layered")
    one.run("publish", "production")
    first = one.published()
    one.files["sites/all.yaml"]["berlin"]["utc_offset"] = "+2"
    one.commit()
    one.run("publish", "production", "--allow", "changed:berlin")
    second = one.published()
    assert first.keys() < second.keys()
    switched = {path for path in first if first[path] != second[path]}
    assert switched == {f"{mac}.boot" for mac in MACS[:10]}
    monkeypatch.setattr("offhook.publish.plan.steps.GRACE_S", 0)
    answer = one.json("publish", "production")
    assert answer["done"] == {"release": 2, "new": False, "written": 0, "deleted": 1}
    assert one.published().keys() == second.keys() - {path for path in first if "sites/berlin" in path}
    one.agrees()


def test_a_phone_that_left_has_no_file_any_more(repository: Repository) -> None:
    repository.run("publish", "production")
    repository.files["phones/all.yaml"][MACS[0]]["retired"] = True
    repository.commit()
    repository.run("publish", "production")
    del repository.files["phones/all.yaml"][MACS[0]]
    repository.commit()
    repository.run("publish", "production")
    assert not {f"{MACS[0]}.boot", f"{MACS[0]}.cfg"} & repository.published().keys()


def test_another_layout_switches_by_boot_files(flat: Repository) -> None:
    flat.run("publish", "production")
    flat.files["fleet.yaml"]["environments"]["production"]["layout"] = "layered"
    flat.commit()
    answer = flat.json("publish", "production")
    assert answer["phones"] == {"added": [], "removed": [], "changed": []}
    flat.agrees()
    assert f"{MACS[0]}.cfg" in flat.published()  # for a phone that read its boot file a moment ago


class TestLimits:
    """What one publish may touch."""

    def change(self, repository: Repository, number: int) -> None:
        for mac in MACS[:number]:
            repository.files["phones/all.yaml"][mac]["settings"] = {"local_time.time_format": "1"}
        repository.commit()

    def test_many_changed_phones_need_a_plan_or_a_name(self, flat: Repository) -> None:
        flat.run("publish", "production")
        self.change(flat, 7)
        before = flat.published()
        said = flat.run("publish", "production", code=1)
        assert "7 of 20 phones changed; the limit is 6" in said
        assert "--allow changed:berlin" in said
        assert flat.published() == before
        flat.run("publish", "production", "--allow", "changed:lyon", code=1)
        flat.run("publish", "production", "--allow", "changed:berlin")
        flat.agrees()

    def test_three_of_five_are_no_alarm(self, flat: Repository) -> None:
        for mac in MACS[5:]:
            del flat.files["phones/all.yaml"][mac]
        flat.commit()
        flat.run("publish", "production")
        self.change(flat, 3)
        flat.run("publish", "production")

    def test_a_number_has_no_floor(self, flat: Repository) -> None:
        flat.files["fleet.yaml"]["limits"] = {"changed": "0"}
        flat.commit()
        flat.run("publish", "production")
        self.change(flat, 1)
        flat.run("publish", "production", code=1)

    def test_a_pull_request_cannot_raise_a_limit_and_use_it(self, flat: Repository) -> None:
        flat.run("publish", "production")
        flat.files["fleet.yaml"]["limits"] = {"changed": "100%"}
        self.change(flat, 7)
        assert "of the last release" in flat.run("publish", "production", code=1)
        for mac in MACS[:7]:
            del flat.files["phones/all.yaml"][mac]["settings"]
        self.change(flat, 1)
        flat.run("publish", "production")
        self.change(flat, 20)
        flat.run("publish", "production")

    def test_a_stricter_limit_holds_at_once(self, flat: Repository) -> None:
        flat.run("publish", "production")
        flat.files["fleet.yaml"]["limits"] = {"changed": "0"}
        self.change(flat, 1)
        flat.run("publish", "production", code=1)

    def test_a_site_that_goes_needs_its_name(self, flat: Repository) -> None:
        flat.files["fleet.yaml"]["limits"] = {"removed": "100%"}
        for mac in MACS[10:19]:
            flat.files["phones/all.yaml"][mac]["retired"] = True
        flat.commit()
        flat.run("publish", "production")
        for mac in MACS[10:19]:
            del flat.files["phones/all.yaml"][mac]
        flat.commit()
        said = flat.run("publish", "production", code=1)
        assert "lyon loses its last 9 phones" in said
        assert "--allow removed:lyon" in said
        flat.run("publish", "production", "--allow", "removed:lyon")

    def test_a_phone_that_was_not_retired_is_cut_off(self, flat: Repository) -> None:
        flat.run("publish", "production")
        del flat.files["phones/all.yaml"][MACS[0]]
        flat.commit()
        assert "1 phone may become unreachable" in flat.run("publish", "production", code=1)
        flat.run("publish", "production", "--allow", f"cutoff:{MACS[0].upper()}")

    def test_another_sip_server_is_a_cut_off_change_and_no_plan_allows_it(self, flat: Repository) -> None:
        flat.run("publish", "production")
        flat.files["sites/all.yaml"]["lyon"]["sip"] = {"outbound_proxy": "sbc.example.com"}
        flat.commit()
        flat.run("publish", "production", "--allow", "changed:lyon", code=0)
        flat.files["fleet.yaml"]["sip"] = {"server": "other.example.com"}
        flat.commit()
        plan = flat.folder / "root.plan"
        flat.run("publish", "production", "--plan", str(plan), code=1)
        assert "unregistered" in flat.run("publish", "production", "--apply", str(plan), code=1)
        names = [f"cutoff:{scope}" for scope in ("berlin", "lyon", "no-site")]
        allow = [word for name in names for word in ("--allow", name)]
        flat.run("publish", "production", *allow, "--plan", str(plan))  # too many changed, until it is reviewed
        flat.run("publish", "production", "--apply", str(plan))
        flat.agrees()

    def test_an_expiring_line_in_the_inventory_allows_it(self, flat: Repository) -> None:
        flat.run("publish", "production")
        line = {"what": "changed", "scope": "berlin", "until": "2000-01-01", "reason": "new time format"}
        flat.files["fleet.yaml"]["limits"] = {"allow": [line]}
        self.change(flat, 10)
        flat.run("publish", "production", code=1)
        line["until"] = "2999-12-31"
        flat.commit()
        flat.run("publish", "production")

    @pytest.mark.parametrize("word", ["removed", "removed:", ":berlin", "all:berlin", "emptied:berlin"])
    def test_nothing_allows_everything(self, flat: Repository, word: str) -> None:
        flat.run("publish", "production")
        assert "allows nothing" in flat.run("publish", "production", "--allow", word, code=1)

    def test_a_scope_that_nobody_has_is_refused(self, flat: Repository) -> None:
        flat.run("publish", "production")
        assert "is called berln" in flat.run("publish", "production", "--allow", "changed:berln", code=1)


class TestPlan:
    """What was reviewed is what is done."""

    @pytest.fixture
    def planned(self, flat: Repository) -> Iterator[tuple[Repository, str]]:
        flat.run("publish", "production")
        for mac in MACS:
            flat.files["phones/all.yaml"][mac]["settings"] = {"local_time.time_format": "1"}
        flat.commit()
        plan = str(flat.folder / "root.plan")
        flat.run("publish", "production", "--dry-run", code=1)
        flat.run("publish", "production", "--plan", plan)
        return flat, plan

    def test_a_plan_is_carried_out(self, planned: tuple[Repository, str]) -> None:
        repository, plan = planned
        repository.run("publish", "production", "--apply", plan)
        repository.agrees()
        assert "something else was published" in repository.run("publish", "production", "--apply", plan, code=1)

    def test_another_revision_is_refused(self, planned: tuple[Repository, str]) -> None:
        repository, plan = planned
        commit = json.loads(Path(plan).read_text())["commit"]
        repository.commit()
        assert "has moved" in repository.run("publish", "production", "--apply", plan, code=1)
        repository.run("publish", "production", "--rev", commit, "--apply", plan)

    def test_other_secrets_are_refused(self, planned: tuple[Repository, str], monkeypatch: pytest.MonkeyPatch) -> None:
        repository, plan = planned
        monkeypatch.setenv("OFFHOOK_SECRET_USERS_U4", "pass-X")
        assert "secrets have changed" in repository.run("publish", "production", "--apply", plan, code=1)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', "\0", '{"format": 2}'])
    def test_what_is_no_plan_is_refused(self, flat: Repository, text: str) -> None:
        (flat.folder / "root.plan").write_text(text)
        assert "plan" in flat.run("publish", "production", "--apply", str(flat.folder / "root.plan"), code=1)


class TestWhatIsPublished:
    """A commit, and a signed one where that is required."""

    def test_a_dirty_work_tree_is_not(self, flat: Repository) -> None:
        flat.run("publish", "production")
        before = flat.published()
        (flat.folder / "inventory/extra.yaml").write_text("nonsense")
        flat.files["sites/all.yaml"]["lyon"]["utc_offset"] = "+5"
        inventories.write_inventory(flat.folder, flat.files)
        flat.run("publish", "production")
        assert flat.published() == before

    def test_a_lab_may_be_published_from_its_work_tree(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lab = Repository(tmp_path, capsys, worktree=True)
        assert lab.json("publish", "production")["commit"] == repositories.git(lab.folder, "rev-parse", "HEAD")
        lab.files["phones/all.yaml"][MACS[0]]["settings"] = {"local_time.time_format": "1"}
        inventories.write_inventory(lab.folder, lab.files)
        assert lab.json("publish", "production")["commit"] == ""
        lab.agrees()

    def test_an_inventory_with_mistakes_is_not(self, flat: Repository) -> None:
        flat.files["phones/all.yaml"][MACS[0]]["site"] = "berln"
        flat.commit()
        assert "unknown-reference" in flat.run("publish", "production", code=1)
        assert not flat.published()

    def test_a_missing_secret_stops_it(self, flat: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OFFHOOK_SECRET_USERS_U3")
        assert "users/u3" in flat.run("publish", "production", code=1)
        assert not flat.published()


class TestStrangers:
    """Files that offhook did not write."""

    def test_they_are_neither_overwritten_nor_deleted(self, flat: Repository) -> None:
        (flat.root / f"{MACS[0]}.cfg").write_text("by hand")
        (flat.root / "firmware.bin").write_text("by hand")
        assert f"{MACS[0]}.cfg" in flat.run("publish", "production", code=1)
        assert flat.published().keys() == {f"{MACS[0]}.cfg", "firmware.bin"}
        flat.run("publish", "production", "--adopt")
        flat.agrees()
        assert (flat.root / "firmware.bin").read_text() == "by hand"


class TestStatus:
    """Drift."""

    def test_in_step(self, repository: Repository) -> None:
        repository.run("publish", "production")
        assert "the revision is deployed" in repository.run("status", "production", "--exit-code")

    def test_before_the_first_release(self, flat: Repository) -> None:
        assert "nothing was published" in flat.run("status", "production", code=1)

    def test_by_hand_missing_stranger_and_not_deployed(self, flat: Repository) -> None:
        flat.run("publish", "production")
        changed = flat.root / f"{MACS[0]}.cfg"
        changed.write_bytes(changed.read_bytes().replace(b"pass-0", b"pass-1"))
        (flat.root / f"{MACS[1]}.cfg").unlink()
        (flat.root / "stranger").touch()
        flat.files["phones/all.yaml"][MACS[2]]["settings"] = {"local_time.time_format": "1"}
        flat.commit()
        found = flat.json("status", "production", code=1)
        assert found["changed"] == [f"{MACS[0]}.cfg"]
        assert found["missing"] == [f"{MACS[1]}.cfg"]
        assert found["strangers"] == ["stranger"]
        assert found["waiting"] == [MACS[2]]
        assert flat.json("status", "production", "--quick", code=1)["changed"] == []
        flat.run("publish", "production", "--repair")
        (flat.root / "stranger").unlink()
        flat.run("status", "production", "--exit-code")
        flat.agrees()

    def test_not_deployed_ends_with_4(self, flat: Repository) -> None:
        flat.run("publish", "production")
        flat.files["phones/all.yaml"][MACS[2]]["settings"] = {"local_time.time_format": "1"}
        flat.commit()
        flat.run("status", "production")
        flat.run("status", "production", "--exit-code", code=4)


class TestPlaces:
    """Where state and root may be."""

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ({"publish": "s3://acme/x"}, "publish-without-state"),
            ({"publish": "root", "state": "root/state"}, "lies where phones fetch"),
            ({"publish": "s3://acme/x", "state": "s3://acme/x/state"}, "lies where phones fetch"),
            ({"publish": "nowhere"}, "does not exist"),
        ],
    )
    def test_refused(
        self, words: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert said in Repository(tmp_path, capsys, **words).run("publish", "production", code=1)

    def test_an_environment_that_is_not_there(self, flat: Repository) -> None:
        assert 'no environment "lab"' in flat.run("publish", "lab", code=1)


def test_the_manifest_tells_nothing_of_secrets_and_is_the_owners(flat: Repository) -> None:
    flat.run("publish", "production")
    state = flat.folder / "root.offhook-state"
    for path in state.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
        assert not path.is_file() or b"pass-" not in path.read_bytes()
    manifest = json.loads(next((state / "manifests").iterdir()).read_bytes())
    assert manifest["files"].keys() == flat.published().keys()
    assert manifest["files"].keys() > COMMON


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b'{"format": 1}', b"\xff", b'{"format": 99}'])
@pytest.mark.parametrize("part", ["head", "manifest", "key"])
def test_a_damaged_state_is_one_clear_line(flat: Repository, part: str, text: bytes) -> None:
    flat.run("publish", "production")
    state = flat.folder / "root.offhook-state"
    places = {"head": state / "head.json", "key": state / "key", "manifest": next((state / "manifests").iterdir())}
    places[part].write_bytes(text)
    for verb in ("publish", "status"):
        said = flat.run(verb, "production", code=1)
        assert "damaged" in said or "format" in said


class TestRollback:
    """Going back to what was released."""

    def test_each_of_twenty_releases_comes_back_bit_for_bit(self, repository: Repository) -> None:
        trees: list[dict[str, bytes]] = []
        boots = []
        for number in range(20):
            repository.files["phones/all.yaml"][MACS[number % 4]]["label"] = f"Desk {number}"
            repository.files["phones/all.yaml"][MACS[number % 4]]["settings"] = {
                "local_time.ntp_server1": f"ntp{number}.example.com"
            }
            repository.files["fleet.yaml"]["settings"] = {
                "local_time.time_format": "0",
                "local_time.ntp_server1": "ntp.example.com",
            }
            repository.commit()
            assert repository.json("publish", "production", *self.all())["done"]["release"] == number + 1
            trees.append(self.reached(repository))
            boots.append({mac: boot(mac, f"{repository.root.as_uri()}/").settings for mac in MACS[:5]})
        for number in (7 * step % 20 for step in range(20)):
            repository.json("rollback", "production", str(number + 1), *self.all())
            assert self.reached(repository) == trees[number]
            found = {mac: boot(mac, f"{repository.root.as_uri()}/").settings for mac in MACS[:5]}
            assert found == boots[number]

    def all(self) -> list[str]:
        return [word for scope in ("berlin", "lyon", "no-site") for word in ("--allow", f"changed:{scope}")]

    def reached(self, repository: Repository) -> dict[str, bytes]:
        """What the manifest says phones are told: not what waits to be deleted."""
        state = repository.folder / "root.offhook-state"
        manifest = json.loads(next((state / "manifests").iterdir()).read_bytes())
        return {path: content for path, content in repository.published().items() if path in manifest["files"]}

    def test_the_one_before_with_todays_secrets(self, flat: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        flat.run("publish", "production")
        before = flat.published()
        flat.files["phones/all.yaml"][MACS[3]]["settings"] = {"local_time.time_format": "1"}
        flat.commit()
        flat.run("publish", "production")
        monkeypatch.setenv("OFFHOOK_SECRET_USERS_U9", "pass-new")
        answer = flat.json("rollback", "production", "--reason", "wrong\nformat")
        assert answer["phones"]["changed"] == [MACS[3], MACS[9]]
        changed = {path for path, content in flat.published().items() if before[path] != content}
        assert changed == {f"{MACS[9]}.cfg"}
        newest = flat.json("releases", "production")["releases"][0]
        assert (newest["number"], newest["rollback_of"], newest["reason"]) == (3, 1, "wrong format")

    def test_a_cut_off_change_needs_its_name_on_the_way_back_too(self, flat: Repository) -> None:
        flat.run("publish", "production")
        flat.files["fleet.yaml"]["sip"] = {"server": "other.example.com"}
        flat.commit()
        allow = [word for scope in ("berlin", "lyon", "no-site") for word in ("--allow", f"cutoff:{scope}")]
        flat.run("publish", "production", *allow, *self.all())
        assert "--allow cutoff:berlin" in flat.run("rollback", "production", code=1)
        flat.run("rollback", "production", *allow)

    def test_todays_limits_stay(self, flat: Repository) -> None:
        flat.run("publish", "production")
        flat.files["fleet.yaml"]["limits"] = {"changed": "0"}
        flat.files["phones/all.yaml"][MACS[3]]["settings"] = {"local_time.time_format": "1"}
        flat.commit()
        flat.run("publish", "production", *self.all())
        flat.run("rollback", "production")
        flat.files["fleet.yaml"]["limits"] = {"changed": "100%"}
        flat.commit()
        flat.run("publish", "production", code=1)

    def test_nothing_to_go_back_to(self, flat: Repository) -> None:
        assert "nothing to go back to" in flat.run("rollback", "production", code=1)
        flat.run("publish", "production")
        assert "nothing to go back to" in flat.run("rollback", "production", code=1)
        assert "no release 7" in flat.run("rollback", "production", "7", code=1)


class TestRecords:
    """What was released is in git."""

    def test_the_source_commit_is_the_second_parent(self, flat: Repository) -> None:
        git = repositories.git
        flat.run("publish", "production")
        first = git(flat.folder, "rev-parse", "HEAD")
        flat.files["phones/all.yaml"][MACS[3]]["settings"] = {"local_time.time_format": "1"}
        second = flat.commit()
        flat.run("publish", "production")
        lines = git(flat.folder, "log", "--first-parent", "--format=%P", "refs/offhook/production").splitlines()
        assert lines[0].split()[1] == second
        assert lines[1] == first
        said = json.loads(git(flat.folder, "show", "refs/offhook/production:release.json"))
        assert said["number"] == 2
        assert json.loads(git(flat.folder, "show", "refs/offhook/production:phones.json"))["changed"] == [MACS[3]]
        assert not [*(flat.folder / "root.offhook-state/records").iterdir()]

    def test_numbers_go_on_where_the_state_was_lost(self, flat: Repository) -> None:
        flat.run("publish", "production")
        shutil.rmtree(flat.folder / "root.offhook-state")
        assert "did not write" in flat.run("publish", "production", code=1)
        answer = flat.json("publish", "production", "--adopt")
        assert (answer["done"]["release"], answer["warnings"]) == (2, [])
        assert [one["number"] for one in flat.json("releases", "production")["releases"]] == [2, 1]

    def test_a_record_that_cannot_be_pushed_waits_for_the_next_run(self, flat: Repository, tmp_path: Path) -> None:
        remote = tmp_path / "remote"
        repositories.git(flat.folder, "remote", "add", "origin", remote.as_uri())
        capsys = flat._capsys
        assert run(["-C", str(flat.folder), "publish", "production"]) == 0
        assert "its record waits" in capsys.readouterr().err
        state = flat.folder / "root.offhook-state/records"
        assert len([*state.iterdir()]) == 1
        repositories.git(tmp_path, "init", "-q", "--bare", str(remote))
        flat.run("publish", "production")
        assert not [*state.iterdir()]
        assert repositories.git(remote, "rev-parse", "refs/offhook/production")


class TestOneStateOneEnvironment:
    """A state belongs to one environment and one root."""

    def test_another_environment_is_refused(self, flat: Repository) -> None:
        flat.run("publish", "production")
        environments = flat.files["fleet.yaml"]["environments"]
        environments["lab"] = {**environments["production"], "phones": {"sites": ["lyon"]}}
        flat.files["fleet.yaml"]["default_environment"] = "production"
        flat.commit()
        before = flat.published()
        assert "is the state of production, not of lab" in flat.run("publish", "lab", code=1)
        assert "is the state of production" in flat.run("publish", "lab", "--dry-run", code=1)
        assert flat.published() == before

    def test_a_renamed_one_goes_on_with_adopt(self, flat: Repository) -> None:
        flat.run("publish", "production")
        environments = flat.files["fleet.yaml"]["environments"]
        environments["prod"] = environments.pop("production")
        flat.commit()
        flat.run("publish", "prod", code=1)
        flat.run("status", "prod", code=1)
        assert flat.json("publish", "prod", "--adopt")["done"] == {
            "release": 2,
            "new": True,
            "written": 0,
            "deleted": 0,
        }
        assert "nothing to do" in flat.run("publish", "prod")
        flat.run("status", "prod", "--exit-code")

    def test_another_root_gets_everything(self, repository: Repository) -> None:
        repository.run("publish", "production")
        first = repository.published()
        environment = repository.files["fleet.yaml"]["environments"]["production"]
        environment |= {"publish": "root2", "state": "root.offhook-state"}
        repository.commit()
        (repository.folder / "root2").mkdir()
        answer = repository.json("publish", "production")
        assert answer["done"]["written"] == len(first)
        assert "nobody tends it" in answer["warnings"][0]
        assert repository.published() == first
        repository.root = repository.folder / "root2"
        assert repository.published() == first
        assert "nothing to do" in repository.run("publish", "production")
        repository.run("status", "production", "--exit-code")
