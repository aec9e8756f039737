// Package node starts one real Kubernetes node inside the cluster's namespaces:
// network, containerd, kubelet, kube-proxy, DNS and storage.
package node

import (
	"context"
	"strings"

	"slipway.dev/tests/cluster/internal/process"
)

const (
	// IP is the node's address; the API server and the DNS server listen there.
	IP = "10.20.0.1"
	// Pods is the range of the pods' addresses.
	Pods = "10.244.0.0/24"
	// Domain is the cluster's DNS domain.
	Domain = "cluster.local"
)

// network gives the namespace a loopback, an interface for the node, and a
// default route. The route leads to the node itself: the kubelet and kube-proxy
// want one, and nothing can leave. The interface is a bridge because not every
// kernel has dummy devices.
const network = `link set lo up
link add node0 type bridge
addr add ` + IP + `/24 dev node0
link set node0 up
route add default dev node0
`

// SetUpNetwork makes the node's interface and lets the namespace forward.
func SetUpNetwork(ctx context.Context) error {
	if _, err := process.Run(ctx, strings.NewReader(network), "ip", "-batch", "-"); err != nil {
		return err
	}
	return writeFile("/proc/sys/net/ipv4/ip_forward", "1")
}
