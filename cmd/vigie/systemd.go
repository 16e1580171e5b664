package main

import (
	"fmt"
	"net"
	"os"
)

// tellManager says to the service manager that started us how far we are
// (sd_notify(3)): with it, "systemctl start" returns when the server serves, or
// fails as the server does. Without a manager nothing is said.
func tellManager(state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	c, err := net.Dial("unixgram", name)
	if err == nil {
		defer c.Close()
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "vigie: tell the service manager %s: %v\n", state, err)
	}
}
