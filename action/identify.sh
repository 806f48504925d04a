#!/usr/bin/env bash
# Fails unless the `sentinel` on the PATH is this project's and, if an argument is given, has that version.
set -euo pipefail

fail() {
    echo "::error title=sentinel::$*"
    exit 1
}

command -v sentinel >/dev/null || fail "sentinel is not installed; add a step with the action in setup/ before the one that acquires credentials"
# HashiCorp Sentinel has a program of the same name.
found="$(sentinel --version 2>/dev/null | head -n 1)" || true
[[ "$found" =~ ^sentinel\ ([0-9][0-9A-Za-z.+-]*)\ \(access\ policies\ and\ DynamoDB\ tables\ on\ AWS\) ]] ||
    fail "the sentinel on the PATH is another program of that name; add a step with the action in setup/ after the one that installs it"
[ -z "${1:-}" ] || [ "${BASH_REMATCH[1]}" = "$1" ] || fail "sentinel has version ${BASH_REMATCH[1]}, not $1"
