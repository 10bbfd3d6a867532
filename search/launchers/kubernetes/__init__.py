"""Workers on Kubernetes: a kustomize base (Indexed Job, dashboard, claim) and an overlay."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from search.definition import require_name
from search.errors import StudyError

# The names of pods have 63 characters: ecgscale-workers-…-123456-INDEX.
LONGEST_NAME = 32
STUDY_FILE = "study.toml"
IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]*[a-z0-9]")
OVERLAY = """\
# Written by `ecgscale launch kubernetes`; edit freely, then: kubectl apply -k {folder}
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
nameSuffix: -{suffix}
resources:
  - ../base
{resources}images:
  - name: ecgscale
    newName: {name}
    newTag: {tag}
patches:
  - target:
      kind: Job
      name: ecgscale-workers
    patch: |-
      - {{op: replace, path: /spec/completions, value: {workers}}}
      - {{op: replace, path: /spec/parallelism, value: {workers}}}
      - {{op: replace, path: /spec/template/spec/containers/0/args/1, value: "{study}"}}
      - {{op: replace, path: /spec/template/spec/volumes/0/persistentVolumeClaim/claimName,
         value: "{claim}"}}
{options}{plugins}{gpu}{create}{files}"""
OPTION = """\
      - {{op: add, path: /spec/template/spec/containers/0/args/-, value: "{option}"}}
"""
PLUGINS = """\
      - {{op: add, path: /spec/template/spec/containers/0/env/-,
         value: {{name: ECGSCALE_PLUGINS, value: "{plugins}"}}}}
"""
MOUNT = """\
      - {op: add, path: /spec/template/spec/containers/0/volumeMounts/-,
         value: {name: files, mountPath: /files, readOnly: true}}
      - {op: add, path: /spec/template/spec/volumes/-,
         value: {name: files, configMap: {name: ecgscale-files}}}
"""
CREATE = """\
  - target:
      kind: Job
      name: ecgscale-create
    patch: |-
      - {{op: replace, path: /spec/template/spec/volumes/0/persistentVolumeClaim/claimName,
         value: "{claim}"}}
{plugins}"""
FILES = """\
configMapGenerator:
  - name: ecgscale-files
    files: [{names}]
"""
MOST_BYTES = 1_000_000  # of a ConfigMap
NO_GPU = """\
      - {op: remove, path: /spec/template/spec/containers/0/resources/limits/nvidia.com~1gpu}
"""


@dataclass(frozen=True, slots=True)
class KubernetesJob:
    """Workers of one study; `store_claim` is a claim that holds the store.

    `options` are further ones of `ecgscale worker`, such as "--log=json". definition is the file of
    the study, for a job that creates it; plugins are files that workers load.
    """

    study: str
    workers: int
    image: str
    store_claim: str = "ecgscale-store"
    gpu: bool = True
    options: tuple[str, ...] = ()
    definition: Path | None = None
    plugins: tuple[Path, ...] = ()

    def files(self) -> dict[str, Path]:
        """Return what the pods find in /files, by name."""
        files = {path.name: path for path in self.plugins}
        for name, path in files.items():
            if not path.is_file() or not re.fullmatch(r"[A-Za-z0-9_-]+\.py", name):
                raise StudyError(
                    f"expected plug-ins of one .py file for Kubernetes, got {path}: build an image "
                    "in which it is installed, and name it in $ECGSCALE_PLUGINS of the overlay"
                )
        if self.definition is not None:
            files[STUDY_FILE] = self.definition
        if (size := sum(path.stat().st_size for path in files.values())) > MOST_BYTES:
            raise StudyError(
                f"expected files of at most {MOST_BYTES:,} bytes, got {size:,}: build an image in "
                "which the plug-ins are installed"
            )
        return files

    @property
    def suffix(self) -> str:
        """Name the study as Kubernetes allows: small letters, digits, '-', and not long.

        A name that does not fit ends in digits of its hash, so that no two studies share one.
        """
        fits = re.sub(r"[^a-z0-9]+", "-", self.study.lower()).strip("-")[:LONGEST_NAME].strip("-")
        if fits == self.study:
            return fits
        return f"{fits}-{hashlib.sha256(self.study.encode()).hexdigest()[:6]}".strip("-")

    def overlay(self, folder: Path) -> str:
        """Return the overlay's kustomization."""
        require_name(self.study)
        if self.workers < 1:
            raise StudyError(f"expected at least one worker, got {self.workers}")
        name, _, tag = self.image.rpartition(":")
        if not IMAGE.fullmatch(self.image) or not name or "/" in tag:
            raise StudyError(f"expected an image with its tag, as in name:1.0, got {self.image!r}")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", self.store_claim):
            raise StudyError(f"expected the name of a claim, got {self.store_claim!r}")
        for option in self.options:
            if not re.fullmatch(r"--[a-z-]+(=[A-Za-z0-9./_-]+)?", option):
                raise StudyError(f"expected an option such as --log=json, got {option!r}")
            name, _, path = option.partition("=")
            if name == "--weights" and not path.startswith("/checkpoints/"):
                raise StudyError(
                    "expected --weights below /checkpoints, the disk that all pods share, got "
                    f"{path}: give /checkpoints/networks"
                )
        files = self.files()
        loaded = ":".join(f"/files/{path.name}" for path in self.plugins)
        plugins = PLUGINS.format(plugins=loaded) if loaded else ""
        create = CREATE.format(claim=self.store_claim, plugins=plugins)
        return OVERLAY.format(
            resources="  - create.yaml\n" if self.definition else "",
            plugins=plugins + MOUNT if loaded else "",
            create=create if self.definition else "",
            files=FILES.format(names=", ".join(files)) if files else "",
            folder=folder,
            suffix=self.suffix,
            name=name,
            tag=f'"{tag}"',
            workers=self.workers,
            study=self.study,
            claim=self.store_claim,
            options="".join(OPTION.format(option=option) for option in self.options),
            gpu="" if self.gpu else NO_GPU,
        )


def write_manifests(job: KubernetesJob, out: Path) -> Path:
    """Write base and overlay below a folder; return the overlay to `kubectl apply -k`."""
    overlay = out / job.study
    text = job.overlay(overlay)
    with as_file(files("search.launchers.kubernetes") / "base") as base:
        shutil.copytree(base, out / "base", dirs_exist_ok=True)
    overlay.mkdir(parents=True, exist_ok=True)
    (overlay / "kustomization.yaml").write_text(text)
    for name, path in job.files().items():
        shutil.copyfile(path, overlay / name)
    if job.definition is not None:
        shutil.copyfile(out / "base" / "create.yaml", overlay / "create.yaml")
    return overlay
