#!/usr/bin/env bats
# A removal forgives: obliterate keeps a final backup, undelete brings it back. And what is removed
# leaves nothing.

load harness

settings() { # LINE...
    printf '%s\n' 'HOOKENV="DTEST_CALLS DTEST_FAIL"' "$@" >"$DRUNNER_PREFIX/etc/drunner/config.sh"
}

undelete_files() {
    find "$DRUNNER_PREFIX/var/lib/drunner/undelete" -type f 2>/dev/null | sort
}

# Every file of the prefix but the log, every entry below the directories of locks and services,
# everything on the engine.
# The cache of what was read out of images is nobody's.
everything() {
    (cd "$DRUNNER_PREFIX" && find . \( -path ./var/log -o -path ./var/lib/drunner/images \) -prune -o \( -type f -o -type l \) -print | sort)
    find "$DRUNNER_PREFIX/run/drunner" "$DRUNNER_PREFIX/var/lib/drunner/services" -mindepth 1 | sort
    engine_state
    tags
}

@test "obliterate keeps a final backup, and undelete brings everything back" {
    expect 0 drunner install dtest
    fill_dtest dtest
    local one two file
    one=$(volume_listing drunner-dtest-data)
    two=$(volume_listing drunner-dtest-varlibwitness)
    forget_calls
    expect 0 drunner obliterate dtest
    contains "$output" "drunner undelete dtest"
    equals "backupstart backupend obliterate" "$(calls | paste -sd' ')"
    equals "" "$(engine_objects)"
    file=$(undelete_files)
    [[ $file =~ /dtest-[0-9]{8}T[0-9]{6}Z\.tar\.zst$ ]]
    equals "600 700" "$(stat -c %a "$file" "$(dirname "$file")" | paste -sd' ')"
    expect 0 drunner verify "$file"
    expect 0 drunner undelete --list
    contains "$output" dtest
    expect 0 drunner undelete --list --json
    equals dtest "$(jq -r '.deleted[0].service' <<<"$output")"
    expect 0 drunner undelete dtest
    same "$one" "$(volume_listing drunner-dtest-data)"
    same "$two" "$(volume_listing drunner-dtest-varlibwitness)"
    expect 0 drunner status dtest
    equals "" "$(undelete_files)"
    refused "no final backup" drunner undelete dtest
}

@test "the newest comes back, under another name too; the file stays until then" {
    expect 0 drunner install simplesecrets
    echo old >"$(mount_point drunner-simplesecrets-secrets)/key"
    expect 0 drunner obliterate simplesecrets
    expect 0 drunner install simplesecrets
    echo new >"$(mount_point drunner-simplesecrets-secrets)/key"
    expect 0 drunner obliterate simplesecrets
    equals 2 "$(undelete_files | wc -l)"
    refused "" drunner undelete simplesecrets --image as-root
    equals 2 "$(undelete_files | wc -l)"
    expect 0 drunner undelete simplesecrets --as copy
    equals new "$(cat "$(mount_point drunner-copy-secrets)/key")"
    expect 0 drunner undelete simplesecrets
    equals old "$(cat "$(mount_point drunner-simplesecrets-secrets)/key")"
}

@test "recipients encrypt the final backup, and an identity opens it" {
    age-keygen -o key 2>/dev/null
    settings "RECIPIENTS=$(age-keygen -y key)"
    expect 0 drunner install dtest
    expect 0 drunner obliterate dtest
    [[ $(undelete_files) == *.age ]]
    refused "" drunner undelete dtest
    expect 0 drunner undelete dtest --identity key
    equals "" "$(undelete_files)"
}

@test "volumes alone are kept too; then the image has to be named" {
    expect 0 drunner install simplesecrets
    echo precious >"$(mount_point drunner-simplesecrets-secrets)/key"
    local one
    one=$(volume_listing drunner-simplesecrets-secrets)
    expect 0 drunner uninstall simplesecrets
    expect 0 drunner obliterate simplesecrets
    refused "names no image" drunner undelete simplesecrets
    expect 0 drunner undelete simplesecrets --image simplesecrets
    same "$one" "$(volume_listing drunner-simplesecrets-secrets)"
}

@test "what keeps the final backup from being made keeps obliterate, until --purge" {
    expect 0 drunner install dtest
    fill_dtest dtest
    mkdir -p "$DRUNNER_PREFIX/var/lib/drunner/undelete"
    DTEST_FAIL=backupstart refused "final backup" drunner obliterate dtest
    names_next "obliterate dtest --purge"
    DTEST_FAIL=backupend refused "final backup" drunner obliterate dtest
    names_next "obliterate dtest --purge"

    mount -t tmpfs -o size=200k none "$DRUNNER_PREFIX/var/lib/drunner/undelete"
    DTEST_FAIL='' refused "are needed and .* are free" drunner obliterate dtest
    names_next "obliterate dtest --purge"
    umount "$DRUNNER_PREFIX/var/lib/drunner/undelete"

    mv "$DRUNNER_PREFIX/var/lib/drunner/services/dtest/service.json" kept
    refused "final backup" drunner obliterate dtest
    names_next "obliterate dtest --purge"
    forget_calls
    expect 0 drunner obliterate dtest --purge
    equals obliterate "$(calls)"
    equals "" "$(engine_objects)"
    equals "" "$(undelete_files)"
}

@test "a service whose volume or scripts are lost can be obliterated" {
    expect 0 drunner install dtest
    "$DOCKER" rm -f drunner-keep-dtest >/dev/null
    "$DOCKER" volume rm drunner-dtest-data >/dev/null
    expect 0 drunner install simplesecrets
    echo precious >"$(mount_point drunner-simplesecrets-secrets)/key"
    rm -rf "$DRUNNER_PREFIX/var/lib/drunner/services/simplesecrets/drunner"
    expect 0 drunner obliterate dtest
    contains "$stderr" "drunner-dtest-data"
    expect 0 drunner obliterate simplesecrets
    equals "" "$(engine_objects)"
    equals 2 "$(undelete_files | wc -l)"
    refused "volumes differ" drunner undelete dtest
    expect 0 drunner undelete simplesecrets
    equals precious "$(cat "$(mount_point drunner-simplesecrets-secrets)/key")"
}

@test "final backups go when their time is over" {
    expect 0 drunner install helloworld
    mkdir -p "$DRUNNER_PREFIX/var/lib/drunner/undelete"
    local old=$DRUNNER_PREFIX/var/lib/drunner/undelete/gone-20200102T030405Z.tar.zst
    echo >"$old"
    expect 0 drunner clean
    contains "$output" "$old"
    expect 3 drunner clean
    echo >"$old"
    expect 0 drunner obliterate helloworld
    [[ ! -e $old ]]
    equals 1 "$(undelete_files | wc -l)"
    settings UNDELETEDAYS=0
    expect 0 drunner install helloworld
    expect 0 drunner obliterate helloworld
    equals "" "$(undelete_files)"
    settings UNDELETEDAYS=many
    refused "number of days" drunner clean
}

@test "obliterate --purge leaves nothing on host or engine, uninstall only the volumes" {
    expect 0 drunner install helloworld
    expect 0 drunner obliterate helloworld --purge
    local before after
    before=$(everything)
    expect 0 drunner install dtest
    fill_dtest dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    "$DOCKER" tag original/dtest dtest
    expect 0 drunner backup dtest b
    "$DOCKER" network create --label drunner.service=dtest dtest-net >/dev/null
    "$DOCKER" tag dtest localhost/drunner:dtest.77
    expect 0 drunner uninstall dtest
    after=$(everything | grep -v 'drunner-dtest-')
    "$DOCKER" volume ls --quiet --filter label=drunner.service=dtest | sort >volumes
    equals "drunner-dtest-data drunner-dtest-varlibwitness" "$(paste -sd' ' volumes)"
    local volume
    while read -r volume; do
        volume_listing "$volume"
    done <volumes >listings
    same "$before" "$(grep -vxF -f listings <<<"$after")"
    expect 0 drunner obliterate dtest --purge
    same "$before" "$(everything)"

    expect 0 drunner install dtest
    expect 0 drunner obliterate dtest --purge
    same "$before" "$(everything)"
    expect 3 drunner obliterate dtest --purge
    same "$before" "$(everything)"
}

@test "hold keeps update --all away, and update by name goes on" {
    expect 0 drunner install dtest
    expect 0 drunner install helloworld
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner hold dtest
    expect 3 drunner hold dtest
    expect 0 drunner hold dtest --for 12h
    contains "$output" until
    refused "no time" drunner hold dtest --for soon
    refused "exclude" drunner hold dtest --for 1h --off
    refused "not installed" drunner hold nosuch
    expect 0 drunner status dtest
    contains "$output" "on hold"
    expect 0 drunner inspect dtest
    equals true "$(jq .held <<<"$output")"
    expect 0 drunner list --json
    equals '[true,false]' "$(jq -c '[.services[].held]' <<<"$output")"
    expect 3 drunner update --all
    contains "$output" held
    expect 0 drunner hold dtest --off
    expect 3 drunner hold dtest --off
    expect 0 drunner hold dtest
    expect 0 drunner update dtest
    contains "$stderr" "on hold"
}

@test "update of several: one failing stops none, 1 over 0 over 3, one document" {
    expect 0 drunner install dtest
    expect 0 drunner install dtest two
    expect 0 drunner install helloworld
    expect 3 drunner update --all
    "$DOCKER" tag dtest-2 dtest
    DTEST_FAIL=updateend expect 1 drunner update --all --json
    equals 1 "$(jq --slurp length <<<"$output")"
    equals '["failed","unchanged","failed"]' "$(jq -c '[.services[].result]' <<<"$output")"
    equals true "$(jq '.services[0].error.rolled_back' <<<"$output")"
    expect 3 drunner update --all
    contains "$output" "failed before"
    expect 0 drunner update two helloworld
    contains "$output" updated
    expect 1 drunner update nosuch dtest --json
    equals '["failed","updated"]' "$(jq -c '[.services[].result]' <<<"$output")"
    expect 3 drunner update --all
    refused "one service" drunner update --all --image dtest
    refused "exclude" drunner update --all dtest
    refused "needs" drunner update
}
