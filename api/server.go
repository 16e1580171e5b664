package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vigie/auth"
	"vigie/event"
	"vigie/sip"
	"vigie/store"
)

// Options of a Server.
type Options struct {
	Directory store.Directory
	Soft      store.Soft // keeps which publication has which name
	Events    event.Service
	Digest    *auth.Digest // nil: tokens only
	Domains   []string     // served; the first is the realm of requests that name none

	// LocalToken is the hash of the token that commands on this machine find in
	// the data directory; nil: there is none.
	LocalToken []byte

	// Presentity says whether an address can be published for and watched.
	Presentity func(ctx context.Context, aor sip.URI) (bool, error)
	// Changed is called when accounts were changed here; nil: nobody cares.
	Changed func()
	// Status describes the server; Counters are added here.
	Status func() Status
	// Ready gives the reason why the server should get no traffic, or nil.
	Ready func(ctx context.Context) error

	Gatherer prometheus.Gatherer
	MaxBody  int // bytes of one request's body
	Logger   *slog.Logger
}

// Server answers HTTP.
type Server struct {
	Options
	accounts *Accounts
	names    names
	log      *slog.Logger
	http     *http.Server
	stopping context.Context // ends the event streams
	stop     context.CancelFunc
	served   sync.WaitGroup
}

// NewServer makes a server; Serve starts it.
func NewServer(o Options) *Server {
	s := &Server{Options: o, log: o.Logger, accounts: &Accounts{Directory: o.Directory, Domains: o.Domains}}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.MaxBody == 0 {
		s.MaxBody = 64 << 10
	}
	if s.Changed == nil {
		s.Changed = func() {}
	}
	s.names.seed = maphash.MakeSeed()
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second, // event streams and profiles set their own
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s
}

// Handler gives the routes alone, for a server of somebody else.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Serve starts answering on l and returns at once.
func (s *Server) Serve(l net.Listener) {
	s.served.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("HTTP ended", "err", err)
		}
	})
}

// Close ends the event streams, lets requests under way finish until ctx ends,
// and waits for everything.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.served.Wait()
	return err
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	everybody, admin := s.authenticated, s.administrators

	mux.Handle("GET /api/v1/accounts", admin(s.listAccounts))
	mux.Handle("POST /api/v1/accounts", admin(s.addAccount))
	mux.Handle("GET /api/v1/accounts/{address}", everybody(s.getAccount))
	mux.Handle("PATCH /api/v1/accounts/{address}", everybody(s.changeAccount))
	mux.Handle("DELETE /api/v1/accounts/{address}", admin(s.removeAccount))
	mux.Handle("GET /api/v1/accounts/{address}/tokens", everybody(s.listTokens))
	mux.Handle("POST /api/v1/accounts/{address}/tokens", everybody(s.addToken))
	mux.Handle("DELETE /api/v1/accounts/{address}/tokens/{name}", everybody(s.removeToken))

	mux.Handle("GET /api/v1/presence/{address}", everybody(s.getPresence))
	mux.Handle("PUT /api/v1/presence/{address}", everybody(s.putPresence))
	mux.Handle("DELETE /api/v1/presence/{address}", everybody(s.deletePresence))
	mux.Handle("GET /api/v1/presence/{address}/events", everybody(s.streamPresence))

	mux.Handle("GET /api/v1/status", admin(s.getStatus))

	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { plain(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", s.readiness)
	if s.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 30 * time.Second}))
	}
	mux.Handle("GET /debug/pprof/", admin(profile(pprof.Index)))
	mux.Handle("GET /debug/pprof/profile", admin(profile(pprof.Profile)))
	mux.Handle("GET /debug/pprof/trace", admin(profile(pprof.Trace)))
	mux.Handle("GET /debug/pprof/cmdline", admin(profile(pprof.Cmdline)))
	mux.Handle("GET /debug/pprof/symbol", admin(profile(pprof.Symbol)))

	mux.HandleFunc("/", s.nowhere)
	return mux
}

// nowhere answers paths that do not exist, and methods that a path does not
// have.
func (s *Server) nowhere(w http.ResponseWriter, r *http.Request) {
	s.refuse(w, r, &Problem{Status: 404, Code: "no-such-path", Detail: fmt.Sprintf("%s %s does not exist", r.Method, r.URL.Path),
		Hint: "docs/api.md lists what does"})
}

func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	if s.Ready != nil {
		if err := s.Ready(r.Context()); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The client may be gone; there is nobody left to tell.
	_, _ = io.WriteString(w, text+"\n")
}

// profile wraps a profile's page, which may take longer than other answers.
func profile(page http.HandlerFunc) handler {
	return func(w http.ResponseWriter, r *http.Request, _ caller) error {
		// Refused by writers that have no deadline to lift.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		page(w, r)
		return nil
	}
}

// read decodes the JSON body of a request, in which every key must be known.
func (s *Server) read(w http.ResponseWriter, r *http.Request, into any) error {
	if t := r.Header.Get("Content-Type"); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != "application/json" {
			return &Problem{Status: 415, Code: "unsupported-type", Detail: fmt.Sprintf("the body is %s", t), Hint: "send application/json"}
		}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, int64(s.MaxBody)))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err := d.Token(); err != io.EOF {
			return &Problem{Status: 400, Code: "bad-json", Detail: "something follows the JSON value"}
		}
		return nil
	}
	var known *Problem
	var tooLarge *http.MaxBytesError
	if errors.As(err, &known) || errors.As(err, &tooLarge) {
		return err
	}
	return &Problem{Status: 400, Code: "bad-json", Detail: "the body does not read: " + err.Error(), Hint: "docs/api.md shows what is expected"}
}
