// Package janitor removes what a cluster leaves on the machine, even when its
// supervisor is killed: a process of its own that waits for the supervisor's end.
package janitor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slipway.dev/tests/cluster/internal/isolate"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/state"
)

// Command is the hidden subcommand that Run serves.
const Command = "janitor"

// Handle is the supervisor's end of a running janitor.
type Handle struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// Start starts the janitor of a cluster. It shares the lock, so the name stays
// taken until everything is removed.
func Start(o *options.Options, lock *os.File) (*Handle, error) {
	cmd := exec.Command("/proc/self/exe", Command, o.Name, o.Cache)
	cmd.ExtraFiles = []*os.File{lock}
	cmd.Stderr = os.Stderr
	// A session of its own: what ends the supervisor's group spares the janitor.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("janitor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("janitor: %w", err)
	}
	return &Handle{cmd: cmd, pipe: pipe}, nil
}

// Watch tells the janitor to end that process with the supervisor.
func (h *Handle) Watch(pid int) error {
	if _, err := fmt.Fprintln(h.pipe, pid); err != nil {
		return fmt.Errorf("janitor: %w", err)
	}
	return nil
}

// Finish lets the janitor clean up now and waits until it is done.
func (h *Handle) Finish() error {
	if err := errors.Join(h.pipe.Close(), h.cmd.Wait()); err != nil {
		return fmt.Errorf("janitor: %w", err)
	}
	return nil
}

// Run is the janitor: it reads process ids until input ends, kills those
// processes, and removes the cluster's control groups, folder and lock.
func Run(input io.Reader, o *options.Options) error {
	var watched []int
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		pid, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			return fmt.Errorf("process id: %w", err)
		}
		// A descriptor never comes to mean another process, as a number may.
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		watched = append(watched, fd)
	}
	for _, fd := range watched {
		end(fd)
	}
	return errors.Join(Clean(o), state.RemoveLock(o))
}

// Clean removes the files and control groups of a cluster whose processes are
// dead or dying.
func Clean(o *options.Options) error {
	return errors.Join(isolate.RemoveCgroups(o.Name), removeAll(o.Dir()))
}

// end kills a process and waits up to 10 s until it and all in its namespace
// are gone.
func end(fd int) {
	// An error means that it has ended already.
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		if n > 0 || (err != nil && !errors.Is(err, unix.EINTR)) {
			return
		}
	}
}

// removeAll removes a folder into which a dying process may still write.
func removeAll(dir string) error {
	var err error
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("removing %s: %w", dir, err)
}
