// Package interop holds no code of the product. Its tests start the real
// binary and talk to it with peers that nobody here wrote: SIPp, baresip,
// Kamailio and sipgo, and with a small user agent written apart from the
// server's own parser, for what those peers cannot do (docs/interop.md).
//
// Every test has its own server, data directory and ports, so that all of them
// run side by side. A process is ended by its own process id, never by name,
// and all sockets are on 127.0.0.0/8. A peer that is not installed makes its
// tests fail with the name of the Debian package (packages.txt).
package interop
