// Package process runs a cluster's components as children that never outlive
// it, each with a log file of its own.
package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// tail is how much of a dead component's log an error shows, in bytes.
const tail = 2000

// Supervisor owns a set of long-running children. The first one that ends
// cancels its context with a cause that shows the end of the child's log.
type Supervisor struct {
	// Logs is the folder of the log files, `NAME.log`.
	Logs string

	cancel  context.CancelCauseFunc
	running sync.WaitGroup
	mu      sync.Mutex
	all     []*exec.Cmd
}

// New makes a supervisor and the context that ends with its first child.
func New(ctx context.Context, logs string) (*Supervisor, context.Context, error) {
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, nil, fmt.Errorf("folder for logs: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	return &Supervisor{Logs: logs, cancel: cancel}, ctx, nil
}

// Start starts a long-running child; argv[0] is the path of the program. The
// kernel kills the child when this process dies.
func (s *Supervisor) Start(name string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return s.StartCommand(name, cmd)
}

// StartCommand starts a prepared command like Start.
func (s *Supervisor) StartCommand(name string, cmd *exec.Cmd) error {
	log, err := os.Create(filepath.Join(s.Logs, name+".log"))
	if err != nil {
		return fmt.Errorf("log of %s: %w", name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	s.mu.Lock()
	s.all = append(s.all, cmd)
	s.mu.Unlock()
	s.running.Go(func() {
		// The state says more than the error, also when the exit code is 0.
		_ = cmd.Wait()
		s.cancel(fmt.Errorf("%s ended (%s): %s", name, cmd.ProcessState, lastBytes(log.Name(), tail)))
	})
	return nil
}

// Stop kills every child and returns when all are gone.
func (s *Supervisor) Stop() {
	s.cancel(context.Canceled)
	s.mu.Lock()
	for _, cmd := range s.all {
		// An error means that the child is gone already.
		_ = cmd.Process.Kill()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Run runs a short command to its end and returns what it wrote to stdout. An
// error holds what it wrote to stderr.
func Run(ctx context.Context, stdin io.Reader, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// Until repeats check until it succeeds. When the context ends first, the
// error says what was awaited, why it ended, and the check's last error.
func Until(ctx context.Context, what string, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lastBytes is the end of a file, or why it cannot be read.
func lastBytes(path string, n int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > n {
		if _, err := file.Seek(-n, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, n))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
