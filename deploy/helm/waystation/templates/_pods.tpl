{{/* What all pods have in common. */}}
{{- define "waystation.pod" -}}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "waystation.container" -}}
image: {{ include "waystation.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* The environment of API and routers. */}}
{{- define "waystation.environment" -}}
- name: WAYSTATION_DATABASE_URL
  valueFrom: {secretKeyRef: {{ toJson .Values.database.secret }}}
- name: WAYSTATION_BROKER_URL
  valueFrom: {secretKeyRef: {{ toJson .Values.broker.secret }}}
- {name: WAYSTATION_LOG_FORMAT, value: json}
- {name: WAYSTATION_STOP_GRACE_SECONDS, value: {{ .Values.stopGraceSeconds | quote }}}
- {name: WAYSTATION_HANDLER_ALLOWLIST, value: {{ join "," .Values.handlers.allowlist | quote }}}
{{- if .Values.tls.enabled }}
- {name: WAYSTATION_TLS_CERT, value: /security/tls/tls.crt}
- {name: WAYSTATION_TLS_KEY, value: /security/tls/tls.key}
{{- if .Values.tls.clientCertificates }}
- {name: WAYSTATION_TLS_CLIENT_CA, value: /security/tls/ca.crt}
{{- end }}
{{- end }}
{{- if .Values.callers.keysSecret.name }}
- {name: WAYSTATION_KEYS_FILE, value: /security/keys/{{ .Values.callers.keysSecret.key }}}
{{- end }}
{{- with .Values.callers.jwt }}
{{- if .issuer }}
- {name: WAYSTATION_JWT_ISSUER, value: {{ .issuer | quote }}}
- {name: WAYSTATION_JWT_AUDIENCE, value: {{ .audience | quote }}}
- {name: WAYSTATION_JWT_JWKS_URL, value: {{ .jwksUrl | quote }}}
{{- end }}
{{- end }}
{{- if or (not .Values.tls.enabled) .Values.callers.anybody }}
- {name: WAYSTATION_INSECURE, value: "true"}
{{- end }}
{{- if .Values.handlers.caSecret.name }}
- {name: WAYSTATION_HANDLER_TLS_CA, value: /security/handlers/{{ .Values.handlers.caSecret.key }}}
{{- else if .Values.handlers.tls }}
- {name: WAYSTATION_HANDLER_TLS, value: required}
{{- end }}
{{- if .Values.handlers.signingSecret.name }}
- {name: WAYSTATION_SIGNING_KEY, value: /security/signing/{{ .Values.handlers.signingSecret.key }}}
{{- end }}
{{- if .Values.metrics.enabled }}
- {name: WAYSTATION_METRICS_PORT, value: {{ .Values.metrics.port | quote }}}
- {name: WAYSTATION_METRICS_HOST, value: 0.0.0.0}
{{- /* The NetworkPolicy says who reaches the port. */}}
- {name: WAYSTATION_METRICS_INSECURE, value: "true"}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{/* Secrets as files, whole folders, so that what is renewed there is renewed in the pod. */}}
{{- define "waystation.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $place, $secret := include "waystation.secrets" . | fromJson }}
- {name: {{ $place }}, mountPath: /security/{{ $place }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "waystation.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- range $place, $secret := include "waystation.secrets" . | fromJson }}
- name: {{ $place }}
  secret: {secretName: {{ $secret }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* Place and name of each secret that is a file. */}}
{{- define "waystation.secrets" -}}
{{- $found := dict -}}
{{- if .Values.tls.enabled -}}{{- $_ := set $found "tls" .Values.tls.secretName -}}{{- end -}}
{{- with .Values.callers.keysSecret.name -}}{{- $_ := set $found "keys" . -}}{{- end -}}
{{- with .Values.handlers.caSecret.name -}}{{- $_ := set $found "handlers" . -}}{{- end -}}
{{- with .Values.handlers.signingSecret.name -}}{{- $_ := set $found "signing" . -}}{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Kubernetes' own probes of gRPC know no TLS. Health says NOT_SERVING while Postgres is away: then no calls are
     sent, but nothing is restarted. */}}
{{- define "waystation.probes" -}}
readinessProbe:
  exec: {command: [python, /opt/waystation/health_check.py, "127.0.0.1:{{ .port }}"]}
  periodSeconds: 10
  timeoutSeconds: 5
livenessProbe:
  tcpSocket: {port: grpc}
  periodSeconds: 10
  failureThreshold: 6
startupProbe:
  tcpSocket: {port: grpc}
  periodSeconds: 2
  failureThreshold: 60
{{- end -}}

{{- define "waystation.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {{ toJson .labels }}}
{{- with .place.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .place.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end -}}
