package pebble

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"vigie/store"
)

// childDir names the directory in which the test binary, run again by the kill
// test, writes until it is killed.
const childDir = "VIGIE_TEST_WRITE_INTO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		writeUntilKilled(dir, Durability(os.Getenv(childDir+"_DURABILITY")))
	}
	os.Exit(m.Run())
}

// writeUntilKilled says "key revision" for each change once it is confirmed.
func writeUntilKilled(dir string, d Durability) {
	s, err := Open(dir, Options{Durability: d, memTable: 256 << 10})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			var e store.Entry
			for i := 0; ; i++ {
				key := fmt.Sprintf("writer%d/%d", w, i/2%500)
				expires := time.Now().Add(time.Hour)
				revision, err := uint64(0), error(nil)
				if i%2 == 0 {
					e.Key, e.Value = key, fmt.Appendf(nil, "%s %d %s", key, i, strings.Repeat("x", i%700))
					revision, err = s.Put(context.Background(), key, e.Value, expires, store.AnyRevision)
				} else {
					e.Mark = fmt.Appendf(nil, "%s %d ", key, i-1)
					revision, err = s.Prolong(context.Background(), e, expires, store.AnyRevision)
				}
				e.Revision = revision
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println(key, revision)
			}
		})
	}
	wg.Wait()
}

// TestKill: what was confirmed survives kill -9, and revisions go on upwards.
func TestKill(t *testing.T) {
	for _, d := range []Durability{Process, Fsync} {
		t.Run(string(d), func(t *testing.T) {
			dir := t.TempDir()
			confirmed := make(map[string]uint64)
			highest := uint64(0)
			for range 3 {
				runAndKill(t, dir, d, func(key string, revision uint64) {
					if revision <= highest {
						t.Fatalf("revision %d after the restart, %d before", revision, highest)
					}
					confirmed[key] = max(confirmed[key], revision)
				})
				for _, r := range confirmed {
					highest = max(highest, r)
				}
				checkConfirmed(t, dir, d, confirmed)
			}
		})
	}
}

// runAndKill reads what the child confirms, kills it in mid-flight, and reads
// the rest of what it had said.
func runAndKill(t *testing.T, dir string, d Durability, confirmed func(string, uint64)) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childDir+"="+dir, childDir+"_DURABILITY="+string(d))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var key string
		var revision uint64
		if _, err := fmt.Sscan(lines.Text(), &key, &revision); err != nil {
			if n < 2000 {
				t.Errorf("the child said %q", lines.Text())
			}
			continue // the last line may be cut
		}
		confirmed(key, revision)
		if n == 500 {
			s, err := Open(dir, Options{Logger: quiet})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "another process uses it") {
				t.Errorf("opening what another process has open: %v", err)
			}
		}
		if n == 2000 {
			child.Process.Kill()
		}
	}
	if err := child.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}

// checkConfirmed: each key has at least the revision that was confirmed, and
// the value and mark that were written with it.
func checkConfirmed(t *testing.T, dir string, d Durability, confirmed map[string]uint64) {
	t.Helper()
	s := open(t, dir, Options{Durability: d})
	defer s.Close()
	found := make(map[string]uint64)
	err := s.Load(context.Background(), "", func(e store.Entry) error {
		found[e.Key] = e.Revision
		if !strings.HasPrefix(string(e.Value), e.Key+" ") || !strings.HasPrefix(string(e.Value), string(e.Mark)) {
			t.Errorf("%s holds %q, marked %q", e.Key, e.Value, e.Mark)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, revision := range confirmed {
		if found[key] < revision {
			t.Errorf("%s was confirmed at %d, found at %d", key, revision, found[key])
		}
	}
}
