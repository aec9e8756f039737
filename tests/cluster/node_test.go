package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// web is a restricted Deployment of two pods that answer with their names, its
// Service, and a claim of the default StorageClass with a Job that uses it.
const web = `
apiVersion: v1
kind: Namespace
metadata: { name: web, labels: { pod-security.kubernetes.io/enforce: restricted } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }
      containers:
        - name: web
          image: localhost/busybox:dev
          imagePullPolicy: IfNotPresent
          command: [ sh, -c, 'echo "web_up{pod=\"$HOSTNAME\"} 1" > /tmp/metrics; echo started; httpd -f -p 8080 -h /tmp' ]
          ports: [ { name: http, containerPort: 8080 } ]
          readinessProbe: { httpGet: { path: /metrics, port: 8080 }, periodSeconds: 1 }
          securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
          volumeMounts: [ { name: tmp, mountPath: /tmp } ]
      volumes: [ { name: tmp, emptyDir: {} } ]
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: web, labels: { app: web } }
spec: { selector: { app: web }, ports: [ { name: http, port: 80, targetPort: http } ] }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data, namespace: web }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: writer, namespace: web }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }
      containers:
        - name: writer
          image: localhost/busybox:dev
          imagePullPolicy: IfNotPresent
          command: [ sh, -ec, 'echo kept > /data/x; cat /data/x; nslookup web.web.svc.cluster.local; nc -w 5 kubernetes.default 443 < /dev/null' ]
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
          volumeMounts: [ { name: data, mountPath: /data } ]
      volumes: [ { name: data, persistentVolumeClaim: { claimName: data } } ]
`

const monitor = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: { name: web, namespace: web, labels: { release: prometheus } }
spec: { fallbackScrapeProtocol: PrometheusText0.0.4, selector: { matchLabels: { app: web } }, endpoints: [ { port: http } ] }
`

func TestNodeRunsPodsServicesAndVolumes(t *testing.T) {
	needNode(t)
	c := started(t, "--level", "node")
	if c.BootSeconds > 30 {
		t.Logf("slower than the 30 s that a quiet machine needs: %.1f s", c.BootSeconds)
	}
	c.kubectl(web, "apply", "-f", "-")
	c.kubectl("", "-n", "web", "rollout", "status", "deployment/web", "--timeout=60s")
	if logs := c.kubectl("", "-n", "web", "logs", "deployment/web"); !strings.Contains(logs, "started") {
		t.Errorf("logs: %s", logs)
	}
	if id := c.kubectl("", "-n", "web", "exec", "deployment/web", "--", "id", "-u"); !strings.Contains(id, "65532") {
		t.Errorf("the pod runs as %s", id)
	}
	service := c.forward("web.web.svc.cluster.local:80")
	// kube-proxy learns of an endpoint up to a second after the pod is ready.
	eventually(t, 10*time.Second, func() error {
		body, err := get("http://" + service + "/metrics")
		if err == nil && !strings.Contains(body, "web_up{pod=") {
			err = fmt.Errorf("through the Service: %q", body)
		}
		return err
	})
	c.kubectl("", "-n", "web", "wait", "job/writer", "--for=condition=Complete", "--timeout=60s")
	if logs := c.kubectl("", "-n", "web", "logs", "job/writer"); !strings.Contains(logs, "kept") {
		t.Errorf("the volume: %s", logs)
	}
	if _, err := exec.Command(c.Kubectl, "--kubeconfig", c.Kubeconfig, "-n", "web", "run", "bad", "--image=localhost/busybox:dev", "--privileged").Output(); err == nil {
		t.Error("pod security is not enforced")
	}
	c.stdin.Close()
	if err := c.waitEnd(); err != nil {
		t.Error(err)
	}
	c.wantGone()
}

func TestLoadedImageRunsWithoutARegistry(t *testing.T) {
	needNode(t)
	c := started(t, "--level", "node")
	folder := t.TempDir()
	out, err := exec.Command(program, "image", "--out", folder, "busybox:1=/bin/busybox").CombinedOutput()
	if err != nil {
		t.Fatalf("image: %v: %s", err, out)
	}
	c.run("load", filepath.Join(folder, "busybox.tar"))
	c.kubectl("", "run", "mine", "--image=localhost/busybox:1", "--restart=Never", "--command", "--", "/busybox", "echo", "hello")
	c.kubectl("", "wait", "pod/mine", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
	if logs := c.kubectl("", "logs", "mine"); strings.TrimSpace(logs) != "hello" {
		t.Errorf("logs: %q", logs)
	}
}

func TestPrometheusScrapesWhatAMonitorSelects(t *testing.T) {
	needNode(t)
	c := started(t, "--level", "full")
	c.kubectl(web, "apply", "-f", "-")
	c.kubectl(monitor, "apply", "-f", "-")
	prometheus := c.forward("prometheus.monitoring.svc.cluster.local:9090")
	eventually(t, 90*time.Second, func() error {
		body, err := get("http://" + prometheus + "/api/v1/query?query=" + url.QueryEscape(`count(web_up{namespace="web"} == 1)`))
		if err != nil {
			return err
		}
		var answer struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			return err
		}
		if result := answer.Data.Result; len(result) != 1 || result[0].Value[1] != "2" {
			return fmt.Errorf("Prometheus sees %v, want two pods up", result)
		}
		return nil
	})
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
