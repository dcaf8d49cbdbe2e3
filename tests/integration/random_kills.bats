#!/usr/bin/env bats
# Operations on a service with data, killed at random moments, and some of the recoveries as well:
# nothing is lost and nothing is mixed.

load harness
load operations

# A random moment of a run that takes about LONGEST milliseconds.
random_moment() {
    printf '%d.%03d\n' $((RANDOM % LONGEST / 1000)) $((RANDOM % LONGEST % 1000))
}

# Kills the command that a random moment finds running, if it does.
killed_at_random() { # COMMAND...
    local moment
    moment=$(random_moment)
    run --separate-stderr timeout --signal=KILL "$moment" "$@"
    KILLED_AT="$moment s"
}

kill_at_random() { # NAME COUNT
    local row number start
    for row in "${OPERATIONS[@]}"; do
        if [[ $row == "$1|"* ]]; then break; fi
    done
    learn "$row"
    begin
    start=$EPOCHREALTIME
    run_with_rule ""
    LONGEST=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
    verdict "not killed"
    for ((number = 0; number < $2; number++)); do
        begin
        killed_at_random "$DRUNNER_BINARY" "${ARGUMENTS[@]}"
        if ((RANDOM % 4 == 0)); then
            local told=$status
            killed_at_random "$DRUNNER_BINARY" recover --all
            status=$told
        fi
        verdict "killed after $KILLED_AT of $LONGEST ms"
    done
    nothing
}

@test "updates and replacing restores of a service with data, killed at random moments" {
    sow
    proxy_start
    if all_cases; then
        kill_at_random update 150
        kill_at_random replace 50
    else
        kill_at_random update 14
        kill_at_random replace 6
    fi
    summary
    ((STRUCK > 0))
}
