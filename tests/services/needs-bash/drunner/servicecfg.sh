VOLUMES=("/data$(touch /tmp/drunner-was-here)")
if [[ -d /var ]]; then
    EXTRACONTAINERS=()
fi
