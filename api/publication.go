package api

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"vigie/event"
	"vigie/pidf"
	"vigie/sip"
	"vigie/store"
)

// NewPresence is what a program or person says about a presentity.
type NewPresence struct {
	State    string   `json:"state"`              // "open" or "closed"
	Activity string   `json:"activity,omitempty"` // a word of RFC 4480 §3.2
	Note     string   `json:"note,omitempty"`
	Expires  Duration `json:"expires,omitempty"`
}

// Published is the answer to a publication.
type Published struct {
	Name    string   `json:"name"`
	ETag    string   `json:"etag"`
	Expires Duration `json:"expires"`
}

// Activities are the words of RFC 4480 §3.2.
func Activities() []string {
	return []string{"appointment", "away", "breakfast", "busy", "dinner", "holiday", "in-transit", "looking-for-work", "lunch", "meal",
		"meeting", "on-the-phone", "performance", "permanent-absence", "playing", "presentation", "shopping", "sleeping", "spectator",
		"steering", "travel", "tv", "unknown", "vacation", "working", "worship"}
}

const (
	presencePackage = "presence"
	pidfType        = "application/pidf+xml"
	// nameKey starts the keys of the soft store under which the entity-tag of
	// each named publication is kept.
	nameKey = "api "
)

// putPresence creates or replaces the caller's publication of this name. The
// body is NewPresence, or a whole document as application/pidf+xml.
func (s *Server) putPresence(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, name, err := s.publisher(r, c)
	if err != nil {
		return err
	}
	body, expires, err := s.document(w, r, aor, name)
	if err != nil {
		return err
	}
	receipt, err := s.publish(r.Context(), aor, name, event.Publish{
		Resource: event.Resource{Package: presencePackage, URI: aor}, Body: body, Expires: expires,
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+receipt.EntityTag+`"`)
	answer(w, http.StatusOK, Published{Name: name, ETag: receipt.EntityTag, Expires: Duration(receipt.Expires)})
	return nil
}

// deletePresence removes the publication of this name.
func (s *Server) deletePresence(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, name, err := s.publisher(r, c)
	if err != nil {
		return err
	}
	_, err = s.publish(r.Context(), aor, name, event.Publish{Resource: event.Resource{Package: presencePackage, URI: aor}})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// publisher finds out for whom the caller publishes, and under which name: its
// owner, a delegate or an administrator.
func (s *Server) publisher(r *http.Request, c caller) (aor sip.URI, name string, err error) {
	if aor, err = s.presentity(r); err != nil {
		return sip.URI{}, "", err
	}
	if !c.owns(aor) {
		owner, err := s.Directory.Account(r.Context(), aor.String())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return sip.URI{}, "", fmt.Errorf("look for the delegates of %s: %w", aor, err)
		}
		if !slices.Contains(owner.Delegates, c.aor.String()) {
			return sip.URI{}, "", &Problem{Status: 403, Code: "not-yours", Detail: "only its owner and delegates publish for a presentity"}
		}
	}
	if name = r.URL.Query().Get("name"); name == "" {
		name = "api"
	}
	if !sip.IsToken(name) || len(name) > 64 {
		return sip.URI{}, "", &Problem{Status: 400, Code: "bad-name", Detail: fmt.Sprintf("%q is no name for a publication", name),
			Hint: "use letters, digits and -._"}
	}
	return aor, name, nil
}

// presentity reads the address in the path, which must be one that is served.
func (s *Server) presentity(r *http.Request) (sip.URI, error) {
	aor, err := ParseAddress(r.PathValue("address"))
	if err != nil {
		return sip.URI{}, err
	}
	if s.Ready != nil {
		if err := s.Ready(r.Context()); err != nil {
			return sip.URI{}, &Problem{Status: 503, Code: "not-ready", Detail: "the server is not ready: " + err.Error(), Hint: "try again later"}
		}
	}
	known, err := s.Presentity(r.Context(), aor)
	if err != nil {
		return sip.URI{}, fmt.Errorf("look for the presentity %s: %w", aor, err)
	}
	if !known {
		return sip.URI{}, &Problem{Status: 404, Code: "no-presentity", Detail: fmt.Sprintf("there is no presentity %s here", bare(aor.String())),
			Hint: "`vigie account list` shows who there is; presentities = \"any\" serves every address of the domains"}
	}
	return aor, nil
}

// document reads what is to be published. The lifetime of a whole document
// stands in the query, as expires=.
func (s *Server) document(w http.ResponseWriter, r *http.Request, aor sip.URI, name string) (*event.Body, time.Duration, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == pidfType {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.MaxBody)))
		if err != nil {
			return nil, 0, err
		}
		expires := time.Duration(-1)
		if text := r.URL.Query().Get("expires"); text != "" {
			if expires, err = time.ParseDuration(text); err != nil || expires <= 0 {
				return nil, 0, &Problem{Status: 400, Code: "bad-duration", Detail: fmt.Sprintf("expires=%s is no duration", text), Hint: "such as 90s or 1h"}
			}
		}
		return &event.Body{Type: pidfType, Data: data}, expires, nil
	}
	var n NewPresence
	if err := s.read(w, r, &n); err != nil {
		return nil, 0, err
	}
	if err := n.check(); err != nil {
		return nil, 0, err
	}
	expires := time.Duration(n.Expires)
	if expires == 0 {
		expires = -1
	}
	return &event.Body{Type: pidfType, Data: n.document(aor, name, time.Now()).AppendTo(nil)}, expires, nil
}

func (n *NewPresence) check() error {
	if n.State != "open" && n.State != "closed" {
		return &Problem{Status: 400, Code: "bad-state", Detail: fmt.Sprintf("the state is %q", n.State), Hint: "it is \"open\" or \"closed\""}
	}
	if n.Activity != "" && !slices.Contains(Activities(), n.Activity) {
		return &Problem{Status: 400, Code: "bad-activity", Detail: fmt.Sprintf("%q is no activity", n.Activity),
			Hint: "one of " + strings.Join(Activities(), ", ")}
	}
	if len(n.Note) > 1024 {
		return &Problem{Status: 400, Code: "bad-note", Detail: "the note is longer than 1024 bytes"}
	}
	return nil
}

// document words the publication as a tuple and, if anything is said about the
// person, a person.
func (n *NewPresence) document(aor sip.URI, name string, now time.Time) *pidf.Document {
	now = now.UTC().Truncate(time.Second)
	d := &pidf.Document{Entity: aor.String(), Tuples: []pidf.Tuple{{
		ID: "t-" + xmlName(name), Basic: pidf.Basic(n.State), Contact: pidf.Contact{URI: aor.String()}, Timestamp: now,
	}}}
	if n.Activity == "" && n.Note == "" {
		return d
	}
	person := pidf.Person{ID: "p-" + xmlName(name), Timestamp: now}
	if n.Activity != "" {
		person.Activities = []pidf.Activities{{Values: []string{n.Activity}}}
	}
	if n.Note != "" {
		person.Notes = []pidf.Note{{Text: n.Note}}
	}
	d.Persons = []pidf.Person{person}
	return d
}

// xmlName makes a name fit for an XML id.
func xmlName(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '.' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return '_'
	}, name)
}

// names serialises what is said under one name; publications of other names
// rarely wait for each other.
type names struct {
	seed  maphash.Seed
	locks [64]sync.Mutex
}

func (n *names) lock(key string) *sync.Mutex {
	l := &n.locks[maphash.String(n.seed, key)%uint64(len(n.locks))]
	l.Lock()
	return l
}

// publish creates the publication of this name, replaces it, or removes it when
// p has no body. The entity-tag it had last is kept in the soft store, so that
// a restart does not leave it behind as a second publication.
func (s *Server) publish(ctx context.Context, aor sip.URI, name string, p event.Publish) (event.Receipt, error) {
	key := nameKey + aor.String() + " " + name
	defer s.names.lock(key).Unlock()
	tag, err := s.tag(ctx, key)
	if err != nil {
		return event.Receipt{}, err
	}
	if p.Body == nil && tag == "" {
		return event.Receipt{}, event.ErrNoPublication
	}
	p.IfMatch = tag
	receipt, err := s.Events.Publish(ctx, p)
	if errors.Is(err, event.ErrNoPublication) && p.Body != nil {
		p.IfMatch = ""
		receipt, err = s.Events.Publish(ctx, p)
	}
	if err != nil {
		return event.Receipt{}, err
	}
	if p.Body == nil {
		_, err = s.Soft.Delete(ctx, key, store.AnyRevision)
	} else {
		_, err = s.Soft.Put(ctx, key, []byte(receipt.EntityTag), time.Now().Add(receipt.Expires), store.AnyRevision)
	}
	if err != nil {
		return event.Receipt{}, fmt.Errorf("keep the entity-tag of %s: %w", key, err)
	}
	return receipt, nil
}

// tag gives the entity-tag that a name had last, "" when it has none.
func (s *Server) tag(ctx context.Context, key string) (tag string, err error) {
	err = s.Soft.Load(ctx, key, func(e store.Entry) error {
		if e.Key == key && time.Now().Before(e.Expires) {
			tag = string(e.Value)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look for the entity-tag of %s: %w", key, err)
	}
	return tag, nil
}
