#!/usr/bin/env bash
# Runs sentinel for the action, and says how it ended in GITHUB_OUTPUT. Ends with 0 whatever sentinel says, so that the
# comment is written; end.sh ends as sentinel did.
set -euo pipefail

folder="${RUNNER_TEMP:-$(mktemp -d)}"
markdown="$(mktemp "$folder/sentinel.XXXXXX")"
html="$markdown.html"
words=()
read -ra words <<<"${SENTINEL_ARGS:-}"
args=(-f "$SENTINEL_FILE" ${words[@]+"${words[@]}"})

# What sentinel says of AWS may hold anything, a workflow command too: none of it is obeyed between these two lines.
quote() {
    local token
    token="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    printf '::stop-commands::%s\n' "$token"
    cat
    # On a line of its own, also after text that ends in the middle of one.
    printf '\n::%s::\n' "$token"
}

code=0
case "$SENTINEL_COMMAND" in
    plan | drift)
        if [ "$SENTINEL_COMMAND" = plan ] && [ -n "${SENTINEL_PLAN_FILE:-}" ]; then
            args+=(--out "$SENTINEL_PLAN_FILE")
        fi
        # Its format for a workflow quotes by itself, and its annotations are to be obeyed.
        sentinel plan "${args[@]}" --detailed-exitcode --format github \
            --out-markdown "$markdown" --out-html "$html" 2>"$markdown.err" || code=$?
        quote <"$markdown.err" >&2
        ;;
    apply)
        if [ -n "${SENTINEL_PLAN_FILE:-}" ]; then
            args=("$SENTINEL_PLAN_FILE" ${words[@]+"${words[@]}"})
        fi
        sentinel apply "${args[@]}" --yes 2>&1 | quote || code=$?
        ;;
    *)
        echo "::error title=sentinel::command is plan, apply or drift, and not ${SENTINEL_COMMAND//[^a-z]/?}"
        exit 1
        ;;
esac

{
    echo "exitcode=$code"
    echo "has-changes=$([ "$code" = 2 ] && echo true || echo false)"
    echo "markdown=$markdown"
    echo "html=$html"
} >>"$GITHUB_OUTPUT"
