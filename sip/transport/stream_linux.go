package transport

import (
	"io"
	"net"
	"syscall"
)

// socketStream is a stream of the operating system. Its attempts live with it,
// so that none is allocated per call.
type socketStream struct {
	*net.TCPConn
	raw     syscall.RawConn
	reading readAttempt
	writing writeAttempt
}

func systemStream(c *net.TCPConn) stream {
	raw, err := c.SyscallConn()
	if err != nil {
		return patient{c}
	}
	s := &socketStream{TCPConn: c, raw: raw}
	s.reading.try, s.writing.try = s.reading.once, s.writing.once
	return s
}

// readAttempt reads once what is there; try, called by the runtime's poller,
// says whether there was something.
type readAttempt struct {
	space space
	n     int
	err   error
	try   func(fd uintptr) bool
}

func (a *readAttempt) once(fd uintptr) bool {
	a.n, a.err = retry(syscall.Read, int(fd), a.space.take())
	if a.err == syscall.EAGAIN {
		a.space.giveBack()
		return false
	}
	return true
}

func (s *socketStream) readInto(to space) (int, error) {
	a := &s.reading
	a.space = to
	if err := s.raw.Read(a.try); err != nil {
		return 0, err
	}
	if a.err != nil {
		return 0, a.err
	}
	if a.n == 0 {
		return 0, io.EOF
	}
	return a.n, nil
}

// writeAttempt writes once, whether something is taken or not.
type writeAttempt struct {
	data []byte
	n    int
	err  error
	try  func(fd uintptr) bool
}

func (a *writeAttempt) once(fd uintptr) bool {
	a.n, a.err = retry(syscall.Write, int(fd), a.data)
	if a.err == syscall.EAGAIN {
		a.err = nil
	}
	return true
}

func (s *socketStream) writeNow(data []byte) (int, error) {
	a := &s.writing
	a.data = data
	err := s.raw.Write(a.try)
	a.data = nil
	if err == nil {
		err = a.err
	}
	if err != nil {
		return 0, err
	}
	return max(a.n, 0), nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		n, err := call(fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
