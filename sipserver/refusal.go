package sipserver

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"vigie/event"
	"vigie/sip"
)

// refused is a request's answer other than success.
type refused struct {
	status  int
	reason  string
	headers []sip.Header
	cause   error // what the peer is not told; nil: the reason says it all
}

// Error is for the log.
func (r *refused) Error() string {
	switch {
	case r.cause != nil:
		return r.cause.Error()
	case r.reason == "":
		return sip.ReasonPhrase(r.status)
	}
	return r.reason
}

func refuse(status int, reason string) *refused { return &refused{status: status, reason: reason} }

func (r *refused) with(id sip.HeaderID, value string) *refused {
	r.headers = append(r.headers, sip.Header{ID: id, Name: id.String(), Value: value})
	return r
}

// refusal chooses the answer to an error. What it does not know is a failure
// of ours: its cause is logged by whoever met it and never sent.
func (s *Server) refusal(err error) *refused {
	var (
		edge      *refused
		brief     *event.BriefError
		limit     *event.LimitError
		body      *event.UnsupportedBodyError
		malformed *event.MalformedBodyError
		large     *event.OversizedBodyError
	)
	switch {
	case errors.As(err, &edge):
		return edge
	case errors.Is(err, event.ErrUnknownPackage):
		return s.unknownPackage()
	case errors.Is(err, event.ErrNoPublication):
		return refuse(412, "")
	case errors.As(err, &brief):
		return refuse(423, "").with(sip.HeaderMinExpires, seconds(brief.Min))
	case errors.Is(err, event.ErrNoBody):
		return refuse(400, "An initial PUBLISH needs a body")
	case errors.As(err, &body):
		return refuse(415, "").with(sip.HeaderAccept, strings.Join(body.Accept, ", "))
	case errors.As(err, &malformed):
		return refuse(400, phrase(malformed.Reason))
	case errors.As(err, &large):
		return refuse(413, fmt.Sprintf("Body larger than %d bytes", large.Max))
	case errors.As(err, &limit):
		return refuse(403, phrase(fmt.Sprintf("Too many %s (limit %d)", limit.What, limit.Max)))
	case errors.Is(err, event.ErrRejected):
		return s.unwelcome(refuse(403, ""))
	case errors.Is(err, event.ErrGone):
		return refuse(481, "Subscription does not exist")
	case errors.Is(err, event.ErrClosed):
		return refuse(503, "").with(sip.HeaderRetryAfter, strconv.Itoa(5+rand.IntN(25)))
	default:
		return refuse(500, "")
	}
}

// unwelcome makes an answer that must not tell an unknown presentity from a
// refused watcher, where that is configured.
func (s *Server) unwelcome(r *refused) *refused {
	if s.Uniform != 0 {
		return refuse(s.Uniform, "")
	}
	return r
}

// unwelcomed tells such an answer.
func (s *Server) unwelcomed(err error) bool {
	var r *refused
	return s.Uniform != 0 && errors.As(err, &r) && r.status == s.Uniform
}

func (s *Server) unknownPackage() *refused {
	return refuse(489, "").with(sip.HeaderAllowEvents, s.allowEvents())
}

// phrase makes a reason phrase of text that may quote a peer.
func phrase(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// exchange answers with the refusal that fits the error.
func (x *exchange) refuse(err error) {
	r := x.server.refusal(err)
	if r.status == 500 {
		x.server.Logger.Error("request failed", "method", x.req.Method, "call_id", x.req.CallID, "peer", x.tx.Flow.Remote, "err", err)
	} else if x.server.Logger.Enabled(x.Context, slog.LevelDebug) {
		x.server.Logger.Debug("request refused", "method", x.req.Method, "call_id", x.req.CallID, "peer", x.tx.Flow.Remote, "status", r.status, "err", err)
	}
	x.answer(r)
}
