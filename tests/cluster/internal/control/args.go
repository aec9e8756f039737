package control

import (
	"fmt"
	"os"
	"path/filepath"

	"slipway.dev/tests/cluster/internal/options"
)

// auditPolicy logs every request's metadata once, when it is answered.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

func etcdArgs(o *options.Options, e Endpoint) []string {
	client := fmt.Sprintf("http://127.0.0.1:%d", e.Etcd)
	peer := fmt.Sprintf("http://127.0.0.1:%d", e.Peer)
	return []string{
		"--name=etcd", "--data-dir=" + filepath.Join(o.Dir(), "etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=etcd=" + peer,
		"--unsafe-no-fsync", "--log-level=warn", "--quota-backend-bytes=2147483648",
	}
}

func apiserverArgs(o *options.Options, e Endpoint) ([]string, error) {
	pki := func(file string) string { return filepath.Join(o.PKI(), file) }
	args := []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", e.Etcd),
		"--bind-address=" + e.IP, fmt.Sprintf("--secure-port=%d", e.API),
		"--service-cluster-ip-range=" + Services,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--anonymous-auth=true",
		"--client-ca-file=" + pki("ca.crt"),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + pki("apiserver-kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("service-account.pub"),
		"--service-account-signing-key-file=" + pki("service-account.key"),
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"), "--proxy-client-key-file=" + pki("front-proxy-client.key"),
		"--profiling=false",
	}
	args = append(args, advertiseArgs(e)...)
	if o.Audit == "" {
		return args, nil
	}
	policy := filepath.Join(o.Dir(), "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o644); err != nil {
		return nil, fmt.Errorf("audit policy: %w", err)
	}
	return append(args, "--audit-policy-file="+policy, "--audit-log-path="+o.Audit, "--audit-log-mode=blocking"), nil
}

// advertiseArgs publishes the address of the Service `kubernetes` only where a
// node can reach it: the API server refuses to publish a loopback address, and
// without one to advertise it looks for a route, which a machine may not have.
func advertiseArgs(e Endpoint) []string {
	if e.IP == "127.0.0.1" {
		return []string{"--endpoint-reconciler-type=none", "--advertise-address=192.0.2.1", "--external-hostname=localhost"}
	}
	return []string{"--advertise-address=" + e.IP}
}

func controllerArgs(o *options.Options) []string {
	pki := func(file string) string { return filepath.Join(o.PKI(), file) }
	return []string{
		"--kubeconfig=" + o.Kubeconfig("controller-manager"),
		"--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=true",
		"--service-account-private-key-file=" + pki("service-account.key"), "--root-ca-file=" + pki("ca.crt"),
		"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
		"--allocate-node-cidrs=false", "--service-cluster-ip-range=" + Services, "--profiling=false",
		// The defaults (20 and 30) would measure this throttle, not whoever waits for its pods.
		"--kube-api-qps=300", "--kube-api-burst=600",
	}
}
