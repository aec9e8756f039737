package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestDetachedClusterOutlivesItsStarterAndGoesDown(t *testing.T) {
	c := prepared(t)
	up := c.run("up", "--detach", "--level", "api")
	for _, want := range []string{"export KUBECONFIG=" + c.files.Kubeconfig("admin"), "down --name " + c.files.Name} {
		if !strings.Contains(up, want) {
			t.Errorf("%q is not in: %s", want, up)
		}
	}
	if again := c.run("up", "--detach"); !strings.Contains(again, "KUBECONFIG") {
		t.Errorf("a second up: %s", again)
	}
	c.Kubectl, c.Kubeconfig = c.files.Bin("kubectl"), c.files.Kubeconfig("admin")
	c.kubectl("", "get", "namespaces")
	if down := c.run("down"); !strings.Contains(down, "is gone") {
		t.Errorf("down: %s", down)
	}
	if left := c.traces(); len(left) > 0 {
		t.Errorf("left on the machine when down returned: %s", left)
	}
	if again := c.run("down"); !strings.Contains(again, "no cluster") {
		t.Errorf("a second down: %s", again)
	}
}

func TestClusterThatIsStillStartingGoesDownToo(t *testing.T) {
	c := prepared(t)
	up := exec.Command(program, "up", "--detach", "--name", c.files.Name)
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if !strings.Contains(strings.Join(c.traces(), "\n"), "kube etcd") {
			return errors.New("etcd is not yet there")
		}
		return nil
	})
	c.run("down")
	if err := up.Wait(); err == nil {
		t.Error("up succeeds for a cluster that never was ready")
	}
	c.wantGone()
}
