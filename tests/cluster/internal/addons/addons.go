// Package addons installs what level full has beyond a node: the Prometheus
// operator, its kinds, and a Prometheus that selects monitors and rules with
// the label `release: prometheus` in every namespace.
package addons

import (
	"context"
	_ "embed"
	"fmt"
	"path/filepath"

	"slipway.dev/tests/cluster/internal/node"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// Namespace is where the add-ons live.
const Namespace = "monitoring"

// namespace and objects are what is applied before and after the kinds are
// there; the images are those of package image.
var (
	//go:embed manifests/namespace.yaml
	namespace string
	//go:embed manifests/prometheus.yaml
	objects string
)

// kinds are the operator's resources that are installed; it runs without the others.
var kinds = []string{"prometheuses", "servicemonitors", "podmonitors", "probes", "prometheusrules", "scrapeconfigs"}

// Start installs the add-ons and returns when Prometheus is available.
func Start(ctx context.Context, o *options.Options) error {
	var files []string
	for _, kind := range kinds {
		files = append(files, "-f", filepath.Join(o.Cache, "share", "prometheus-operator-crd", "monitoring.coreos.com_"+kind+".yaml"))
	}
	if err := node.Apply(ctx, o, namespace, files...); err != nil {
		return fmt.Errorf("the kinds of prometheus-operator: %w", err)
	}
	// The operator ends when it does not find its kinds.
	for _, kind := range kinds {
		if err := wait(ctx, o, "crd/"+kind+".monitoring.coreos.com", "Established"); err != nil {
			return err
		}
	}
	if err := node.Apply(ctx, o, objects); err != nil {
		return fmt.Errorf("prometheus: %w", err)
	}
	return process.Until(ctx, "Prometheus", func(ctx context.Context) error {
		return wait(ctx, o, "prometheus/prometheus", "Available")
	})
}

// wait waits for a condition of an object; the limit is the context's.
func wait(ctx context.Context, o *options.Options, object, condition string) error {
	argv := append(o.Component("kubectl"), "--kubeconfig", o.Kubeconfig("addons"), "--namespace", Namespace,
		"wait", object, "--for=condition="+condition, "--timeout=30s")
	_, err := process.Run(ctx, nil, argv...)
	return err
}
