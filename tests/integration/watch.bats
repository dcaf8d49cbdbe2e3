#!/usr/bin/env bats
# drunner watch and drunner ensure: what is wanted runs, what failed or was stopped on purpose does
# not, whatever happens to the engine or to drunner.

load harness
load own_engine

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"

setup_file() {
    own_engine_start
}

teardown_file() {
    rows_print
    own_engine_stop
}

teardown() {
    row_end
    if [[ -n ${WATCH_PID-} ]]; then watch_stop; fi
    harness_teardown
}

watch_start() {
    drunner watch 2>>watch.log 3>&- 4>&- &
    WATCH_PID=$!
}

watch_stop() {
    kill -TERM "$WATCH_PID"
    WATCH_STATUS=0
    wait "$WATCH_PID" || WATCH_STATUS=$?
    WATCH_PID=
}

# How often the engine started it, by the engine's own events.
starts_of() { # CONTAINER
    "$DOCKER" events --since 300s --until "$(($(date +%s) + 1))" --filter "container=$1" \
        --filter event=start --format x | wc -l
}

started_again() { # CONTAINER STARTED-AT
    [[ $(inspected "$1" '{{.State.StartedAt}}') != "$2" ]] && state_is "$1" running
}

has_failed() { # TENANT NAME
    drunner container inspect "$1" "$2" | jq -e .State.Failed
}

delete_all() { # TENANT
    local name
    for name in $(drunner container list "$1" --json | jq -r '.[].Name'); do
        drunner container delete "$1" "$name"
    done
}

@test "restarts, and their limit" {
    row "restart and crash limit" "exit 9: N+1 starts, failed, logged; exit 0: started again; deleted: no start"
    local id
    watch_start
    start_container a crashing "sh -c 'exit 9'"
    id=$ID
    until_true has_failed a crashing
    until_true grep -q "drunner.a.crashing' failed" watch.log
    # The last word is the watch's: nobody starts it any more.
    until_true sh -c "[ \$(\"$DOCKER\" inspect -f '{{.HostConfig.RestartPolicy.Name}}' $id) = no ]"
    equals 4 "$(starts_of "$id")"
    grep -q "drunner.a.crashing' failed" "$DRUNNER_PREFIX/var/log/drunner/drunner.log"

    # Ends well, again and again: the engine lets it, the watch starts it three times.
    start_container a ending "sh -c 'exit 0'"
    id=$ID
    until_true has_failed a ending
    equals 4 "$(starts_of "$id")"

    # Ends well once, and then stays.
    mkdir share
    start_container a twice "sh -c 'if [ -e /share/ran ]; then exec sleep 1000; fi; touch /share/ran'" \
        "$(jq -n --arg here "$PWD/share" '{Mounts: [{Source: $here, Target: "/share"}],
            ShutdownTimeout: 0}')"
    until_true grep -q "started 'drunner.a.twice'" watch.log
    until_true state_is "$ID" running
    equals false "$(drunner container inspect a twice | jq .State.Failed)"

    # One that failed and is started by hand is wanted again.
    "$DOCKER" start drunner.a.crashing >/dev/null
    until_true grep -q "watching 'drunner.a.crashing'\|started 'drunner.a.crashing'" watch.log ||
        until_true has_failed a crashing

    drunner container delete a twice
    : >watch.log
    # What the watch does about an end it does before it looks at the next one: when it has answered
    # this one, it has left the other alone.
    start_container a marker "sh -c 'exit 0'"
    until_true has_failed a marker
    refused "has no container" drunner container inspect a twice
    run grep twice watch.log
    equals 1 "$status"
    delete_all a
}

@test "a restart of watch touches no container, and is no new budget" {
    row "restart or upgrade of watch" "StartedAt unchanged, TERM and KILL; a failed one stays failed"
    local started id
    watch_start
    start_container a web "sleep 1000" '{"ShutdownTimeout": 0}'
    started=$(inspected "$ID" '{{.State.StartedAt}}')
    id=$ID
    start_container a ending "sh -c 'exit 0'"
    until_true has_failed a ending
    watch_stop
    equals 0 "$WATCH_STATUS"
    watch_start
    kill -KILL "$WATCH_PID"
    wait "$WATCH_PID" || true
    : >watch.log
    watch_start
    start_container a marker "sh -c 'exit 0'"
    until_true has_failed a marker
    equals "$started" "$(inspected "$id" '{{.State.StartedAt}}')"
    run grep "'drunner.a.ending'\|'drunner.a.web'" watch.log
    equals 1 "$status"
    refused "is locked by pid $WATCH_PID" drunner watch
    delete_all a
}

@test "at boot what is wanted runs, and what was stopped on purpose does not" {
    row "unit after the engine and boot" "the engine stopped and started: ensure starts what is wanted, exit 0, then 3; what was stopped by hand stays"
    # The first ends well when it is stopped with the engine, so that the engine leaves it alone.
    start_container a wanted "sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'"
    local wanted=$ID by_hand failed
    start_container a by-hand "sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'"
    by_hand=$ID
    start_container b failed "sh -c 'exit 9'"
    failed=$ID
    until_true has_failed b failed
    "$DOCKER" stop "$by_hand" >/dev/null
    own_engine_down TERM
    own_engine_up
    equals exited "$(inspected "$wanted" '{{.State.Status}}')"
    expect 0 drunner ensure
    equals "started 'drunner.a.wanted'" "$output"
    state_is "$wanted" running
    state_is "$by_hand" exited
    state_is "$failed" exited
    expect 3 drunner ensure
    equals "" "$output"
    delete_all a
    delete_all b
    # The units name the engine's, and what they call is there.
    local unit
    for unit in watch ensure serve; do
        grep -qx 'After=docker.service' "$ROOT/templates/systemd/drunner-$unit.service"
        expect 0 drunner help "$(sed -n 's/^ExecStart=.*drunner //p' \
            "$ROOT/templates/systemd/drunner-$unit.service")"
    done
    equals "exec: /usr/local/bin/drunner watch" \
        "$(grep '^exec:' "$ROOT/templates/zinit/drunner-watch.yaml")"
}

@test "watch survives an engine that is restarted" {
    row "survives an engine restart" "the engine stopped and started under it: wanted ones run, one stopped by hand does not, later crashes are answered"
    watch_start
    start_container a wanted "sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'"
    local wanted=$ID by_hand started
    start_container a by-hand "sleep 1000" '{"ShutdownTimeout": 0}'
    by_hand=$ID
    "$DOCKER" stop --time 0 "$by_hand" >/dev/null
    until_true grep -q "leaving 'drunner.a.by-hand' alone" watch.log
    started=$(inspected "$wanted" '{{.State.StartedAt}}')
    own_engine_down TERM
    own_engine_up
    until_true started_again "$wanted" "$started"
    state_is "$by_hand" exited
    kill -0 "$WATCH_PID"
    equals false "$(drunner container inspect a by-hand | jq .State.Failed)"
    started=$(inspected "$wanted" '{{.State.StartedAt}}')
    # Not by hand, as the engine sees it: the program is ended from inside.
    "$DOCKER" exec "$wanted" kill -TERM 1
    until_true started_again "$wanted" "$started"
    state_is "$by_hand" exited
    delete_all a
}

@test "containers of services are watched where their label says so" {
    row "services too" "drunner.watch=yes is started again, a job without it is not"
    watch_start
    "$DOCKER" run -d --name s-web --label drunner.service=s --label drunner.watch=yes --network none \
        -v "$PWD:/share" "$BASE_IMAGE" \
        sh -c 'if [ -e /share/ran ]; then exec sleep 1000; fi; sleep 1; touch /share/ran' >/dev/null
    "$DOCKER" run -d --name s-job --label drunner.service=s --network none "$BASE_IMAGE" true \
        >/dev/null
    until_true grep -q "watching 's-web'" watch.log
    until_true grep -q "started 's-web'" watch.log
    until_true state_is s-web running
    state_is s-job exited
    "$DOCKER" rm -f s-web s-job >/dev/null
}
