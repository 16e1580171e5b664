//go:build !linux

package transport

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

func sharePort(uintptr) error {
	return errors.New("several sockets on one port need Linux")
}

func setReceiveBuffer(c *net.UDPConn, size int) (granted int, err error) {
	return size, c.SetReadBuffer(size)
}

func destination(oob []byte) netip.Addr {
	var v4 ipv4.ControlMessage
	if v4.Parse(oob) == nil && v4.Dst != nil {
		a, _ := netip.AddrFromSlice(v4.Dst)
		return a.Unmap()
	}
	var v6 ipv6.ControlMessage
	if v6.Parse(oob) == nil && v6.Dst != nil {
		a, _ := netip.AddrFromSlice(v6.Dst)
		return a
	}
	return netip.Addr{}
}
