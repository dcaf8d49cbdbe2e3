#!/usr/bin/env bats
# checkimage: each rule that is broken has its own message.

load harness

@test "the images of services/ pass" {
    local name
    for name in dtest helloworld simplesecrets; do
        expect 0 drunner checkimage "$name"
    done
}

@test "each broken rule has its own message" {
    local name
    : >messages
    for name in as-root no-servicerunner no-servicecfg volume-relative volume-collision \
        hostile-symlink hostile-setid hostile-fifo; do
        expect 1 drunner checkimage "$name"
        [[ -n $output$stderr ]]
        printf '%s\n' "$output" "$stderr" | sed "s/$name/IMAGE/g" | paste -sd ' ' >>messages
    done
    equals 8 "$(sort -u messages | wc -l)"
}

@test "checkimage changes nothing and runs nothing of the image" {
    local before
    before=$(snapshot)
    proxy_start
    expect 0 drunner checkimage dtest
    equals 0 "$(grep -c '/start' "$PROXY_RECORD" || true)"
    proxy_stop
    same "$before" "$(snapshot)"
}

@test "an image that is nowhere is 1" {
    refused nosuchimage drunner checkimage "$REGISTRY/nosuchimage"
}

# An image of what lies in a directory, without a build.
import_directory() { # DIRECTORY TAG
    tar -C "$1" -cf - . | "$DOCKER" --host "$ENGINE" import --change 'USER 5:5' - "$2" >/dev/null
}

# Refused, told without a control character, and with nothing left in /tmp.
is_refused() { # TEXT IMAGE-OR-DIRECTORY
    local before
    before=$(find /tmp -maxdepth 1 -name 'drunner-scripts-*')
    expect 1 drunner checkimage "$2"
    contains "$output" "$1"
    [[ $(tr -d '\n' <<<"$output$stderr") != *[[:cntrl:]]* ]]
    same "$before" "$(find /tmp -maxdepth 1 -name 'drunner-scripts-*')"
}

# The same mischief in an image and in a directory that one is built from.
mischief() { # TEXT
    printf 'FROM scratch\nCOPY drunner /drunner\nUSER 5:5\n' >m/Dockerfile
    import_directory m mischief
    is_refused "$1" mischief
    is_refused "$1" ./m
    rm -rf m
}

fresh() {
    mkdir -p m/drunner
    printf 'VOLUMES=()\n' >m/drunner/servicecfg.sh
    printf '#!/bin/bash\ntouch %q\n' "$PWD/canary" >m/drunner/servicerunner
}

@test "mischief in /drunner is refused, and nothing of it is run" {
    fresh
    mknod m/drunner/disk b 7 200
    mischief disk
    fresh
    chmod 6755 m/drunner/servicerunner
    mischief set-id
    fresh
    : >m/drunner/$'two\nlines\e]0;title\a'
    mischief 'control character'
    fresh
    rm -r m/drunner
    ln -s /etc m/drunner
    mischief drunner
    fresh
    truncate -s 100M m/drunner/servicerunner
    mischief '64.0 MiB'
    fresh
    ln -s /etc/shadow m/drunner/notes
    mischief notes
    [[ ! -e canary ]]
}

@test "a servicerunner of 2 GiB in a directory is refused without reading it all" {
    fresh
    truncate -s 2G m/drunner/servicerunner
    is_refused '64.0 MiB' ./m
}

@test "a servicecfg.sh that does something is not run on the host" {
    fresh
    # The first line is one that bash would expand.
    printf 'VOLUMES=("/data$(touch %q)")\necho x >/etc/drunner-was-here\n' "$PWD/canary" \
        >m/drunner/servicecfg.sh
    import_directory m mischief
    is_refused 'needs bash at line 1' mischief
    expect 0 drunner checkimage ./m
    contains "$output" '[config-is-data]'
    contains "$output" '[host-files-unchanged]'
    [[ ! -e canary && ! -e /etc/drunner-was-here ]]
}

@test "what a script says of itself does not reach the terminal as it is" {
    fresh
    printf 'docker run --security-opt \e[2J\a=unconfined x\n' >>m/drunner/servicerunner
    printf 'USER root\n' >m/Dockerfile
    run --separate-stderr drunner checkimage ./m
    [[ $status == 0 ]]
    contains "$output" '\x1b[2J\x07=unconfined'
    [[ $(tr -d '\n' <<<"$output$stderr") != *[[:cntrl:]]* ]]
    run --separate-stderr drunner checkimage ./m --sarif
    [[ $(tr -d '\n' <<<"$output") != *[[:cntrl:]]* ]]
    jq -e .runs <<<"$output" >/dev/null
}

@test "a directory that an image is built from: what only the image tells is not judged" {
    DOCKER_HOST=unix:///nosuch expect 0 drunner checkimage "$ROOT/services/helloworld" --level 8
    contains "$output" 'not judged, only the image itself tells: '
    [[ ${lines[-1]} == *"reaches level 8 of 8"* ]]
    mkdir empty
    refused 'neither a Dockerfile' drunner checkimage ./empty
}

@test "--level is a gate, and the last line says the level" {
    copy=$(copy_of simplesecrets)
    printf 'eval "$1"\n' >>"$copy/drunner/servicerunner"
    build_directory "$copy" evaluator
    expect 0 drunner checkimage evaluator
    [[ ${lines[-1]} == "'evaluator' reaches level 1 of 8"* ]]
    contains "$output" "servicerunner:$(wc -l <"$copy/drunner/servicerunner"): error: "
    contains "$output" 'can be a service'
    expect 0 drunner checkimage evaluator --level 1
    expect 1 drunner checkimage evaluator --level 2
    equals 1 "$(jq .level < <(drunner checkimage evaluator --json))"
    refused 'no level' drunner checkimage evaluator --level 9
}

@test "shellcheck and bash -n read the scripts" {
    copy=$(copy_of helloworld)
    printf 'if true; then\n' >>"$copy/drunner/servicerunner"
    build_directory "$copy" unended
    expect 1 drunner checkimage unended --level 2
    contains "$output" '[bash-syntax]'
    contains "$output" '[shellcheck-errors]'
}

@test "--from compares with an earlier release, and so does what is installed" {
    build_with_config app:1 'VOLUMES=("/a" "/b")'
    build_with_config app:2 'VOLUMES=("/b")'
    expect 0 drunner checkimage app:2
    [[ $output != *none-left-out\]* ]]
    expect 1 drunner checkimage app:2 --from app:1 --level 3
    contains "$output" "the volume '/a' of 'app:1' is gone from VOLUMES [none-left-out]"
    expect 0 drunner install app:1
    expect 1 drunner checkimage app:2 --level 3
    contains "$output" '[none-left-out]'
}

@test "what the image has at a volume's path is looked at" {
    expect 0 drunner checkimage root-owned-directory
    contains "$output" '[directories-owned]'
    contains "$output" '[directories-empty]'
}

@test "the rules can be listed and explained" {
    expect 0 drunner checkimage --rules
    ((${#lines[@]} >= 90))
    equals "${#lines[@]}" "$(drunner checkimage --rules --json | jq '.rules | length')"
    expect 0 drunner checkimage --explain no-eval
    contains "$output" 'why: '
    contains "$output" 'fix: '
    refused 'there is no rule' drunner checkimage --explain nosuch
    refused 'takes an image' drunner checkimage
}

@test "--sarif is one document with a result for each finding" {
    expect 1 drunner checkimage as-root --sarif
    equals 2.1.0 "$(jq -r .version <<<"$output")"
    equals "$(drunner checkimage as-root --json | jq '.findings | length')" \
        "$(jq '.runs[0].results | length' <<<"$output")"
    expect 1 drunner checkimage as-root --sarif --json
    equals usage "$(jq -r .error.kind <<<"$output")"
}
