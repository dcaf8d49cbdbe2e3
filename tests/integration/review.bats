#!/usr/bin/env bats
# diff, trust and REVIEW: no script runs as root that nobody wanted to.

# shellcheck disable=SC2154 # stderr is set by run

load harness

digest() { # SERVICE IMAGE
    drunner diff "$1" "$2" --json | jq -r .sha256
}

pin() {
    configure HEALTHUPTIME=0 REVIEW=pin
}

@test "diff reads, and at most makes and removes a scratch container of its own" {
    expect 0 drunner install dtest
    rm -r "$DRUNNER_PREFIX/var/lib/drunner/images"
    forget_calls
    local before
    before=$(snapshot)
    proxy_start
    expect 0 drunner diff dtest dtest-2
    proxy_stop
    equals "" "$(changing_requests |
        grep -vE '^(POST [^ ]*/containers/create\?name=drunner-scratch-|DELETE [^ ]*/containers/[0-9a-f]{64}[?])' || true)"
    equals "" "$(requests | grep -E '/(start|exec|attach)' || true)"
    same "$before" "$(snapshot)"
    equals "" "$(calls)"
}

@test "the diff is one that patch understands, and its digest one that sha256sum makes" {
    local directory
    directory=$(copy_of dtest)
    sed -i 's/^    \*)$/    newword) echo new ;;\n    *)/; 3d' "$directory/drunner/servicerunner"
    sed -i 's#^USER druser#ENV COLOUR=green\nEXPOSE 8080\nUSER 4242:4242#' "$directory/Dockerfile"
    echo new >"$directory/drunner/another file"
    build_directory "$directory" changed
    expect 0 drunner install dtest
    expect 0 drunner diff dtest changed
    contains "$output" '+environment COLOUR=green'
    contains "$output" '+port 8080/tcp'
    contains "$output" '+user 4242:4242 (4242:4242)'
    contains "$output" '+    newword) echo new ;;'
    contains "$output" '+++ b/another file'
    cp -R "$DRUNNER_PREFIX/var/lib/drunner/services/dtest/drunner/." scripts
    rm scripts/variables.sh scripts/utils.sh
    sed '1,/^+++ b\/another file$/d; $d' <<<"$output" | sed -n '/^--- /,$p' >changes
    (cd scripts && patch -s -p1 <../changes)
    cmp scripts/servicerunner "$directory/drunner/servicerunner"

    local id
    id=$("$DOCKER" create changed true)
    "$DOCKER" cp "$id:/drunner" copy
    "$DOCKER" rm "$id" >/dev/null
    equals "$(digest dtest changed)" "$(cd copy && find . -type f -printf '%P\0' | LC_ALL=C sort -z |
        xargs -0 sha256sum | sha256sum | cut -d' ' -f1)"
    expect 3 drunner diff dtest
    expect 0 drunner diff nosuch changed
    contains "$output" '--- /dev/null'
    refused 'pulls nothing' drunner diff dtest "$REGISTRY/nosuch"
    refused 'not.*installed|no service' drunner diff nosuch
}

@test "pin: nothing runs that nobody accepted, and what was accepted does" {
    pin
    refused 'nobody accepted' drunner install dtest
    names_next 'drunner trust dtest --sha256 [0-9a-f]{64}'
    equals "" "$(calls)"
    local one two
    one=$(digest dtest dtest)
    two=$(digest dtest dtest-2)
    [[ $one != "$two" ]]
    refused 'not those that --accept-scripts' drunner install dtest "--accept-scripts=$two"
    SUDO_USER=alice expect 0 drunner install dtest "--accept-scripts=$one"
    expect 0 drunner inspect dtest
    equals "$one" "$(jq -r .scripts_sha256 <<<"$output")"
    equals "[\"$one\",\"alice\",0]" \
        "$(jq -c '.accepted_scripts[] | [.sha256, .sudo_user, .uid]' <<<"$output")"
    equals "$(sha256sum <"$ROOT/services/dtest/drunner/servicerunner" | cut -d' ' -f1)" \
        "$(jq -r '.accepted_scripts[0].files.servicerunner' <<<"$output")"
    expect 3 drunner update dtest

    "$DOCKER" tag dtest-2 dtest
    forget_calls
    refused 'nobody accepted' drunner update dtest
    equals "" "$(calls)"
    expect 1 drunner update --all
    names_next "drunner trust dtest --sha256 $two"
    equals "" "$(calls)"
    expect 0 drunner trust dtest --sha256 "sha256:$two"
    expect 3 drunner trust dtest --sha256 "$two"
    expect 0 drunner update dtest
    expect 0 drunner rollback dtest
    expect 0 drunner backup dtest b
    expect 0 drunner restore b copy
    refused 'no SHA-256' drunner trust dtest --sha256 abc
    refused 'needs --sha256' drunner trust dtest
}

@test "pin: a release of before is not gone back to, nothing restored or rebuilt, unaccepted" {
    expect 0 drunner install dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    local old
    old=$(digest dtest original/dtest)
    expect 0 drunner backup dtest b
    pin
    forget_calls
    refused 'nobody accepted' drunner rollback dtest
    refused 'nobody accepted' drunner restore b dtest --replace --image original/dtest
    equals "" "$(calls)"
    expect 0 drunner rollback dtest --accept-scripts "$old"
    # The installation that would vouch for them is lost.
    rm "$DRUNNER_PREFIX/var/lib/drunner/services/dtest/service.json"
    sed -i "/$old/d" "$DRUNNER_PREFIX/var/lib/drunner/accepted"
    forget_calls
    expect 1 drunner recover dtest
    says 'nobody accepted'
    equals "" "$(calls)"
    expect 0 drunner recover dtest --accept-scripts "$old"
}

@test "pin: a servicecfg.sh that needs bash is not evaluated before it is accepted" {
    pin
    proxy_start
    expect 1 drunner install needs-bash
    says 'nobody accepted'
    equals "" "$(requests | grep -E '/start' || true)"
}

@test "show: what is new is shown, and goes on" {
    configure HEALTHUPTIME=0 REVIEW=show
    expect 0 drunner install dtest
    contains "$stderr" '+++ b/servicerunner'
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    contains "$stderr" '--- a/version'
    [[ $stderr != *'+++ b/servicerunner'* ]]
    configure REVIEW=perhaps
    expect 1 drunner list
    says 'REVIEW.*off, show or pin'
    configure HEALTHUPTIME=0
}

@test "a script cannot hide behind what a terminal does with it" {
    local directory
    directory=$(copy_of helloworld)
    printf 'rm -rf /\e[2K\e[1A # \xe2\x80\xaeharmless\r\n' >>"$directory/drunner/servicerunner"
    build_directory "$directory" hiding
    expect 0 drunner install helloworld
    expect 0 drunner diff helloworld hiding
    contains "$output" '+rm -rf /\x1b[2K\x1b[1A # \xe2\x80\xaeharmless\x0d'
    [[ $output != *$'\e'* && $output != *$'\r'* && $output != *$'\u202e'* ]]
}
