VOLUMES=()
EXTRACONTAINERS=()
SETTINGS=(
    "TITLE||my blog|what stands on top"
    "OWNER|required||who answers for it"
    "PORT||80|where it listens|port"
    "COUNT||1|how many|int"
    "PUBLIC||no|may strangers read it|bool"
    "SHARE|||a directory of the host|path"
    "HOME_PAGE|||where it lives|url"
)
