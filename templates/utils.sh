# shellcheck shell=bash disable=SC2016,SC2034
# Functions for servicerunner, written by drunner beside it and read after variables.sh. What a
# service has defined itself before it reads this file stays; what it defines afterwards wins too.

: "${ECODE:=$'\e'}" "${CODE_S:=${ECODE}[32m}" "${CODE_E:=${ECODE}[0m}"

# die MESSAGE [CODE]: says why on stderr, red on a terminal, and exits, 1 unless told otherwise.
declare -F die >/dev/null || die() {
    local red='' plain=''
    if [[ -t 2 && -z ${NO_COLOR-} ]]; then red=${ECODE}[31\;1m plain=${ECODE}[0m; fi
    printf '\n%s%s%s\n\n' "$red" "${1-}" "$plain" >&2
    exit "${2:-1}"
}

# require_settings [NAME...]: dies, naming every setting that SETTINGS declares as required, or that
# is named here, and that has no value.
declare -F require_settings >/dev/null || require_settings() {
    local name missing=()
    for name in ${REQUIREDSETTINGS[@]+"${REQUIREDSETTINGS[@]}"} "$@"; do
        if [[ -z ${!name-} ]]; then
            missing+=("$name")
        fi
    done
    if ((${#missing[@]})); then
        die "not configured: ${missing[*]}; next: drunner configure $SERVICENAME ${missing[0]}=VALUE"
    fi
}

# require_secrets [NAME...]: dies, naming every secret that the service needs, or that is named here,
# and that is not set.
declare -F require_secrets >/dev/null || require_secrets() {
    local name missing=()
    for name in ${REQUIREDSECRETS[@]+"${REQUIREDSECRETS[@]}"} "$@"; do
        if [[ ! -f $SECRETSDIR/$name/content ]] && ! elementIn "$name" ${missing[@]+"${missing[@]}"}; then
            missing+=("$name")
        fi
    done
    if ((${#missing[@]})); then
        die "secrets missing: ${missing[*]}; next: drunner secret $SERVICENAME set ${missing[0]} <FILE"
    fi
}

# mount_secret NAME [UID:GID [MODE [PATH]]]: adds to the array SECRETOPTS what lets docker run and
# docker create mount the secret read-only at PATH (/run/secrets/NAME) as a file of UID:GID (the
# image's user) with MODE (0400). A mount shows owner and mode of the host's file, so each owner and
# mode has a file of its own beside the secret, in a directory that only root enters.
SECRETOPTS=()
declare -F mount_secret >/dev/null || mount_secret() {
    [[ $# -ge 1 && $# -le 4 ]] || die "mount_secret takes NAME, UID:GID, MODE and PATH."
    local owner=${2:-$IMAGEUSER} mode=${3:-0400} path=${4:-/run/secrets/$1} content file
    [[ $owner =~ ^[0-9]+:[0-9]+$ ]] || die "mount_secret: '$owner' is not UID:GID in numbers."
    [[ $mode =~ ^0?[0-7]{3}$ ]] || die "mount_secret: '$mode' is no mode."
    content=$SECRETSDIR/$1/content
    file=$SECRETSDIR/$1/${owner/:/-}-$mode
    if [[ ! -f $content ]]; then
        die "secrets missing: $1; next: drunner secret $SERVICENAME set $1 <FILE"
    fi
    if ! cmp -s "$content" "$file"; then
        {
            install -o "${owner%:*}" -g "${owner#*:}" -m "$mode" "$content" "$file.$BASHPID" &&
                mv -f "$file.$BASHPID" "$file"
        } || die "mount_secret: could not write $file."
    fi
    SECRETOPTS+=(--mount "type=bind,source=$file,target=$path,readonly")
}

# swarm_secret NAME: gives the secret to the Swarm that the engine manages, where it is not there
# yet, and sets SWARMSECRET to its name there, for docker service create --secret. Never makes a
# Swarm. What is there changes with the secret, so a service is to be updated to the new name.
declare -F swarm_secret >/dev/null || swarm_secret() {
    [[ $# -eq 1 ]] || die "swarm_secret takes a name."
    local content=$SECRETSDIR/$1/content state
    state=$(docker info --format '{{.Swarm.LocalNodeState}}/{{.Swarm.ControlAvailable}}') ||
        die "swarm_secret: the engine does not answer."
    if [[ $state != active/true ]]; then
        die "the engine manages no Swarm (it is '${state%/*}'), and $SERVICENAME does not make one; next: docker swarm init"
    fi
    if [[ ! -f $content ]]; then
        die "secrets missing: $1; next: drunner secret $SERVICENAME set $1 <FILE"
    fi
    # A Swarm's secret cannot be changed: this one is told from the next by its file.
    SWARMSECRET=drunner-$SERVICENAME-$1-$(stat -c '%Y-%i' "$content")
    if ((${#SWARMSECRET} > 64)); then
        die "the names of the service and of its secret '$1' are too long for a Swarm."
    fi
    if ! docker secret inspect "$SWARMSECRET" >/dev/null 2>&1; then
        docker secret create --label "drunner.secrets=$HOSTNAME:$SECRETSDIR" "$SWARMSECRET" - \
            <"$content" >/dev/null || die "swarm_secret: the Swarm does not take '$1'."
    fi
}

# remove_swarm_secrets: takes away what swarm_secret gave to the Swarm; nothing where there is none.
declare -F remove_swarm_secrets >/dev/null || remove_swarm_secrets() {
    local ids
    if [[ $(docker info --format '{{.Swarm.ControlAvailable}}') == true ]]; then
        mapfile -t ids < <(docker secret ls -q --filter "label=drunner.secrets=$HOSTNAME:$SECRETSDIR")
        if ((${#ids[@]})); then
            docker secret rm "${ids[@]}" >/dev/null
        fi
    fi
}

# elementIn WORD ARRAY...: is WORD one of the others?
declare -F elementIn >/dev/null || elementIn() {
    local word=$1 element
    shift
    for element in "$@"; do
        if [[ $element == "$word" ]]; then
            return 0
        fi
    done
    return 1
}

# isHook WORD: is it the name of a hook of VERSION=2?
declare -F isHook >/dev/null || isHook() {
    case ${1-} in
        install_end | backup_start | backup_end | restore_start | restore_end | \
            uninstall_start | obliterate_start | servicecmd_start | servicecmd_end | \
            update_start | update_end | enter_start | enter_end | status_start | status_end)
            return 0
            ;;
        *) return 1 ;;
    esac
}

# One field of the container of exactly this name: docker itself takes the beginning of an ID too,
# and podman writes names without the slash.
_drunner_container_field() {
    local shown
    shown=$(docker container inspect --format "{{.Name}} {{$2}}" "$1" 2>/dev/null) || return 1
    shown=${shown#/}
    [[ ${shown%% *} == "$1" ]] || return 1
    printf '%s\n' "${shown#* }"
}

# container_exists NAME, container_running NAME (also paused), container_paused NAME
declare -F container_exists >/dev/null || container_exists() {
    [[ $# -eq 1 ]] || die "container_exists takes one name."
    _drunner_container_field "$1" .State.Running >/dev/null
}
declare -F container_running >/dev/null || container_running() {
    [[ $# -eq 1 ]] || die "container_running takes one name."
    [[ $(_drunner_container_field "$1" .State.Running) == true ]]
}
declare -F container_paused >/dev/null || container_paused() {
    [[ $# -eq 1 ]] || die "container_paused takes one name."
    [[ $(_drunner_container_field "$1" .State.Paused) == true ]]
}

# run_container NAME ARGS...: docker run -d ARGS as the service's container NAME, unless that runs;
# one that stands still is made anew. For the service's own image, ARGS begin with DOCKEROPTS.
declare -F run_container >/dev/null || run_container() {
    [[ $# -ge 2 ]] || die "run_container takes a name and what docker run takes."
    local name=$1
    shift
    if container_running "$name"; then
        return 0
    fi
    remove_container "$name"
    docker run -d --name "$name" --label "drunner.service=$SERVICENAME" "$@" >/dev/null
}

# join_container TARGET WHAT NAME ARGS...: the same in the namespaces of the container TARGET: WHAT
# is pid, network, or both as pid,network. One that runs already stays, unless TARGET is not the one
# that it joined, or was started again since: then it is made anew.
declare -F join_container >/dev/null || join_container() {
    [[ $# -ge 4 ]] || die "join_container takes a target, pid or network, a name, and what docker run takes."
    local target=$1 name=$3 options=() part parts joins
    IFS=, read -ra parts <<<"$2"
    for part in "${parts[@]}"; do
        elementIn "$part" pid network || die "join_container: '$part' is neither pid nor network."
        options+=("--$part" "container:$target")
    done
    shift 3
    container_running "$target" || die "join_container: $target does not run."
    joins="$2 $(_drunner_container_field "$target" '.Id') $(_drunner_container_field "$target" '.State.StartedAt')"
    if [[ $(_drunner_container_field "$name" 'index .Config.Labels "drunner.joins"') != "$joins" ]]; then
        remove_container "$name"
    fi
    run_container "$name" "${options[@]}" --label "drunner.joins=$joins" "$@"
}

# wait_for SECONDS COMMAND...: runs the command until it succeeds; fails when the time is over.
declare -F wait_for >/dev/null || wait_for() {
    [[ $# -ge 2 ]] || die "wait_for takes seconds and a command."
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            return 1
        fi
        sleep 0.2
    done
}

# stop_containers NAME...: stops those that run, one after the other: joiners before their target.
declare -F stop_containers >/dev/null || stop_containers() {
    local name
    for name in "$@"; do
        if container_running "$name"; then
            docker stop "$name" >/dev/null || return 1
        fi
    done
}

# remove_container NAME: it and its anonymous volumes; fine where there is none.
declare -F remove_container >/dev/null || remove_container() {
    [[ $# -eq 1 ]] || die "remove_container takes one name."
    if container_exists "$1"; then
        docker rm --force --volumes "$1" >/dev/null || ! container_exists "$1"
    fi
}

# volumeexists NAME
declare -F volumeexists >/dev/null || volumeexists() {
    [[ $# -eq 1 ]] || die "volumeexists takes one name."
    [[ $(docker volume inspect --format '{{.Name}}' "$1" 2>/dev/null) == "$1" ]]
}

# dockerrun [ARGS...]: a container of the service's image with its volumes, removed afterwards. It
# takes stdin, and has a terminal where the caller has one; its exit code is the container's.
declare -F dockerrun >/dev/null || dockerrun() {
    local options=(--rm -i)
    if [[ -t 0 && -t 1 ]]; then
        options+=(-t)
    fi
    docker run "${options[@]}" ${DOCKEROPTS[@]+"${DOCKEROPTS[@]}"} "$IMAGENAME" "$@"
}

# A container of the service's image that runs the shell script $1 with the argument $2, past any
# entrypoint: what that prints must not get into a tar.
_drunner_volume_shell() {
    docker run --rm -i ${DOCKEROPTS[@]+"${DOCKEROPTS[@]}"} --entrypoint /bin/sh "$IMAGENAME" \
        -c "$1" sh "$2"
}

# utils_import HOSTDIR CONTAINERPATH: empties CONTAINERPATH, a volume, and copies everything in
# HOSTDIR there, hidden files too. The files belong to the image's user.
declare -F utils_import >/dev/null || utils_import() {
    [[ $# -eq 2 ]] || die "utils_import takes a directory and a path in the container."
    [[ -d $1 ]] || die "utils_import: there is no directory $1."
    # The directory itself stays out of it, so that CONTAINERPATH keeps its owner and mode.
    (
        set -o pipefail
        CDPATH='' cd -- "$1" || exit 1
        find . -mindepth 1 -maxdepth 1 -print0 | tar --null -T - -cf - |
            _drunner_volume_shell \
                'cd "$1" && find . ! -name . -prune -exec rm -rf -- {} + && tar -xf -' "$2"
    ) || die "utils_import: could not copy $1 to $2."
}

# utils_export CONTAINERPATH HOSTDIR: copies everything in CONTAINERPATH, a volume, to HOSTDIR,
# hidden files too. The files keep their owners.
declare -F utils_export >/dev/null || utils_export() {
    [[ $# -eq 2 ]] || die "utils_export takes a path in the container and a directory."
    [[ -d $2 ]] || die "utils_export: there is no directory $2."
    (
        set -o pipefail
        _drunner_volume_shell 'cd "$1" && tar -cf - .' "$1" </dev/null |
            tar --no-overwrite-dir --numeric-owner -xpf - -C "$2"
    ) || die "utils_export: could not copy $1 to $2."
}
