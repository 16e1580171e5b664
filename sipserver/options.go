package sipserver

import (
	"strings"

	"vigie/sip"
)

// options tells what is served (RFC 3261 §11.2). It needs no credentials:
// neighbours ask to know that the server is alive.
func (x *exchange) options() error {
	if _, err := x.requestURI(); err != nil {
		return err
	}
	if err := x.required(); err != nil {
		return err
	}
	r := x.response(200)
	r.Add(sip.HeaderAllow, allow)
	r.Add(sip.HeaderAccept, strings.Join(x.server.publishTypes(), ", "))
	r.Add(sip.HeaderAcceptEncoding, "identity")
	r.Add(sip.HeaderAcceptLanguage, "en")
	r.Add(sip.HeaderSupported, "")
	r.Add(sip.HeaderAllowEvents, x.server.allowEvents())
	x.send(r)
	return nil
}

// publishTypes are the media types of all packages.
func (s *Server) publishTypes() []string {
	var types []string
	for _, name := range s.Events.Packages() {
		if pkg, ok := s.Events.Package(name); ok {
			types = append(types, pkg.PublishTypes()...)
		}
	}
	return types
}
