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
