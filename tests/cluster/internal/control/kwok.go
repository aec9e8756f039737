package control

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// leaseSeconds is how often kwok renews its nodes' leases; without leases the
// node controller turns their pods NotReady after 40 s.
const leaseSeconds = "40"

// StartFakeNodes makes the nodes and starts kwok, which plays them: their pods
// become Ready at once, and those of Jobs complete.
func StartFakeNodes(ctx context.Context, s *process.Supervisor, o *options.Options) error {
	nodes, err := fakeNodes(o.FakeNodes)
	if err != nil {
		return err
	}
	apply := append(o.Component("kubectl"), "--kubeconfig", o.Kubeconfig("addons"), "create", "-f", "-")
	if _, err := process.Run(ctx, strings.NewReader(nodes), apply...); err != nil {
		return fmt.Errorf("fake nodes: %w", err)
	}
	args := []string{
		o.Bin("kwok"), "--kubeconfig=" + o.Kubeconfig("addons"),
		"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
		"--node-lease-duration-seconds=" + leaseSeconds, "--server-address=127.0.0.1:0",
	}
	stages, err := os.ReadDir(filepath.Join(o.Cache, "share", "kwok"))
	if err != nil {
		return fmt.Errorf("the stages of kwok: %w (run scripts/build-tools.sh kwok)", err)
	}
	for _, stage := range stages {
		args = append(args, "--config="+filepath.Join(o.Cache, "share", "kwok", stage.Name()))
	}
	if err := s.Start("kwok", args...); err != nil {
		return err
	}
	return WaitNodes(ctx, o, o.FakeNodes)
}

// WaitNodes returns when at least n nodes are Ready.
func WaitNodes(ctx context.Context, o *options.Options, n int) error {
	list := append(o.Component("kubectl"), "--kubeconfig", o.Kubeconfig("addons"), "get", "nodes", "-o",
		`jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
	return process.Until(ctx, "Ready nodes", func(ctx context.Context) error {
		out, err := process.Run(ctx, nil, list...)
		if err != nil {
			return err
		}
		if ready := strings.Count(string(out), "True"); ready < n {
			return fmt.Errorf("%d of %d nodes are Ready", ready, n)
		}
		return nil
	})
}

// fakeNodes is a List of n Node objects that kwok will play.
func fakeNodes(n int) (string, error) {
	items := make([]any, n)
	for i := range items {
		items[i] = map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{
				"name":        fmt.Sprintf("fake-%d", i),
				"annotations": map[string]string{"kwok.x-k8s.io/node": "fake"},
				"labels":      map[string]string{"type": "kwok", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
			},
			"status": map[string]any{
				"allocatable": map[string]string{"cpu": "64", "memory": "256Gi", "pods": "1000"},
				"capacity":    map[string]string{"cpu": "64", "memory": "256Gi", "pods": "1000"},
			},
		}
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		return "", fmt.Errorf("fake nodes: %w", err)
	}
	return string(text), nil
}
