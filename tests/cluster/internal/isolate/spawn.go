// Package isolate puts a cluster into namespaces of its own: network, mounts
// and processes. When the first process in there dies, the kernel ends all
// others and drops their mounts, devices, routes and rules.
package isolate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrUnavailable says why a node cannot be started on this machine.
var ErrUnavailable = errors.New("a node needs root and the right to make namespaces")

// Available returns ErrUnavailable, with the reason, where Attributes cannot work.
func Available() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: this is user %d", ErrUnavailable, os.Geteuid())
	}
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = Attributes()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Attributes start a command as the first process of new namespaces; it is
// killed when its parent dies. The parent must stay on its thread
// (runtime.LockOSThread) for as long as the command lives: the kernel watches
// the thread, not the process.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true,
	}
}

// Init is the first process of the namespaces: it runs argv, reaps every
// orphan, and returns argv's exit code when it ends, whereupon all others die.
func Init(argv []string, files []*os.File) (int, error) {
	runtime.LockOSThread()
	child, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Files: files, Env: os.Environ()})
	if err != nil {
		return 1, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1, fmt.Errorf("waiting for children: %w", err)
		case pid == child.Pid && (status.Exited() || status.Signaled()):
			return status.ExitStatus(), nil
		}
	}
}
