package sipserver

import (
	"strings"

	"vigie/sip"
)

// options tells what is served (RFC 3261 §11.2). It needs no credentials:
// neighbours ask to know that the server is alive. Which users there are it does
// not tell. Within a dialog it says that the dialog lives (RFC 5057 §5.3).
func (x *exchange) options() error {
	uri, err := x.requestURI()
	if err != nil {
		return err
	}
	if uri.User != "" && !x.server.serves(uri.String(), x.tx.Flow.Local.Addr()) {
		return x.server.unwelcome(refuse(404, ""))
	}
	if tag := x.req.To.Tag(); tag != "" && x.server.dialogs.find(x.req.CallID, tag, x.req.From.Tag()) == nil {
		return refuse(481, "")
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
