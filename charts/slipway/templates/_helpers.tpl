{{/* Labels of everything in the chart. */}}
{{- define "slipway.labels" -}}
app.kubernetes.io/part-of: slipway
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The artifact registry: host and port. */}}
{{- define "slipway.registry" -}}
{{- if .Values.registry.external }}
{{- .Values.registry.external }}
{{- else if .Values.registry.enabled }}
{{- printf "slipway-registry.%s.svc:5000" .Release.Namespace }}
{{- else }}
{{- fail "registry.enabled is false: name your own registry in registry.external" }}
{{- end }}
{{- end }}

{{/* The name of what lies in no namespace: several operators of one namespace each may share a cluster. */}}
{{- define "slipway.clusterName" -}}
slipway-operator{{ if .Values.operator.namespace }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{/* Pod Security "restricted", for every pod. */}}
{{- define "slipway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "slipway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "slipway.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The configuration of the registry. */}}
{{- define "slipway.registryConfig" -}}
version: 0.1
log: { level: warn }
storage:
  filesystem: { rootdirectory: /var/lib/registry }
  delete: { enabled: true }
http:
  addr: :5000
{{- end }}
