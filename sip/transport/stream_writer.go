package transport

import (
	"runtime"
	"sync"
)

// streamWriter is a goroutine that writes for many connections and waits for
// none of their peers. A connection is with one of them for its whole life,
// which keeps its messages in order.
type streamWriter struct {
	mu        sync.Mutex
	wake      sync.Cond
	due       []*connection // which have something to send
	finishing bool
}

// newStreamWriters makes one for each processor: what they do is to encrypt,
// and to be in the kernel.
func newStreamWriters() []*streamWriter {
	all := make([]*streamWriter, runtime.GOMAXPROCS(0))
	for i := range all {
		all[i] = &streamWriter{}
		all[i].wake.L = &all[i].mu
	}
	return all
}

func (w *streamWriter) add(c *connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = append(w.due, c)
	if len(w.due) == 1 {
		w.wake.Signal()
	}
}

// finish ends the goroutine. No connection is left by then.
func (w *streamWriter) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finishing = true
	w.wake.Signal()
}

func (w *streamWriter) run() {
	var batch []*connection
	for w.wait() {
		runtime.Gosched() // what is about to be sent gets into the same call
		w.mu.Lock()
		batch, w.due = w.due, batch[:0]
		w.mu.Unlock()
		for _, c := range batch {
			c.write()
		}
		clear(batch)
	}
}

// wait waits for something to do; false ends the goroutine.
func (w *streamWriter) wait() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.due) == 0 && !w.finishing {
		w.wake.Wait()
	}
	return len(w.due) > 0
}
