# SPDX-License-Identifier: GPL-3.0-or-later
# Changes pod.yaml for `podman kube play`. Podman 4.3 has no native sidecars and would wait for the gateway to end. Here the
# gateway is the first ordinary container. The agent waits for it, behind the rules of `close`.
#   sed -f compose/kubernetes/podman.sed compose/kubernetes/pod.yaml | podman kube play --configmap compose/kubernetes/policy.yaml -
/^  containers:$/d
s/^    - name: gateway$/  containers:\n&/
/^      restartPolicy: Always$/d
