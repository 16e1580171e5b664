package app

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestCollectorPercent(t *testing.T) {
	c := &collector{percent: 100, headroom: 32 << 20}
	for _, test := range []struct{ live, want int }{
		{0, 800},
		{16 << 20, 200},
		{128 << 20, 25},
		{256 << 20, 62},
		{1 << 30, 90},
	} {
		if got := c.percentAt(test.live); got != test.want {
			t.Errorf("%d bytes live: %d percent, want %d", test.live, got, test.want)
		}
	}
}

// Each collection sets the percentage for the next one, until the server stops.
func TestCollectorFollowsTheHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	c := &collector{percent: 0, headroom: 64 << 20}
	c.pace()
	if p := percent(); p < 100 {
		t.Fatalf("%d percent with next to nothing live, want more", p)
	}
	live := make([]byte, 256<<20)
	for range 1000 {
		runtime.GC()
		if percent() < 50 {
			break
		}
		runtime.Gosched() // cleanups run in the background
	}
	if p := percent(); p > 25 {
		t.Errorf("%d percent with 256 MiB live, want about 25", p)
	}
	c.rest()
	for range 5 {
		runtime.GC()
	}
	if p := percent(); p != -1 {
		t.Errorf("%d percent while the collector rests, want none", p)
	}
	debug.SetGCPercent(-1)
	c.wake()
	if p := percent(); p < 20 || p > 30 {
		t.Errorf("%d percent with 256 MiB live after the rest, want about 25", p)
	}
	runtime.KeepAlive(live)
	c.stop()
	debug.SetGCPercent(77)
	for range 5 {
		runtime.GC()
	}
	if p := percent(); p != 77 {
		t.Errorf("%d percent: the collector is paced after its stop", p)
	}
}
