package sipserver

import (
	"strings"
	"sync"
	"unique"

	"vigie/sip/transport"
)

// common is what never changes in a dialog and is the same in many.
type common struct {
	server  *Server
	contact string // our Contact field
	event   string // our Event field
}

// arrival is what a SUBSCRIBE says of that.
type arrival struct {
	own    transport.Endpoint // where it came in
	secure bool               // the Request-URI is a sips one
	event  string             // our Event field
}

// commons finds what a new dialog has in common with others without printing it
// (BenchmarkCommon).
type commons struct {
	mu    sync.RWMutex
	known map[arrival]unique.Handle[common]
}

// mostCommons bounds commons: event ids are the watchers' to choose.
const mostCommons = 1024

func (c *commons) of(s *Server, a arrival) unique.Handle[common] {
	c.mu.RLock()
	h, ok := c.known[a]
	c.mu.RUnlock()
	if ok {
		return h
	}
	a.event = strings.Clone(a.event)
	h = unique.Make(common{server: s, contact: a.contact(), event: a.event})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= mostCommons {
		c.known = map[arrival]unique.Handle[common]{}
	}
	c.known[a] = h
	return h
}

// contact is our Contact towards a watcher: the endpoint it reached us by, with
// its transport and port.
func (a arrival) contact() string {
	scheme, param := "sip:", ""
	switch {
	case a.secure && a.own.Protocol.Secure():
		scheme = "sips:"
	case a.own.Protocol != transport.UDP:
		param = ";transport=" + a.own.Protocol.Scheme()
	}
	return "<" + scheme + a.own.HostPort() + param + ">"
}
