# shellcheck shell=bash
# For the scripts here that use containers; to be sourced. The engine must run (.ci/run starts one if none does).

# A client that builds: one with buildx, or Debian's, which has BuildKit inside. On some machines a newer client without
# buildx is found first.
export DOCKER_BUILDKIT=1
if ! docker buildx version >/dev/null 2>&1; then
    PATH=/usr/bin:$PATH
fi
docker info >/dev/null 2>&1 || { echo 'no container engine answers: start dockerd' >&2; exit 1; }

# stand_ins DOCKERFILE|IMAGE...: where no registry can be reached, a script outside the repository makes images of the
# same names out of Debian's packages. Where there is no such script, there is a registry.
stand_ins() {
    local script=${STAND_INS:-$root/../shared/container/base-images.sh}
    if [ -x "$script" ]; then "$script" "$@"; fi
}

# wait_healthy CONTAINER...: until the image's own health check says so.
wait_healthy() {
    local container status
    for container in "$@"; do
        status=
        for _ in $(seq 200); do
            status=$(docker inspect -f '{{.State.Health.Status}}' "$container")
            [ "$status" = healthy ] && continue 2
            sleep 0.2
        done
        docker logs --tail 20 "$container" >&2
        echo "$container is $status" >&2
        return 1
    done
}
