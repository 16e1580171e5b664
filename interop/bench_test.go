package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Benchmarks of the whole server, as a process of its own on its usual stores
// (durability "process"), over UDP on loopback. What counts is µs of CPU that
// the server's process spends per operation (cpu-µs/op), which survives a noisy
// machine; the time per operation is the client's too.

// inFlight is how many requests the client keeps open.
const inFlight = 64

// BenchmarkRefreshPublish is a PUBLISH with a tag and no body, and its 200.
func BenchmarkRefreshPublish(b *testing.B) {
	c := newLoad(b)
	tags := c.publishAll(1000)
	c.measure(func() {
		c.pump(b.N, func(i int) []byte { return c.publish(i%len(tags), tags[i%len(tags)], "") },
			func(i int, m []byte) { tags[i%len(tags)] = field(m, "SIP-ETag: ") })
	})
}

// BenchmarkModifyPublish is a PUBLISH with a tag and another body that nobody
// watches.
func BenchmarkModifyPublish(b *testing.B) {
	c := newLoad(b)
	tags := c.publishAll(1000)
	c.measure(func() {
		c.pump(b.N, func(i int) []byte {
			return c.publish(i%len(tags), tags[i%len(tags)], pidf("u"+strconv.Itoa(i%len(tags)), "open", strconv.Itoa(i), ""))
		}, func(i int, m []byte) { tags[i%len(tags)] = field(m, "SIP-ETag: ") })
	})
}

// BenchmarkSubscribe is a new SUBSCRIBE, its 200, the NOTIFY and its 200.
func BenchmarkSubscribe(b *testing.B) {
	c := newLoad(b)
	c.publishAll(1000)
	c.measure(func() { c.subscribeAll(b.N, 1000) })
}

// BenchmarkNotify is one NOTIFY with its 200, when one of a thousand watchers'
// presentities changes; the PUBLISH is counted in.
func BenchmarkNotify(b *testing.B) {
	const watchers = 1000
	c := newLoad(b)
	tags := c.publishAll(1)
	c.subscribeAll(watchers, 1)
	c.measure(func() {
		for told, i := 0, 0; told < b.N; i++ {
			c.notified = 0
			c.pump(1, func(int) []byte {
				return c.publish(0, tags[0], pidf("u0", "open", strconv.Itoa(i), ""))
			}, func(_ int, m []byte) { tags[0] = field(m, "SIP-ETag: ") })
			for c.notified < watchers {
				c.receive()
			}
			told += watchers
		}
	})
}

// BenchmarkSubscriptionSize reports what a subscription at rest costs: in the
// heap after a garbage collection (live-B), and in resident memory, where what
// the collector and the store keep in reserve counts too. It measures once,
// whatever b.N.
func BenchmarkSubscriptionSize(b *testing.B) {
	const subscriptions = 50_000
	c := newLoad(b)
	c.publishAll(subscriptions / 10)
	c.subscribeAll(1000, subscriptions/10)
	live, resident := c.live(), c.resident()
	c.subscribeAll(subscriptions, subscriptions/10)
	b.ReportMetric(float64(c.live()-live)/subscriptions, "live-B/subscription")
	b.ReportMetric(float64(c.resident()-resident)/subscriptions, "resident-B/subscription")
}

// load is a client that speaks as fast as it is answered.
type load struct {
	b        *testing.B
	server   *server
	conn     *net.UDPConn
	buf      []byte
	answered map[int][]byte // responses by the number in their branch
	notified int

	calls, publishes, dialogs int // made so far
}

func newLoad(b *testing.B) *load {
	b.Helper()
	s := start(b, setup{})
	to, err := net.ResolveUDPAddr("udp", s.addr())
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, to)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	_ = conn.SetReadBuffer(8 << 20)
	return &load{b: b, server: s, conn: conn, buf: make([]byte, 65536), answered: map[int][]byte{}}
}

// measure reports the CPU time of the server during fn, per operation.
func (c *load) measure(fn func()) {
	before := c.cpu()
	c.b.ReportAllocs()
	c.b.ResetTimer()
	fn()
	c.b.StopTimer()
	c.b.ReportMetric(float64((c.cpu()-before).Nanoseconds())/1e3/float64(c.b.N), "cpu-µs/op")
}

// cpu is the time the server's process has spent so far (proc(5), stat).
func (c *load) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.server.process.cmd.Process.Pid))
	if err != nil {
		c.b.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / 100 // ticks of USER_HZ
}

func (c *load) resident() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.server.process.cmd.Process.Pid))
	if err != nil {
		c.b.Fatal(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	return pages * int64(syscall.Getpagesize())
}

// live is the size of the heap after a garbage collection.
func (c *load) live() int64 {
	c.get("/debug/pprof/heap?gc=1")
	for line := range strings.Lines(c.get("/metrics")) {
		if value, ok := strings.CutPrefix(line, "go_memstats_heap_alloc_bytes "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return int64(n)
		}
	}
	c.b.Fatal("the server's metrics lack the size of the heap")
	return 0
}

// get asks the server's API with the local administrator's token.
func (c *load) get(path string) string {
	note, err := os.ReadFile(filepath.Join(c.server.data, "running.json"))
	if err != nil {
		c.b.Fatal(err)
	}
	var running struct{ Token string }
	if err := json.Unmarshal(note, &running); err != nil {
		c.b.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "http://"+c.server.http+path, nil)
	r.Header.Set("Authorization", "Bearer "+running.Token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.b.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		c.b.Fatalf("GET %s: %s, %v", path, response.Status, err)
	}
	return string(body)
}

// publishAll publishes for u0 … and gives the entity-tags.
func (c *load) publishAll(n int) []string {
	tags := make([]string, n)
	c.pump(n, func(i int) []byte { return c.publish(i, "", pidf("u"+strconv.Itoa(i), "open", "", "")) },
		func(i int, m []byte) { tags[i] = field(m, "SIP-ETag: ") })
	return tags
}

// subscribeAll makes n subscriptions to u0 … and waits for their NOTIFYs.
func (c *load) subscribeAll(n, presentities int) {
	c.notified = 0
	c.pump(n, func(i int) []byte { return c.subscribe(i % presentities) }, func(int, []byte) {})
	for c.notified < n {
		c.receive()
	}
}

// pump sends n requests, a few at a time, and hands over the responses.
func (c *load) pump(n int, request func(i int) []byte, done func(i int, m []byte)) {
	clear(c.answered)
	first := c.calls
	c.calls += n
	for sent, got := 0, 0; got < n; {
		for sent < n && sent-got < inFlight {
			c.write(bytes.Replace(request(sent), []byte("BRANCH"), strconv.AppendInt([]byte("z9hG4bK-"), int64(first+sent), 10), 1))
			sent++
		}
		c.receive()
		for ; got < n && c.answered[first+got] != nil; got++ {
			m := c.answered[first+got]
			if !bytes.HasPrefix(m, []byte("SIP/2.0 200 ")) {
				c.b.Fatalf("answer to request %d:\n%s", got, m)
			}
			done(got, m)
			delete(c.answered, first+got)
		}
	}
}

// receive takes one datagram: a response is kept, a NOTIFY answered.
func (c *load) receive() {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	n, err := c.conn.Read(c.buf)
	if err != nil {
		c.b.Fatalf("waiting for the server: %v", err)
	}
	m := c.buf[:n]
	if bytes.HasPrefix(m, []byte("SIP/2.0 ")) {
		_, rest, _ := bytes.Cut(m, []byte("z9hG4bK-"))
		i, _ := strconv.Atoi(string(rest[:bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })]))
		c.answered[i] = bytes.Clone(m)
		return
	}
	c.notified++
	answer := []byte("SIP/2.0 200 OK\r\n")
	for line := range bytes.Lines(m) {
		for _, name := range []string{"Via:", "From:", "To:", "Call-ID:", "CSeq:"} {
			if bytes.HasPrefix(line, []byte(name)) {
				answer = append(answer, line...)
			}
		}
	}
	c.write(append(answer, "Content-Length: 0\r\n\r\n"...))
}

func (c *load) write(m []byte) {
	if _, err := c.conn.Write(m); err != nil {
		c.b.Fatal(err)
	}
}

func (c *load) publish(user int, tag, body string) []byte {
	c.publishes++
	head := c.head("PUBLISH", user, fmt.Sprintf("p%d", c.publishes), user)
	if tag != "" {
		head += "SIP-If-Match: " + tag + "\r\n"
	}
	if body != "" {
		head += "Content-Type: application/pidf+xml\r\n"
	}
	return fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

func (c *load) subscribe(presentity int) []byte {
	c.dialogs++
	head := c.head("SUBSCRIBE", presentity, fmt.Sprintf("s%d", c.dialogs), 1_000_000+c.dialogs)
	return fmt.Appendf(nil, "%sContact: <sip:w@%s>\r\nAccept: application/pidf+xml\r\nContent-Length: 0\r\n\r\n", head, c.conn.LocalAddr())
}

func (c *load) head(method string, presentity int, callID string, from int) string {
	return fmt.Sprintf("%s sip:u%d@example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=BRANCH\r\nMax-Forwards: 70\r\n"+
		"From: <sip:u%d@example.com>;tag=f\r\nTo: <sip:u%d@example.com>\r\nCall-ID: %s\r\nCSeq: 1 %s\r\nEvent: presence\r\nExpires: 3600\r\n",
		method, presentity, c.conn.LocalAddr(), from, presentity, callID, method)
}

// field gives the value of a header field by its name with colon and blank.
func field(m []byte, name string) string {
	_, rest, _ := bytes.Cut(m, []byte("\r\n"+name))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(value)
}
