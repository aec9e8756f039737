package process

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDeadChildEndsTheContextAndShowsItsLog(t *testing.T) {
	s, ctx, err := New(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if err := s.Start("broken", "/bin/sh", "-c", "echo no such port; exit 3"); err != nil {
		t.Fatal(err)
	}
	err = Until(ctx, "a miracle", func(context.Context) error { return errors.New("not yet") })
	for _, want := range []string{"a miracle", "broken ended", "exit status 3", "no such port", "not yet"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestStopKillsChildrenThatIgnoreSignals(t *testing.T) {
	s, _, err := New(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("stubborn", "/bin/sh", "-c", "trap '' TERM INT; while :; do sleep 1; done"); err != nil {
		t.Fatal(err)
	}
	pid := s.all[0].Process.Pid
	started := time.Now()
	s.Stop()
	if err := syscall.Kill(pid, 0); !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v", pid, err)
	}
	if spent := time.Since(started); spent > 5*time.Second {
		t.Errorf("stopping took %s", spent)
	}
}

func TestRunReportsWhatACommandSaid(t *testing.T) {
	out, err := Run(context.Background(), strings.NewReader("in"), "/bin/cat")
	if err != nil || string(out) != "in" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := Run(context.Background(), nil, "/bin/sh", "-c", "echo reason >&2; exit 1"); err == nil || !strings.Contains(err.Error(), "reason") {
		t.Errorf("%v", err)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	s, ctx, err := New(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if err := s.Start("ghost", "/no/such/program"); err == nil || !strings.Contains(err.Error(), "ghost") {
		t.Errorf("%v", err)
	}
	if ctx.Err() != nil {
		t.Error("what never started cannot end the cluster")
	}
}
