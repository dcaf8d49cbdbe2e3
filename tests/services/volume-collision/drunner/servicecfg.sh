VOLUMES=("/a/b" "/ab")
