#!/usr/bin/env bats
# Every command of README's tour, as it stands there.

load harness

# The lines of the fenced blocks that are marked with <!-- run -->, after this marker's line.
commands_of() { # FILE
    awk '/^<!-- run -->$/ {marked = 1; next}
         marked && /^```/ {inside = !inside; if (!inside) marked = 0; next}
         marked && inside {print}' "$ROOT/$1"
}

# Types every command of a file, from the sources' directory as it says. What it calls /tmp is a
# directory of the test's.
works_as_it_stands() { # FILE COUNT-AT-LEAST
    local line code count=0
    local typed=$BATS_TEST_TMPDIR/typed
    commands_of "$1" | sed "s#/tmp/#$PWD/#g" >"$typed"
    cd "$ROOT" || return 1
    while IFS= read -r line; do
        [[ -n $line && $line != '#'* ]] || continue
        count=$((count + 1))
        # A comment at the end may say which exit code is the right one.
        code=0
        if [[ $line =~ \#\ ([013])$ ]]; then code=${BASH_REMATCH[1]}; fi
        run --separate-stderr bash -c "$line" </dev/null
        if [[ $status != "$code" ]]; then
            printf '%s\nexit %s, not %s\n%s\n%s\n' "$line" "$status" "$code" "$output" "$stderr"
            return 1
        fi
    done <"$typed"
    ((count >= $2))
}

@test "the tour of README.md works" {
    works_as_it_stands README.md 20
}

@test "services/README.md leads from nothing to level 8" {
    works_as_it_stands services/README.md 25
}

@test "what the services' README.md say works" {
    works_as_it_stands services/helloworld/README.md 3
    works_as_it_stands services/simplesecrets/README.md 3
    works_as_it_stands services/dtest/README.md 5
    works_as_it_stands services/blocks/README.md 15
    works_as_it_stands services/redis/README.md 14
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
