package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// system is the operating system's network.
type system struct{}

func (system) Listen(addr netip.AddrPort) (net.Listener, error) {
	return net.Listen(family("tcp", addr.Addr()), addr.String())
}

func (system) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	return d.DialContext(ctx, family("tcp", remote.Addr()), remote.String())
}

// Source asks the kernel's routing table: connecting a UDP socket sends nothing.
func (system) Source(remote netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return addrPortOf(c.LocalAddr()).Addr(), nil
}

// family keeps IPv4 and IPv6 apart, so that 0.0.0.0 and [::] may both be
// listened on and no IPv4 peer appears under a mapped address.
func family(network string, a netip.Addr) string {
	if a.Is4() {
		return network + "4"
	}
	return network + "6"
}

func (system) ListenPacket(addr netip.AddrPort, o PacketOptions) (PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if !o.Share {
			return nil
		}
		var err error
		if e := raw.Control(func(fd uintptr) { err = sharePort(fd) }); e != nil {
			return e
		}
		return err
	}}
	c, err := lc.ListenPacket(context.Background(), family("udp", addr.Addr()), addr.String())
	if err != nil {
		return nil, err
	}
	s, err := newSystemPacket(c.(*net.UDPConn), o)
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// batcher is what ipv4.PacketConn and ipv6.PacketConn have in common.
type batcher interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// systemPacket reads and writes with recvmmsg and sendmmsg where the system
// has them. The message arrays and addresses are kept from call to call.
type systemPacket struct {
	conn          *net.UDPConn
	batch         batcher
	addr          netip.AddrPort
	receiveBuffer int

	in  []ipv4.Message
	out []ipv4.Message
	// sources are the control messages that make a wildcard socket send from
	// one of the machine's addresses; nil when the socket has one address.
	sources map[netip.Addr][]byte
}

// controlSpace holds the control message with a datagram's destination.
const controlSpace = 64

func newSystemPacket(c *net.UDPConn, o PacketOptions) (*systemPacket, error) {
	s := &systemPacket{conn: c, addr: addrPortOf(c.LocalAddr())}
	wildcard := s.addr.Addr().IsUnspecified()
	if wildcard {
		s.sources = make(map[netip.Addr][]byte)
	}
	var err error
	if s.addr.Addr().Is4() {
		p := ipv4.NewPacketConn(c)
		if wildcard {
			err = p.SetControlMessage(ipv4.FlagDst, true)
		}
		s.batch = p
	} else {
		p := ipv6.NewPacketConn(c)
		if wildcard {
			err = p.SetControlMessage(ipv6.FlagDst, true)
		}
		s.batch = p
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the destination of datagrams: %w", err)
	}
	if o.ReceiveBuffer > 0 {
		if s.receiveBuffer, err = setReceiveBuffer(c, o.ReceiveBuffer); err != nil {
			return nil, fmt.Errorf("set the receive buffer: %w", err)
		}
	}
	return s, nil
}

func (s *systemPacket) LocalAddr() netip.AddrPort { return s.addr }
func (s *systemPacket) ReceiveBuffer() int        { return s.receiveBuffer }
func (s *systemPacket) Close() error              { return s.conn.Close() }

func (s *systemPacket) ReadBatch(batch []Datagram, wait bool) (int, error) {
	for len(s.in) < len(batch) {
		m := ipv4.Message{Buffers: make([][]byte, 1)}
		if s.sources != nil {
			m.OOB = make([]byte, controlSpace)
		}
		s.in = append(s.in, m)
	}
	ms := s.in[:len(batch)]
	for i := range ms {
		ms[i].Buffers[0] = batch[i].Data
	}
	flags := 0
	if !wait {
		flags = syscall.MSG_DONTWAIT
	}
	n, err := s.batch.ReadBatch(ms, flags)
	if !wait && errors.Is(err, syscall.EAGAIN) {
		return 0, nil
	}
	for i := range ms[:max(n, 0)] {
		d := &batch[i]
		d.N = ms[i].N
		d.Addr = addrPortOf(ms[i].Addr)
		d.Local = s.addr.Addr()
		if s.sources != nil {
			d.Local = destination(ms[i].OOB[:ms[i].NN])
		}
	}
	return max(n, 0), err
}

func (s *systemPacket) WriteBatch(batch []Datagram) (int, error) {
	for len(s.out) < len(batch) {
		s.out = append(s.out, ipv4.Message{
			Buffers: make([][]byte, 1),
			Addr:    &net.UDPAddr{IP: make(net.IP, 0, net.IPv6len)},
		})
	}
	ms := s.out[:len(batch)]
	for i := range batch {
		s.fill(&ms[i], &batch[i])
	}
	n, err := s.batch.WriteBatch(ms, 0)
	return max(n, 0), err
}

func (s *systemPacket) fill(m *ipv4.Message, d *Datagram) {
	m.Buffers[0] = d.Data
	a := m.Addr.(*net.UDPAddr)
	a.Port = int(d.Addr.Port())
	a.Zone = d.Addr.Addr().Zone()
	if ip := d.Addr.Addr(); ip.Is4() {
		b := ip.As4()
		a.IP = append(a.IP[:0], b[:]...)
	} else {
		b := ip.As16()
		a.IP = append(a.IP[:0], b[:]...)
	}
	m.OOB = nil
	if s.sources != nil && d.Local.IsValid() {
		m.OOB = s.source(d.Local)
	}
}

// source gives the control message for sending from local.
func (s *systemPacket) source(local netip.Addr) []byte {
	oob, ok := s.sources[local]
	if !ok {
		if local.Is4() {
			oob = (&ipv4.ControlMessage{Src: local.AsSlice()}).Marshal()
		} else {
			oob = (&ipv6.ControlMessage{Src: local.AsSlice()}).Marshal()
		}
		s.sources[local] = oob
	}
	return oob
}
