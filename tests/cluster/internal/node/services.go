package node

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// corefile needs the path of a kubeconfig.
const corefile = `. {
    bind ` + IP + `
    errors
    kubernetes ` + Domain + ` in-addr.arpa {
        kubeconfig %q
        pods insecure
        ttl 5
    }
    cache 5
    loadbalance
}
`

// storage is the default StorageClass and the settings of its provisioner.
//
//go:embed manifests/storage.yaml
var storage string

// StartDNS starts CoreDNS on the node's address; WaitDNS tells when it works.
func StartDNS(s *process.Supervisor, o *options.Options) error {
	config := filepath.Join(o.Dir(), "Corefile")
	if err := writeFile(config, fmt.Sprintf(corefile, o.Kubeconfig("addons"))); err != nil {
		return err
	}
	return s.Start("coredns", o.Bin("coredns"), "-conf", config)
}

// WaitDNS returns when the cluster's own names resolve.
func WaitDNS(ctx context.Context) error {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, net.JoinHostPort(IP, "53"))
	}}
	return process.Until(ctx, "DNS", func(ctx context.Context) error {
		_, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+Domain)
		return err
	})
}

// StartStorage makes the default StorageClass and starts its provisioner.
func StartStorage(ctx context.Context, s *process.Supervisor, o *options.Options) error {
	if err := Apply(ctx, o, storage); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return s.Start("local-path-provisioner", o.Bin("local-path-provisioner"), "start", "--kubeconfig="+o.Kubeconfig("addons"))
}

// Apply applies manifests as the cluster's own add-ons.
func Apply(ctx context.Context, o *options.Options, manifests string, more ...string) error {
	argv := append(o.Component("kubectl"), "--kubeconfig", o.Kubeconfig("addons"), "apply", "--server-side", "-f", "-")
	_, err := process.Run(ctx, strings.NewReader(manifests), append(argv, more...)...)
	return err
}
