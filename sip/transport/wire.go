package transport

import (
	"crypto/tls"
	"sync"
	"time"
)

// wire is the connection below a TLS session. Once the handshake is done it
// keeps the records until the writer takes them: to encrypt never waits for the
// peer, and all that waits leaves by one call.
type wire struct {
	stream
	c       *connection
	session *tls.Conn
	keeps   bool // set after the handshake, before the connection is used

	mu      sync.Mutex
	sealing bool // the writer encrypts and will take the records
	records *outgoing
}

// Write is called by the session, for the writer as for the reader, which
// answers key updates and says why it hangs up.
func (w *wire) Write(record []byte) (int, error) {
	if !w.keeps {
		return w.stream.Write(record)
	}
	sealing, err := w.keep(record)
	if err != nil {
		return 0, err
	}
	if !sealing {
		w.c.mu.Lock()
		defer w.c.mu.Unlock()
		if !w.c.closed.Load() {
			w.c.wakeWriter()
		}
	}
	return len(record), nil
}

func (w *wire) keep(record []byte) (sealing bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records == nil {
		w.records = newOutgoing()
	}
	if !w.sealing && len(w.records.bytes) > keptWrite {
		return false, ErrQueueFull // it asks for key updates and does not read
	}
	w.records.bytes = append(w.records.bytes, record...)
	return w.sealing, nil
}

// seal puts records in the place of messages.
func (w *wire) seal(out *outgoing) error {
	w.mu.Lock()
	w.sealing = true
	w.mu.Unlock()
	var err error
	if len(out.bytes) > 0 {
		_, err = w.session.Write(out.bytes)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealing = false
	if records := w.records; records != nil {
		out.bytes, records.bytes = records.bytes, out.bytes
		records.release()
		w.records = nil
	}
	return err
}

// SetWriteDeadline has no effect: nothing waits here.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close is called by the session when it ends, and sends its last word.
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records != nil {
		_, _ = w.stream.writeNow(w.records.bytes)
		w.records.release()
		w.records = nil
	}
	return w.stream.Close()
}
