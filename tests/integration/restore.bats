#!/usr/bin/env bats
# restore: under the same and another name, and nothing left behind when it fails.

load harness

@test "restored under another name, data, owners, modes, times and attributes are equal" {
    expect 0 drunner install dtest
    fill_dtest dtest
    local one two
    one=$(volume_listing drunner-dtest-data)
    two=$(volume_listing drunner-dtest-varlibwitness)
    contains "$one" green
    expect 0 drunner backup dtest b
    expect 0 drunner obliterate dtest
    equals "" "$(engine_objects)"
    expect 0 drunner restore b copy
    same "$one" "$(volume_listing drunner-copy-data)"
    same "$two" "$(volume_listing drunner-copy-varlibwitness)"
    equals "drunner-copy-data drunner-copy-varlibwitness" \
        "$("$DOCKER" volume ls --quiet | sort | xargs)"
    equals "drunner-keep-copy" "$("$DOCKER" ps --all --format '{{.Names}}')"
    equals 8388611 "$(stat -c %s "$(mount_point drunner-copy-varlibwitness)/hole")"
    (($(stat -c %b "$(mount_point drunner-copy-varlibwitness)/hole") < 1000))
}

@test "the hooks of a restore: install, then restore with the directory of the backup" {
    expect 0 drunner install dtest
    expect 0 drunner backup dtest b
    expect 0 drunner obliterate dtest
    forget_calls
    expect 0 drunner restore b
    equals "install restore" "$(calls | xargs)"
}

@test "a service is moved through a pipe" {
    expect 0 drunner install dtest
    expect 0 dtest write file "my data"
    drunner backup dtest - >b
    expect 0 drunner obliterate dtest
    drunner restore - moved <b
    expect 0 moved read file
    equals "my data" "$output"
}

@test "a name that is taken is refused, and names the ways out" {
    expect 0 drunner install dtest
    expect 0 drunner backup dtest b
    refused dtest drunner restore b dtest
    expect 0 drunner install helloworld other
    refused other drunner restore b other
}

@test "a volume that exists is never touched" {
    expect 0 drunner install dtest
    expect 0 dtest write file "my data"
    expect 0 drunner backup dtest b
    expect 0 drunner uninstall dtest
    refused "drunner-dtest-" drunner restore b dtest
    names_next "--replace|obliterate" || contains "$stderr" obliterate
    "$DOCKER" volume create drunner-copy-data >/dev/null
    refused "drunner-copy-data" drunner restore b copy
    "$DOCKER" volume rm drunner-copy-data >/dev/null
    expect 0 drunner obliterate dtest
}

@test "a restore hook that fails leaves nothing behind" {
    expect 0 drunner install dtest
    expect 0 drunner backup dtest b
    local before
    before=$(snapshot)
    DTEST_FAIL=restore expect 1 drunner restore b copy
    says restore
    same "$before" "$(snapshot)"
    DTEST_FAIL=install expect 1 drunner restore b copy
    says install
    same "$before" "$(snapshot)"
}

@test "what is not a backup, or is damaged, is refused and leaves nothing" {
    echo "not a backup" >text
    refused "no backup" drunner restore text copy
    : >empty
    refused "backup" drunner restore empty copy
    refused "nosuch" drunner restore nosuch copy
    tar -cf - text | zstd -q >other.tar.zst
    refused "backup" drunner restore other.tar.zst copy
    expect 0 drunner install dtest
    fill_dtest dtest
    expect 0 drunner backup dtest b
    local size
    size=$(stat -c %s b)
    head -c $((size / 2)) b >half
    refused "backup|truncated|ends" drunner restore half copy
    cp b flipped
    printf '\377\377\377\377' | dd of=flipped bs=1 seek=$((size / 2)) conv=notrunc status=none
    refused "backup|damaged" drunner restore flipped copy
}

@test "an image that is gone is said, and --image decides" {
    "$DOCKER" tag dtest gone
    expect 0 drunner install gone
    expect 0 drunner backup gone b
    expect 0 drunner obliterate gone
    "$DOCKER" rmi gone >/dev/null
    expect 0 drunner restore b by-id
    expect 0 drunner obliterate by-id
    expect 0 drunner restore b other --image dtest-2
    expect 0 other version
    equals 2 "$output"
}

@test "--replace brings the backup's data back into a running service" {
    expect 0 drunner install longrunner
    local data
    data=$(mount_point drunner-longrunner-data)
    printf 'old\n' >"$data/mine"
    expect 0 drunner backup longrunner b
    printf 'new\n' >"$data/mine"
    printf 'new\n' >"$data/other"
    expect 1 drunner restore b longrunner
    says "installed already"
    names_next "--replace"
    expect 0 drunner restore b longrunner --replace
    equals old "$(cat "$data/mine")"
    [[ ! -e $data/other ]]
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' longrunner)"
    equals _data "$(ls -A "$(dirname "$data")")"
    expect 0 drunner status longrunner
}

@test "--replace: a backup that is damaged, or a hook that fails, leaves the old data" {
    expect 0 drunner install dtest
    fill_dtest dtest
    expect 0 drunner backup dtest b
    echo newer >"$(mount_point drunner-dtest-data)/newer"
    head -c -1 b >short
    refused "damaged|truncated|checksum" drunner restore short dtest --replace
    forget_calls
    local before
    before=$(snapshot)
    DTEST_FAIL=restore expect 1 drunner restore b dtest --replace
    says "'restore' of the service"
    equals restore "$(calls | xargs)"
    same "$before" "$(snapshot)"
    expect 0 drunner restore b dtest --replace
    [[ ! -e $(mount_point drunner-dtest-data)/newer ]]
}

@test "--replace: killed while the restore hook runs, the old data and containers come back" {
    expect 0 drunner install dtest
    expect 0 dtest write file old
    expect 0 drunner backup dtest b
    expect 0 dtest write file new
    local before pid tries
    before=$(snapshot)
    printf 'HOOKENV="DTEST_CALLS DTEST_FAIL DTEST_HANG"\n' >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    DTEST_HANG=restore drunner restore b dtest --replace >/dev/null 2>&1 3>&- &
    pid=$!
    for ((tries = 0; tries < 300; tries++)); do
        if calls | grep -q '^restore'; then break; fi
        sleep 0.1
    done
    kill -KILL "$pid"
    wait "$pid" || true
    expect 1 drunner status dtest
    expect 0 drunner recover dtest
    same "$before" "$(snapshot)"
    expect 0 dtest read file
    equals new "$output"
}

@test "--replace of volumes that an uninstall kept" {
    expect 0 drunner install dtest
    expect 0 dtest write file old
    expect 0 drunner backup dtest b
    expect 0 dtest write file new
    expect 0 drunner uninstall dtest
    local before
    before=$(snapshot)
    DTEST_FAIL=install expect 1 drunner restore b dtest --replace
    same "$before" "$(snapshot)"
    expect 0 drunner restore b dtest --replace
    expect 0 dtest read file
    equals old "$output"
}

@test "--replace --image takes the data and the image" {
    expect 0 drunner install dtest
    expect 0 dtest write file old
    expect 0 drunner backup dtest b
    expect 0 dtest write file new
    forget_calls
    expect 0 drunner restore b dtest --replace --image dtest-2
    equals "updatestart restore updateend" "$(calls | xargs)"
    expect 0 dtest version
    equals 2 "$output"
    expect 0 dtest read file
    equals old "$output"
    expect 0 drunner status dtest
}
