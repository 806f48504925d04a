#!/bin/sh
# Installs a release of sentinel, after checking its SHA-256 checksum and, if asked to, its build provenance.
#
#   curl --proto '=https' -fsSL https://github.com/your-org/sentinel/releases/latest/download/install.sh | sh
#
# SENTINEL_VERSION   the version, such as 0.1.0 [default: the newest release]
# SENTINEL_BIN_DIR   the folder to install into [default: ~/.local/bin]
# SENTINEL_BASE_URL  where the archives and SHA256SUMS are [default: the release on GitHub]
# SENTINEL_PROVENANCE  required: check with `gh` that the release workflow built the archive [default: checksum only]
set -eu

name_on_github=your-org/sentinel
repository=https://github.com/$name_on_github
folder=${SENTINEL_BIN_DIR:-$HOME/.local/bin}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

fetch() { # address, file
    if command -v curl >/dev/null 2>&1; then
        curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget --quiet --output-document="$2" "$1"
    else
        fail "curl or wget is required"
    fi || fail "cannot download $1"
}

digest() { # file
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1" | cut -d ' ' -f 1
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 "$1" | cut -d ' ' -f 1
    else
        fail "sha256sum or shasum is required to check the download"
    fi
}

case "$(uname -s)" in
    Linux) system=unknown-linux-musl ;;
    Darwin) system=apple-darwin ;;
    *) fail "there is no release for $(uname -s); build sentinel with cargo" ;;
esac
case "$(uname -m)" in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "there is no release for $(uname -m); build sentinel with cargo" ;;
esac
target=$machine-$system

if [ -n "${SENTINEL_BASE_URL:-}" ]; then
    base=$SENTINEL_BASE_URL
elif [ -n "${SENTINEL_VERSION:-}" ]; then
    base=$repository/releases/download/v$SENTINEL_VERSION
else
    base=$repository/releases/latest/download
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch "$base/SHA256SUMS" "$work/SHA256SUMS"

# The lines of SHA256SUMS are DIGEST, two spaces, NAME.
entry=$(grep -E "^[0-9a-f]{64}  sentinel-${SENTINEL_VERSION:-[0-9][0-9A-Za-z.+-]*}-$target\.tar\.gz\$" "$work/SHA256SUMS" || true)
[ "$(printf '%s\n' "$entry" | grep -c .)" = 1 ] || fail "SHA256SUMS does not list exactly one archive for $target"
expected=${entry%% *}
name=${entry##* }

fetch "$base/$name" "$work/$name"
actual=$(digest "$work/$name")
[ "$actual" = "$expected" ] || fail "the checksum of $name is $actual, not $expected; nothing was installed"

case "${SENTINEL_PROVENANCE:-}" in
    '') ;;
    required)
        command -v gh >/dev/null 2>&1 || fail "SENTINEL_PROVENANCE=required needs gh; nothing was installed"
        gh attestation verify "$work/$name" --repo "$name_on_github" \
            --signer-workflow "$name_on_github/.github/workflows/release.yml" >&2 ||
            fail "the release workflow of $name_on_github did not attest $name; nothing was installed"
        ;;
    *) fail "SENTINEL_PROVENANCE must be empty or required, not $SENTINEL_PROVENANCE" ;;
esac

tar -xzf "$work/$name" -C "$work"
mkdir -p "$folder"
# In two steps, because a running binary cannot be overwritten.
cp "$work/${name%.tar.gz}/sentinel" "$folder/.sentinel.new"
chmod 755 "$folder/.sentinel.new"
mv -f "$folder/.sentinel.new" "$folder/sentinel"
echo "Installed $("$folder/sentinel" --version) as $folder/sentinel"
case ":$PATH:" in
    *":$folder:"*) ;;
    *) echo "Add $folder to your PATH." ;;
esac
