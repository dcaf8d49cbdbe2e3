# shellcheck shell=bash
# Types the commands of a README, as they stand there.
# shellcheck disable=SC2154  # output, stderr and status are set by run

# The lines of the fenced blocks that are marked with <!-- run -->, or <!-- run NAME -->, after this
# marker's line.
commands_of() { # FILE [NAME]
    awk -v marker="<!-- run${2:+ $2} -->" '$0 == marker {marked = 1; next}
         marked && /^```/ {inside = !inside; if (!inside) marked = 0; next}
         marked && inside {print}' "$ROOT/$1"
}

# Types every command of a file, from the sources' directory as it says. What it calls /tmp is a
# directory of the test's.
works_as_it_stands() { # FILE COUNT-AT-LEAST [NAME]
    local line code count=0
    local typed=$BATS_TEST_TMPDIR/typed
    commands_of "$1" "${3-}" | sed "s#/tmp/#$PWD/#g" >"$typed"
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
