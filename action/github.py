#!/usr/bin/env python3
"""Creates and updates sentinel's comment on a pull request, or its drift issue.

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


def text_of(path, mark):
    with open(path, encoding="utf-8", newline="") as file:
        body = f"{mark}\n{file.read()}"
    if len(body) > LIMIT:
        # A truncated text could end within a code span, which would turn quoted text into Markdown.
        body = f"{mark}\n### sentinel\n\nThe plan is too long for a comment. It is in the job's log and summary.\n"
    return body


def comment(github, arguments, mark):
    body = text_of(arguments.body, mark)
    found = own(github.pages(f"/issues/{arguments.number}/comments?per_page=100"), mark, arguments.author)
    if not found:
        made, _ = github.call("POST", f"/issues/{arguments.number}/comments", {"body": body})
        print(f"Wrote {shown(made['html_url'])}")
        return
    if found[0]["body"] != body:
        github.call("PATCH", f"/issues/comments/{int(found[0]['id'])}", {"body": body})
    print(f"Updated {shown(found[0]['html_url'])}")


def issue(github, arguments, mark):
    label = urllib.parse.quote(arguments.label, safe="")
    listed = github.pages(f"/issues?state=open&labels={label}&per_page=100")
    found = own([one for one in listed if "pull_request" not in one], mark, arguments.author)
    if arguments.state == "closed":
        for one in found:
            number = int(one["number"])
            github.call("POST", f"/issues/{number}/comments", {"body": "AWS is in sync again."})
            github.call("PATCH", f"/issues/{number}", {"state": "closed", "state_reason": "completed"})
            print(f"Closed {shown(one['html_url'])}")
        return
    body = text_of(arguments.body, mark)
    if found:
        if found[0]["body"] != body:
            github.call("PATCH", f"/issues/{int(found[0]['number'])}", {"body": body})
        print(f"Updated {shown(found[0]['html_url'])}")
        return
    title = f"Drift: AWS is not in sync with {plain(arguments.key)}"
    made, _ = github.call("POST", "/issues", {"title": title, "body": body, "labels": [arguments.label]})
    print(f"Opened {shown(made['html_url'])}")


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
        command.add_argument("--body", required=True)
        if name == "comment":
            command.add_argument("--number", type=int, required=True)
        else:
            command.add_argument("--state", choices=("open", "closed"), required=True)
            command.add_argument("--label", required=True)
    arguments = parser.parse_args()
    arguments.run(Github(), arguments, mark_of(arguments.name, arguments.key))


if __name__ == "__main__":
    main()
