#!/usr/bin/env bash
# Runs sentinel for the action, and writes its exit code to GITHUB_OUTPUT. Exits with 0 in any case, so that the comment is
# written; end.sh then exits with sentinel's exit code.
set -euo pipefail

folder="${RUNNER_TEMP:-$(mktemp -d)}"
markdown="$(mktemp "$folder/sentinel.XXXXXX")"
html="$markdown.html"
json="$markdown.json"
log="$markdown.log"
words=()
read -ra words <<<"${SENTINEL_ARGS:-}"
args=(-f "$SENTINEL_FILE" ${words[@]+"${words[@]}"})

# Sentinel's output can contain any text of AWS, including workflow commands. The runner ignores commands between these lines.
quote() {
    local token
    token="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    printf '::stop-commands::%s\n' "$token"
    cat
    # On a separate line, even if the text does not end with a line break.
    printf '\n::%s::\n' "$token"
}

# The exit code says only one thing, and the worst one. The JSON document has `has_changes` at its top level, or in each element
# of `targets`. No other key of that name is indented by as much.
has_changes() {
    grep -Eqs '^( {2}| {6})"has_changes": true,?$' "$json" && echo true || echo false
}

code=0
changes=false
case "$SENTINEL_COMMAND" in
    plan | drift)
        if [ "$SENTINEL_COMMAND" = plan ] && [ -n "${SENTINEL_PLAN_FILE:-}" ]; then
            args+=(--out "$SENTINEL_PLAN_FILE")
        fi
        if [ "$SENTINEL_COMMAND" = plan ] && [ -n "${SENTINEL_FAIL_ON:-}" ]; then
            args+=(--fail-on "$SENTINEL_FAIL_ON")
        fi
        # This format escapes its text itself, and the runner must interpret its annotations.
        sentinel plan "${args[@]}" --detailed-exitcode --format github \
            --out-markdown "$markdown" --out-html "$html" --out-json "$json" 2>"$log" || code=$?
        quote <"$log" >&2
        changes="$(has_changes)"
        ;;
    apply)
        if [ -n "${SENTINEL_PLAN_FILE:-}" ]; then
            args=("$SENTINEL_PLAN_FILE" ${words[@]+"${words[@]}"})
        fi
        sentinel apply "${args[@]}" --yes 2>&1 | tee "$log" | quote || code=$?
        ;;
    *)
        echo "::error title=sentinel::command must be plan, verify, apply or drift, not ${SENTINEL_COMMAND//[^a-z]/?}"
        exit 1
        ;;
esac

{
    echo "exitcode=$code"
    echo "has-changes=$changes"
    echo "markdown=$markdown"
    echo "html=$html"
    echo "json=$json"
    echo "log=$log"
} >>"$GITHUB_OUTPUT"
