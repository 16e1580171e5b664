package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vigie/app"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vigie": func() { os.Exit(run(os.Args[1:])) }})
}

// The scripts are the command line as people use it. Beside what testscript has:
//
//	exits N vigie …   runs a command that must end with status N
//	ready             waits until the server of ./data is ready
//	hangup            sends SIGHUP to the server of ./data
//	logged FILE TEXT  waits until a file holds a text
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("VIGIE_DATA", e.Getenv("WORK")+"/data")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector would hold up every exit by a second
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "hangup": hangup, "logged": logged,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// patience bounds waits for what is certain to come.
const patience = 20 * time.Second

// eventually calls fn until it is true.
func eventually(ts *testscript.TestScript, what string, fn func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !fn() {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("waited in vain until %s", what)
		}
	}
}

func running(ts *testscript.TestScript) (r app.Running, ok bool) {
	data, err := os.ReadFile(ts.MkAbs("data/running.json"))
	return r, err == nil && json.Unmarshal(data, &r) == nil
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	eventually(ts, "the server is ready", func() bool {
		r, ok := running(ts)
		if !ok {
			return false
		}
		response, err := http.Get(r.HTTP + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func hangup(ts *testscript.TestScript, neg bool, args []string) {
	r, ok := running(ts)
	if !ok {
		ts.Fatalf("no server runs")
	}
	ts.Check(syscall.Kill(r.PID, syscall.SIGHUP))
}

func logged(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: logged FILE TEXT")
	}
	eventually(ts, args[0]+" holds "+args[1], func() bool {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(data), args[1])
	})
}
