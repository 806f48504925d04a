#!/usr/bin/env bash
# Installs a release of sentinel into a folder on the PATH of the next steps.
set -euo pipefail

fail() {
    echo "::error title=sentinel::$*"
    exit 1
}

# The download runs without credentials, so that an altered release could not use them while it is being installed.
if [ -n "${AWS_ACCESS_KEY_ID:-}${AWS_SECRET_ACCESS_KEY:-}${AWS_SESSION_TOKEN:-}${AWS_WEB_IDENTITY_TOKEN_FILE:-}" ]; then
    fail "there are AWS credentials in the environment; put the step that installs sentinel before the one that acquires them"
fi

sources="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
version="${SENTINEL_VERSION:-}"
version="${version#v}"
[ -n "$version" ] || version="$(sed -n 's/^version = "\(.*\)"/\1/p' "$sources/Cargo.toml" | head -n 1)"
[[ "$version" =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "version must be a release such as 0.1.0"

check="${SENTINEL_CHECK:-auto}"
provenance=
case "$check" in
    auto) if command -v gh >/dev/null; then provenance=required; fi ;;
    required) provenance=required ;;
    none) ;;
    *) fail "provenance must be auto, required or none" ;;
esac

folder="${RUNNER_TEMP:?}/sentinel-bin"
SENTINEL_VERSION="$version" SENTINEL_BIN_DIR="$folder" SENTINEL_PROVENANCE="$provenance" sh "$sources/install.sh"
PATH="$folder:$PATH" "$sources/action/identify.sh" "$version"
echo "$folder" >>"$GITHUB_PATH"
echo "version=$version" >>"$GITHUB_OUTPUT"
