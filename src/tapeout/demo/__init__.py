"""The demo: a bundled sample project and issues for the scripted agent, worked by the very code of `tapeout up`."""

import os
import shutil
import subprocess

from tapeout.base.errors import EnvironmentProblem

ISSUES = os.path.join(os.path.dirname(__file__), "issues.md")
_PROJECT = os.path.join(os.path.dirname(__file__), "project")
_GIT = ("git", "-c", "user.name=Tapeout demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false")


def make_repository(folder: str) -> None:
    """Copy the sample project to `folder` and make it a git repository with one commit on `main`.

    Raises:
        EnvironmentProblem: the folder exists and is not empty, or git is missing.
    """
    if os.path.isdir(folder) and os.listdir(folder):
        raise EnvironmentProblem(f"{folder} is not empty", hint="give another folder with --keep")
    shutil.copytree(_PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "A sample project: ledgerline")):
        try:
            subprocess.run([*_GIT, *words], cwd=folder, check=True, capture_output=True)
        except FileNotFoundError as error:
            raise EnvironmentProblem("git is not installed", hint="install git and try again") from error
        except subprocess.CalledProcessError as error:
            raise EnvironmentProblem(f"git {words[0]} failed: {error.stderr.decode(errors='replace')}") from error
