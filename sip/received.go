package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// MarkReceived notes in the topmost Via where a request came from: received when
// sent-by is a name or another address (RFC 3261 §18.2.1), and, where the client
// asked for rport, the port and always received (RFC 3581 §4). It changes m.Via
// and the row that responses copy. What the client itself wrote as received or
// as the value of rport is not believed.
func (m *Message) MarkReceived(source netip.AddrPort) {
	row := m.topVia()
	if row == nil || m.Via.Host == "" {
		return
	}
	addr := source.Addr().Unmap().WithZone("")
	_, claimed := m.Via.Params.Get("received")
	_, rport := m.Via.Params.Get("rport")
	if !claimed && !rport && m.Via.sentBy(addr) {
		return
	}
	item, rest := row.Value, ""
	if first, _, more := nextItem(row.Value); more {
		item, rest = first, row.Value[len(first):]
	}
	if !strings.HasSuffix(item, string(m.Via.Params)) {
		return
	}
	params := len(item) - len(m.Via.Params)
	var space [256]byte
	b := append(space[:0], item[:params]...)
	for s := item[params:]; s != ""; {
		name, _, _, after := nextParam(s)
		if !equalFold(name, "received") && !equalFold(name, "rport") {
			b = append(b, s[:len(s)-len(after)]...)
		}
		s = after
	}
	if rport || claimed || !m.Via.sentBy(addr) {
		b = addr.AppendTo(append(b, ";received="...))
	}
	if rport {
		b = strconv.AppendUint(append(b, ";rport="...), uint64(source.Port()), 10)
	}
	end := len(b)
	row.Value = string(append(b, rest...))
	m.Via.Params = Params(row.Value[params:end])
}

func (m *Message) topVia() *Header {
	for i := range m.Headers {
		if m.Headers[i].ID == HeaderVia {
			return &m.Headers[i]
		}
	}
	return nil
}

// sentBy reports whether the hop says it sent from addr.
func (v Via) sentBy(addr netip.Addr) bool {
	host := v.Host
	if host != "" && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	said, err := netip.ParseAddr(host)
	return err == nil && said.Unmap() == addr
}

// Received gives the received parameter, with or without brackets as sent
// (RFC 5118 §4.5), and the port of rport, 0 when it has none.
func (v Via) Received() (addr netip.Addr, port uint16) {
	value, _ := v.Params.Get("received")
	if len(value) > 2 && value[0] == '[' && value[len(value)-1] == ']' {
		value = value[1 : len(value)-1]
	}
	addr, _ = netip.ParseAddr(value)
	value, _ = v.Params.Get("rport")
	if n, over, ok := parseUint(value, 65535); ok && !over {
		port = uint16(n)
	}
	return addr, port
}
