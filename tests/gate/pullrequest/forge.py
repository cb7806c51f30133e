"""A forge for tests: a bare repository, pull requests in a file, a `gh` on PATH, and people who merge and close."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.gate.pullrequest import fake_gh
from tests.gate.site import Site, commit_files, git

OURS = "tapeout/main"


class Forge:
    """What `origin` of a site's repository is hosted on."""

    def __init__(self, site: Site, name: str = "origin") -> None:
        self.site = site
        self.folder = site.folder / "forge"
        self.remote = self.folder / "remote.git"
        self.bin = site.folder / "bin"
        self.folder.mkdir()
        self.bin.mkdir()
        git(site.folder, "clone", "-q", "--bare", str(site.root), str(self.remote))
        git(site.root, "remote", "add", name, str(self.remote))
        self._write({"requests": [], "fails": {}})
        program = self.bin / "gh"
        program.write_text(f"#!{sys.executable}\n" + Path(fake_gh.__file__).read_text())
        program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {"FAKE_GH": str(self.folder), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def requests(self, state: str = "") -> list[dict[str, Any]]:
        return [one for one in self._read()["requests"] if state in ("", one["state"])]

    def calls(self) -> list[dict[str, Any]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def actions(self) -> list[str]:
        return [call["arguments"][1] for call in self.calls()]

    def fail(self, action: str, message: str, *, lost_answer: bool = False) -> None:
        self._write({**self._read(), "fails": {action: message}, "lost_answer": lost_answer})

    def recover(self) -> None:
        self._write({**self._read(), "fails": {}, "lost_answer": False})

    def commit(self, branch: str = "main") -> str:
        return fake_gh.commit_of(str(self.folder), branch)

    def merge(self, how: str, *, delete: bool = True) -> str:
        """As somebody presses the button; returns the commit that main is at."""
        clone = self.clone()
        (request,) = self.requests("OPEN")
        head = self.commit(request["head"])
        if how == "fast-forward":
            git(clone, "merge", "-q", "--ff-only", head)
        elif how == "merge":
            git(clone, "merge", "-q", "--no-ff", "-m", "Merge pull request", head)
        elif how == "squash":
            git(clone, "merge", "-q", "--squash", head)
            git(clone, "commit", "-q", "-m", request["title"])
        else:
            git(clone, "checkout", "-q", "--detach", head)
            git(clone, "rebase", "-q", "--force-rebase", "main")
            git(clone, "checkout", "-q", "-B", "main")
        git(clone, "push", "-q", "origin", "main", *([f":{request['head']}"] if delete else []))
        merged = self.commit()
        self._settle(request["number"], state="MERGED", headRefOid=head, mergeCommit={"oid": merged})
        return merged

    def close(self) -> None:
        (request,) = self.requests("OPEN")
        head = self.commit(request["head"])
        self._settle(request["number"], state="CLOSED", headRefOid=head)

    def colleague(self, files: dict[str, str | None], branch: str = "main") -> str:
        """Somebody else pushes to a branch."""
        clone = self.clone(branch)
        made = commit_files(clone, files, "theirs")
        git(clone, "push", "-q", "origin", f"HEAD:{branch}")
        return made

    def add_of_fork(self, **fields: Any) -> None:
        """A pull request of a stranger's fork, from a branch that is called as ours."""
        state = self._read()
        number = len(state["requests"]) + 1
        stranger = {"number": number, "state": "OPEN", "head": OURS, "base": "main", "headRefOid": "0" * 40}
        more = {
            "mergeCommit": None,
            "url": fake_gh.URL.format(number),
            "isCrossRepository": True,
            "title": "",
            "body": "",
        }
        state["requests"].append({**stranger, **more, **fields})
        self._write(state)

    def clone(self, branch: str = "main") -> Path:
        clone = self.site.folder / f"colleague{len(list(self.site.folder.glob('colleague*')))}"
        git(self.site.folder, "clone", "-q", "-b", branch, str(self.remote), str(clone))
        return clone

    def _settle(self, number: int, **fields: Any) -> None:
        state = self._read()
        state["requests"][number - 1] |= fields
        self._write(state)

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def _write(self, state: dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))
