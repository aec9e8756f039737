package certs

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// Users are the kubeconfigs that WritePKI makes, each `NAME.kubeconfig`, and
// whom each authenticates as.
var Users = map[string]Request{
	"admin":              {Name: "kubernetes-admin", Groups: []string{"system:masters"}},
	"controller-manager": {Name: "system:kube-controller-manager"},
	"scheduler":          {Name: "system:kube-scheduler"},
	"kube-proxy":         {Name: "system:kube-proxy"},
	"kubelet":            {Name: "system:node:" + NodeName, Groups: []string{"system:nodes"}},
	"addons":             {Name: "slipway:addons", Groups: []string{"system:masters"}},
}

// NodeName is the name of the cluster's only real node.
const NodeName = "node-0"

// WritePKI fills dir with everything that the components of one cluster need:
// two authorities (`ca`, `front-proxy-ca`), the API server's and the kubelet's
// certificates for hosts, client certificates, the service-account key pair,
// and a kubeconfig for each of Users. That of `admin`, who sits outside, points
// at outside; the others point at inside.
func WritePKI(dir, inside, outside string, hosts []string) error {
	ca, err := NewAuthority("slipway-cluster")
	if err != nil {
		return err
	}
	front, err := NewAuthority("slipway-cluster-front-proxy")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("folder for certificates: %w", err)
	}
	pairs := map[string]Pair{"ca": ca.Pair, "front-proxy-ca": front.Pair}
	issue := func(file string, by *Authority, r Request) {
		if err == nil {
			pairs[file], err = by.Issue(r)
		}
	}
	issue("apiserver", ca, Request{Name: "kube-apiserver", Hosts: hosts})
	issue("kubelet", ca, Request{Name: "system:node:" + NodeName, Groups: []string{"system:nodes"}, Hosts: append([]string{NodeName}, hosts...)})
	issue("apiserver-kubelet-client", ca, Request{Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}})
	issue("front-proxy-client", front, Request{Name: "front-proxy-client"})
	issue("service-account", ca, Request{Name: "service-accounts"})
	if err != nil {
		return err
	}
	for name, pair := range pairs {
		if err := writePair(dir, name, pair); err != nil {
			return err
		}
	}
	if err := writePublicKey(filepath.Join(dir, "service-account.pub"), pairs["service-account"].Cert); err != nil {
		return err
	}
	return writeKubeconfigs(dir, inside, outside, ca)
}

func writeKubeconfigs(dir, inside, outside string, ca *Authority) error {
	for file, user := range Users {
		pair, err := ca.Issue(user)
		if err != nil {
			return err
		}
		server := inside
		if file == "admin" {
			server = outside
		}
		text := Kubeconfig(server, user.Name, ca.Cert, pair)
		if err := os.WriteFile(filepath.Join(dir, file+".kubeconfig"), text, 0o600); err != nil {
			return fmt.Errorf("kubeconfig of %s: %w", file, err)
		}
	}
	return nil
}

// Kubeconfig is a self-contained kubeconfig for one user of one cluster.
func Kubeconfig(server, user string, ca []byte, pair Pair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: slipway
clusters:
- name: slipway
  cluster: { server: %q, certificate-authority-data: %s }
users:
- name: %q
  user: { client-certificate-data: %s, client-key-data: %s }
contexts:
- name: slipway
  context: { cluster: slipway, user: %q }
`, server, b64(ca), user, b64(pair.Cert), b64(pair.Key), user)
}

func writePair(dir, name string, pair Pair) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), pair.Cert, 0o644); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".key"), pair.Key, 0o600); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}

// writePublicKey writes the public key of a certificate alone: the API server
// verifies service-account tokens with a bare key.
func writePublicKey(path string, certificate []byte) error {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return fmt.Errorf("%s: the certificate is not PEM", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	der, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}
