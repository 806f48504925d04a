#!/usr/bin/env python3
"""Creates and updates sentinel's comment on a pull request, or its issues for drift and for failed drift checks.

The first line, a marker, and the author identify them. Anyone can write the marker, and a plan can quote the marker of another
key. The script therefore changes no text of other authors, and checks only the first line.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# GitHub accepts 65,536 characters.
LIMIT = 65_000
# The maximum pages of a list, with 100 entries each.
PAGES = 50
# The maximum bytes of an answer: 100 comments of 65,536 characters of up to 4 bytes, and as much again for the other fields.
ANSWER = 64 << 20


class SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows redirects only within GitHub's API, because urllib sends the token along."""

    def __init__(self, github):
        self.github = github

    def redirect_request(self, request, answer, code, message, headers, url):
        self.github.check(url)
        return super().redirect_request(request, answer, code, message, headers, url)


class Github:
    """The required part of GitHub's API."""

    def __init__(self):
        self.root = os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
        self.repository = os.environ["GITHUB_REPOSITORY"]
        self.token = os.environ["GITHUB_TOKEN"]
        self.opener = urllib.request.build_opener(SameOrigin(self))

    def check(self, url):
        """Fails unless the address belongs to GitHub's API, so that the token goes nowhere else."""
        if not url.startswith(self.root + "/"):
            fail(f"{url} is not at {self.root}: the token is not sent there")

    def call(self, method, path, body=None):
        """Makes a call with retries. Returns the answer and the address of the next page."""
        url = f"{self.root}/repos/{self.repository}{path}" if path.startswith("/") else path
        self.check(url)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for wait in (1, 4, 15, None):
            try:
                with self.opener.open(request, timeout=30) as answer:
                    text = answer.read(ANSWER + 1)
                    if len(text) > ANSWER:
                        fail(f"GitHub's answer to {method} {url} has more than {ANSWER} bytes")
                    link = answer.headers.get("Link") or ""
                    following = re.search(r'<([^>]+)>;\s*rel="next"', link)
                    return (json.loads(text) if text else None), following and following.group(1)
            except urllib.error.HTTPError as error:
                said = error.read(500).decode(errors="replace")
                # A POST with a server error may have taken effect, so it is not repeated.
                passes = error.code == 429 or (error.code >= 500 and method != "POST")
                passes = passes or (error.code == 403 and "secondary rate limit" in said.lower())
                if wait is None or not passes:
                    fail(f"GitHub refused {method} {url}: {error.code} {said}", advice(error.code))
            except OSError as error:
                # No address, no connection, or one that broke or stalled.
                if wait is None or method == "POST":
                    fail(f"GitHub could not be reached for {method} {url}: {error}")
            except ValueError:
                fail(f"GitHub's answer to {method} {url} is not JSON")
            time.sleep(float(os.environ.get("SENTINEL_GITHUB_PAUSE", wait)))

    def pages(self, path):
        """Returns all pages of a list."""
        found = []
        for _ in range(PAGES):
            page, path = self.call("GET", path)
            if not isinstance(page, list):
                fail("GitHub's answer is not a list")
            found.extend(one for one in page if isinstance(one, dict))
            if not path:
                return found
        fail(f"there are more than {PAGES} pages, the maximum that the action searches")


def shown(text):
    """Returns text for a workflow log: on one line, and without workflow commands."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable.replace("##[", "# #[")


def fail(text, advice=""):
    # The runner interprets a line that begins with two colons.
    sys.exit(f"sentinel: {shown(text)}" + (f"\nsentinel: {advice}" if advice else ""))


def advice(code):
    if code in (403, 404):
        return "The workflow needs the permission `pull-requests: write` for a comment, and `issues: write` for an issue."
    if code == 401:
        return "The token is not valid: set github-token to ${{ github.token }}."
    return ""


def own(things, mark, author):
    """Returns the author's comments or issues whose first line is the marker, oldest first."""
    mine = [one for one in things if is_by(one.get("user"), author) and first_line(one.get("body")) == mark]
    return sorted(mine, key=lambda one: one["id"])


def is_by(user, author):
    """Returns whether a user is the author. A name that ends in [bot] must belong to an app."""
    if not isinstance(user, dict) or user.get("login") != author:
        return False
    return not author.endswith("[bot]") or user.get("type", "Bot") == "Bot"


def first_line(body):
    """Returns the first line. GitHub keeps the line endings of the last edit."""
    return (body or "").split("\n", 1)[0].removesuffix("\r")


def read(path):
    """Returns a file's text; a file that sentinel did not get to write is empty."""
    if not path or not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        return file.read()


def quoted(text, lines=40):
    """Returns the last lines of a text as an indented code block, which none of its lines can end."""
    every = [shown(line)[:500] for line in text.split("\n") if line.strip() and not is_command(line)]
    omitted = [f"... {len(every) - lines} more lines are in the job's log"] if len(every) > lines else []
    return "".join(f"    {line}\n" for line in omitted + every[-lines:])


def is_command(line):
    """Returns whether a line is for the runner only, such as an annotation."""
    return line.lstrip().startswith("::")


def facts():
    """Returns which commit and run a text is about, and when it was written."""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    where = f"{server}/{os.environ['GITHUB_REPOSITORY']}"
    commit, run = os.environ.get("COMMIT", ""), os.environ.get("GITHUB_RUN_ID", "")
    attempt = os.environ.get("GITHUB_RUN_ATTEMPT", "1")
    known = []
    if re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        known.append(f"Commit [{commit[:7]}]({where}/commit/{commit})")
    if run.isascii() and run.isdigit() and attempt.isascii() and attempt.isdigit():
        known.append(f"[run {run}]({where}/actions/runs/{run}/attempts/{attempt})")
    known.append(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
    return " · ".join(known)


# The heading and the next step of an apply, by sentinel's exit code.
APPLIED = {
    0: ("applied", "Nothing is left to do."),
    4: (
        "refused",
        "If the plan is stale, because AWS has changed since the review, run the apply workflow by hand: "
        "it makes a new plan for review. Otherwise the log names what was refused and how to allow it.",
    ),
    5: ("partly applied", "Fix what the log reports, then run the apply workflow by hand for the rest."),
}
APPLY_FAILED = ("failed", "Fix what the log reports, then run the apply workflow by hand.")


def next_of_plan(code):
    """Returns the next step after a plan."""
    if code == 0:
        return "Nothing: AWS is in sync with this manifest."
    if code == 2:
        return (
            "Review the changes. After the merge (or the approval of an apply that was started by hand), apply makes "
            "exactly these changes, or none if AWS has changed since."
        )
    if code == 3:
        return (
            "Do not merge: not everything could be read. Grant the plan's role what `sentinel iam --for plan` prints, "
            "then run the job again."
        )
    return "Do not merge: fix what is reported, then push a commit."


def plan_text(arguments):
    """Returns the comment for a plan: sentinel's Markdown, with the facts and the next step after its heading."""
    code, text = arguments.exitcode, read(arguments.body)
    about = f"{facts()}\n\n**Next:** {next_of_plan(code)}\n"
    if not text.strip():
        # Such as an option in `args` that sentinel does not know.
        text = f"### sentinel plan: failed\n\nsentinel wrote no plan. It reported:\n\n{quoted(read(arguments.log))}"
    elif code == 1 and ": failed" not in text.split("\n\n", 1)[0]:
        about += f"\nThis plan must not merge:\n\n{quoted(read(arguments.log), 10)}"
    lines = text.split("\n")
    # Only the first lines are sentinel's own words. Any other line can quote a policy.
    heading = next((index for index, line in enumerate(lines[:2]) if line.startswith("### ")), None)
    if heading is None:
        return f"### sentinel plan\n\n{about}\n{text}", about
    head, rest = "\n".join(lines[: heading + 1]), "\n".join(lines[heading + 1 :])
    return f"{head}\n\n{about}\n{rest.lstrip()}", about


BEGIN, END = "<!-- sentinel: apply -->", "<!-- sentinel: end of apply -->"


def apply_text(arguments, old):
    """Returns the comment after an apply: its result above the plan that the comment has so far."""
    result, following = APPLIED.get(arguments.exitcode, APPLY_FAILED)
    about = f"{facts()}\n\n**Next:** {following}\n"
    log = f"<details><summary>Log</summary>\n\n{quoted(read(arguments.log))}\n</details>"
    text = f"{BEGIN}\n### sentinel apply: {result}\n\n{about}\n{log}\n\n{END}\n"
    lines = old.replace("\r\n", "\n").split("\n")[1:]
    # No line of an earlier result can be the end, because its log is indented.
    if lines[:1] == [BEGIN] and END in lines:
        lines = lines[lines.index(END) + 1 :]
    return text + "\n".join(lines), about, text


def comment(github, arguments, mark):
    found = own(github.pages(f"/issues/{arguments.number}/comments?per_page=100"), mark, arguments.author)
    if arguments.command == "apply":
        text, about, short = apply_text(arguments, found[0]["body"] or "" if found else "")
    else:
        text, about = plan_text(arguments)
        # A truncated text could end within a code span, which would turn quoted text into Markdown.
        short = f"### sentinel plan\n\n{about}\nThe plan is too long for a comment. It is in the job's log and summary.\n"
    body = f"{mark}\n{text}"
    if len(body) > LIMIT:
        body = f"{mark}\n{short}"
    if not found:
        made, _ = github.call("POST", f"/issues/{arguments.number}/comments", {"body": body})
        print(f"Wrote {shown(made['html_url'])}")
        return
    if found[0]["body"] != body:
        github.call("PATCH", f"/issues/comments/{int(found[0]['id'])}", {"body": body})
    print(f"Updated {shown(found[0]['html_url'])}")


def drifted(path):
    """Returns whether a plan's JSON document has differences."""
    try:
        summary = json.loads(read(path))["summary"]
        return any(summary[kind] > 0 for kind in ("create", "change", "delete", "drifted"))
    except (ValueError, KeyError, TypeError):
        return False


def issue(github, arguments, mark):
    """Keeps two issues: one while there is drift, and another while the check fails, which says nothing about drift."""
    label = urllib.parse.quote(arguments.label, safe="")
    listed = github.pages(f"/issues?state=open&labels={label}&per_page=100")
    listed = [one for one in listed if "pull_request" not in one]
    failed_mark = mark_of("failure", arguments.key)
    drift, failures = (own(listed, of, arguments.author) for of in (mark, failed_mark))
    code, key = arguments.exitcode, plain(arguments.key)
    incomplete = code == 3 and arguments.allow_incomplete == "true"
    if code not in (0, 2) and not incomplete:
        body = (
            f"{failed_mark}\n{facts()}\n\nThe check did not finish (exit code {code}), so it is unknown whether there is "
            "drift. An open drift issue has the last result.\n\n**Next:** fix what is reported, then run the workflow "
            "again.\n\n" + quoted(read(arguments.log))
        )
        keep(github, failures, body, f"The drift check of {key} failed", arguments.label)
        return
    close(github, failures, "The check works again.")
    if code == 0:
        close(github, drift, "AWS is in sync again.")
    elif code == 2 or drifted(arguments.json):
        about = f"{facts()}\n\n**Next:** apply the manifest, or change it to what AWS has.\n"
        body = f"{mark}\n{about}\n{read(arguments.body)}"
        if len(body) > LIMIT:
            body = f"{mark}\n{about}\nThe report is too long for an issue. It is in the job's log and summary.\n"
        keep(github, drift, body, f"Drift: AWS is not in sync with {key}", arguments.label)


def keep(github, found, body, title, label):
    """Updates the first issue found, or opens one."""
    if found:
        if found[0]["body"] != body:
            github.call("PATCH", f"/issues/{int(found[0]['number'])}", {"body": body})
        print(f"Updated {shown(found[0]['html_url'])}")
        return
    made, _ = github.call("POST", "/issues", {"title": title, "body": body, "labels": [label]})
    print(f"Opened {shown(made['html_url'])}")


def close(github, found, words):
    for one in found:
        number = int(one["number"])
        github.call("POST", f"/issues/{number}/comments", {"body": words})
        github.call("PATCH", f"/issues/{number}", {"state": "closed", "state_reason": "completed"})
        print(f"Closed {shown(one['html_url'])}")


def plain(key):
    """Returns a key without characters that could end an HTML comment or begin Markdown."""
    return re.sub(r"[^A-Za-z0-9_./ -]", "_", key).replace("--", "__").strip()


def mark_of(name, key):
    """Returns the marker: a different first line for each key."""
    words = plain(key)
    if words != key:
        words = f"{words} {hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()[:16]}".strip()
    return f"<!-- sentinel {name}: {words} -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, run in (("comment", comment), ("issue", issue)):
        command = commands.add_parser(name)
        command.set_defaults(run=run, name=name)
        command.add_argument("--key", required=True)
        command.add_argument("--author", required=True)
        command.add_argument("--exitcode", type=int, required=True)
        command.add_argument("--body", default="")
        command.add_argument("--log", default="")
        if name == "comment":
            command.add_argument("--number", type=int, required=True)
            command.add_argument("--command", choices=("plan", "apply"), required=True)
        else:
            command.add_argument("--json", default="")
            command.add_argument("--allow-incomplete", default="false")
            command.add_argument("--label", required=True)
    arguments = parser.parse_args()
    arguments.run(Github(), arguments, mark_of(arguments.name, arguments.key))


if __name__ == "__main__":
    main()
