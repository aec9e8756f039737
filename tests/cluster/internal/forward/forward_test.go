package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func dialled(t *testing.T, dial Dial) *net.TCPConn {
	t.Helper()
	listener := listen(t)
	go func() { _ = Serve(context.Background(), listener, dial) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	return conn.(*net.TCPConn)
}

func TestHalfClosedConnectionStillBringsTheAnswer(t *testing.T) {
	far := listen(t)
	go func() {
		conn, err := far.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request, _ := io.ReadAll(conn)
		_, _ = conn.Write(append([]byte("answer to "), request...))
	}()
	conn := dialled(t, func(context.Context) (net.Conn, error) { return net.Dial("tcp", far.Addr().String()) })
	if _, err := conn.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || string(answer) != "answer to question" {
		t.Errorf("%q %v", answer, err)
	}
}

func TestUnreachableFarSideClosesTheConnection(t *testing.T) {
	conn := dialled(t, func(context.Context) (net.Conn, error) { return nil, errors.New("nobody there") })
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d %v, want the end", n, err)
	}
}
