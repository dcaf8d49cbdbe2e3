#!/usr/bin/env bats
# Two operations at once, operations of hooks, signals, and hooks that outlive their drunner.

load harness

# "waiter": a dtest whose subcommands in DTEST_WAIT say that they are there (CALLS.SUBCOMMAND) and
# wait for CALLS.go; backupstart leaves a container of its hook's name; updatestart runs what
# DTEST_NESTED says.
setup_waiter() {
    WAITER=$(copy_of dtest)
    # shellcheck disable=SC2016  # the script is to expand it
    sed -i '/^case \$SUBCOMMAND in/e cat <<"LINES"\
if [[ $SUBCOMMAND == backupstart \&\& ${DTEST_WAIT-} == backupstart ]]; then\
    docker run -d --name "$SERVICENAME-backupstart" --stop-signal KILL "${DOCKEROPTS[@]}" "$IMAGENAME" \\\
        /bin/sh -c "sleep 3600 \& wait" >/dev/null\
fi\
if [[ " ${DTEST_WAIT-} " == *" $SUBCOMMAND "* ]]; then\
    touch "$DTEST_CALLS.$SUBCOMMAND"\
    while [[ ! -e $DTEST_CALLS.go ]]; do sleep 0.05; done\
fi\
if [[ $SUBCOMMAND == updatestart \&\& -n ${DTEST_NESTED-} ]]; then ${DTEST_NESTED}; fi\
LINES' "$WAITER/drunner/servicerunner"
    build_directory "$WAITER" waiter
    printf 'HOOKENV="DTEST_CALLS DTEST_FAIL DTEST_WAIT DTEST_NESTED"\n' \
        >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    export DTEST_WAIT=
}

installed_and_outdated() {
    expect 0 drunner install waiter
    fill_dtest waiter
    printf '# another version\n' >>"$WAITER/drunner/servicerunner"
    build_directory "$WAITER" waiter
}

# Starts drunner in the background, FIRST, and returns when that subcommand waits.
start_until() { # SUBCOMMAND ARGUMENTS...
    rm -f "$DTEST_CALLS.$1"
    DTEST_WAIT=$1 "$DRUNNER_BINARY" "${@:2}" >first.out 2>first.err 3>&- 4>&- &
    FIRST=$!
    await "$DTEST_CALLS.$1"
}

await() { # FILE
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if [[ -e $1 ]]; then return 0; fi
        sleep 0.1
    done
    printf "'%s' never came\n" "$1"
    cat first.err
    return 1
}

ended_with() { # CODE PID
    local code=0
    wait "$2" || code=$?
    if [[ $code != "$1" ]]; then
        printf 'exit %s, not %s\n' "$code" "$1"
        cat first.err
        return 1
    fi
}

# Processes that run as, or for, a hook of this test.
hook_processes() {
    local process
    for process in /proc/[0-9]*; do
        if { tr '\0' '\n' <"$process/environ" | grep -qx 'DRUNNER_OPERATION=.*' &&
            tr '\0' '\n' <"$process/environ" | grep -qxF "DRUNNER_PREFIX=$DRUNNER_PREFIX"; } \
            2>/dev/null; then
            printf '%s\n' "${process#/proc/}"
        fi
    done
}

@test "two updates at once: the second is refused and names the first, or waits for it" {
    setup_waiter
    installed_and_outdated
    start_until updatestart update waiter
    local first=$FIRST second
    expect 1 drunner update waiter
    says "pid $first, 'drunner update waiter', [0-9]+ s ago"
    names_next "--wait"
    # Whoever only reads waits for nobody.
    expect 0 drunner list
    contains "$output" waiter
    run --separate-stderr drunner status waiter
    contains "$output$stderr" "drunner update waiter"
    run --separate-stderr drunner inspect waiter
    contains "$output" '"service": "waiter"'
    "$DRUNNER_BINARY" --wait 100 update waiter >second.out 2>second.err 3>&- 4>&- &
    second=$!
    touch "$DTEST_CALLS.go"
    ended_with 0 "$first"
    ended_with 3 "$second"
}

@test "a first update that is killed lets go at once, and the second undoes it" {
    setup_waiter
    installed_and_outdated
    local before
    before=$(volume_listing drunner-waiter-data)
    start_until updateend update waiter
    kill -KILL "$FIRST"
    wait "$FIRST" || true
    expect 0 drunner update waiter
    contains "$stderr" "undoing the interrupted"
    equals "" "$(hook_processes)"
    same "$before" "$(volume_listing drunner-waiter-data)"
    expect 3 drunner update waiter
}

@test "a hook backs up its own service, and can change nothing else of it" {
    setup_waiter
    installed_and_outdated
    DTEST_NESTED="drunner backup waiter $PWD/nested" expect 0 drunner update waiter
    [[ -s nested ]]
    expect 0 drunner verify nested
    expect 0 drunner status waiter
    printf '# a third version\n' >>"$WAITER/drunner/servicerunner"
    build_directory "$WAITER" waiter
    local before
    before=$(snapshot | grep -v '  ./.*/service.json$')
    DTEST_NESTED="drunner uninstall waiter" expect 1 drunner update waiter
    contains "$stderr" "its hooks cannot start this one"
    same "$before" "$(snapshot | grep -v '  ./.*/service.json$')"
}

@test "SIGINT, SIGTERM and SIGHUP undo an update and end it with 1" {
    setup_waiter
    installed_and_outdated
    local before signal
    before=$(snapshot | grep -v '  ./.*/service.json$')
    for signal in INT TERM HUP; do
        # Bash lets what it starts in the background ignore SIGINT.
        DTEST_WAIT=updateend env --default-signal=INT "$DRUNNER_BINARY" update waiter \
            >first.out 2>first.err 3>&- 4>&- &
        FIRST=$!
        await "$DTEST_CALLS.updateend"
        rm "$DTEST_CALLS.updateend"
        kill "-$signal" "$FIRST"
        ended_with 1 "$FIRST"
        grep -q "^drunner: .*interrupted by SIG$signal" first.err
        equals "" "$(hook_processes)"
        rm first.out first.err
        same "$before" "$(snapshot | grep -v '  ./.*/service.json$')"
    done
}

@test "a second signal does not tear the undo" {
    setup_waiter
    local before
    before=$(snapshot)
    export DTEST_WAIT="install uninstall"
    env --default-signal=INT "$DRUNNER_BINARY" install waiter >first.out 2>first.err 3>&- 4>&- &
    FIRST=$!
    await "$DTEST_CALLS.install"
    kill -INT "$FIRST"
    await "$DTEST_CALLS.uninstall"
    kill -INT "$FIRST"
    kill -TERM "$FIRST"
    touch "$DTEST_CALLS.go"
    ended_with 1 "$FIRST"
    export DTEST_WAIT=
    rm first.out first.err
    same "$before" "$(snapshot)"
    expect 3 drunner recover --all
}

@test "a hook that does not end in time ends with all that it started" {
    setup_waiter
    printf 'HOOKTIMEOUT=1\n' >>"$DRUNNER_PREFIX/etc/drunner/config.sh"
    local before
    before=$(snapshot)
    DTEST_WAIT=install expect 1 drunner install waiter
    says "did not end in time"
    equals "" "$(hook_processes)"
    same "$before" "$(snapshot)"
}

@test "recovery ends a hook that outlived its drunner, its container, and runs the owed backupend" {
    setup_waiter
    expect 0 drunner install waiter
    start_until backupstart backup waiter out
    kill -KILL "$FIRST"
    wait "$FIRST" || true
    [[ -n $(hook_processes) ]]
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' waiter-backupstart)"
    expect 1 drunner status waiter
    contains "$output" "was interrupted"
    forget_calls
    expect 0 drunner recover --all
    equals backupend "$(calls)"
    equals "" "$(hook_processes)"
    equals "" "$(containers_of waiter)"
    expect 0 drunner status waiter
    [[ ! -e out ]]
}
