package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.dev/tests/cluster/internal/isolate"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/state"
)

// program is the slipway-cluster under test, built once for all tests.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "slipway-cluster-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	program = filepath.Join(folder, "slipway-cluster")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building slipway-cluster: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// cluster is a running slipway-cluster of a test.
type cluster struct {
	state.State
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	files *options.Options
	ended chan error
}

// prepared is a cluster with a name of its own that nothing has started.
func prepared(t *testing.T) *cluster {
	t.Helper()
	cache, err := options.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	files := &options.Options{Cache: cache, Name: fmt.Sprintf("t%d-%d", os.Getpid(), time.Now().UnixNano()%1e9)}
	if _, err := os.Stat(files.Bin("kube")); err != nil {
		t.Fatalf("Kubernetes is not built: run make setup (%v)", err)
	}
	return &cluster{t: t, files: files, ended: make(chan error, 1)}
}

// started starts a cluster and waits until it is ready; the test's end ends it.
func started(t *testing.T, args ...string) *cluster {
	t.Helper()
	c := prepared(t)
	cmd := exec.Command(program, append([]string{"up", "--name", c.files.Name}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	c.cmd, c.stdin = cmd, stdin
	go func() { c.ended <- cmd.Wait() }()
	t.Cleanup(func() { stdin.Close(); c.waitEnd() })
	if readErr != nil {
		t.Fatalf("the cluster did not start: %v: %v", readErr, c.waitEnd())
	}
	if err := json.Unmarshal(line, &c.State); err != nil || !c.Ready {
		t.Fatalf("not ready: %s (%v)", line, err)
	}
	t.Logf("level %s is ready after %.1f s", c.Level, c.BootSeconds)
	return c
}

// needNode skips, with the reason, a test on a machine that cannot run a node.
func needNode(t *testing.T) {
	t.Helper()
	if err := isolate.Available(); err != nil {
		t.Skip(err)
	}
}

// waitEnd waits until the supervisor has ended and returns its result.
func (c *cluster) waitEnd() error {
	select {
	case err := <-c.ended:
		c.ended <- err
		return err
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Kill()
		c.t.Error("the cluster did not end within 30 s")
		return nil
	}
}

// kubectl runs kubectl as administrator, from outside, and returns its output.
func (c *cluster) kubectl(stdin string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command(c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// run runs a subcommand about this cluster.
func (c *cluster) run(command string, args ...string) string {
	c.t.Helper()
	out, err := exec.Command(program, append([]string{command, "--name", c.files.Name}, args...)...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// forward starts `forward` to an address inside and returns the one outside.
func (c *cluster) forward(address string) string {
	c.t.Helper()
	cmd := exec.Command(program, "forward", "--name", c.files.Name, address)
	cmd.Stderr = c.t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.t.Fatalf("forward %s: %v", address, err)
	}
	return strings.TrimSpace(line)
}

// traces lists what is left of a cluster on the machine.
func (c *cluster) traces() []string {
	var found []string
	for _, pattern := range []string{c.files.Dir(), c.files.Dir() + ".lock", "/sys/fs/cgroup/slipway-" + c.files.Name, "/sys/fs/cgroup/*/slipway-" + c.files.Name} {
		left, _ := filepath.Glob(pattern)
		found = append(found, left...)
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); bytes.Contains(mounts, []byte(c.files.Name)) {
		found = append(found, "a mount")
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range processes {
		if line, _ := os.ReadFile(path); bytes.Contains(line, []byte(c.files.Name)) {
			found = append(found, path+": "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// wantGone fails unless every trace of the cluster vanishes within 20 s.
func (c *cluster) wantGone() {
	c.t.Helper()
	eventually(c.t, 20*time.Second, func() error {
		if left := c.traces(); len(left) > 0 {
			return fmt.Errorf("left on the machine: %s", strings.Join(left, "\n"))
		}
		return nil
	})
}

// eventually repeats check until it succeeds, and fails with its last error
// after the limit.
func eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("after %s: %v", limit, err)
}
