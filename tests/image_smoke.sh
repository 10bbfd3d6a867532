#!/usr/bin/env bash
# Build the image and walk the whole path in it, as its ordinary user.
#   tests/image_smoke.sh [OPTION OF THE BUILD ...]      such as --build-arg TORCH_INDEX=URL
# CONTAINER_TOOL is docker, podman or buildah (default: the first that answers); IMAGE names the
# image; RUN_OPTIONS go to every run.
set -euo pipefail
cd "$(dirname "$0")/.."
IMAGE=${IMAGE:-ecgscale:smoke}
read -ra RUN_OPTIONS <<<"${RUN_OPTIONS:-}"

first_tool() {
    for tool in docker podman buildah; do
        if "$tool" info >/dev/null 2>&1; then
            echo "$tool"
            return
        fi
    done
    echo "expected docker, podman or buildah, got none that answers" >&2
    exit 2
}
TOOL=${CONTAINER_TOOL:-$(first_tool)}
echo "building $IMAGE with $TOOL"
"$TOOL" build --tag "$IMAGE" "$@" .

inside() {
    if [ "$TOOL" = buildah ]; then
        # No engine, no daemon: a container is a folder, and its command is named in full.
        "$TOOL" run --isolation=chroot "${RUN_OPTIONS[@]}" "$CONTAINER" -- "$@"
    else
        "$TOOL" run --rm "${RUN_OPTIONS[@]}" --entrypoint "$1" "$IMAGE" "${@:2}"
    fi
}
if [ "$TOOL" = buildah ]; then
    CONTAINER=$("$TOOL" from "$IMAGE")
    trap '"$TOOL" rm "$CONTAINER" >/dev/null' EXIT
fi

inside ecgscale --help | grep -q "create"
inside sh -euc '
test "$(id -u)" = 10001
for folder in /data /checkpoints /reports; do test -w "$folder"; done
work=$(mktemp -d); cd "$work"
export ECGSCALE_STORAGE=embedded:$work/db HOME=$work OMP_NUM_THREADS=1
cat > smoke.toml <<TOML
[sample]
architectures = 6
flops = ["1.6M", "6M"]
bins = 2
[controls]
shuffled_labels = 1
[recipe]
epochs = 1
TOML
ecgscale synthesize --out raw --records 120
ecgscale prepare raw --out store --quiet
ecgscale init-db
ecgscale create smoke.toml --data store
ecgscale launch local smoke --data store --workers 2 --checkpoints /checkpoints --logs logs \
    || { tail -n 20 logs/*.log; exit 1; }
ecgscale status smoke
ecgscale trials smoke --where "state == \"complete\"" --format csv > trials.csv
test "$(wc -l < trials.csv)" = 8
ecgscale report smoke --out /reports/smoke --bootstraps 10
test -s /reports/smoke/report.html
ecgscale dashboard --port 8099 > dashboard.log &
python - <<PYTHON
import time, urllib.request
for _ in range(60):
    try:
        page = urllib.request.urlopen("http://127.0.0.1:8099/api/studies", timeout=30).read()
        break
    except OSError:
        time.sleep(1)
assert b"smoke" in page, page
PYTHON
kill $!
ecgscale stop-db
rm -rf "$work" /reports/smoke
'
echo "the image $IMAGE works"
