package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"vigie/event"
	"vigie/sip"
)

// notice is a notification on its way to the handler that waits for it.
type notice struct {
	subscription event.Subscription
	event.Notification
}

// watcher is an event.Watcher for the length of one HTTP request. The engine
// sends the next notification when the outcome of the last is in, so one waits
// here at most; a client that does not read costs one body.
type watcher struct {
	notices chan notice
	mu      sync.Mutex
	gone    bool // the request is over
}

func newWatcher() *watcher { return &watcher{notices: make(chan notice, 1)} }

// Notify implements event.Watcher.
func (w *watcher) Notify(s event.Subscription, n event.Notification) {
	w.mu.Lock()
	gone := w.gone
	if !gone {
		w.notices <- notice{s, n} // never full: the last one's outcome was in
	}
	w.mu.Unlock()
	if gone {
		s.Notified(event.Outcome{Result: event.Gone})
	}
}

// leave ends watching: what waits, and what may still come, is refused.
func (w *watcher) leave() {
	w.mu.Lock()
	w.gone = true
	w.mu.Unlock()
	select {
	case n := <-w.notices:
		n.subscription.Notified(event.Outcome{Result: event.Gone})
	default:
	}
}

// getPresence answers what the caller may know at this moment (a fetch,
// RFC 6665 §4.4.3), in short or as the document.
func (s *Server) getPresence(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, err := s.presentity(r)
	if err != nil {
		return err
	}
	fetch := newWatcher()
	defer fetch.leave()
	if _, err := s.Events.Subscribe(r.Context(), s.subscribe(aor, c, 0), fetch); err != nil {
		return err
	}
	var n notice
	select {
	case n = <-fetch.notices:
		n.subscription.Notified(event.Outcome{Result: event.Delivered})
	case <-r.Context().Done():
		return r.Context().Err()
	case <-s.stopping.Done():
		return event.ErrClosed
	}
	if strings.Contains(r.Header.Get("Accept"), pidfType) {
		return document(w, n.Body)
	}
	p, err := summary(bare(aor.String()), n.Body, time.Now())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, p)
	return nil
}

func document(w http.ResponseWriter, b *event.Body) error {
	if b == nil {
		return &Problem{Status: 403, Code: "pending", Detail: "the presentity has not decided yet whether you may watch"}
	}
	w.Header().Set("Content-Type", b.Type)
	w.Header().Set("Cache-Control", "no-store")
	// The client may be gone; there is nobody left to tell.
	_, _ = w.Write(b.Data)
	return nil
}

func (s *Server) subscribe(aor sip.URI, c caller, expires time.Duration) event.Subscribe {
	return event.Subscribe{
		Resource: event.Resource{Package: presencePackage, URI: aor},
		Watcher:  c.watcher(aor),
		Expires:  expires,
		Form:     event.Form{Entity: aor.String(), Type: pidfType},
	}
}

const (
	// heartbeat is how often a quiet stream says that it is alive.
	heartbeat = 15 * time.Second
	// patience is how long a client may take for one write.
	patience = 20 * time.Second
)

// streamPresence sends what the caller may know, and every change, as
// server-sent events: "presence" with a Presence, at the end "end" with the
// reason.
func (s *Server) streamPresence(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, err := s.presentity(r)
	if err != nil {
		return err
	}
	watch := newWatcher()
	defer watch.leave()
	subscription, err := s.Events.Subscribe(r.Context(), s.subscribe(aor, c, -1), watch)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	st := &stream{w: w, control: http.NewResponseController(w), address: bare(aor.String())}
	s.follow(r, st, subscription, watch)
	return nil
}

// follow writes notifications until the client leaves, the server stops or the
// subscription ends, and prolongs the subscription in time.
func (s *Server) follow(r *http.Request, st *stream, subscription event.Subscription, watch *watcher) {
	refresh := time.NewTimer(subscription.Expires() / 2)
	defer refresh.Stop()
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for {
		var err error
		select {
		case n := <-watch.notices:
			err = st.notify(n)
			outcome := event.Delivered
			if err != nil {
				outcome = event.Gone
			}
			n.subscription.Notified(event.Outcome{Result: outcome})
			if n.State == event.Terminated {
				return
			}
		case <-alive.C:
			err = st.write(": alive\n\n")
		case <-refresh.C:
			var granted time.Duration
			granted, err = subscription.Refresh(r.Context(), event.Refresh{Expires: -1, Form: event.Form{Entity: "sip:" + st.address, Type: pidfType}})
			refresh.Reset(granted / 2)
		case <-r.Context().Done():
			err = r.Context().Err()
		case <-s.stopping.Done():
			err = event.ErrClosed
		}
		if err != nil {
			giveUp(r, watch, subscription)
			return
		}
	}
}

// giveUp ends the subscription, also when the request's context has ended. The
// engine's last notification finds nobody.
func giveUp(r *http.Request, watch *watcher, subscription event.Subscription) {
	watch.leave()
	// It may be over already; that is what is wanted.
	_, _ = subscription.Refresh(context.WithoutCancel(r.Context()), event.Refresh{Expires: 0})
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	address string
}

func (st *stream) notify(n notice) error {
	if n.State == event.Terminated {
		return st.event("end", map[string]string{"reason": string(n.Reason)})
	}
	p, err := summary(st.address, n.Body, time.Now())
	if err != nil {
		return err
	}
	p.Subscription = n.State.String()
	return st.event("presence", p)
}

func (st *stream) event(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write event %s: %w", name, err)
	}
	return st.write("event: " + name + "\ndata: " + string(data) + "\n\n")
}

func (st *stream) write(text string) error {
	// Refused by writers that have no deadline; then there is none to keep.
	_ = st.control.SetWriteDeadline(time.Now().Add(patience))
	if _, err := st.w.Write([]byte(text)); err != nil {
		return err
	}
	return st.control.Flush()
}
