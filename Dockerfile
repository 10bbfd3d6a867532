# One image for every role: init-db, create, worker, launch, dashboard, report.
#   docker build -t ecgscale .
#   docker build -t ecgscale --build-arg TORCH_INDEX=URL .   (an index with CPU builds of torch: no GPU)
#   make image-test builds it with what there is (docker, podman or buildah) and tries every role.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm AS build
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/ecgscale
ENV PATH=/opt/ecgscale/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# A layer of its own: torch is most of the image and seldom changes.
RUN pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml README.md LICENSE ./
COPY definitions definitions
COPY data_pipeline data_pipeline
COPY models models
COPY search search
COPY analysis analysis
COPY ecgscale ecgscale
RUN pip install -c constraints.txt .

FROM python:${PYTHON}-slim-bookworm
RUN useradd --uid 10001 --create-home ecgscale \
    && install -d -o ecgscale -g ecgscale /data /checkpoints /reports
COPY --from=build /opt/ecgscale /opt/ecgscale
ENV PATH=/opt/ecgscale/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
ENTRYPOINT ["ecgscale"]
CMD ["--help"]
