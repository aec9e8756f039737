// Package state is what a running cluster tells others about itself: the line
// it prints when it is ready, which is also a file in its folder.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"slipway.dev/tests/cluster/internal/options"
)

// State is the JSON line of a cluster that is ready.
type State struct {
	// Ready is always true.
	Ready bool `json:"ready"`
	// Name and Level are as asked for.
	Name  string        `json:"name"`
	Level options.Level `json:"level"`
	// Kubeconfig works on this machine, outside the cluster's namespaces, as
	// cluster administrator.
	Kubeconfig string `json:"kubeconfig"`
	// Server is the API server's URL in that kubeconfig.
	Server string `json:"server"`
	// Supervisor is the process to end in order to end the cluster.
	Supervisor int `json:"supervisor"`
	// PID is the first process inside the cluster's namespaces, for `nsenter
	// -t PID -n -m -p`; 0 at level api, which has none.
	PID int `json:"pid"`
	// NodeIP is the node's address inside the namespaces; empty at level api.
	NodeIP string `json:"node_ip,omitempty"`
	// Logs is the folder of the components' logs.
	Logs string `json:"logs"`
	// Audit is the file of the audit log, if one was asked for.
	Audit string `json:"audit,omitempty"`
	// Kubectl is a kubectl of the cluster's version.
	Kubectl string `json:"kubectl"`
	// BootSeconds is how long the start took.
	BootSeconds float64 `json:"boot_seconds"`
}

// ErrNotRunning says that no cluster of that name runs.
var ErrNotRunning = errors.New("no such cluster is running")

func file(dir string) string { return filepath.Join(dir, "state.json") }

// Write stores the state in the cluster's folder and returns its one line.
func (s *State) Write(dir string) ([]byte, error) {
	line, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	line = append(line, '\n')
	// Readers see the whole file or none.
	temporary := file(dir) + ".new"
	if err := os.WriteFile(temporary, line, 0o644); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return line, os.Rename(temporary, file(dir))
}

// Read returns the state of a running cluster, or ErrNotRunning.
func Read(o *options.Options) (*State, error) {
	text, err := os.ReadFile(file(o.Dir()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Name, ErrNotRunning)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("state of %s: %w", o.Name, err)
	}
	if held, err := Held(o); err != nil || !held {
		return nil, errors.Join(fmt.Errorf("%s: %w", o.Name, ErrNotRunning), err)
	}
	return &s, nil
}

// lockFile lies beside the folder, so that removing the folder keeps the lock.
func lockFile(o *options.Options) string { return o.Dir() + ".lock" }

// Lock takes the cluster's name for as long as the file, or a copy of it in
// another process, is open. It fails when the name is taken.
func Lock(o *options.Options) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(o.Dir()), 0o755); err != nil {
		return nil, fmt.Errorf("folder of clusters: %w", err)
	}
	lock, err := os.OpenFile(lockFile(o), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock of %s: %w", o.Name, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("a cluster %q is running already (slipway-cluster down --name %s)", o.Name, o.Name)
	}
	if err := errors.Join(lock.Truncate(0), writePID(lock)); err != nil {
		return nil, fmt.Errorf("lock of %s: %w", o.Name, err)
	}
	return lock, nil
}

func writePID(lock *os.File) error {
	_, err := fmt.Fprintln(lock, os.Getpid())
	return err
}

// Owner is the process that took the cluster's name, from its first moment on,
// or ErrNotRunning. It may have died while its cleaner still holds the name.
func Owner(o *options.Options) (int, error) {
	held, err := Held(o)
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(lockFile(o))
	if err != nil || !held {
		return 0, fmt.Errorf("%s: %w", o.Name, ErrNotRunning)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("lock of %s: %w", o.Name, err)
	}
	return pid, nil
}

// Held tells whether a cluster, or its cleaner, still holds its name.
func Held(o *options.Options) (bool, error) {
	lock, err := os.Open(lockFile(o))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock of %s: %w", o.Name, err)
	}
	defer lock.Close()
	return errors.Is(syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK), nil
}

// RemoveLock forgets the name; the caller holds the lock.
func RemoveLock(o *options.Options) error {
	if err := os.Remove(lockFile(o)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("lock of %s: %w", o.Name, err)
	}
	return nil
}
