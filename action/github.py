#!/usr/bin/env python3
"""Keeps sentinel's comment on a pull request, or its drift issue: made once, then brought up to date.

It finds its own by a mark in the text, and by who wrote it: anyone can write the mark, and nobody else's words are touched.
"""

import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

# GitHub takes 65,536 characters.
LIMIT = 65_000


class Github:
    """The part of GitHub's API that this needs."""

    def __init__(self):
        self.root = os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
        self.repository = os.environ["GITHUB_REPOSITORY"]
        self.token = os.environ["GITHUB_TOKEN"]

    def call(self, method, path, body=None):
        """Makes a call, again while GitHub asks to or fails; returns what it answers, and where the next page is."""
        url = path if path.startswith(self.root) else f"{self.root}/repos/{self.repository}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for wait in (1, 4, 15, None):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    text = answer.read()
                    link = answer.headers.get("Link") or ""
                    following = re.search(r'<([^>]+)>;\s*rel="next"', link)
                    return (json.loads(text) if text else None), following and following.group(1)
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace")
                # A POST that was answered with a fault may have taken effect: it is not made twice.
                passes = error.code == 429 or (error.code >= 500 and method != "POST")
                passes = passes or (error.code == 403 and "secondary rate limit" in said.lower())
                if wait is None or not passes:
                    sys.exit(f"GitHub refused {method} {url}: {error.code} {said[:500]}\n{advice(error.code)}")
            except OSError as error:
                # No address, no connection, or one that ended or went quiet in the middle.
                if wait is None or method == "POST":
                    sys.exit(f"GitHub could not be reached for {method} {url}: {error}")
            time.sleep(float(os.environ.get("SENTINEL_GITHUB_PAUSE", wait)))

    def pages(self, path):
        """Returns everything of a list, page after page."""
        found = []
        while path:
            page, path = self.call("GET", path)
            found.extend(page)
        return found


def advice(code):
    if code in (403, 404):
        return "The workflow's permissions have to hold `pull-requests: write` for a comment, `issues: write` for an issue."
    if code == 401:
        return "The token is not valid: github-token takes ${{ github.token }}."
    return ""


def own(things, mark, author):
    """Returns the things that carry the mark and are the author's own, oldest first."""
    mine = [one for one in things if mark in (one.get("body") or "") and one["user"]["login"] == author]
    return sorted(mine, key=lambda one: one["id"])


def text_of(path, mark):
    with open(path, encoding="utf-8") as file:
        body = f"{mark}\n{file.read()}"
    if len(body) > LIMIT:
        body = body[:LIMIT] + "\n\n**Shortened.** The whole plan is in the job's log.\n"
    return body


def comment(github, arguments, mark):
    body = text_of(arguments.body, mark)
    found = own(github.pages(f"/issues/{arguments.number}/comments?per_page=100"), mark, arguments.author)
    if not found:
        made, _ = github.call("POST", f"/issues/{arguments.number}/comments", {"body": body})
        print(f"Wrote {made['html_url']}")
        return
    if found[0]["body"] != body:
        github.call("PATCH", f"/issues/comments/{found[0]['id']}", {"body": body})
    print(f"Brought up to date: {found[0]['html_url']}")


def issue(github, arguments, mark):
    label = urllib.request.quote(arguments.label)
    listed = github.pages(f"/issues?state=open&labels={label}&per_page=100")
    found = own([one for one in listed if "pull_request" not in one], mark, arguments.author)
    if arguments.state == "closed":
        for one in found:
            github.call("POST", f"/issues/{one['number']}/comments", {"body": "Live is as desired again."})
            github.call("PATCH", f"/issues/{one['number']}", {"state": "closed", "state_reason": "completed"})
            print(f"Closed {one['html_url']}")
        return
    body = text_of(arguments.body, mark)
    if found:
        if found[0]["body"] != body:
            github.call("PATCH", f"/issues/{found[0]['number']}", {"body": body})
        print(f"Brought up to date: {found[0]['html_url']}")
        return
    title = f"Drift: live AWS is not what {arguments.key} says"
    made, _ = github.call("POST", "/issues", {"title": title, "body": body, "labels": [arguments.label]})
    print(f"Opened {made['html_url']}")


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
    # A key cannot end the comment that hides it.
    key = re.sub(r"[^A-Za-z0-9_./ -]", "_", arguments.key).replace("--", "__")
    arguments.run(Github(), arguments, f"<!-- sentinel {arguments.name}: {key} -->")


if __name__ == "__main__":
    main()
