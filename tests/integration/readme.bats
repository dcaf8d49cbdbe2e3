#!/usr/bin/env bats
# Every command of README's tour, as it stands there.

load harness

# The lines of the fenced blocks that are marked with <!-- run -->, after this marker's line.
tour() {
    awk '/^<!-- run -->$/ {marked = 1; next}
         marked && /^```/ {inside = !inside; if (!inside) marked = 0; next}
         marked && inside {print}' "$ROOT/README.md"
}

@test "the tour of README.md works" {
    local line count=0
    local typed=$PWD/typed
    tour >"$typed"
    cd "$ROOT"
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        count=$((count + 1))
        # A comment at the end may say which exit code is the right one.
        local code=0
        if [[ $line =~ \#\ ([013])$ ]]; then code=${BASH_REMATCH[1]}; fi
        run --separate-stderr bash -c "$line" </dev/null
        if [[ $status != "$code" ]]; then
            printf '%s\nexit %s, not %s\n%s\n%s\n' "$line" "$status" "$code" "$output" "$stderr"
            return 1
        fi
    done <"$typed"
    ((count > 8))
}

@test "README.md tells every kind of failure that the source has" {
    local kind count=0
    while read -r kind; do
        count=$((count + 1))
        grep -qF "| \`$kind\` |" "$ROOT/README.md" || {
            printf 'not in README.md: %s\n' "$kind"
            return 1
        }
    done < <(sed -n 's/^.*KindRow{ErrorKind::[a-z_]*, *"\([a-z-]*\)".*/\1/p' \
        "$ROOT/source/core/error.cpp")
    ((count > 20))
}
