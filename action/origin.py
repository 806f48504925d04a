#!/usr/bin/env python3
"""Binds a saved plan to where it comes from, and checks that before the plan is applied.

`write` records the repository, the pull request, its base, the commit, the workflow's path, the files that the plan was made
from, and the plan's digest. The workflow attests both files. `check` compares the record with what the caller expects.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys

# The record of a plan is small. A larger file is not one.
LIMIT = 64 << 10
SUFFIX = ".origin.json"


def fail(text):
    printable = "".join(letter if letter.isprintable() else " " for letter in text).replace("##[", "# #[")
    # The runner shows it as an error. It cannot contain a second command, because it is one line.
    print(f"::error title=sentinel::{printable.replace('%', '%25')}")
    sys.exit(1)


def digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        fail(f"the saved plan cannot be read: {error}")


def tree():
    """Returns the git tree of the checkout: equal for the merge that was planned and the merge that was made."""
    done = subprocess.run(["git", "rev-parse", "--verify", "HEAD^{tree}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail("the checkout is not a git repository, so the plan cannot be bound to its files; use actions/checkout")
    return done.stdout.strip()


def workflow():
    """Returns the path of the running workflow: .github/workflows/plan.yml of acme/aws/.github/workflows/plan.yml@refs/..."""
    whole, repository = os.environ.get("GITHUB_WORKFLOW_REF", ""), os.environ["GITHUB_REPOSITORY"]
    path = whole.split("@", 1)[0]
    if not path.startswith(f"{repository}/"):
        fail(f"GITHUB_WORKFLOW_REF {whole} is not a workflow of {repository}")
    return path.removeprefix(f"{repository}/")


def write(arguments):
    record = {
        "repository": os.environ["GITHUB_REPOSITORY"],
        "pull_request": arguments.pull_request,
        "base": arguments.base,
        "commit": arguments.commit,
        "workflow": workflow(),
        "tree": tree(),
        "plan_sha256": digest(arguments.plan),
    }
    with open(arguments.plan + SUFFIX, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")


def check(arguments):
    folder = os.path.realpath(arguments.folder)
    named = [os.path.join(place, arguments.name) for place, _, names in os.walk(folder) if arguments.name in names]
    plans = [path for path in named if os.path.isfile(path) and not os.path.islink(path)]
    if len(plans) != 1:
        fail(f"the artifact must have exactly one {arguments.name}, not {len(plans)}")
    plan = plans[0]
    try:
        with open(plan + SUFFIX, encoding="utf-8") as file:
            record = json.loads(file.read(LIMIT))
    except (OSError, ValueError) as error:
        fail(f"the plan has no valid record of its origin ({error}); make a new plan")
    expected = {
        "repository": os.environ["GITHUB_REPOSITORY"],
        "pull_request": arguments.pull_request,
        "base": arguments.base,
        "commit": arguments.commit,
        "workflow": arguments.workflow,
        "plan_sha256": digest(plan),
    }
    for name, value in expected.items():
        found = record.get(name) if isinstance(record, dict) else None
        if found != value:
            fail(f"the plan is for another {name.replace('_', ' ')}: {found}, not {value}; nothing was applied")
    if record.get("tree") != tree():
        fail(
            "the base branch has changed since the plan, so the plan is stale; "
            "run the apply workflow by hand, which makes a new one"
        )
    attested(arguments, [plan, plan + SUFFIX])
    print(f"The plan is that of commit {arguments.commit}, made by {arguments.workflow}.")
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:
        file.write(f"plan-file={plan}\n")


def attested(arguments, paths):
    """Checks that the expected workflow attested the files on the expected ref, which is the pull request's own for its plan."""
    if arguments.attestation == "none":
        print("::warning title=sentinel::attestation is none, so anyone who can upload an artifact can supply the plan")
        return
    repository, server = os.environ["GITHUB_REPOSITORY"], os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    identity = f"{server}/{repository}/{arguments.workflow}@{arguments.ref}"
    for path in paths:
        words = ["gh", "attestation", "verify", path, "--repo", repository, "--cert-identity", identity]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError:
            fail("gh is required to verify the plan's attestation")
        if done.returncode != 0:
            name, reason = os.path.basename(path), done.stderr.strip()[-300:]
            fail(f"{name} has no attestation of {identity}; nothing was applied: {reason}")


def matching(pattern):
    def parse(text):
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"{text!r} does not match {pattern}")
        return text

    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, run in (("write", write), ("check", check)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--pull-request", type=int, required=True)
        command.add_argument("--base", required=True)
        command.add_argument("--commit", type=matching("[0-9a-f]{40}([0-9a-f]{24})?"), required=True)
        if name == "write":
            command.add_argument("--plan", required=True)
        else:
            command.add_argument("--folder", required=True)
            command.add_argument("--name", required=True)
            command.add_argument("--workflow", type=matching(r"\.github/workflows/[\w.-]+\.ya?ml"), required=True)
            command.add_argument("--ref", type=matching(r"refs/[\w./-]+"), required=True)
            command.add_argument("--attestation", choices=("required", "none"), required=True)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
