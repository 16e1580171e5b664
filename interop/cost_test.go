package interop

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a server's process has used up, as the kernel and its own metrics say.

// cost is what a number of operations took of the server.
type cost struct {
	cpu           time.Duration
	bytes, allocs float64 // of the heap
}

func (s *server) cost() cost {
	return cost{s.cpu(), s.metric("go_memstats_alloc_bytes_total"), s.metric("go_memstats_mallocs_total")}
}

// times is this much n times.
func (k cost) times(n float64) cost {
	return cost{time.Duration(float64(k.cpu) * n), k.bytes * n, k.allocs * n}
}

func (k cost) less(other cost) cost {
	return cost{k.cpu - other.cpu, k.bytes - other.bytes, k.allocs - other.allocs}
}

// report says what one operation costs the server. The time per operation is
// the client's, too.
func (k cost) report(b *testing.B, operations int) {
	one := k.times(1 / float64(operations))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(operations), "ns/op")
	b.ReportMetric(one.bytes, "B/op")
	b.ReportMetric(one.allocs, "allocs/op")
	b.ReportMetric(float64(one.cpu.Nanoseconds())/1e3, "cpu-µs/op")
}

// rounds repeats a round of operations and reports the cost of one.
func (c *load) rounds(b *testing.B, operations int, round func()) {
	used, rounds := c.server.costOf(b, round)
	used.report(b, rounds*operations)
	c.admit(b)
}

// costOf repeats a round as long as the benchmark lasts.
func (s *server) costOf(b *testing.B, round func()) (used cost, rounds int) {
	profiled := s.profile(b)
	before := s.cost()
	for b.Loop() {
		round()
		rounds++
	}
	used = s.cost().less(before)
	profiled()
	return used, rounds
}

// profile takes a CPU profile of the server while a benchmark runs, if
// VIGIE_PROFILE names a folder for it. It lasts five seconds; -benchtime should
// be more. The function it gives waits for its end.
func (s *server) profile(b *testing.B) (wait func()) {
	dir := os.Getenv("VIGIE_PROFILE")
	if dir == "" {
		return func() {}
	}
	file := filepath.Join(dir, strings.ReplaceAll(b.Name(), "/", "_")+".prof")
	done := make(chan error)
	go func() { done <- os.WriteFile(file, []byte(s.get("/debug/pprof/profile?seconds=5")), 0o644) }()
	return func() {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// admit says when the figures are not of what they seem to be.
func (c *load) admit(b *testing.B) {
	if c.repeated > 0 {
		b.Logf("%d NOTIFYs came again: a slow client, or datagrams lost", c.repeated)
	}
}

// cpu is the time the server's process has spent so far, to the nanosecond.
func (s *server) cpu() time.Duration {
	var t unix.Timespec
	// clock_getcpuclockid(3): the clock of a process is made from its id.
	if err := unix.ClockGettime(int32(^s.process.cmd.Process.Pid)<<3|2, &t); err != nil {
		s.t.Fatalf("the clock of the server's process: %v", err)
	}
	return time.Duration(t.Nano())
}

// live is the size of the heap after a garbage collection.
func (s *server) live() int64 {
	s.get("/debug/pprof/heap?gc=1")
	return int64(s.metric("go_memstats_heap_alloc_bytes"))
}

// get asks the server's API with the local administrator's token.
func (s *server) get(path string) string {
	note, err := os.ReadFile(filepath.Join(s.data, "running.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var running struct{ Token string }
	if err := json.Unmarshal(note, &running); err != nil {
		s.t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "http://"+s.http+path, nil)
	r.Header.Set("Authorization", "Bearer "+running.Token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		s.t.Fatalf("GET %s: %s, %v", path, response.Status, err)
	}
	return string(body)
}
