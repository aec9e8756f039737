package node

import (
	"fmt"
	"path/filepath"

	"slipway.dev/tests/cluster/internal/certs"
	"slipway.dev/tests/cluster/internal/control"
	"slipway.dev/tests/cluster/internal/isolate"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// kubeletConfig needs the authority's certificate, the kubelet's certificate and
// key, its control group, and an empty resolv.conf: pods know the cluster's
// names alone.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: { enabled: false }
  webhook: { enabled: true }
  x509: { clientCAFile: %q }
authorization: { mode: Webhook }
tlsCertFile: %q
tlsPrivateKeyFile: %q
cgroupDriver: cgroupfs
cgroupRoot: %q
resolvConf: %q
clusterDNS: [ ` + IP + ` ]
clusterDomain: ` + Domain + `
containerRuntimeEndpoint: unix://` + Socket + `
failSwapOn: false
oomScoreAdj: 0
evictionHard: { memory.available: 64Mi, nodefs.available: 1%%, imagefs.available: 1%% }
imageGCHighThresholdPercent: 100
serializeImagePulls: false
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s
`

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: ` + Pods + `
hostnameOverride: ` + certs.NodeName + `
clientConnection: { kubeconfig: %q }
conntrack: { maxPerCore: 0, min: 0 }
oomScoreAdj: 0
metricsBindAddress: 127.0.0.1:10249
`

// StartKubelet starts the kubelet; the API server must be ready.
func StartKubelet(s *process.Supervisor, o *options.Options) error {
	if err := isolate.MakeCgroups(o.Name); err != nil {
		return err
	}
	pki := func(file string) string { return filepath.Join(o.PKI(), file) }
	resolv := filepath.Join(o.Dir(), "resolv.conf")
	if err := writeFile(resolv, ""); err != nil {
		return err
	}
	config := filepath.Join(o.Dir(), "kubelet.yaml")
	text := fmt.Sprintf(kubeletConfig, pki("ca.crt"), pki("kubelet.crt"), pki("kubelet.key"), isolate.CgroupName(o.Name), resolv)
	if err := writeFile(config, text); err != nil {
		return err
	}
	return s.Start("kubelet", append(o.Component("kubelet"),
		"--config="+config, "--kubeconfig="+o.Kubeconfig("kubelet"),
		"--node-ip="+IP, "--hostname-override="+certs.NodeName)...)
}

// StartProxy starts kube-proxy, which makes Services reachable.
func StartProxy(s *process.Supervisor, o *options.Options) error {
	config := filepath.Join(o.Dir(), "kube-proxy.yaml")
	if err := writeFile(config, fmt.Sprintf(proxyConfig, o.Kubeconfig("kube-proxy"))); err != nil {
		return err
	}
	return s.Start("kube-proxy", append(o.Component("kube-proxy"), "--config="+config)...)
}

// Endpoint is where a node's control plane listens: fixed ports, for the network
// namespace is the cluster's own.
func Endpoint() control.Endpoint {
	return control.Endpoint{IP: IP, API: 6443, Etcd: 2379, Peer: 2380}
}
