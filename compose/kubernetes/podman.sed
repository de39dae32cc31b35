# SPDX-License-Identifier: GPL-3.0-or-later
# pod.yaml for `podman kube play`, which (4.3 at least) knows no native sidecars and would wait for one to end: the gateway
# becomes the first of the ordinary containers. The agent waits for it by itself, behind the rules of `close`.
#   sed -f compose/kubernetes/podman.sed compose/kubernetes/pod.yaml | podman kube play --configmap compose/kubernetes/policy.yaml -
/^  containers:$/d
s/^    - name: gateway$/  containers:\n&/
/^      restartPolicy: Always$/d
