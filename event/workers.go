package event

import "sync"

// workers run tasks in the order they were given, a few at a time. Giving
// never blocks.
type workers struct {
	mu     sync.Mutex
	wake   sync.Cond
	queue  []task
	head   int
	held   bool
	closed bool
	done   sync.WaitGroup
}

func newWorkers(n int) *workers {
	w := &workers{}
	w.wake.L = &w.mu
	for range n {
		w.done.Go(w.work)
	}
	return w
}

func (w *workers) give(t task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if len(w.queue) == cap(w.queue) && w.head > len(w.queue)/2 { // rather than grow
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	w.queue = append(w.queue, t)
	w.wake.Signal()
}

// hold has tasks wait until release.
func (w *workers) hold() {
	w.mu.Lock()
	w.held = true
	w.mu.Unlock()
}

func (w *workers) release() {
	w.mu.Lock()
	w.held = false
	w.wake.Broadcast()
	w.mu.Unlock()
}

func (w *workers) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) - w.head
}

// close drops what waits and returns when the running tasks have ended.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.wake.Broadcast()
	w.mu.Unlock()
	w.done.Wait()
}

func (w *workers) work() {
	for t := w.take(); t != nil; t = w.take() {
		t.run()
	}
}

func (w *workers) take() task {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && (w.held || w.head == len(w.queue)) {
		if w.head == len(w.queue) {
			w.queue, w.head = w.queue[:0], 0
		}
		w.wake.Wait()
	}
	if w.closed {
		return nil
	}
	t := w.queue[w.head]
	w.queue[w.head] = nil
	w.head++
	return t
}
