package main

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestServiceManagerHears(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", name)

	tellManager("READY=1")

	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, 64)
	n, err := socket.Read(heard)
	if err != nil {
		t.Fatalf("the service manager hears nothing: %v", err)
	}
	if got := string(heard[:n]); got != "READY=1" {
		t.Errorf("the service manager hears %q, want READY=1", got)
	}
}
