package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("not PEM: %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func written(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	if err := WritePKI(dir, "https://10.20.0.1:6443", "https://127.0.0.1:1", []string{"10.20.0.1", "localhost"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestServerCertificateHoldsForItsHostsAlone(t *testing.T) {
	dir := written(t)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "apiserver.crt"), filepath.Join(dir, "apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for host, want := range map[string]bool{"10.20.0.1": true, "localhost": true, "10.20.0.2": false, "example.com": false} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
		if got := err == nil; got != want {
			t.Errorf("valid for %s: %v, want %v (%v)", host, got, want, err)
		}
	}
}

func TestClientCertificateIsNoServers(t *testing.T) {
	ca, err := NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(Request{Name: "alice", Groups: []string{"readers"}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	cert := parse(t, pair.Cert)
	if cert.Subject.CommonName != "alice" || cert.Subject.Organization[0] != "readers" {
		t.Errorf("subject %v", cert.Subject)
	}
	client := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(client); err != nil {
		t.Errorf("as a client: %v", err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("a client's certificate passes for a server's")
	}
}

func TestFrontProxyIsOfAnotherAuthority(t *testing.T) {
	dir := written(t)
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	front := parse(t, read("front-proxy-client.crt"))
	if err := front.CheckSignatureFrom(parse(t, read("front-proxy-ca.crt"))); err != nil {
		t.Error(err)
	}
	if err := front.CheckSignatureFrom(parse(t, read("ca.crt"))); err == nil {
		t.Error("a client that may name any user is signed by the authority of ordinary clients")
	}
	if block, _ := pem.Decode(read("service-account.pub")); block == nil || block.Type != "PUBLIC KEY" {
		t.Error("the service-account key is not a bare public key")
	}
}

func TestOnlyTheAdminSitsOutside(t *testing.T) {
	dir := written(t)
	for user := range Users {
		path := filepath.Join(dir, user+".kubeconfig")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if outside := strings.Contains(string(text), "https://127.0.0.1:1"); outside != (user == "admin") {
			t.Errorf("%s: outside %v", user, outside)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is readable by others: %v %v", user, info.Mode(), err)
		}
	}
}
