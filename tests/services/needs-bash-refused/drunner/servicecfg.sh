VOLUMES=("$(id)")
