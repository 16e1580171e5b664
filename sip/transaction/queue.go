package transaction

import "math"

// never is a due time that does not come.
const never = math.MaxInt64

// queue holds transactions that wait for the same kind of timer. Entries come
// in the order in which they are due, because all of them wait equally long; so
// adding, taking out and finding the next one cost a few pointers each, however
// many wait. It is guarded by the lock of its shard.
type queue[T any] struct {
	head, tail *waiting[T]
}

// waiting is the place of one transaction in at most one queue. It is part of
// the transaction, so that waiting allocates nothing.
type waiting[T any] struct {
	owner      *T
	due        int64 // on the layer's clock
	queue      *queue[T]
	prev, next *waiting[T]
}

// push adds w at the end.
func (q *queue[T]) push(w *waiting[T], due int64) {
	w.due, w.queue = due, q
	w.prev, w.next = q.tail, nil
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
}

// leave takes w out of its queue, if it is in one.
func (w *waiting[T]) leave() {
	q := w.queue
	if q == nil {
		return
	}
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queue, w.prev, w.next = nil, nil, nil
}

// pop takes out the first entry when it is due.
func (q *queue[T]) pop(now int64) *waiting[T] {
	w := q.head
	if w == nil || w.due > now {
		return nil
	}
	w.leave()
	return w
}

// due says when the first entry is.
func (q *queue[T]) due() int64 {
	if q.head == nil {
		return never
	}
	return q.head.due
}
