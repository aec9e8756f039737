package main

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAPIServerIsRealAndEndsWithItsParent(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.log")
	c := started(t, "--level", "api", "--audit", audit)
	who := c.kubectl("", "auth", "whoami")
	if !strings.Contains(who, "system:masters") {
		t.Errorf("the kubeconfig is not an administrator's: %s", who)
	}
	can, _ := exec.Command(c.Kubectl, "--kubeconfig", c.Kubeconfig, "auth", "can-i", "get", "secrets", "--as", "nobody").Output()
	if strings.TrimSpace(string(can)) != "no" {
		t.Errorf("RBAC is not enforced: nobody may get secrets: %s", can)
	}
	lines, err := os.ReadFile(audit)
	if err != nil || !bytes.Contains(lines, []byte(`"selfsubjectreviews"`)) {
		t.Errorf("the audit log lacks a request that was made (%v)", err)
	}
	c.stdin.Close()
	if err := c.waitEnd(); err != nil {
		t.Errorf("an ordinary end is not a failure: %v", err)
	}
	c.wantGone()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(c.Server, "https://")); err == nil {
		conn.Close()
		t.Error("the API server's port still answers")
	}
}

func TestNothingIsLeftWhenTheSupervisorIsKilled(t *testing.T) {
	for _, level := range []string{"api", "node"} {
		t.Run(level, func(t *testing.T) {
			if level == "node" {
				needNode(t)
			}
			c := started(t, "--level", level)
			if len(c.traces()) == 0 {
				t.Fatal("a running cluster shows no trace: the check cannot fail")
			}
			if err := c.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = c.waitEnd()
			c.wantGone()
		})
	}
}

func TestClusterWithoutAPipeEndsWithItsParentToo(t *testing.T) {
	c := prepared(t)
	shell := exec.Command("/bin/sh", "-c", `"$0" up --name "$1" < /dev/null & wait`, program, c.files.Name)
	stdout, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("not ready: %s %v", line, err)
	}
	if err := shell.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = shell.Process.Wait()
	c.wantGone()
}

func TestFakeNodesMakePodsReadyAndJobsComplete(t *testing.T) {
	c := started(t, "--level", "api", "--kwok", "2")
	c.kubectl("", "create", "deployment", "web", "--image=none", "--replicas=20")
	c.kubectl("", "create", "job", "once", "--image=none")
	c.kubectl("", "wait", "deployment/web", "--for=condition=Available", "--timeout=30s")
	c.kubectl("", "wait", "job/once", "--for=condition=Complete", "--timeout=30s")
}

func TestGarbageCollectionWorksWithControllers(t *testing.T) {
	c := started(t, "--level", "api", "--controllers")
	c.kubectl("", "create", "deployment", "web", "--image=none")
	eventually(t, 10*time.Second, func() error {
		_, err := exec.Command(c.Kubectl, "--kubeconfig", c.Kubeconfig, "get", "replicasets", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}").Output()
		return err
	})
	c.kubectl("", "delete", "deployment", "web", "--cascade=foreground", "--timeout=20s")
	if left := c.kubectl("", "get", "replicasets", "-o", "name"); strings.TrimSpace(left) != "" {
		t.Errorf("left: %s", left)
	}
}

func TestTakenNameAndBadSettingsAreRefused(t *testing.T) {
	c := started(t, "--level", "api")
	for want, args := range map[string][]string{
		"is running already": {"up", "--name", c.files.Name},
		"want api, node":     {"up", "--level", "huge"},
		"DNS label":          {"up", "--name", "../escape"},
		"need level api":     {"up", "--level", "node", "--kwok", "3"},
		"has no node":        {"forward", "--name", c.files.Name, "10.0.0.1:80"},
		"no such cluster":    {"load", "--name", "never-booted", "x.tar"},
		"unexpected":         {"up", "node"},
	} {
		cmd := exec.Command(program, args...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, %s: want an error with %q", args, err, out, want)
		}
	}
	c.kubectl("", "get", "namespaces")
}
