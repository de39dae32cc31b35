{{- /* SPDX-License-Identifier: GPL-3.0-or-later */ -}}
{{- /* The specification of an agent's pod, as in compose/kubernetes/pod.yaml, whose comments say why. A dict: name, agent,
       values, restart. In a Secret's volume everyone may write to the top folder and the names are symbolic links, which the
       gateway refuses. So it reads ..data, root's folder with the files. fsGroup lets it read them. */ -}}
{{- define "soleroute.security" -}}
runAsUser: 65532
runAsGroup: 65532
allowPrivilegeEscalation: true
readOnlyRootFilesystem: true
capabilities: {drop: [ALL], add: [NET_ADMIN]}
{{- end -}}

{{- define "soleroute.volume" -}}
- name: {{ .name }}
{{- if .claim }}
  persistentVolumeClaim: {claimName: {{ .claim }}}
{{- else }}
  emptyDir: {}
{{- end }}
{{- end -}}

{{- define "soleroute.pod" -}}
restartPolicy: {{ .restart }}
terminationGracePeriodSeconds: 5
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  {{- if .agent.secrets }}
  fsGroup: 65532
  {{- end }}
initContainers:
  - name: close
    image: {{ .values.gateway.image | quote }}
    args: [--topology, sidecar, --close]
    securityContext: {{ include "soleroute.security" . | nindent 6 }}
    volumeMounts:
      - {name: ca-public, mountPath: /var/lib/soleroute/public}
  - name: gateway
    restartPolicy: Always
    image: {{ .values.gateway.image | quote }}
    env:
      - {name: GATEWAY_TOPOLOGY, value: sidecar}
      - {name: GATEWAY_POLICY, value: /etc/soleroute/policy.yaml}
      - {name: GATEWAY_CA_DIR, value: /var/lib/soleroute/ca/private}
      - {name: GATEWAY_CA_OUT, value: /var/lib/soleroute/public}
      {{- if .agent.secrets }}
      - {name: GATEWAY_SECRETS_DIR, value: /run/secrets/soleroute/..data}
      {{- end }}
      {{- range $name, $value := .values.gateway.env }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
    startupProbe:
      exec: {command: [/usr/bin/gateway, status]}
      periodSeconds: 1
      failureThreshold: 60
    livenessProbe:
      exec: {command: [/usr/bin/gateway, status, --alive]}
      periodSeconds: 10
    readinessProbe:
      exec: {command: [/usr/bin/gateway, status]}
      periodSeconds: 10
    securityContext: {{ include "soleroute.security" . | nindent 6 }}
    {{- with .values.gateway.resources }}
    resources: {{ toJson . }}
    {{- end }}
    volumeMounts:
      - {name: policy, mountPath: /etc/soleroute, readOnly: true}
      - {name: ca-private, mountPath: /var/lib/soleroute/ca}
      - {name: ca-public, mountPath: /var/lib/soleroute/public}
      - {name: control, mountPath: /run/soleroute}
      {{- if .agent.secrets }}
      - {name: secrets, mountPath: /run/secrets/soleroute, readOnly: true}
      {{- end }}
containers:
  - name: agent
    image: {{ .agent.image | quote }}
    {{- with .agent.command }}
    args: {{ toJson . }}
    {{- end }}
    {{- with .agent.env }}
    env:
      {{- range $name, $value := . }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
    {{- end }}
    securityContext:
      runAsUser: 501
      runAsGroup: 501
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
    {{- with .agent.resources }}
    resources: {{ toJson . }}
    {{- end }}
    volumeMounts:
      - {name: ca-public, mountPath: /etc/mitmproxy, readOnly: true}
      - {name: workspace, mountPath: /workspace}
volumes:
  - {name: policy, configMap: {name: {{ .name }}-policy}}
  {{- include "soleroute.volume" (dict "name" "ca-private" "claim" .agent.caClaim) | nindent 2 }}
  - {name: ca-public, emptyDir: {}}
  - {name: control, emptyDir: {medium: Memory}}
  {{- include "soleroute.volume" (dict "name" "workspace" "claim" .agent.workspaceClaim) | nindent 2 }}
  {{- if .agent.secrets }}
  - {name: secrets, secret: {secretName: {{ .agent.secrets }}, defaultMode: 0440}}
  {{- end }}
{{- end -}}

{{- /* Labels of a pod. The second one separates the agents for a Deployment. */ -}}
{{- define "soleroute.labels" -}}
app.kubernetes.io/name: soleroute-agent
{{- if eq (default "Pod" .agent.kind) "Deployment" }}
app.kubernetes.io/instance: {{ .name }}
{{- end }}
{{- with .agent.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
