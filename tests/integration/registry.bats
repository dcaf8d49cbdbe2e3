#!/usr/bin/env bats
# Registries that want to know who asks: what docker login, credential helpers and certs.d leave on a
# host, with what "registry test" says of it and what an install does with it. Whatever happens, no
# credential is in an argument list, in a log, in the audit trail or in what drunner prints.

load harness
load own_engine
load registries
# shellcheck source=tests/integration/world.bash
source "$BATS_TEST_DIRNAME/world.bash"

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"
eval "$(declare -f setup | sed '1s/setup/harness_setup/')"

setup_file() {
    registries_start
    # These two wait for as long as a helper may take, so they do it while the others are tested.
    mkdir -p "$REGISTRIES/slow/bin"
    login_file "$REGISTRIES/slow" '{"credsStore": "slow"}'
    printf '#!/bin/bash\nexec sleep 300\n' >"$REGISTRIES/slow/bin/docker-credential-slow"
    chmod +x "$REGISTRIES/slow/bin/docker-credential-slow"
    local words
    for words in "registry test" install; do
        (
            # shellcheck disable=SC2086  # two words
            DRUNNER_PREFIX=$REGISTRIES/slow/prefix DOCKER_CONFIG=$REGISTRIES/slow \
                PATH=$REGISTRIES/slow/bin:$PATH inside "$DRUNNER_BINARY" $words "$PLAIN/team/app:1" \
                >"$REGISTRIES/slow/$words.out" 2>"$REGISTRIES/slow/$words.err" ||
                printf '%s\n' $? >"$REGISTRIES/slow/$words.code"
        ) </dev/null 3>&- 4>&- &
    done
}

teardown_file() {
    rows_print
    registries_stop
}

setup() {
    harness_setup
    export DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker
    mkdir -p "$DOCKER_CONFIG"
    : >"$BATS_TEST_TMPDIR/said"
}

teardown() {
    local leaked=0
    no_secret || leaked=1
    row_end
    harness_teardown
    return "$leaked"
}

# Every word that drunner wrote, logged, or gave to a program, against every spelling of a secret.
no_secret() {
    local secret found=0
    for secret in "$PASSWORD" "$IDENTITY" 5ecret \
        "$(printf '%s:%s' "$ACCOUNT" "$PASSWORD" | base64 -w0)" \
        "$(printf '%s' "$PASSWORD" | base64 -w0)" eyJ; do
        if grep -rnF -e "$secret" "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR"/exec.* \
            "$DRUNNER_PREFIX" 2>/dev/null; then
            printf 'a secret was shown\n'
            found=1
        fi
    done
    return "$found"
}

# Runs drunner in the namespace, with each program that it starts written down, and demands an exit
# code. $output and $stderr are what it printed.
asked() { # CODE ARGUMENTS...
    local code=$1
    shift
    run --separate-stderr inside strace -ff -qq -s 65536 -e trace=execve \
        -o "$BATS_TEST_TMPDIR/exec" "$DRUNNER_BINARY" "$@"
    printf '%s\n' "$output" "$stderr" >>"$BATS_TEST_TMPDIR/said"
    if [[ $status != "$code" ]]; then
        printf '%s: exit %s, not %s\n%s\n%s\n' "$*" "$status" "$code" "$output" "$stderr"
        return 1
    fi
}

# The registry has it, for these credentials, and the engine pulls it with them.
let_in() { # REFERENCE SOURCE
    asked 0 registry test "$1"
    contains "$output" "$APP_DIGEST"
    contains "$stderr" "$2"
    asked 0 --json registry test "$1"
    equals "$APP_DIGEST" "$(jq -r .digest <<<"$output")"
    equals true "$(jq -r .with_credentials <<<"$output")"
    asked 0 -v install "$1" let-in
    asked 3 -v update let-in
    [[ -s $DRUNNER_PREFIX/var/log/drunner/audit.log ]]
    env -u DOCKER_HOST "$DRUNNER_BINARY" obliterate --purge let-in
    "$DOCKER" rmi "$1" >/dev/null
}

# Neither has it, and both say so, with the way out; nothing is left of the install.
kept_out() { # REFERENCE KIND WORDS NEXT [WORDS-OF-INSTALL NEXT-OF-INSTALL]
    local before
    before=$(snapshot)
    asked 1 registry test "$1"
    says "$3"
    names_next "$4"
    asked 1 --json registry test "$1"
    equals "$2" "$(jq -r .error.kind <<<"$output")"
    asked 1 -v install "$1" kept-out
    says "${5-$3}"
    names_next "${6-$4}"
    same "$before" "$(snapshot)"
}

@test "no config.json" {
    row "no config.json" "401, next: docker login"
    kept_out "$PLAIN/team/app:1" registry-denied \
        "wants credentials .* there are none in '$DOCKER_CONFIG/config.json'" \
        "docker login $PLAIN" "there are no credentials for '$PLAIN'"
}

@test "auths that are right, also for a digest and for a tag with one" {
    row "auths, right; by tag, by digest, by both" "found; installed"
    login_file "$DOCKER_CONFIG" "$(auths "$PLAIN" "$ACCOUNT" "$PASSWORD")"
    let_in "$PLAIN/team/app:1" "the credentials from auths in '$DOCKER_CONFIG/config.json'"
    local digest=$PLAIN/team/app@$APP_DIGEST
    asked 0 registry test "$digest"
    asked 0 registry test "$PLAIN/team/app:1@$APP_DIGEST"
    asked 0 install "$digest" by-digest
    env -u DOCKER_HOST "$DRUNNER_BINARY" obliterate --purge by-digest
    "$DOCKER" rmi "$digest" >/dev/null
    asked 0 install "$PLAIN/team/app:1@$APP_DIGEST" by-both
    env -u DOCKER_HOST "$DRUNNER_BINARY" obliterate --purge by-both
    "$DOCKER" rmi "$digest" >/dev/null
    kept_out "$PLAIN/team/app@sha256:$(printf '0%.0s' {1..64})" image-not-found \
        "does not have it" "docker push" "manifest unknown|not found"
}

@test "auths with a wrong password" {
    row "auths, wrong password" "401, names config.json, next: docker login"
    login_file "$DOCKER_CONFIG" "$(auths "$PLAIN" "$ACCOUNT" "not-the-$PASSWORD")"
    kept_out "$PLAIN/team/app:1" registry-denied \
        "does not accept the credentials from auths in '$DOCKER_CONFIG/config.json'" \
        "docker login $PLAIN" "unauthorized"
}

@test "auths for every alias of docker.io, by token" {
    row "auths for index.docker.io, registry-1.docker.io, docker.io" "token; found; installed"
    local key
    for key in https://index.docker.io/v1/ registry-1.docker.io; do
        login_file "$DOCKER_CONFIG" "$(auths "$key" "$ACCOUNT" "$PASSWORD")"
        asked 0 registry test "team/app:1"
        asked 0 registry test "index.docker.io/team/app:1"
    done
    login_file "$DOCKER_CONFIG" "$(auths docker.io "$ACCOUNT" "$PASSWORD")"
    let_in "team/app:1" "the credentials from auths in"
    login_file "$DOCKER_CONFIG" "$(auths https://index.docker.io/v1/ "$ACCOUNT" wrong)"
    kept_out "team/app:1" registry-denied "the token service of .* does not accept" \
        "docker login$" "unauthorized|incorrect|denied" "docker login"
}

@test "an account that may not pull" {
    row "auths of an account without access" "403, next: docker login --username ANOTHER"
    login_file "$DOCKER_CONFIG" "$(auths https://index.docker.io/v1/ "$GUEST" "$PASSWORD")"
    kept_out "team/app:1" registry-denied "does not let the account of auths in" \
        "docker login --username ANOTHER" "denied"
    kept_out "$ANSWERS/forbidden/app:1" registry-denied "wants credentials" \
        "docker login $ANSWERS" "403|denied"
}

@test "credsStore" {
    row "credsStore" "found; installed"
    login_file "$DOCKER_CONFIG" '{"credsStore": "vault"}'
    helper vault 'if [[ $address == '"$PLAIN"' ]]; then printf "{\"Username\":\"%s\",\"Secret\":\"%s\"}" '"'$ACCOUNT' '$PASSWORD'"'; else echo credentials not found; exit 1; fi'
    let_in "$PLAIN/team/app:1" \
        "the credentials from docker-credential-vault, credsStore in '$DOCKER_CONFIG/config.json'"
    grep -rq docker-credential-vault "$BATS_TEST_TMPDIR"/exec.*
}

@test "credHelpers for one host only" {
    row "credHelpers for that host only" "found; another host: 401, next: docker login"
    login_file "$DOCKER_CONFIG" "{\"credHelpers\": {\"$PLAIN\": \"one\"}}"
    helper one "printf '{\"Username\":\"$ACCOUNT\",\"Secret\":\"$PASSWORD\"}'"
    let_in "$PLAIN/team/app:1" "docker-credential-one, credHelpers in"
    mkdir -p "$REGISTRIES/etc/docker/certs.d/$PRIVATE"
    cp "$REGISTRIES/private.pem" "$REGISTRIES/etc/docker/certs.d/$PRIVATE/ca.crt"
    kept_out "$PRIVATE/team/app:1" registry-denied "there are none in" "docker login $PRIVATE" \
        "there are no credentials for '$PRIVATE'"
    rm -r "$REGISTRIES/etc/docker/certs.d"
}

@test "a helper that is not on PATH" {
    row "helper not on PATH" "names helper and file, next: command -v"
    login_file "$DOCKER_CONFIG" '{"credsStore": "nowhere"}'
    kept_out "$PLAIN/team/app:1" registry-denied \
        "credsStore in '$DOCKER_CONFIG/config.json': .*docker-credential-nowhere': it is not on PATH" \
        "command -v docker-credential-nowhere"
}

@test "a helper that fails, and one that prints garbage" {
    row "helper fails, or prints garbage" "names the helper, shows none of its words"
    login_file "$DOCKER_CONFIG" '{"credsStore": "bad"}'
    helper bad "echo $PASSWORD; echo $PASSWORD >&2; exit 7"
    kept_out "$PLAIN/team/app:1" registry-denied "'docker-credential-bad' failed with exit status 7" \
        "docker-credential-bad list"
    helper bad "echo '{\"Secret\": $PASSWORD'"
    kept_out "$PLAIN/team/app:1" registry-denied "'docker-credential-bad' did not answer in JSON" \
        "docker-credential-bad list"
}

@test "an identity token, in auths and from a helper" {
    row "identity token, in auths and from a helper" "exchanged; found; installed"
    login_file "$DOCKER_CONFIG" "$(jq -n --arg token "$IDENTITY" \
        '{auths: {"https://index.docker.io/v1/": {identitytoken: $token}}}')"
    let_in "team/app:1" "auths in"
    login_file "$DOCKER_CONFIG" '{"credsStore": "token"}'
    helper token "printf '{\"Username\":\"<token>\",\"Secret\":\"$IDENTITY\"}'"
    let_in "team/app:1" "docker-credential-token, credsStore in"
    helper token "printf '{\"Username\":\"<token>\",\"Secret\":\"stale-$IDENTITY\"}'"
    asked 1 registry test "team/app:1"
    says "the token service of .* does not accept the credentials from docker-credential-token"
}

@test "DOCKER_CONFIG elsewhere, and HOME" {
    row "DOCKER_CONFIG elsewhere, else HOME/.docker" "found; installed"
    login_file "$BATS_TEST_TMPDIR/else where" "$(auths "$PLAIN" "$ACCOUNT" "$PASSWORD")"
    DOCKER_CONFIG="$BATS_TEST_TMPDIR/else where" let_in "$PLAIN/team/app:1" \
        "auths in '$BATS_TEST_TMPDIR/else where/config.json'"
    login_file "$BATS_TEST_TMPDIR/home/.docker" "$(auths "$PLAIN" "$ACCOUNT" "$PASSWORD")"
    unset DOCKER_CONFIG
    HOME=$BATS_TEST_TMPDIR/home asked 0 registry test "$PLAIN/team/app:1"
    contains "$stderr" "auths in '$BATS_TEST_TMPDIR/home/.docker/config.json'"
}

@test "a config.json that cannot be read" {
    row "config.json malformed; an entry that is no base64" "names file and entry, next: jq, docker login"
    login_file "$DOCKER_CONFIG" "{\"auths\": {\"$PLAIN\": {\"auth\": \"$PASSWORD\""
    kept_out "$PLAIN/team/app:1" registry-denied "'$DOCKER_CONFIG/config.json' is not a JSON object" \
        "jq . $DOCKER_CONFIG/config.json"
    login_file "$DOCKER_CONFIG" "{\"auths\": {\"$PLAIN\": {\"auth\": \"?$PASSWORD\"}}}"
    kept_out "$PLAIN/team/app:1" registry-denied "an unusable entry for '$PLAIN'" \
        "docker login $PLAIN"
}

@test "TLS with a CA that nobody knows, and with certs.d" {
    row "TLS, unknown CA; then certs.d" "told as such, next: install CA.crt; then found"
    login_file "$DOCKER_CONFIG" "$(auths "$PRIVATE" "$ACCOUNT" "$PASSWORD")"
    kept_out "$PRIVATE/team/app:1" registry-unreachable "cannot trust registry '$PRIVATE'" \
        "install -D -m 644 CA.crt /etc/docker/certs.d/$PRIVATE/ca.crt" "x509.*unknown authority"
    install -D -m 644 "$REGISTRIES/private.pem" "$REGISTRIES/etc/docker/certs.d/$PRIVATE/ca.crt"
    let_in "$PRIVATE/team/app:1" "auths in"
    rm -r "$REGISTRIES/etc/docker/certs.d"
}

@test "404" {
    row "404" "image-not-found, next: docker push, or docker login"
    login_file "$DOCKER_CONFIG" "$(auths "$PLAIN" "$ACCOUNT" "$PASSWORD")"
    kept_out "$PLAIN/team/app:2" image-not-found "does not have it" \
        "docker push $PLAIN/team/app:2" "manifest unknown|not found"
    kept_out "$ANSWERS/absent/app:1" image-not-found "does not have it" "docker login $ANSWERS" \
        "not found|unknown|404"
}

@test "429" {
    row "429 with Retry-After, once with 0" "asks again; told how long, next: sleep"
    kept_out "$ANSWERS/busy/app:1" registry-unreachable "asks to come back in 3600 s" \
        "sleep 3600; drunner registry test $ANSWERS/busy/app:1" "oo ?many ?requests" "sleep 60"
    asked 1 registry test "$ANSWERS/hasty/app:1"
    says "has had too many requests"
    names_next "sleep 60; drunner registry test"
}

@test "a helper that does not end" {
    row "helper hangs" "ended after 30 s, named"
    local words
    for words in "registry test" install; do
        until_true test -e "$REGISTRIES/slow/$words.code" ||
            until_true test -e "$REGISTRIES/slow/$words.code"
        equals 1 "$(<"$REGISTRIES/slow/$words.code")"
        stderr=$(<"$REGISTRIES/slow/$words.err")
        says "'docker-credential-slow' did not answer in time"
        names_next "docker-credential-slow list"
    done
    equals "" "$(ls "$REGISTRIES/slow/prefix/var/lib/drunner/services" 2>/dev/null)"
}
