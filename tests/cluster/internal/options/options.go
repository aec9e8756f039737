// Package options is what a cluster is asked to be, and where its files lie.
package options

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// Level is how much of Kubernetes is started.
type Level string

// The levels, each of which holds the one before.
const (
	// API is etcd and the API server, on loopback ports of this machine.
	API Level = "api"
	// Node adds the controllers and a real node, in namespaces of their own.
	Node Level = "node"
	// Full adds prometheus-operator and a Prometheus.
	Full Level = "full"
)

// Options is one cluster's settings.
type Options struct {
	// Name tells clusters on one machine apart: a DNS label of at most 30 characters.
	Name string `json:"name"`
	// Level is how much is started.
	Level Level `json:"level"`
	// Controllers adds controller manager and scheduler to level API.
	Controllers bool `json:"controllers"`
	// FakeNodes is the number of nodes that kwok plays; only with level API,
	// and implies Controllers.
	FakeNodes int `json:"fakeNodes"`
	// Audit is the file that gets one JSON line an API request (metadata only); empty: none.
	Audit string `json:"audit,omitempty"`
	// Port is the API server's port on 127.0.0.1 of this machine; 0: a free one.
	Port int `json:"port"`
	// Images are image archives to load before the node is ready.
	Images []string `json:"images,omitempty"`
	// Cache is the folder that holds `bin`, `share` and `clusters`.
	Cache string `json:"cache"`
}

var namePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$`)

// Validate reports the first setting that cannot be.
func (o *Options) Validate() error {
	switch o.Level {
	case API, Node, Full:
	default:
		return fmt.Errorf("level %q: want api, node or full", o.Level)
	}
	if !namePattern.MatchString(o.Name) {
		return fmt.Errorf("name %q: want a DNS label of at most 30 characters", o.Name)
	}
	if o.FakeNodes < 0 || o.FakeNodes > 1000 {
		return fmt.Errorf("%d fake nodes: want 0 to 1000", o.FakeNodes)
	}
	if o.FakeNodes > 0 && o.Level != API {
		return fmt.Errorf("fake nodes need level api: a real node would take their pods")
	}
	if o.Port < 0 || o.Port > 65535 {
		return fmt.Errorf("port %d: want 0 to 65535", o.Port)
	}
	if o.Level == API && len(o.Images) > 0 {
		return fmt.Errorf("images need a node: level node or full")
	}
	return nil
}

// Dir is the folder of everything that this cluster writes.
func (o *Options) Dir() string { return filepath.Join(o.Cache, "clusters", o.Name) }

// PKI is the folder of certificates and kubeconfigs.
func (o *Options) PKI() string { return filepath.Join(o.Dir(), "pki") }

// Logs is the folder of the components' logs.
func (o *Options) Logs() string { return filepath.Join(o.Dir(), "logs") }

// Kubeconfig is the path of the kubeconfig of a user of certs.Users.
func (o *Options) Kubeconfig(user string) string {
	return filepath.Join(o.PKI(), user+".kubeconfig")
}

// Bin is the path of a built program.
func (o *Options) Bin(name string) string { return filepath.Join(o.Cache, "bin", name) }

// Component is the argv head that runs a component of the multi-call binary.
func (o *Options) Component(name string) []string { return []string{o.Bin("kube"), name} }

// DefaultCache is `$SLIPWAY_CACHE`, else `~/.cache/slipway`.
func DefaultCache() (string, error) {
	if dir := os.Getenv("SLIPWAY_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("the cache folder: %w (set SLIPWAY_CACHE)", err)
	}
	return filepath.Join(home, ".cache", "slipway"), nil
}
