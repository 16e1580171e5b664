package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"vigie/auth"
	"vigie/event"
	"vigie/pidf"
	"vigie/sip"
	"vigie/store"
	"vigie/xmltree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// latest is an event package that shows what was published last, and lets
// everybody but carol watch; dave waits for ever.
type latest struct{}

type shown struct{ body []byte }

func (s shown) Same(o event.Composite) bool { return bytes.Equal(s.body, o.(shown).body) }
func (s shown) Next() time.Time             { return time.Time{} }

func (latest) Name() string           { return "presence" }
func (latest) PublishTypes() []string { return []string{pidfType} }
func (latest) NotifyTypes() []string  { return []string{pidfType} }

func (latest) Read(_ event.Resource, mediaType, text string) (any, error) {
	if mediaType != pidfType {
		return nil, &event.UnsupportedBodyError{Type: mediaType, Accept: []string{pidfType}}
	}
	if err := pidf.Check(text, xmltree.Limits{}); err != nil {
		return nil, &event.MalformedBodyError{Reason: err.Error()}
	}
	return text, nil
}

func (latest) Compose(r event.Resource, live []event.Publication, _ time.Time) (event.Composite, error) {
	if len(live) == 0 {
		d := pidf.Document{Entity: r.URI.String(), Tuples: []pidf.Tuple{{ID: "none", Basic: pidf.Closed}}}
		return shown{d.AppendTo(nil)}, nil
	}
	newest := slices.MaxFunc(live, func(a, b event.Publication) int { return a.Updated.Compare(b.Updated) })
	return shown{[]byte(newest.Body)}, nil
}

func (latest) Authorize(_ context.Context, _ event.Resource, w event.Identity) (event.Decision, error) {
	switch w.URI.User {
	case "carol":
		return event.Decision{State: event.Rejected}, nil
	case "dave":
		return event.Decision{State: event.Waiting}, nil
	}
	return event.Decision{State: event.Allowed, Key: "all"}, nil
}

func (latest) View(_ event.Resource, whole event.Composite, _ event.Decision, _ event.Form) (event.Body, error) {
	return event.Body{Type: pidfType, Data: whole.(shown).body}, nil
}

// house is an API over stores in memory.
type house struct {
	*testing.T
	server    *Server
	url       string
	directory *store.MemoryDirectory
	soft      *store.Memory
	engine    *event.Engine
	log       *strings.Builder
	unready   error
	client    *http.Client
}

const localToken = "the local token"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, directory: store.NewMemoryDirectory(), soft: store.NewMemory(), log: new(strings.Builder)}
	h.engine = event.New(event.Options{Store: h.soft, Packages: []event.PackageOptions{{
		Package: latest{}, Lifetimes: event.Lifetimes{Min: time.Minute, Default: time.Hour, Max: 24 * time.Hour},
	}}})
	h.serve("127.0.0.1:0")
	t.Cleanup(func() { h.engine.Close() })
	return h
}

// serve starts a server; restart calls it again.
func (h *house) serve(addr string) {
	h.Helper()
	accounts := auth.NewAccounts(h.directory, 0)
	digest, err := auth.NewDigest(auth.DigestOptions{Accounts: accounts.ByUser, Secret: []byte("0123456789abcdef")})
	if err != nil {
		h.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(h.engine)
	h.server = NewServer(Options{
		Directory: h.directory, Soft: h.soft, Events: h.engine, Digest: digest, Domains: []string{"example.com", "example.net"},
		LocalToken: auth.HashToken(localToken), Changed: accounts.Forget, Gatherer: registry,
		Presentity: func(_ context.Context, aor sip.URI) (bool, error) {
			return aor.Host == "example.com" && aor.User != "nobody", nil
		},
		Status: func() Status { return Status{Version: "test", Started: time.Now()} },
		Ready:  func(context.Context) error { return h.unready },
		Logger: slog.New(slog.NewTextHandler(h.log, nil)),
	})
	l, err := net.Listen("tcp", addr)
	if err != nil {
		h.Fatal(err)
	}
	h.server.Serve(l)
	h.url = "http://" + l.Addr().String()
	h.client = &http.Client{Transport: &http.Transport{}}
	server, client := h.server, h.client
	h.Cleanup(func() {
		client.CloseIdleConnections()
		if err := server.Close(context.Background()); err != nil {
			h.Error(err)
		}
	})
}

func (h *house) admin() *Client {
	return &Client{Server: h.url, Token: localToken, HTTP: h.client}
}

// user makes an account and gives a client with a token of it.
func (h *house) user(address string) *Client {
	h.Helper()
	if _, err := h.admin().Add(h.Context(), NewAccount{Address: address, Password: "secret"}); err != nil {
		h.Fatal(err)
	}
	return h.token(address)
}

func (h *house) token(address string) *Client {
	h.Helper()
	t, err := h.admin().NewToken(h.Context(), address, NewToken{Name: "test"})
	if err != nil {
		h.Fatal(err)
	}
	return &Client{Server: h.url, Token: t.Secret, HTTP: h.client}
}

// refused checks that a call was refused with a status and code.
func (h *house) refused(err error, status int, code string) {
	h.Helper()
	var p *Problem
	if !errors.As(err, &p) || p.Status != status || p.Code != code {
		h.Errorf("got %#v, want a refusal %d %s", err, status, code)
	}
}

func (h *house) get(path, authorization string) (int, string, http.Header) {
	h.Helper()
	return h.request("GET", path, authorization, "", "")
}

func (h *house) request(method, path, authorization, contentType, body string) (int, string, http.Header) {
	h.Helper()
	request, err := http.NewRequestWithContext(h.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := h.client.Do(request)
	if err != nil {
		h.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		h.Fatal(err)
	}
	return response.StatusCode, string(data), response.Header
}
