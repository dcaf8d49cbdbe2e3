#!/usr/bin/env bats
# The playbook of every service, and the role, between hosts: each has an engine with networks, a
# prefix and an interpreter of its own that knows both.

# shellcheck disable=SC2154 # stderr is set by run

load harness
load own_engine
load ansible

setup_file() {
    ansible_setup
    local host
    for host in new old; do
        own_engine_start
        export "${host}_OWN=$OWN" "${host}_HOST=$DOCKER_HOST"
    done
    DOCKER=$DOCKER "$ROOT/scripts/base-image" --with redis-check-rdb=redis-server --with redis-cli \
        "$BASE_IMAGE-redis" >/dev/null
    export ENGINE=$DOCKER_HOST
    BASE_IMAGE=$BASE_IMAGE-redis build_directory "$ROOT/services/redis" redis
    for name in helloworld simplesecrets dtest blocks; do
        build_directory "$ROOT/services/$name" "$name"
    done
    build_directord
}

teardown_file() {
    # shellcheck disable=SC2154
    OWN=$old_OWN own_engine_stop
    # shellcheck disable=SC2154
    OWN=$new_OWN own_engine_stop
}

# A host for Ansible: what its modules run gets this prefix and engine.
make_host() { # NAME ENGINE
    mkdir -p "$PWD/$1/usr/local/bin" "$PWD/$1/etc/drunner"
    cp "$DRUNNER_PREFIX/etc/drunner/config.sh" "$1/etc/drunner/"
    printf '#!/bin/bash\nDRUNNER_PREFIX=%q DOCKER_HOST=%q exec /usr/bin/python3 "$@"\n' \
        "$PWD/$1" "$2" >"$1/python"
    chmod +x "$1/python"
    printf '[%s]\n%s ansible_connection=local ansible_become=false ansible_python_interpreter=%q\n' \
        "$1" "$1-host" "$PWD/$1/python" >>inventory
}

on() { # HOST drunner|LAUNCHER ARGUMENTS...
    local engine=$1_HOST
    DRUNNER_PREFIX=$PWD/$1 DOCKER_HOST=${!engine} PATH=$BATS_TEST_TMPDIR/bin:$PWD/$1/usr/local/bin:$PATH "${@:2}"
}

changed_on() { # HOST
    jq --slurp "last.stats[\"$1-host\"].changed" <<<"$output"
}

play() {
    expect 0 env ANSIBLE_STDOUT_CALLBACK=ansible_document ansible-playbook -i inventory "$@" </dev/null
}

@test "the playbook of every service keeps it on one host and restores it on another" {
    # shellcheck disable=SC2154
    make_host old "$old_HOST"
    make_host new "$new_HOST"
    printf '{"redis_password": "open-sesame", "directord_key": "open-oats", "director_key": "open-rye", "backup_password": "open-barley", "backup_directory": "%s"}' \
        "$PWD/new" >vault.json
    # daos.bats has the images of daos-client, and plays it. All others are played here, new ones too.
    local directory playbooks=()
    for directory in "$ROOT"/services/*/; do
        if [[ $directory != */daos-client/ ]]; then playbooks+=("${directory}playbook.yml"); fi
    done
    play -e @vault.json "${playbooks[@]}"
    # A service, a backup, and its copy to take there; there was no newer image.
    equals 21 "$(changed_on old)"
    equals 14 "$(changed_on new)"
    equals "blocks director directord dtest helloworld redis simplesecrets" "$(on new drunner list --names | xargs)"
    contains "$(on new redis status)" "port: 0.0.0.0:26379"
    on new redis ask SET from new
    contains "$(on new directord status)" $'state: running\nnetwork: own\nauth: key\nclient: node1'
    contains "$(on new blocks status)" "port: 0.0.0.0:27777"
    play -e @vault.json "${playbooks[@]}"
    equals 0 "$(changed_on old)"
    equals 0 "$(changed_on new)"

    # What is newer is taken, on the old host only.
    copy=$(copy_of simplesecrets)
    echo '# another release' >>"$copy/drunner/servicerunner"
    build_directory "$copy" simplesecrets
    play "$ROOT/services/simplesecrets/playbook.yml" -e backup_directory="$PWD/new" -e backup_password=open-barley
    equals 1 "$(changed_on old)"
    equals 0 "$(changed_on new)"
    for host in old new; do
        for name in $(on "$host" drunner list --names); do
            on "$host" drunner obliterate --purge "$name"
        done
    done
}

@test "the role puts a drunner that is built on a host, once, and it works there" {
    cat >role.yml <<YAML
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: /usr/bin/python3}
  roles:
    - role: drunner.host.host
      host_binary: "$(readlink -f "$BATS_TEST_TMPDIR/bin/drunner")"
      host_engine: false
      host_update_cache: false
      host_directory: "$PWD/bin"
YAML
    mkdir bin
    expect 0 env ANSIBLE_STDOUT_CALLBACK=ansible_document ansible-playbook -i localhost, role.yml </dev/null
    expect 0 bin/drunner --version
    equals "root:root 755" "$(stat -c '%U:%G %a' bin/drunner)"
    expect 0 env ANSIBLE_STDOUT_CALLBACK=ansible_document ansible-playbook -i localhost, role.yml </dev/null
    equals 0 "$(jq .stats.localhost.changed <<<"$output")"
    sed -i '/host_binary/d' role.yml
    expect 2 env ANSIBLE_STDOUT_CALLBACK=ansible_document ansible-playbook -i localhost, role.yml </dev/null
    contains "$output" "host_binary or host_checkout must be given, and not both"
}
