# shellcheck shell=bash
# Registries that want to know who asks, in a network and mount namespace of their own with an
# engine: real ones (docker-registry) with passwords, behind TLS, and one that is Docker Hub to
# everybody in there, with a token service; and one that answers as it is told.
#
#   registries_start    from setup_file; exports what is below, and DOCKER_HOST
#   registries_stop     from teardown_file
#   inside COMMAND...   runs it in the namespace
#
# PLAIN      127.0.0.1:5000, passwords over HTTP
# PRIVATE    tls.test:5443, passwords over TLS; its CA is $REGISTRIES/private.pem
# HUB        docker.io, tokens over TLS, signed by a CA that everybody in there trusts
# ANSWERS    127.0.0.1:5001, what the files of $REGISTRIES/answers say
#
# All have team/app:1, whose digest is APP_DIGEST.

ACCOUNT=someone
PASSWORD='pass:word-5ecret'
IDENTITY=identity-5ecret
GUEST=guest
export ACCOUNT PASSWORD IDENTITY GUEST

inside() { # COMMAND...
    nsenter --target "$REGISTRIES_PID" --net --mount --wdns="$PWD" -- "$@"
}

registries_authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=$1 authority" -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

registries_certificate() { # AUTHORITY NAMES...
    local authority=$1 names
    shift
    names=$*
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
        -keyout "$1.key" -out request 2>/dev/null
    openssl x509 -req -in request -days 2 -CA "$authority.pem" -CAkey "$authority.key" \
        -CAcreateserial -extfile <(printf 'subjectAltName=DNS:%s\n' "${names// /,DNS:}") \
        -out "$1.pem" 2>/dev/null
}

registries_serve() { # NAME ADDRESS TLS AUTH: docker-registry on the storage that all share
    printf '%s\n' "version: 0.1" "log: {level: error}" \
        "storage: {filesystem: {rootdirectory: $REGISTRIES/storage}}" \
        "http: {addr: '$2', secret: none$3}" "auth: $4" >"$1.yml"
    OTEL_TRACES_EXPORTER=none nsenter --target "$REGISTRIES_PID" --net --mount -- \
        "$(world_program docker-registry registry)" serve "$REGISTRIES/$1.yml" \
        >"$1.log" 2>&1 </dev/null 3>&- 4>&- &
    printf '%s\n' $! >>pids
}

registries_peer() { # KIND ADDRESS PORT DIRECTORY
    nsenter --target "$REGISTRIES_PID" --net --mount -- \
        /usr/bin/python3 "$ROOT/tests/tools/registry_peer.py" "$@" \
        >"$1.out" 2>&1 </dev/null 3>&- 4>&- &
    printf '%s\n' $! >>pids
}

registries_namespace() {
    # A copy of /etc, so that hosts, CAs and certs.d can be what the tests need.
    cp -a /etc etc
    rm -rf etc/docker/certs.d
    mkdir -p etc/docker
    printf '127.0.0.1 localhost\n10.99.0.1 tls.test registry-1.docker.io\n10.99.0.2 auth.docker.io\n' \
        >etc/hosts
    cat hub.pem >>etc/ssl/certs/ca-certificates.crt
    # shellcheck disable=SC2016
    unshare --net --mount --propagation private bash -c 'ip link set lo up
        ip address add 10.99.0.1/32 dev lo
        ip address add 10.99.0.2/32 dev lo
        mount --bind "$1" /etc
        touch "$2"
        exec sleep infinity' bash "$REGISTRIES/etc" "$REGISTRIES/there" </dev/null 3>&- 4>&- &
    REGISTRIES_PID=$!
    printf '%s\n' $! >>pids
    until_true test -e there
}

registries_start() {
    local fake
    export REGISTRIES REGISTRIES_PID PLAIN=127.0.0.1:5000 PRIVATE=tls.test:5443 HUB=docker.io
    export ANSWERS=127.0.0.1:5001 APP_DIGEST
    REGISTRIES=$(mktemp -d "$WORLD/registries.XXXXXX")
    cd "$REGISTRIES" || return 1
    registries_authority hub
    registries_authority private
    registries_certificate hub registry-1.docker.io auth.docker.io
    registries_certificate private tls.test
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=tokens' -keyout sign.key \
        -out sign.pem 2>/dev/null
    cat registry-1.docker.io.pem registry-1.docker.io.key >tls.pem
    printf '%s\n' "basic $ACCOUNT:$PASSWORD yes" "basic $GUEST:$PASSWORD no" \
        "identity $IDENTITY yes" >accounts
    # bcrypt is all that a registry takes.
    # shellcheck disable=SC2016
    printf '%s:%s\n' "$ACCOUNT" "$(printf '%s' "$PASSWORD" |
        perl -e 'print crypt(<STDIN>, q($2b$05$abcdefghijklmnopqrstuu))')" >htpasswd
    mkdir answers
    printf '403\n' >answers/forbidden
    printf '429\nRetry-After: 3600\n' >answers/busy
    printf '429\nRetry-After: 0\n' >answers/hasty
    registries_namespace
    registries_serve plain "$PLAIN" "" "{htpasswd: {realm: plain, path: $REGISTRIES/htpasswd}}"
    registries_serve private 10.99.0.1:5443 \
        ", tls: {certificate: $REGISTRIES/tls.test.pem, key: $REGISTRIES/tls.test.key}" \
        "{htpasswd: {realm: private, path: $REGISTRIES/htpasswd}}"
    registries_serve hub 10.99.0.1:443 \
        ", tls: {certificate: $REGISTRIES/registry-1.docker.io.pem, key: $REGISTRIES/registry-1.docker.io.key}" \
        "{token: {realm: 'https://auth.docker.io/token', service: registry.docker.io, issuer: tokens, rootcertbundle: $REGISTRIES/sign.pem}}"
    registries_peer tokens 10.99.0.2 443 "$REGISTRIES"
    registries_peer answers 127.0.0.1 5001 "$REGISTRIES/answers"
    OWN_NAMESPACE=$REGISTRIES_PID own_engine_start
    export ENGINE=$DOCKER_HOST
    build_directory "$ROOT/services/helloworld" "$PLAIN/team/app:1"
    login_file "$REGISTRIES/pusher" "$(auths "$PLAIN" "$ACCOUNT" "$PASSWORD")"
    DOCKER_CONFIG=$REGISTRIES/pusher "$DOCKER" push --quiet "$PLAIN/team/app:1" >/dev/null
    APP_DIGEST=$("$DOCKER" image inspect --format '{{index .RepoDigests 0}}' "$PLAIN/team/app:1")
    APP_DIGEST=${APP_DIGEST##*@}
    "$DOCKER" rmi "$PLAIN/team/app:1" >/dev/null
    until_true grep -q ready tokens.out
    until_true grep -q ready answers.out
    for fake in 10.99.0.1:5443 10.99.0.1:443; do
        until_true inside curl -ks "https://$fake/v2/"
    done
}

registries_stop() {
    own_engine_stop
    local pid
    while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$REGISTRIES/pids"
}

# ---- what an operator has ------------------------------------------------------------------------

# The entries of "auths" for one registry.
auths() { # KEY NAME PASSWORD
    jq -n --arg key "$1" --arg auth "$(printf '%s:%s' "$2" "$3" | base64 -w0)" \
        '{auths: {($key): {auth: $auth}}}'
}

login_file() { # DIRECTORY TEXT
    mkdir -p "$1"
    printf '%s\n' "$2" >"$1/config.json"
}

# A credential helper on PATH: what it does for "get", with the address in $address.
helper() { # NAME COMMANDS
    # shellcheck disable=SC2016
    printf '#!/bin/bash\nread -r address\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/docker-credential-$1"
    chmod +x "$BATS_TEST_TMPDIR/bin/docker-credential-$1"
}
