package event

import (
	"strings"

	"vigie/sip"
)

// packed is an Identity in one string: the URI and, after a blank each, those
// of Also; "" is anonymous. Subscriptions keep it and records contain it; it is
// taken apart when somebody has to decide about the watcher.
type packed string

func pack(w Identity) packed { return packed(w.appendPacked(nil)) }

func (w Identity) appendPacked(b []byte) []byte {
	if w.Anonymous {
		return b
	}
	b = w.URI.AppendTo(b)
	for _, u := range w.Also {
		b = u.AppendTo(append(b, ' '))
	}
	return b
}

// packFor is pack in the text that the watcher has, if that is the same.
func packFor(watcher Watcher, w Identity) packed {
	var space [128]byte
	return share(watcher, w.appendPacked(space[:0]))
}

func share[T packed | []byte](watcher Watcher, text T) packed {
	if n, ok := watcher.(Named); ok {
		if name := n.Name(); name == string(text) {
			return packed(name)
		}
	}
	return packed(text)
}

// first is the URI without those of Also.
func (p packed) first() string {
	uri, _, _ := strings.Cut(string(p), " ")
	return uri
}

func (p packed) identity() (w Identity, err error) {
	if p == "" {
		return Identity{Anonymous: true}, nil
	}
	first, also, more := strings.Cut(string(p), " ")
	if w.URI, err = sip.ParseURI(first); err != nil {
		return Identity{}, err
	}
	for more {
		var next string
		next, also, more = strings.Cut(also, " ")
		u, err := sip.ParseURI(next)
		if err != nil {
			return Identity{}, err
		}
		w.Also = append(w.Also, u)
	}
	return w, nil
}
