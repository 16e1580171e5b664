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

// publication is one live publication; its entity-tag is its revision.
type publication struct {
	Publication
	revision uint64
	expires  moment
}

// Publish follows the steps of RFC 3903 §6; the first that fails answers, and
// nothing has changed then.
func (e *Engine) Publish(ctx context.Context, p Publish) (Receipt, error) {
	pkg, ok := e.packages[p.Resource.Package]
	if !ok || len(pkg.Package.PublishTypes()) == 0 {
		return Receipt{}, ErrUnknownPackage
	}
	if e.closed.Load() {
		return Receipt{}, ErrClosed
	}
	r := e.lock(p.Resource, pkg)
	defer r.unlock()
	var old *publication
	if p.IfMatch != "" { // step 3
		if old = r.tagged(p.IfMatch); old == nil {
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
func (r *resource) tagged(tag string) *publication {
	revision, err := strconv.ParseUint(tag, 36, 64)
	if err != nil || entityTag(revision) != tag {
		return nil
	}
	now := r.engine.now()
	for _, p := range r.publications {
		if p.revision == revision && p.expires > now {
			return p
		}
	}
	return nil
}

func entityTag(revision uint64) string { return strconv.FormatUint(revision, 36) }

// remove ends a publication. Its entry stays a while as a mark, so that a
// restart knows that watchers may not have heard. Without a publication only
// a fresh entity-tag is given (RFC 3903 §6, Expires zero in a first PUBLISH).
func (r *resource) remove(ctx context.Context, old *publication) (Receipt, error) {
	e := r.engine
	now := e.now()
	created := e.number()
	if old != nil {
		created = old.Created
	}
	mark := appendRemoved(nil, e.wall(now))
	revision, err := e.store.Put(ctx, r.publicationKey(created), mark, e.wall(now), e.expected(old))
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
	state, err := r.pkg.Package.Read(r.id, *b)
	if err != nil {
		return Receipt{}, err
	}
	next := &publication{}
	if old != nil {
		*next = *old
	} else if err := r.place(next); err != nil {
		return Receipt{}, err
	}
	next.ContentType, next.Body = strings.Clone(b.Type), bytesClone(b.Data)
	next.Updated = e.wall(e.now())
	next.State = state
	next.revision = 0
	receipt, err := r.keep(ctx, old, next, granted)
	if err == nil {
		r.touch()
	}
	return receipt, err
}

// place numbers a new publication.
func (r *resource) place(p *publication) error {
	if len(r.publications) >= r.engine.limits.Publications {
		return &LimitError{What: "publications of one presentity", Max: r.engine.limits.Publications}
	}
	p.Created = r.engine.number()
	if len(r.publications) > 0 {
		p.Prefix = "p" + strconv.FormatInt(p.Created, 36) + "-"
	}
	return nil
}

// keep writes next in the place of old, first to the store, then here.
func (r *resource) keep(ctx context.Context, old, next *publication, granted time.Duration) (Receipt, error) {
	e := r.engine
	next.expires = e.now() + moment(granted)
	next.Expires = e.wall(next.expires)
	revision, err := r.write(ctx, next, e.expected(old))
	if err != nil {
		return Receipt{}, r.unwritten("publication not stored", old, err)
	}
	next.revision = revision
	if len(r.subscriptions) == 0 {
		next.State = nil
	}
	if old != nil {
		*old = *next
	} else {
		r.publications = append(r.publications, next)
		r.pkg.publications.Add(1)
	}
	r.schedule()
	return Receipt{EntityTag: entityTag(revision), Expires: granted}, nil
}

// write gives the store a publication. One with a revision is there already,
// and nothing but its expiry is new.
func (r *resource) write(ctx context.Context, p *publication, match uint64) (uint64, error) {
	b := records.Get().(*[]byte)
	defer records.Put(b)
	*b = appendPublication((*b)[:0], p)
	key, soft := r.publicationKey(p.Created), r.engine.store
	if p.revision == 0 {
		return soft.Put(ctx, key, *b, p.Expires, match)
	}
	return soft.Prolong(ctx, store.Entry{Key: key, Value: *b, Revision: p.revision}, p.Expires, match)
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
		return r.engine.refuse(what, r.id, err)
	}
	r.drop(old)
	return ErrNoPublication
}

// drop takes a publication out and has watchers told.
func (r *resource) drop(p *publication) {
	r.publications = slices.DeleteFunc(r.publications, func(x *publication) bool { return x == p })
	r.pkg.publications.Add(-1)
	r.touch()
	r.schedule()
}

// expire drops publications past their time. Their entries stay in the store
// until it purges them: a restart may still have to tell.
func (r *resource) expire() {
	now := r.engine.now()
	n := len(r.publications)
	r.publications = slices.DeleteFunc(r.publications, func(p *publication) bool { return p.expires <= now })
	if n -= len(r.publications); n > 0 {
		r.pkg.publications.Add(int64(-n))
		r.engine.fellDue()
		r.stale, r.changed = true, now
	}
}

// live gives the publications with their state, in creation order.
func (r *resource) live() []Publication {
	live := make([]Publication, 0, len(r.publications))
	for _, p := range r.publications {
		if p.State == nil {
			state, err := r.pkg.Package.Read(r.id, Body{Type: p.ContentType, Data: p.Body})
			if err != nil {
				r.engine.log.Error("a stored publication cannot be read, it is left out", "resource", r.id, "etag", entityTag(p.revision), "err", err)
				continue
			}
			p.State = state
		}
		live = append(live, p.Publication)
	}
	return live
}
