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
// whose 500 watchers have a connection each, or are all behind one proxy. The
// PUBLISH comes by UDP; what it costs by itself is taken out.
func BenchmarkStreamNotify(b *testing.B) {
	const watchers = 500
	for _, protocol := range []string{"TCP", "TLS"} {
		for _, connections := range []int{watchers, 1} {
			b.Run(fmt.Sprintf("%s/connections=%d", protocol, connections), func(b *testing.B) {
				c, p, w := watchedOverStreams(b, protocol, connections, watchers)
				own, body := c.ownCost(), changing()
				used, changes := c.server.costOf(b, func() {
					w.told.Add(watchers)
					c.publishEach(p, 0, 1, body)
					w.told.Wait()
				})
				used.less(own.times(float64(changes))).report(b, changes*watchers)
			})
		}
	}
}

// watchedOverStreams is a presentity with watchers who share connections.
func watchedOverStreams(t testing.TB, protocol string, connections, watchers int) (*load, *crowd, *streamWatchers) {
	cert := newCertificate(t)
	s := start(t, setup{tls: cert, sip: []string{"connections-per-source = 1000"}})
	c := join(t, s)
	p, w := c.crowd(1), newStreamWatchers(t)
	for range connections {
		w.connect(s, protocol, cert)
	}
	w.told.Add(watchers)
	for i := range watchers {
		w.all[i%connections].subscribe(p.first, i)
	}
	w.told.Wait()
	return c, p, w
}

// streamWatchers have connections. told is done for every NOTIFY they get.
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
}

func (w *streamWatchers) connect(s *server, protocol string, cert *certificate) {
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
	each := &streamWatcher{conn, protocol}
	w.all = append(w.all, each)
	w.reading.Go(func() { each.read(w.told.Done) })
}

func (w *streamWatcher) subscribe(presentity, number int) {
	_, _ = fmt.Fprintf(w.conn, "SUBSCRIBE sip:u%d@example.com SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK-s%d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:w%d@example.com>;tag=f\r\nTo: <sip:u%d@example.com>\r\nCall-ID: stream%d\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n"+
		"Expires: 3600\r\nContact: <sip:w@%s;transport=tcp>\r\nContent-Length: 0\r\n\r\n",
		presentity, w.protocol, w.conn.LocalAddr(), number, number, presentity, number, w.conn.LocalAddr())
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
