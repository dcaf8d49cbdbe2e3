#!/usr/bin/env bats
# An update that goes back whole, the health gate, and the way back by hand.

# shellcheck disable=SC2154  # output, stderr and status are set by run

load harness

# A second dtest that writes over all its data in updateend.
build_spoiler() { # TAG [SERVICECFG-LINE]
    local directory
    directory=$(copy_of dtest)
    # shellcheck disable=SC2016  # the script is to expand it
    sed -i 's/^    install | updatestart | updateend | /    updateend)\
        in_container sh -c "rm -f \/data\/precious \/data\/random \/var\/lib\/witness\/hole; echo spoilt >\/data\/random" <\/dev\/null\
        ;;\
&/' "$directory/drunner/servicerunner"
    printf '%s\n' "${2-}" >>"$directory/drunner/servicecfg.sh"
    build_directory "$directory" "$1"
}

# The next version of longrunner, changed by a sed script, with lines for its Dockerfile.
build_longrunner() { # SED-SCRIPT [DOCKERFILE-LINE]
    local directory
    directory=$(copy_of longrunner)
    sed -i "$1" "$directory/drunner/servicerunner"
    printf 'LABEL test=%s\n%s\n' "$BATS_TEST_NUMBER" "${2-}" >>"$directory/Dockerfile"
    build_directory "$directory" longrunner
}

# The old image's container runs, and nothing else of the service.
runs_as_before() { # IMAGE
    equals longrunner "$(containers_of longrunner)"
    equals "running $1" "$("$DOCKER" inspect --format '{{.State.Status}} {{.Image}}' longrunner)"
    expect 0 drunner status longrunner
}

@test "the data is spoilt, then selftest fails: every file is as it was, and JSON says so" {
    expect 0 drunner install dtest
    fill_dtest dtest
    build_spoiler dtest SELFTEST=yes
    local before
    before=$(snapshot | grep -v '  ./.*/service.json$')
    DTEST_FAIL=selftest expect 1 drunner update dtest --json
    says "selftest"
    equals true "$(jq .error.rolled_back <<<"$output")"
    equals script-failed "$(jq -r .error.kind <<<"$output")"
    grep -q '^  | .*selftest fails because DTEST_FAIL says so' <<<"$stderr"
    same "$before" "$(snapshot | grep -v '  ./.*/service.json$')"
    equals "[\"$(image_id dtest)\"]" "$(drunner inspect dtest --json | jq -c '[.. |
        .failed_digests? // empty] | first')"
    expect 0 drunner update dtest
    equals spoilt "$(cat "$(mount_point drunner-dtest-data)/random")"
}

@test "the tag of the image before an update is gone: it is put back, and so is the service" {
    expect 0 drunner install dtest
    local first
    first=$(image_id dtest)
    "$DOCKER" rmi localhost/drunner:dtest.1
    build_spoiler dtest
    expect 0 drunner update dtest
    equals "$first" "$(image_id localhost/drunner:dtest.1)"
    expect 0 drunner rollback dtest
    equals "$first" "$(image_id "$(drunner inspect dtest --json | jq -r '[.. | .image_id? // empty] | first')")"
    expect 0 drunner status dtest
}

@test "kill -9 in an update that spoilt the data, then recover: as before" {
    expect 0 drunner install dtest
    fill_dtest dtest
    build_spoiler dtest
    local before group
    before=$(snapshot)
    configure HEALTHUPTIME=0 'HOOKENV="DTEST_HANG"'
    DTEST_HANG=updateend setsid "$DRUNNER_BINARY" update dtest 3>&- 4>&- &
    group=$!
    until grep -qsx spoilt "$(mount_point drunner-dtest-data)/random"; do
        kill -0 "$group"
        sleep 0.1
    done
    kill -KILL "$group"
    wait "$group" || true
    configure HEALTHUPTIME=0
    expect 1 drunner status dtest
    expect 0 drunner recover dtest
    same "$before" "$(snapshot)"
    expect 0 drunner status dtest
}

@test "rollback: scripts and image of the release before, the data stays; and forward again" {
    expect 0 drunner install dtest
    expect 0 dtest write file one
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    expect 0 dtest write file two
    forget_calls
    expect 0 drunner rollback dtest
    contains "$output" "image sha256:"
    equals "updatestart 2|updateend 1" "$(sed -n 's/ *$//; /^update/p' "$DTEST_CALLS" | paste -sd '|')"
    expect 0 dtest version
    equals 1 "$output"
    expect 0 dtest image
    equals 1 "$output"
    expect 0 dtest read file
    equals two "$output"
    expect 0 drunner status dtest
    expect 0 drunner rollback dtest --json
    equals '[true,false]' "$(jq -c '[.changed, .data]' <<<"$output")"
    expect 0 dtest image
    equals 2 "$output"
    expect 0 drunner status dtest
}

@test "rollback --data: the data that the release was left with, every file of it" {
    expect 0 drunner install dtest
    fill_dtest dtest
    local one two old
    one=$(mount_point drunner-dtest-data)
    two=$(mount_point drunner-dtest-varlibwitness)
    old=$(listing "$one"; listing "$two")
    build_spoiler dtest
    expect 0 drunner update dtest
    local new
    new=$(listing "$one"; listing "$two")
    [[ $old != "$new" ]]
    equals "700 600" "$(stat -c %a "$DRUNNER_PREFIX"/var/lib/drunner/services/dtest/releases/1/data{,/data.json} |
        paste -sd ' ')"
    expect 0 drunner rollback dtest --data
    same "$old" "$(listing "$one"; listing "$two")"
    expect 0 drunner status dtest
    expect 0 drunner rollback dtest --data
    # The updateend of this release spoils it once more, what it spoilt already.
    equals spoilt "$(cat "$one/random")"
}

@test "rollback: nothing to go back to is 3, data that is not kept is 1 and says why" {
    expect 0 drunner install dtest
    expect 3 drunner rollback dtest
    expect 3 drunner rollback dtest --data
    configure HEALTHUPTIME=0 SNAPSHOT=off
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    contains "$stderr" "data of 'drunner-dtest-data' cannot be rolled back because SNAPSHOT is off"
    refused "SNAPSHOT is off" drunner rollback dtest --data
    names_next "drunner rollback dtest"
    expect 0 drunner rollback dtest
    refused nosuch drunner rollback nosuch
    # "rollback" is no word of the service.
    expect 1 dtest rollback
    contains "$stderr" "drunner rollback dtest"
}

@test "a rollback that fails: as before" {
    expect 0 drunner install dtest
    fill_dtest dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    expect 0 dtest write file two
    local before
    before=$(snapshot)
    DTEST_FAIL=updateend expect 1 drunner rollback dtest --data --json
    equals true "$(jq .error.rolled_back <<<"$output")"
    same "$before" "$(snapshot)"
}

@test "healthy, and no healthcheck: updated" {
    configure HEALTHUPTIME=1s
    expect 0 drunner install longrunner
    build_longrunner '' 'HEALTHCHECK --interval=1s --timeout=2s CMD test -f /data/count'
    expect 0 drunner update longrunner
    equals healthy "$("$DOCKER" inspect --format '{{.State.Health.Status}}' longrunner)"
    build_longrunner ''
    expect 0 drunner update longrunner
    expect 0 drunner status longrunner
    expect 0 drunner rollback longrunner --data
    equals healthy "$("$DOCKER" inspect --format '{{.State.Health.Status}}' longrunner)"
}

@test "never healthy: rolled back, with the answer of the last check" {
    expect 0 drunner install longrunner
    local old
    old=$(image_id longrunner)
    build_longrunner '' \
        'HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD echo no database; exit 1'
    expect 1 drunner update longrunner
    says "container 'longrunner' is unhealthy|'longrunner' did not become healthy within 6 s"
    grep -qF '  | no database' <<<"$stderr"
    runs_as_before "$old"
}

@test "it dies after five seconds: rolled back, with its last lines" {
    configure HEALTHUPTIME=8s
    expect 0 drunner install longrunner
    local old
    old=$(image_id longrunner)
    build_longrunner 's/docker run -d --rm/docker run -d/; s/docker stop -t 5/docker rm -f/
        s/^        while true; do/        sleep 5; echo "lost the way"; exit 7\n&/'
    expect 1 drunner update longrunner --json
    says "container 'longrunner' ended with status 7"
    grep -qF '  | lost the way' <<<"$stderr"
    equals "unhealthy true" "$(jq -r '.error | "\(.kind) \(.rolled_back)"' <<<"$output")"
    runs_as_before "$old"
}

@test "a restart loop: rolled back" {
    configure HEALTHUPTIME=5s
    expect 0 drunner install longrunner
    local old
    old=$(image_id longrunner)
    build_longrunner 's/docker run -d --rm/docker run -d --restart always/
        s/docker stop -t 5/docker rm -f/; s/^        while true; do/        exit 4\n&/'
    expect 1 drunner update longrunner
    says "'longrunner' does not (stay|come) up"
    runs_as_before "$old"
}

@test "what the hooks stop and do not start is named, and no failure" {
    expect 0 drunner install longrunner
    build_longrunner 's/^    install | updateend) start_container ;;/    install) start_container ;;\
    updateend) ;;/'
    expect 0 drunner update longrunner
    contains "$stderr" "container 'longrunner' ran before, and the hooks did not start it again"
}

@test "SIGINT while the gate waits: undone" {
    configure HEALTHUPTIME=60s
    expect 0 drunner install longrunner
    local old drunner code=0
    old=$(image_id longrunner)
    build_longrunner ''
    # Job control: a background command would ignore SIGINT otherwise.
    set -m
    "$DRUNNER_BINARY" update longrunner 3>&- 4>&- 2>"$BATS_TEST_TMPDIR/stderr" &
    drunner=$!
    set +m
    until grep -q '"hook_ended":"updateend"' \
        "$DRUNNER_PREFIX/var/lib/drunner/services/longrunner/journal" 2>/dev/null; do
        kill -0 "$drunner"
        sleep 0.1
    done
    kill -INT "$drunner"
    wait "$drunner" || code=$?
    equals 1 "$code"
    grep -q 'rolled back: interrupted by SIGINT' "$BATS_TEST_TMPDIR/stderr"
    runs_as_before "$old"
}
