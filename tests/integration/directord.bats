#!/usr/bin/env bats
# Directord and Director as services, on an engine with networks: what their documents promise, on the
# stand-in, by the same scripts that ask the real images.

load harness
load own_engine
load readme

setup_file() {
    own_engine_start
    export ENGINE=$DOCKER_HOST
    build_directord
}

teardown_file() {
    own_engine_stop
}

# The acceptance script is on the host of the engine, and makes a place of its own.
accepts() { # PRODUCT
    # A stranger that is not admitted knocks once a second.
    local code=0 patience=4
    if [[ -n ${DRUNNER_ALL-} ]]; then patience=10; fi
    nsenter --net --target "$(<"$OWN/pid")" env -u DRUNNER_PREFIX DRUNNER_BINARY="$DRUNNER_BINARY" \
        ACCEPTANCE_PATIENCE="$patience" \
        "$ROOT/tests/acceptance/$1" "standin-$1" >table 2>errors || code=$?
    sed 's/^/# /' table >&3
    cat errors
    return "$code"
}

@test "the stand-in speaks the protocol that it stands for" {
    "$ROOT/tests/standins/directord/protocol" "$ROOT/build/directord-standin"
}

@test "services/directord keeps Directord's promises" {
    accepts directord
}

@test "services/director keeps Director's promises" {
    accepts director
}

@test "directord and director are the same but for their names" {
    local file
    cmp "$ROOT"/services/{directord,director}/drunner/servicerunner
    cmp "$ROOT"/services/{directord,director}/start
    for file in Dockerfile drunner/servicecfg.sh; do
        diff <(sed 's/[Dd]irectord/X/g; s/DIRECTORD/X/g; s#quay.io/cloudnull/X#X:head#' "$ROOT/services/directord/$file") \
            <(sed 's/[Dd]irectord*/X/g; s/DIRECTOR/X/g' "$ROOT/services/director/$file")
    done
}

@test "README.md's commands of directord and director work" {
    works_as_it_stands README.md 10 directord
    # What this does, the acceptance scripts do as well, for the most part.
    if [[ -n ${DRUNNER_ALL-} ]]; then
        cd "$BATS_TEST_TMPDIR/work"
        works_as_it_stands services/directord/README.md 20
        cd "$BATS_TEST_TMPDIR/work"
        works_as_it_stands services/director/README.md 10
        cd "$BATS_TEST_TMPDIR/work"
        passes 8 directord
        passes 8 director
    fi
}

@test "directord: what cannot be is told, and changes nothing" {
    expect 0 drunner install directord ddir
    expect 1 ddir client-add 'no name'
    contains "$stderr" "'no name' is no name of a client"
    expect 1 ddir client-add
    expect 1 ddir client-add n1 'two words'
    contains "$stderr" "is no address"
    expect 1 ddir configure HEARTBEAT_INTERVAL
    contains "$stderr" "configure takes NAME=VALUE"
    # What cannot be changes nothing, and what runs goes on.
    expect 1 ddir configure NETWORK=cloud
    contains "$stderr" "NETWORK is own or host, not 'cloud'; next: ddir configure NETWORK=own"
    expect 1 ddir configure SHARE_PATH=/nosuch/directory
    contains "$stderr" "there is no directory /nosuch/directory on this host; next: mkdir -p"
    expect 1 ddir configure AUTH=key
    contains "$stderr" "secrets missing: shared_key; next: drunner secret ddir set shared_key"
    expect 1 ddir configure AUTH=curve
    contains "$stderr" "there are no keys for AUTH=curve; next: ddir keys"
    expect 3 ddir start
    contains "$(ddir status)" $'state: running\nnetwork: own\nauth: none'
    expect 1 ddir import /nosuch
    # Without its keys it waits, and says for what.
    expect 0 drunner configure ddir AUTH=key
    expect 0 drunner update ddir
    contains "$stderr" "does not run before it has its keys"
    expect 1 ddir start
    contains "$stderr" "secrets missing: shared_key"
    expect 1 ddir client-add n1
    equals "" "$(ddir client-ls)"
    expect 1 ddir exec --verb RUN true
    contains "$stderr" "ddir-server does not run; next: ddir start"
    expect 3 ddir stop
}
