"""Evidence: a signed in-toto statement that is recomputed; what is forged, moved or missing is said to be so."""

import base64
import hmac
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tapeout.base.errors import NotAllowed
from tapeout.gate import prepare_hub
from tapeout.gate.evidence import NOTES_REF, attach, read_evidence, read_note, read_sealed
from tapeout.gate.evidence.retention import remove_old_logs
from tapeout.gate.evidence.seal import dsse, key_id, seal, sealed_by
from tapeout.gate.evidence.statement import record_of_statement, statement_of
from tapeout.gate.evidence.trust import Trust
from tapeout.gate.evidence.verify import commits_between, landings, verify, verify_many
from tapeout.gate.landing import land
from tests.docs.pages import ROOT
from tests.gate.conftest import MakeSite
from tests.gate.notes import KEY, land_one, note_text, problems, write_note
from tests.gate.site import CONFIG, Site, commit_files, commit_tree, git

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


class TestForm:
    @given(record=st.dictionaries(st.sampled_from(["run", "reason", "seconds", "checks", "findings", "more"]), values))
    def test_a_statement_says_what_its_record_says(self, record: dict[str, Any]) -> None:
        whole = {
            "version": 2, "tapeout": "1", "at": "now", "candidate": "c", "base": "b", "tree": "t", "change": "x",
            "issue": "i", "attempt": "a", "passed": True, "config_digest": "d", **record,
        }  # fmt: skip
        assert record_of_statement(json.loads(json.dumps(statement_of(whole)))) == whole

    @given(values)
    def test_what_is_no_statement_is_none(self, value: Any) -> None:
        assert record_of_statement(value) is None
        assert record_of_statement({"_type": "https://in-toto.io/Statement/v1", "predicate": value}) is None

    @given(value=st.dictionaries(st.text(), values), key=st.binary(min_size=32, max_size=32))
    def test_a_seal_is_known_by_its_key_alone_and_outlives_json(self, value: dict[str, Any], key: bytes) -> None:
        envelope = json.loads(json.dumps(seal(value, KEY), indent=1))
        assert sealed_by(envelope, KEY) == "this hub"
        assert sealed_by(envelope, None) == "another hub"
        assert (sealed_by(envelope, key) == "this hub") == (key == KEY)

    @given(value=st.dictionaries(st.text(), values), other=st.dictionaries(st.text(), values))
    def test_what_was_changed_is_not_signed(self, value: dict[str, Any], other: dict[str, Any]) -> None:
        envelope = {**seal(value, KEY), "payload": other}
        same = json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
        assert (sealed_by(envelope, KEY) == "this hub") == same

    @given(values)
    def test_any_signature_that_is_not_ours_is_not_believed(self, value: Any) -> None:
        envelope = {"payloadType": "application/vnd.in-toto+json", "payload": {}, "signatures": value}
        assert sealed_by(envelope, KEY) != "this hub"
        assert sealed_by({**envelope, "signatures": [{"keyid": key_id(KEY), "sig": value}]}, KEY) == "another hub"

    def test_the_envelope_is_that_of_dsse(self) -> None:
        """The example of the DSSE protocol's encoding, signed by hand."""
        standard = dsse(seal({"b": 1, "a": "é"}, KEY))
        payload = base64.b64decode(standard["payload"])
        assert json.loads(payload) == {"a": "é", "b": 1}
        encoded = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
        assert base64.b64decode(standard["signatures"][0]["sig"]) == hmac.digest(KEY, encoded, "sha256")


class TestNote:
    def test_it_is_a_statement_that_people_can_read(self, site: Site) -> None:
        commit = land_one(site)
        found = json.loads(git(site.paths.hub, "notes", "--ref=tapeout", "show", commit))
        statement = found["payload"]
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["predicateType"] == "urn:tapeout:evidence:v2"
        assert statement["subject"] == [
            {"name": "commit", "digest": {"gitCommit": commit}},
            {"name": "tree", "digest": {"gitTree": git(site.paths.hub, "rev-parse", f"{commit}^{{tree}}")}},
        ]
        assert statement["predicate"]["verificationResult"] == "PASSED"
        assert statement["predicate"]["base"]["digest"]["gitCommit"] == site.main_at_start
        assert '"verificationResult": "PASSED"' in git(site.paths.hub, "log", "-1", "--notes=tapeout", commit)

    def test_it_fits_the_schema_of_the_reference(self, site: Site) -> None:
        schema = json.loads((ROOT / "docs" / "reference" / "evidence.schema.json").read_text())
        validator = Draft202012Validator(schema)
        note = json.loads(note_text(site, land_one(site)))
        assert [error.message for error in validator.iter_errors(note)] == []
        for name in schema["$defs"]["predicate"]["required"]:
            predicate = {key: value for key, value in note["payload"]["predicate"].items() if key != name}
            assert list(validator.iter_errors({**note, "payload": {**note["payload"], "predicate": predicate}}))

    def test_the_key_is_the_owners_alone_and_in_no_note(self, site: Site) -> None:
        commit = land_one(site)
        trust = Trust.of(site.hub)
        assert stat.S_IMODE(os.stat(trust.folder).st_mode) == 0o700
        for name in os.listdir(trust.folder):
            assert stat.S_IMODE(os.stat(os.path.join(trust.folder, name)).st_mode) == 0o600
        key = trust.key()
        assert key is not None
        assert key.hex() not in note_text(site, commit)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"payloadType": 1}', "\x1b[31m"])
    def test_what_cannot_be_read_is_no_evidence(self, site: Site, text: str) -> None:
        commit = land_one(site)
        write_note(site, commit, text + "\n")
        assert read_sealed(site.hub, commit) is None
        assert problems(site, commit)


class TestVerify:
    def test_what_landed_is_in_order(self, site: Site) -> None:
        commits = [land_one(site), land_one(site, "b.txt")]
        person = commit_files(site.root, {"mine.txt": "x"})
        commits += [land_one(site, "c.txt")]
        found = list(verify_many(site.hub, site.paths, landings(site.hub, site.main)))
        assert [(one.kind, one.problems, one.remarks) for one in found] == [
            ("landed", (), ()), ("adopted", (), ()), ("landed", (), ()), ("landed", (), ()), ("adopted", (), ()),
        ]  # fmt: skip
        assert [one.commit for one in found] == [commits[2], person, commits[1], commits[0], site.main_at_start]
        assert commits_between(site.hub, commits[0], commits[2]) == [commits[2], person, commits[1]]

    def test_commits_from_before_adopted_ones_and_an_agents_own_are_told_apart(self, make_site: MakeSite) -> None:
        site = make_site()
        first, second = commit_files(site.root, {"1": "1"}), commit_files(site.root, {"2": "2"})
        commit = land_one(site)
        agents = str(site.hub[commit].peel(pygit2.Commit).parent_ids[1])
        kinds = [verify(site.hub, site.paths, one).kind for one in (site.main_at_start, first, second, agents)]
        assert kinds == ["adopted", "adopted", "adopted", "unvalidated"]
        older = make_site()
        commit_files(older.root, {"1": "1"})
        shutil.rmtree(older.paths.hub)
        shutil.rmtree(older.paths.trust)
        prepare_hub(older.paths, older.repository, "main")
        land_one(older)
        assert verify(older.hub, older.paths, older.main_at_start).kind == "before"

    def test_a_forged_note_is_not_signed_by_this_hub(self, site: Site) -> None:
        commit = land_one(site)
        forged = json.loads(note_text(site, commit))
        forged["payload"]["predicate"]["run"] = "another"
        write_note(site, commit, json.dumps(forged))
        assert read_sealed(site.hub, commit) is None
        assert "its evidence is not signed by this hub" in problems(site, commit)

    def test_a_note_with_another_key_is_not_signed_by_this_hub(self, site: Site) -> None:
        commit = land_one(site)
        record = read_evidence(site.hub, commit)
        assert record is not None
        write_note(site, commit, json.dumps(seal(statement_of(record), KEY)))
        assert problems(site, commit) == ("its evidence is not signed by this hub",)

    def test_good_evidence_on_another_commit(self, site: Site) -> None:
        commit = land_one(site)
        other = commit_tree(site.hub, [commit], {"evil.txt": "x"})
        write_note(site, other, note_text(site, commit))
        found = problems(site, other)
        assert f"its evidence is about commit {commit[:12]}" in found
        assert any(problem.startswith("its evidence is about tree") for problem in found)
        with pytest.raises(NotAllowed, match="another tree"):
            land(site.hub, "main", other)

    @pytest.mark.parametrize(
        ("changed", "problem"),
        [
            ({"passed": False}, "its verdict is not a pass"),
            ({"base": "0" * 40}, "its base 000000000000 is not below it by first parents"),
            ({"config_digest": "0" * 64}, "it was judged by another tapeout.toml than that of its base"),
            ({"checks": []}, "check unit is not in its evidence"),
            ({"checks": "none"}, "check unit is not in its evidence"),
            ({"checks": [{"name": "unit", "passed": False}]}, "check unit did not pass"),
            (
                {"checks": [{"name": "unit", "passed": True, "command": "true"}]},
                "check unit ran another command than that of tapeout.toml",
            ),
        ],
    )
    def test_a_record_that_says_something_else(self, site: Site, changed: dict[str, Any], problem: str) -> None:
        commit = land_one(site)
        record = read_evidence(site.hub, commit)
        assert record is not None
        attach(site.hub, commit, {**record, **changed})
        assert problem in problems(site, commit)

    def test_a_merge_that_holds_more_than_its_parents(self, site: Site) -> None:
        side = commit_tree(site.hub, [site.main], {"a.txt": "x"})
        evil = commit_tree(site.hub, [site.main, side], {"a.txt": "x", "evil.txt": "x"})
        land_one(site)
        record = read_evidence(site.hub, site.main)
        assert record is not None
        tree = str(site.hub[evil].peel(pygit2.Commit).tree_id)
        attach(site.hub, evil, {**record, "candidate": evil, "tree": tree})
        assert problems(site, evil) == ("its tree is not the merge of its parents",)

    def test_logs(self, site: Site) -> None:
        commit = land_one(site)
        record = read_evidence(site.hub, commit)
        assert record is not None
        log = Path(site.paths.evidence, record["run"], "unit.log")
        log.write_text("4 passed\n")
        assert problems(site, commit) == ("the log of check unit is not the one of its evidence",)
        log.unlink()
        found = verify(site.hub, site.paths, commit)
        assert found.is_good
        assert found.remarks == ("the log of check unit is not kept any more",)

    def test_a_path_for_a_run_is_not_followed(self, site: Site) -> None:
        commit = land_one(site)
        record = read_evidence(site.hub, commit)
        assert record is not None
        attach(site.hub, commit, {**record, "run": "../evidence/" + record["run"]})
        assert verify(site.hub, site.paths, commit).remarks == ("the log of check unit is not kept any more",)

    def test_evidence_of_the_first_version(self, site: Site) -> None:
        commit = land_one(site)
        record = read_evidence(site.hub, commit)
        write_note(site, commit, json.dumps({**(record or {}), "version": 1}))
        assert read_evidence(site.hub, commit) == {**(record or {}), "version": 1}
        assert problems(site, commit) == ("its evidence is of the first version, which was not signed",)

    def test_what_landed_before_the_hub_signed_is_only_remarked(self, site: Site) -> None:
        commit = land_one(site)
        record = read_evidence(site.hub, commit)
        write_note(site, commit, json.dumps({**(record or {}), "version": 1}))
        for name in os.listdir(site.paths.trust):
            os.unlink(os.path.join(site.paths.trust, name))
        later = land_one(site, "b.txt")
        found = verify(site.hub, site.paths, commit)
        assert found.is_good
        assert "its evidence is of the first version, which was not signed" in found.remarks
        assert problems(site, later) == ()


def test_logs_are_removed_with_time_and_records_stay(site: Site) -> None:
    commit = land_one(site)
    record = read_evidence(site.hub, commit) or {}
    folder = Path(site.paths.evidence, record["run"])
    written = os.stat(folder / "unit.log").st_mtime
    assert remove_old_logs(site.paths, written - 1) == 0
    assert remove_old_logs(site.paths, written + 1) == 1
    assert not (folder / "unit.log").exists()
    assert (folder / "verdict.json").exists()
    assert verify(site.hub, site.paths, commit).is_good


def test_notes_are_published_to_a_remote_only_when_that_is_wanted(make_site: MakeSite) -> None:
    for wanted in (False, True):
        site = make_site(f'[project]\npublish = "remote:origin"\npublish_notes = {str(wanted).lower()}\n' + CONFIG)
        remote = site.folder / "remote.git"
        git(site.folder, "clone", "-q", "--bare", str(site.root), str(remote))
        git(site.root, "remote", "add", "origin", "../remote.git")
        commit = land_one(site)
        assert git(remote, "rev-parse", "main") == commit
        theirs = git(remote, "for-each-ref", "--format=%(objectname)", NOTES_REF)
        assert theirs == (str(site.hub.references[NOTES_REF].target) if wanted else "")
        assert git(site.root, "for-each-ref", "refs/notes", "refs/tapeout") == ""


def test_notes_of_somebody_else_on_the_remote_are_left_and_told(make_site: MakeSite) -> None:
    site = make_site('[project]\npublish = "remote:origin"\npublish_notes = true\n' + CONFIG)
    remote = site.folder / "remote.git"
    git(site.folder, "clone", "-q", "--bare", str(site.root), str(remote))
    git(remote, "notes", "--ref=tapeout", "add", "-m", "another hub's", "main")
    before = git(remote, "rev-parse", NOTES_REF)
    git(site.root, "remote", "add", "origin", "../remote.git")
    commit = land_one(site)
    assert git(remote, "rev-parse", "main") == commit
    assert git(remote, "rev-parse", NOTES_REF) == before
    reasons = [event.data["reason"] for event in site.events() if event.data["what"] == "publish-skipped"]
    assert reasons == [f"the evidence was not pushed: {NOTES_REF} of origin is another's"]


def test_the_note_of_a_landing_names_who_signed(site: Site) -> None:
    note = read_note(site.hub, land_one(site))
    assert note is not None
    assert note.sealed_by == "this hub"
