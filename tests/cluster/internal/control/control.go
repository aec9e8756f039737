// Package control starts a cluster's control plane: etcd, the API server, the
// controllers, and kwok for nodes that are only played.
package control

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// Services is the range of the Services' addresses, and its first address is
// that of the Service `kubernetes`.
const (
	Services     = "10.96.0.0/16"
	FirstService = "10.96.0.1"
)

// Endpoint is where a control plane listens.
type Endpoint struct {
	// IP is the API server's address; a loopback address means that no node joins.
	IP string
	// API, Etcd and Peer are TCP ports, the last two on 127.0.0.1.
	API, Etcd, Peer int
}

// Loopback is an endpoint on free ports of this machine.
func Loopback(port int) (Endpoint, error) {
	ports, err := freePorts(3)
	if err != nil {
		return Endpoint{}, err
	}
	if port == 0 {
		port = ports[0]
	}
	return Endpoint{IP: "127.0.0.1", API: port, Etcd: ports[1], Peer: ports[2]}, nil
}

// URL is the API server's address for clients beside it.
func (e Endpoint) URL() string {
	return "https://" + net.JoinHostPort(e.IP, strconv.Itoa(e.API))
}

// StartAPI starts etcd and the API server and returns when it is ready.
func StartAPI(ctx context.Context, s *process.Supervisor, o *options.Options, e Endpoint) error {
	if err := s.Start("etcd", append(o.Component("etcd"), etcdArgs(o, e)...)...); err != nil {
		return err
	}
	args, err := apiserverArgs(o, e)
	if err != nil {
		return err
	}
	if err := s.Start("kube-apiserver", append(o.Component("kube-apiserver"), args...)...); err != nil {
		return err
	}
	return WaitReady(ctx, o, e)
}

// WaitReady returns when the API server says that it is ready.
func WaitReady(ctx context.Context, o *options.Options, e Endpoint) error {
	client, err := httpClient(o)
	if err != nil {
		return err
	}
	return process.Until(ctx, "the API server", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL()+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s", response.Status)
		}
		return nil
	})
}

// StartControllers starts the controller manager and the scheduler; WaitAccounts
// tells when they work.
func StartControllers(s *process.Supervisor, o *options.Options) error {
	if err := s.Start("kube-controller-manager", append(o.Component("kube-controller-manager"), controllerArgs(o)...)...); err != nil {
		return err
	}
	return s.Start("kube-scheduler", append(o.Component("kube-scheduler"),
		"--kubeconfig="+o.Kubeconfig("scheduler"), "--leader-elect=false", "--secure-port=0")...)
}

// WaitAccounts returns when pods can be made: the controllers have given the
// namespace `default` its service account and its copy of the authority.
func WaitAccounts(ctx context.Context, o *options.Options) error {
	get := append(o.Component("kubectl"), "--kubeconfig", o.Kubeconfig("addons"), "--namespace", "default",
		"get", "serviceaccount/default", "configmap/kube-root-ca.crt")
	return process.Until(ctx, "the controllers", func(ctx context.Context) error {
		_, err := process.Run(ctx, nil, get...)
		return err
	})
}

func httpClient(o *options.Options) (*http.Client, error) {
	ca, err := os.ReadFile(filepath.Join(o.PKI(), "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("the cluster's authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: 2 * time.Second}, nil
}

// freePorts finds n free TCP ports on 127.0.0.1. Another process may take one
// before it is used: the component then ends at once and names the port.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("a free port: %w", err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
