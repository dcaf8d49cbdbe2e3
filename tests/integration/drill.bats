#!/usr/bin/env bats
# drill and keygen: backups that are tried, and keys for them.

# shellcheck disable=SC2154 # stderr is set by run
load harness

@test "a drill restores the newest backup, runs its selftest, and leaves nothing" {
    local directory before
    directory=$(copy_of dtest)
    printf 'SELFTEST=yes\n' >>"$directory/drunner/servicecfg.sh"
    build_directory "$directory" tested
    expect 0 drunner install tested
    expect 1 drunner drill tested
    says "no backup"
    names_next "drunner backup tested"
    expect 0 drunner backup tested
    before=$(snapshot | grep -v '  ./.*/service.json$')
    forget_calls
    expect 0 drunner drill tested --json
    equals true "$(jq .selftest <<<"$output")"
    equals "install restore selftest obliterate" "$(calls | xargs)"
    same "$before" "$(snapshot | grep -v '  ./.*/service.json$')"
    expect 0 drunner status tested --json
    equals true "$(jq .last_drill.passed <<<"$output")"
    DTEST_FAIL=selftest expect 1 drunner drill tested
    says "selftest"
    same "$before" "$(snapshot | grep -v '  ./.*/service.json$')"
    expect 0 drunner status tested --json
    equals false "$(jq .last_drill.passed <<<"$output")"
    jq -r .last_drill.reason <<<"$output" | grep -q selftest
}

@test "a drill of a file, beside the running service" {
    expect 0 drunner install longrunner
    expect 0 drunner backup longrunner b
    expect 0 drunner drill longrunner b
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' longrunner)"
    equals longrunner "$("$DOCKER" ps --format "{{.Names}}")"
    expect 0 drunner install dtest
    expect 1 drunner drill dtest b
    says "a backup of 'longrunner', not of 'dtest'"
}

@test "a drill that is killed is cleaned up" {
    expect 0 drunner install dtest
    expect 0 drunner backup dtest b
    local before pid tries moment
    before=$(snapshot)
    printf 'HOOKENV="DTEST_CALLS DTEST_FAIL DTEST_HANG"\n' >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    for moment in restore obliterate; do
        forget_calls
        DTEST_HANG=$moment drunner drill dtest b >/dev/null 2>&1 3>&- &
        pid=$!
        for ((tries = 0; tries < 300; tries++)); do
            if calls | grep -q "^$moment"; then break; fi
            sleep 0.1
        done
        kill -KILL "$pid"
        wait "$pid" || true
        expect 0 drunner clean
        same "$before" "$(snapshot)"
    done
}

@test "keygen makes what age reads, and reads what age makes" {
    local recipient
    expect 0 drunner keygen key
    recipient=$output
    equals 600 "$(stat -c %a key)"
    equals "$recipient" "$(age-keygen -y key)"
    grep -qx "# public key: $recipient" key
    grep -qE '^# created: 20[0-9]{2}-' key
    expect 1 drunner keygen key
    says "'?key'? exists"
    expect 0 drunner keygen
    [[ -f drunner-identity.txt ]]
    echo text | age --recipient "$recipient" >text.age
    equals text "$(age --decrypt -i key text.age)"
    expect 0 drunner install dtest
    fill_dtest dtest
    expect 0 drunner backup dtest b --recipient "$recipient"
    age --decrypt -i key b | zstd --decompress --stdout | tar --list | grep -q precious
    age --decrypt -i key b | age --recipient "$recipient" >again
    expect 0 drunner verify again --identity key
    expect 0 drunner drill dtest b --identity key
    expect 1 drunner drill dtest b
}
