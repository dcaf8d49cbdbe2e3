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
