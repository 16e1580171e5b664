package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"vigie/event"
	"vigie/store"
)

// Problem is a refusal as the API words it, and as its client gives it back.
type Problem struct {
	Status int    `json:"-"`
	Code   string `json:"error"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

func (p *Problem) Error() string {
	if p.Hint == "" {
		return p.Detail
	}
	return p.Detail + "; " + p.Hint
}

// refusal chooses the answer to an error. What it does not know is a failure
// of ours: the cause stays here.
func refusal(err error) *Problem {
	var problem *Problem
	var brief *event.BriefError
	var limit *event.LimitError
	var oversized *event.OversizedBodyError
	var unsupported *event.UnsupportedBodyError
	var malformed *event.MalformedBodyError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &brief):
		return &Problem{Status: 400, Code: "lifetime-too-short", Detail: "the lifetime is too short", Hint: "ask for " + Duration(brief.Min).String() + " or more"}
	case errors.As(err, &limit):
		return &Problem{Status: 429, Code: "limit", Detail: unprefixed(err), Hint: "the limits are in the server's configuration"}
	case errors.As(err, &oversized), errors.As(err, &tooLarge):
		return &Problem{Status: 413, Code: "too-large", Detail: unprefixed(err)}
	case errors.As(err, &unsupported):
		return &Problem{Status: 415, Code: "unsupported-type", Detail: unprefixed(err)}
	case errors.As(err, &malformed):
		return &Problem{Status: 400, Code: "malformed-document", Detail: unprefixed(err)}
	case errors.Is(err, event.ErrNoPublication):
		return &Problem{Status: 404, Code: "no-publication", Detail: "nothing is published under this name"}
	case errors.Is(err, event.ErrRejected):
		return &Problem{Status: 403, Code: "rejected", Detail: "the presentity's rules do not let you watch"}
	case errors.Is(err, event.ErrClosed), errors.Is(err, store.ErrClosed):
		return &Problem{Status: 503, Code: "stopping", Detail: "the server is stopping", Hint: "try again later"}
	}
	return &Problem{Status: 500, Code: "failure", Detail: "the server failed to do this", Hint: "its log says why"}
}

// unprefixed is an error without the name of the package that made it.
func unprefixed(err error) string { return strings.TrimPrefix(err.Error(), "event: ") }

// refuse answers an error; a failure of ours is logged once, here.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := refusal(err)
	if p.Status == 500 {
		s.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("err", err))
	}
	answer(w, p.Status, p)
}

// answer writes a JSON answer.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// The client may be gone; there is nobody left to tell.
	_ = encoder.Encode(v)
}
