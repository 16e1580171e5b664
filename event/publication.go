package event

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigie/store"
)

// publication is one live publication; its entity-tag is its revision. What is
// composed of it is made when somebody watches.
type publication struct {
	created   int64 // also its number in the store
	revision  uint64
	expires   moment
	ends      int64 // expires by the wall clock, in nanoseconds since 1970
	updated   int64 // likewise
	prefix    string
	mediaType string
	text      string
	state     any // what Package.Read made of text; nil when it was not asked
}

// public is the publication as its package sees it.
func (p *publication) public() Publication {
	return Publication{
		Created: p.created, Prefix: p.prefix,
		Updated: time.Unix(0, p.updated), Expires: time.Unix(0, p.ends),
		ContentType: p.mediaType, Body: p.text, State: p.state,
	}
}

// mediaType is a media type in a string of its own, which most have in common.
func (pkg *eventPackage) mediaType(t string) string {
	for _, usual := range pkg.types {
		if t == usual {
			return usual
		}
	}
	return strings.Clone(t)
}

// Publish follows the steps of RFC 3903 §6; the first that fails answers, and
// nothing has changed then.
func (e *Engine) Publish(ctx context.Context, p Publish) (Receipt, error) {
	pkg, ok := e.packages[p.Resource.Package]
	if !ok || !pkg.published {
		return Receipt{}, ErrUnknownPackage
	}
	if e.closed.Load() {
		return Receipt{}, ErrClosed
	}
	r := e.lock(p.Resource, pkg)
	defer r.unlock()
	var old *publication
	if p.IfMatch != "" { // step 3
		if old = r.tagged(p.IfMatch, e.now()); old == nil {
			return Receipt{}, ErrNoPublication
		}
	}
	granted, err := pkg.Lifetimes.publish(p.Expires) // step 4
	if err != nil {
		return Receipt{}, err
	}
	switch { // step 5
	case granted == 0:
		return r.remove(ctx, old)
	case p.Body == nil && old == nil:
		return Receipt{}, ErrNoBody
	case p.Body == nil:
		return r.refresh(ctx, old, granted)
	default:
		return r.replace(ctx, old, p.Body, granted)
	}
}

// tagged gives the live publication under an entity-tag.
func (r *resource) tagged(tag string, now moment) *publication {
	revision, ok := parseTag(tag)
	for i := range r.publications {
		if p := &r.publications[i]; ok && p.revision == revision && p.expires > now {
			return p
		}
	}
	return nil
}

func entityTag(revision uint64) string { return strconv.FormatUint(revision, 36) }

// parseTag reads what entityTag gave, and nothing else.
func parseTag(tag string) (revision uint64, ok bool) {
	revision, err := strconv.ParseUint(tag, 36, 64)
	return revision, err == nil && (tag[0] != '0' || tag == "0") && tag == strings.ToLower(tag)
}

// remove ends a publication. Its entry stays a while as a mark, so that a
// restart knows that watchers may not have heard. Without a publication only
// a fresh entity-tag is given (RFC 3903 §6, Expires zero in a first PUBLISH).
func (r *resource) remove(ctx context.Context, old *publication) (Receipt, error) {
	e := r.engine
	created := e.number()
	if old != nil {
		created = old.created
	}
	_, now := e.clock()
	revision, err := e.store.Put(ctx, r.publicationKey(created), appendRemoved(nil, now), now, e.expected(old))
	if err != nil {
		return Receipt{}, r.unwritten("publication not removed", old, err)
	}
	if old != nil {
		r.drop(old)
	}
	return Receipt{EntityTag: entityTag(revision)}, nil
}

// refresh prolongs a publication; no watcher can notice (RFC 3903 §4.3).
func (r *resource) refresh(ctx context.Context, old *publication, granted time.Duration) (Receipt, error) {
	next := *old
	return r.keep(ctx, old, &next, granted)
}

// replace stores a new or modified publication and has watchers told.
func (r *resource) replace(ctx context.Context, old *publication, b *Body, granted time.Duration) (Receipt, error) {
	e := r.engine
	if len(b.Data) > e.limits.Body {
		return Receipt{}, &OversizedBodyError{Max: e.limits.Body}
	}
	text := string(b.Data)
	state, err := r.read(b.Type, text)
	if err != nil {
		return Receipt{}, err
	}
	var next publication
	if old != nil {
		next = *old
	} else if err := r.number(&next); err != nil {
		return Receipt{}, err
	}
	next.mediaType, next.text, next.state = r.pkg.mediaType(b.Type), text, state
	next.revision = 0
	receipt, err := r.keep(ctx, old, &next, granted)
	if err == nil {
		r.touch()
	}
	return receipt, err
}

// read makes state of a body; where nobody watches the body is only checked, if
// its package can do that for less.
func (r *resource) read(mediaType, text string) (state any, err error) {
	if len(r.subscriptions) > 0 {
		return r.pkg.Package.Read(r.id(), mediaType, text)
	}
	if c, ok := r.pkg.Package.(Checker); ok {
		return nil, c.Check(r.id(), mediaType, text)
	}
	_, err = r.pkg.Package.Read(r.id(), mediaType, text)
	return nil, err
}

// number numbers a new publication.
func (r *resource) number(p *publication) error {
	if len(r.publications) >= r.engine.limits.Publications {
		return &LimitError{What: "publications of one presentity", Max: r.engine.limits.Publications}
	}
	p.created = r.engine.number()
	if len(r.publications) > 0 {
		p.prefix = "p" + strconv.FormatInt(p.created, 36) + "-"
	}
	return nil
}

// keep writes next in the place of old, first to the store, then here. Without a
// revision its content is new.
func (r *resource) keep(ctx context.Context, old, next *publication, granted time.Duration) (Receipt, error) {
	e := r.engine
	now, wall := e.clock()
	next.expires, next.ends = now+moment(granted), wall.Add(granted).UnixNano()
	if next.revision == 0 {
		next.updated = wall.UnixNano()
	}
	revision, err := r.write(ctx, next, wall, e.expected(old))
	if err != nil {
		return Receipt{}, r.unwritten("publication not stored", old, err)
	}
	next.revision = revision
	if old != nil {
		*old = *next
	} else {
		r.publications = append(r.publications, *next)
		r.pkg.publications.Add(1)
	}
	r.schedule()
	return Receipt{EntityTag: entityTag(revision), Expires: granted}, nil
}

// write gives the store a publication. One with a revision is there already, and
// nothing but its expiry is new: most stores can do without the rest.
func (r *resource) write(ctx context.Context, p *publication, now time.Time, match uint64) (uint64, error) {
	entry := store.Entry{Key: r.publicationKey(p.created), Revision: p.revision}
	expires, soft := time.Unix(0, p.ends), r.engine.store
	if p.revision != 0 {
		revision, err := soft.Prolong(ctx, entry, expires, match)
		if !errors.Is(err, store.ErrValueWanted) {
			return revision, err
		}
	}
	b := records.Get().(*[]byte)
	defer records.Put(b)
	*b = appendPublication((*b)[:0], p, now)
	if p.revision == 0 {
		return soft.Put(ctx, entry.Key, *b, expires, match)
	}
	entry.Value = *b
	return soft.Prolong(ctx, entry, expires, match)
}

// expected is the revision an entry must have in the store for its publication
// to be written.
func (e *Engine) expected(old *publication) uint64 {
	switch {
	case !e.shared:
		return anyRevision
	case old == nil:
		return 0
	}
	return old.revision
}

// unwritten says what became of a change that the store refused. An entry that
// is no longer the one we wrote is lost, and its publication with it: the clock
// was set forward or the machine slept, and the store took it for expired.
func (r *resource) unwritten(what string, old *publication, err error) error {
	if old == nil || !errors.Is(err, store.ErrConflict) {
		return r.engine.refuse(what, r.id(), err)
	}
	r.drop(old)
	return ErrNoPublication
}

// drop takes a publication out and has watchers told.
func (r *resource) drop(p *publication) {
	created := p.created
	r.withdraw(func(x publication) bool { return x.created == created })
	r.touch()
	r.schedule()
}

// expire drops publications past their time. Their entries stay in the store
// until it purges them: a restart may still have to tell.
func (r *resource) expire() {
	now := r.engine.now()
	if r.withdraw(func(p publication) bool { return p.expires <= now }) {
		r.engine.fellDue()
		r.stale, r.changed = true, now
	}
}

// withdraw takes out those that gone says; it says whether there were any.
func (r *resource) withdraw(gone func(publication) bool) bool {
	n := len(r.publications)
	if r.publications = slices.DeleteFunc(r.publications, gone); len(r.publications) == n {
		return false
	}
	r.pkg.publications.Add(int64(len(r.publications) - n))
	if len(r.publications) == 0 {
		r.publications = nil
	}
	return true
}

// live gives the publications with their state, in creation order.
func (r *resource) live() []Publication {
	live := make([]Publication, 0, len(r.publications))
	for i := range r.publications {
		p := &r.publications[i]
		if p.state == nil {
			state, err := r.pkg.Package.Read(r.id(), p.mediaType, p.text)
			if err != nil {
				r.engine.log.Error("a stored publication cannot be read, it is left out", "resource", r.id(), "etag", entityTag(p.revision), "err", err)
				continue
			}
			p.state = state
		}
		live = append(live, p.public())
	}
	return live
}
