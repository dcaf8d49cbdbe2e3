#!/usr/bin/env bats
# The services of services/ that run: a game server and a database, on an engine with networks.

load harness
load own_engine

setup_file() {
    own_engine_start
    DOCKER=$DOCKER "$ROOT/scripts/base-image" --with redis-check-rdb=redis-server --with redis-cli \
        "$BASE_IMAGE-redis" >/dev/null
    export ENGINE=$DOCKER_HOST
    BASE_IMAGE=$BASE_IMAGE-redis build_directory "$ROOT/services/redis" redis
    build_directory "$ROOT/services/blocks" blocks
}

teardown_file() {
    own_engine_stop
}

# The host that ports are published on is the engine's namespace.
on_host() { # COMMAND...
    nsenter --net --target "$(<"$OWN/pid")" "$@"
}

# Says these lines to a published port, and prints what comes back.
talk() { # PORT LINES...
    # shellcheck disable=SC2016
    on_host timeout 20 bash -c \
        'exec 3<>"/dev/tcp/127.0.0.1/$1"; printf "%s\r\n" "${@:2}" >&3; cat <&3' bash "$@" | tr -d '\r'
}

play() { # PORT LINES...
    talk "$@" quit
}

row_of() { # NUMBER, of the world on stdin
    sed -n "$(($1 + 1))p"
}

saving() {
    blocks status | sed -n 's/^saving: //p'
}

@test "blocks lives a whole life" {
    passes 8 blocks
}

@test "redis lives a whole life" {
    passes 8 redis
}

@test "blocks: start and stop, the port that was asked for, players" {
    expect 0 drunner install blocks
    expect 3 blocks start
    expect 0 drunner configure blocks PORT=27777
    expect 0 blocks stop
    expect 3 blocks stop
    expect 0 blocks status
    equals "state: stopped" "$output"
    expect 0 blocks start
    contains "$(blocks status)" "port: 0.0.0.0:27777"
    contains "$(play 27777 'put 3 1 x')" "put x at 3 1"
    equals "...x............................" "$(blocks look | row_of 1)"
    # Nonsense is answered, and harms nobody.
    play 27777 'put 99 1 x' 'put 3 1 /' 'save-off' '$(reboot)' "$(head -c 500 /dev/zero | tr '\0' x)" >answers
    equals bye "$(tail -n 1 answers)"
    equals on "$(saving)"
    equals "blocks: 1" "$(blocks status | grep blocks:)"
    # What is said reaches who is there.
    on_host bash -c 'exec 3<>/dev/tcp/127.0.0.1/27777; read -r line <&3; touch there
        until [[ -e said ]]; do sleep 0.1; done; echo look >&3; echo quit >&3; cat <&3' >heard 3>&- 4>&- &
    until_true test -e there
    expect 0 blocks say "the server goes down at noon"
    expect 1 blocks say
    touch said
    wait $!
    grep -qx "the server goes down at noon" heard
    # A stop loses nothing.
    expect 0 blocks stop
    expect 0 blocks start
    equals "...x............................" "$(blocks look | row_of 1)"
    # The copy of a drill does not want the port.
    expect 0 drunner backup blocks b.tar.zst
    expect 0 drunner drill blocks b.tar.zst
}

@test "blocks: the world holds still while it is backed up, and comes back as it was then" {
    local volume
    expect 0 drunner install blocks
    volume=$(mount_point drunner-blocks-world)
    "$DOCKER" exec blocks sh -c 'printf "put 0 0 a\nquit\n" | nc 127.0.0.1 7777' >/dev/null
    until_true grep -q '^a' "$volume/map"
    # More than any buffer on the way: the backup stands still until somebody reads it.
    head -c 8000000 /dev/urandom >"$volume/scenery"
    mkfifo pipe
    drunner backup blocks - >pipe 2>backup.log 3>&- 4>&- &
    exec 5<pipe
    until_true eval '[[ $(saving) == off ]]'
    "$DOCKER" exec blocks sh -c 'printf "put 1 0 b\nquit\n" | nc 127.0.0.1 7777' >/dev/null
    equals ab "$(blocks look | row_of 0 | cut -c1-2)"
    equals a. "$(head -c 2 "$volume/map")"
    cat <&5 >b.tar.zst
    exec 5<&-
    wait $!
    equals on "$(saving)"
    until_true grep -q '^ab' "$volume/map"
    expect 0 drunner restore b.tar.zst earlier
    equals a. "$(earlier look | row_of 0 | cut -c1-2)"
}

@test "blocks: a world that cannot be written is in no backup, and saving is on again" {
    local volume
    expect 0 drunner install blocks
    volume=$(mount_point drunner-blocks-world)
    chown 0:0 "$volume"
    expect 1 drunner backup blocks b.tar.zst
    says "backupstart"
    contains "$stderr" "cannot write its world down"
    [[ ! -e b.tar.zst ]]
    equals "saving is off saving is on" "$("$DOCKER" logs blocks 2>&1 | grep '^saving' | xargs)"
    equals on "$(saving)"
    chown 27777:27777 "$volume"
    expect 0 drunner backup blocks b.tar.zst
}

@test "blocks: a world goes out and comes in" {
    expect 0 drunner install blocks
    "$DOCKER" exec blocks sh -c 'printf "put 5 5 z\nquit\n" | nc 127.0.0.1 7777' >/dev/null
    mkdir out
    expect 0 blocks export out
    equals on "$(saving)"
    cmp out/map "$(mount_point drunner-blocks-world)/map"
    expect 0 drunner install blocks other
    expect 0 other stop
    expect 0 other import out
    expect 0 other start
    equals "$(blocks look)" "$(other look)"
    mkdir wrong
    echo nonsense >wrong/map
    expect 1 other import wrong
    expect 1 other import /nosuch
    equals "$(blocks look)" "$(other look)"
    equals "27777" "$(stat -c %u "$(mount_point drunner-other-world)/map")"
}

# How many keys there are, and one digest of all keys and values.
content_of() { # SERVICE
    "$1" ask DBSIZE
    # shellcheck disable=SC2016
    "$1" ask EVAL 'local keys = redis.call("KEYS", "*"); table.sort(keys); local all = {}
        for i, key in ipairs(keys) do all[i] = key .. "=" .. redis.call("GET", key) end
        return redis.sha1hex(table.concat(all, "\n"))' 0
}

@test "redis: ten thousand rows come back under another name" {
    local before
    printf 'pass "word" \\ of $many\n' >password
    expect 0 drunner install redis
    # Without a password nothing is published.
    expect 0 drunner configure redis PORT=26379 MAXMEMORY=80mb
    expect 0 redis stop
    expect 1 redis start
    contains "$stderr" "secrets missing: password"
    expect 0 drunner secret redis set password <password
    expect 0 redis start
    expect 3 redis start
    contains "$(redis status)" "port: 0.0.0.0:26379"
    equals 83886080 "$(redis ask CONFIG GET maxmemory | tail -n 1)"
    contains "$(talk 26379 PING QUIT)" "NOAUTH"
    contains "$(talk 26379 'AUTH "pass \"word\" \\ of $many"' PING QUIT)" "+PONG"
    # shellcheck disable=SC2016
    expect 0 redis ask EVAL 'for i = 1, 10000 do
        redis.call("SET", "row:" .. i, i .. ":" .. redis.sha1hex(i)) end' 0
    before=$(content_of redis)
    equals 10000 "$(head -n 1 <<<"$before")"
    # The password is in no command line, no environment and no description.
    [[ $("$DOCKER" inspect redis) != *'of $many'* ]]
    run -1 grep -aF 'of $many' "/proc/$("$DOCKER" inspect -f '{{.State.Pid}}' redis)"/{cmdline,environ}
    expect 0 drunner backup redis b.tar.zst
    # What came later is in no backup.
    expect 0 redis ask SET later yes
    expect 0 drunner obliterate redis --purge
    expect 0 drunner restore b.tar.zst again
    contains "$stderr" "before it has a password"
    equals "$before" "$(content_of again)"
    expect 0 again selftest
    # And on top of itself.
    expect 0 again ask FLUSHALL
    equals 0 "$(again ask DBSIZE)"
    expect 0 drunner restore b.tar.zst again --replace
    equals "$before" "$(content_of again)"
    expect 0 again stop
    expect 3 again stop
}

@test "redis: a dump that fails is no backup, and the server goes on" {
    local volume
    expect 0 drunner install redis
    expect 0 redis ask SET key value
    volume=$(mount_point drunner-redis-data)
    chown 0:0 "$volume"
    chmod 755 "$volume"
    expect 1 drunner backup redis b.tar.zst
    says "backupstart"
    contains "$stderr" "cannot save"
    [[ ! -e b.tar.zst ]]
    equals value "$(redis ask GET key)"
    chown 26379:26379 "$volume"
    expect 0 drunner backup redis b.tar.zst
}
