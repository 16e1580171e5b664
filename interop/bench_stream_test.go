package interop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// BenchmarkStreamNotify is one NOTIFY with its 200 when a presentity changes
// whose watchers have a connection each. The PUBLISH comes by UDP; what it costs
// by itself is taken out.
func BenchmarkStreamNotify(b *testing.B) {
	const connections = 500
	for _, protocol := range []string{"TCP", "TLS"} {
		b.Run(fmt.Sprintf("%s/connections=%d", protocol, connections), func(b *testing.B) {
			cert := newCertificate(b)
			s := start(b, setup{tls: cert, sip: []string{"connections-per-source = 1000"}})
			c := join(b, s)
			own, p := c.ownCost(), c.crowd(1)
			w := newStreamWatchers(b)
			for i := range connections {
				w.connect(s, protocol, cert, i)
			}
			w.told.Add(connections)
			for _, each := range w.all {
				each.subscribe(p.first)
			}
			w.told.Wait()

			body := changing()
			used, changes := s.costOf(b, func() {
				w.told.Add(connections)
				c.publishEach(p, 0, 1, body)
				w.told.Wait()
			})
			used.less(own.times(float64(changes))).report(b, changes*connections)
		})
	}
}

// streamWatchers have a connection each. told is done for every NOTIFY they get.
type streamWatchers struct {
	t       testing.TB
	all     []*streamWatcher
	told    sync.WaitGroup
	reading sync.WaitGroup
}

func newStreamWatchers(t testing.TB) *streamWatchers {
	w := &streamWatchers{t: t}
	t.Cleanup(func() {
		for _, each := range w.all {
			_ = each.conn.Close()
		}
		w.reading.Wait()
	})
	return w
}

// streamWatcher is the client's end of a connection.
type streamWatcher struct {
	conn     net.Conn
	protocol string
	number   int
}

func (w *streamWatchers) connect(s *server, protocol string, cert *certificate, number int) {
	w.t.Helper()
	var conn net.Conn
	var err error
	if protocol == "TLS" {
		conn, err = tls.Dial("tcp", s.tlsAddr(), cert.client())
	} else {
		conn, err = net.Dial("tcp", s.addr())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	each := &streamWatcher{conn, protocol, number}
	w.all = append(w.all, each)
	w.reading.Go(func() { each.read(w.told.Done) })
}

func (w *streamWatcher) subscribe(presentity int) {
	_, _ = fmt.Fprintf(w.conn, "SUBSCRIBE sip:u%d@example.com SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK-s%d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:w%d@example.com>;tag=f\r\nTo: <sip:u%d@example.com>\r\nCall-ID: stream%d\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n"+
		"Expires: 3600\r\nContact: <sip:w@%s;transport=tcp>\r\nContent-Length: 0\r\n\r\n",
		presentity, w.protocol, w.conn.LocalAddr(), w.number, w.number, presentity, w.number, w.conn.LocalAddr())
}

// read answers NOTIFYs until the connection is closed.
func (w *streamWatcher) read(told func()) {
	r := bufio.NewReaderSize(w.conn, 4<<10)
	for {
		head, err := readHead(r)
		if err != nil {
			return
		}
		length, _ := strconv.Atoi(string(line(head, "Content-Length: ")))
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
			return
		}
		if !bytes.HasPrefix(head, []byte("NOTIFY ")) {
			continue
		}
		if _, err := w.conn.Write(ok(head)); err != nil {
			return
		}
		told()
	}
}

// readHead reads up to the empty line, which it includes.
func readHead(r *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		row, err := r.ReadSlice('\n')
		head = append(head, row...)
		if err != nil || len(row) == 2 {
			return head, err
		}
	}
}
