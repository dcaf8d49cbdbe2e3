#!/usr/bin/env bats
# Where Podman's API service differs from Docker's: what drunner promises holds there too. The main
# job is main_job.bats, on either engine.

load harness

eval "$(declare -f setup | sed '1s/setup/harness_setup/')"

setup() {
    if [[ $DRUNNER_ENGINE != podman ]]; then
        skip "for Podman; next: DRUNNER_ENGINE=podman scripts/test"
    fi
    harness_setup
}

@test "list, status, rollback, recover and uninstall, on Podman" {
    expect 0 drunner install dtest
    expect 0 dtest write greeting hello
    expect 0 drunner status dtest
    contains "$output" whole
    expect 0 drunner list
    contains "$output" dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    expect 0 dtest image
    equals 2 "$output"
    expect 0 drunner rollback dtest
    expect 0 dtest image
    equals 1 "$output"
    expect 0 dtest read greeting
    equals hello "$output"
    "$DOCKER" rm drunner-keep-dtest >/dev/null
    expect 1 drunner status dtest
    expect 0 drunner recover dtest
    expect 0 drunner status dtest
    expect 3 drunner doctor
    expect 0 drunner uninstall dtest
    equals "drunner-dtest-data drunner-dtest-varlibwitness" \
        "$("$DOCKER" volume ls --quiet | sort | xargs)"
    expect 0 drunner install dtest
    expect 0 dtest read greeting
    equals hello "$output"
}

@test "a killed install is undone" {
    local before pid tries
    before=$(snapshot)
    proxy_start
    echo "POST /volumes/create:stall" >"$PROXY_RULES"
    drunner install dtest >/dev/null 2>&1 3>&- 4>&- &
    pid=$!
    for ((tries = 0; tries < 300; tries++)); do
        if [[ -n $("$DOCKER" --host "$ENGINE" volume ls --quiet) ]]; then break; fi
        sleep 0.1
    done
    kill -KILL "$pid"
    : >"$PROXY_RULES"
    expect 0 drunner recover --all
    same "$before" "$(snapshot)"
    expect 0 drunner install dtest
}

@test "the first container of a volume leaves its owner, mode and content as they were restored" {
    local data
    expect 0 drunner install dtest
    data=$(mount_point drunner-dtest-data)
    chown 4321:1234 "$data"
    chmod 0710 "$data"
    touch -d '2001-02-03 04:05:06' "$data"
    expect 0 drunner backup dtest b
    expect 0 drunner obliterate --purge dtest
    expect 0 drunner restore b
    data=$(mount_point drunner-dtest-data)
    equals "4321:1234 710 981173106" "$(stat -c '%u:%g %a %Y' "$data")"
    "$DOCKER" run --rm --user 0:0 --volume drunner-dtest-data:/data "$BASE_IMAGE" true
    equals "4321:1234 710 981173106" "$(stat -c '%u:%g %a %Y' "$data")"
}

@test "a new volume has the image's content and its user as the owner before anything starts" {
    expect 0 drunner install dtest
    equals 22022:22022 "$(stat -c %u:%g "$(mount_point drunner-dtest-data)")"
    equals "created" "$("$DOCKER" inspect --format '{{.State.Status}}' drunner-keep-dtest)"
    equals "drunner-keep-dtest" "$("$DOCKER" ps --all --format '{{.Names}}')"
}

@test "an update comes from the registry, by HEAD, and names what does not answer" {
    local digest
    "$DOCKER" tag dtest "$REGISTRY/dtest:1"
    push "$REGISTRY/dtest:1"
    "$DOCKER" rmi "$REGISTRY/dtest:1" >/dev/null
    expect 0 drunner install "$REGISTRY/dtest:1"
    expect 3 drunner update dtest
    "$DOCKER" tag dtest-2 "$REGISTRY/dtest:1"
    push "$REGISTRY/dtest:1"
    "$DOCKER" tag dtest "$REGISTRY/dtest:1"
    expect 0 drunner update dtest
    expect 0 dtest image
    equals 2 "$output"
    digest=$("$DOCKER" image inspect --format '{{index .RepoDigests 0}}' "$REGISTRY/dtest:1")
    digest=${digest##*@}
    expect 0 drunner obliterate --purge dtest
    "$DOCKER" rmi "$REGISTRY/dtest:1" >/dev/null
    # By digest, and by both: Podman's API has stumbled over each.
    expect 0 drunner install "$REGISTRY/dtest@$digest" by-digest
    expect 0 by-digest image
    equals 2 "$output"
    expect 3 drunner update by-digest
    expect 0 drunner install "$REGISTRY/dtest:1@$digest" by-both
    expect 3 drunner update by-both
    # There is no distribution endpoint to ask instead.
    refused "cannot reach registry '127.0.0.1:1'" drunner registry test 127.0.0.1:1/dtest
    refused "127.0.0.1:1/dtest" drunner install 127.0.0.1:1/dtest never
}

@test "what Podman names localhost/ was built here, and nobody is asked for it" {
    "$DOCKER" tag dtest localhost/mine
    expect 0 drunner install localhost/mine
    expect 3 drunner update mine
    equals "" "$stderr"
    "$DOCKER" tag dtest-2 localhost/mine
    expect 0 drunner update mine
    expect 0 mine image
    equals 2 "$output"
}
