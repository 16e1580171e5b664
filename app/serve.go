package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vigie/api"
	"vigie/auth"
	"vigie/event"
	"vigie/sip/transaction"
	"vigie/sip/transport"
	"vigie/sipserver"
	"vigie/store"
)

// Options of a running server that are no configuration.
type Options struct {
	Data    string    // data directory
	Version string    // of the program
	Output  io.Writer // what is said to a person at the first start; nil: nothing
	Program string    // how that person calls the program; "" is vigie
	Log     io.Writer // nil: standard error

	// Network, Directory and Soft replace the system's network and what lies in
	// the data directory, in tests. They are the caller's to close.
	Network   transport.Network
	Directory store.Directory
	Soft      store.Soft
}

// Server is a running server. Start makes one, Stop ends it.
type Server struct {
	config  *Config
	options Options
	domains []string
	log     *slog.Logger
	level   *slog.LevelVar
	started time.Time
	phase   atomic.Pointer[string] // why it is not ready; nil: it is

	collector *collector
	metrics   *prometheus.Registry
	directory store.Directory
	soft      store.Soft
	accounts  *auth.Accounts
	digest    *auth.Digest
	transport *transport.Transport
	engine    *event.Engine
	edge      *sipserver.Server
	layer     *transaction.Layer
	token     string // local token
	http      net.Addr
	admin     *api.Account // made at this start

	closers []closer // undo what Start did, last first
}

type closer struct {
	what string
	do   func() error
}

// Start brings a server up and returns when it serves. On error nothing is left
// running.
func Start(ctx context.Context, c *Config, o Options) (*Server, error) {
	s := &Server{config: c, options: o, started: time.Now(), domains: c.domains()}
	s.enter("starting")
	s.makeLog()
	s.tune()
	for _, step := range []func(context.Context) error{
		s.enterData, s.openStores, s.bindSIP, s.makeServices, s.serveHTTP, s.restore, s.makeAdmin, s.serveSIP,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.phase.Store(nil)
	s.log.Info("serving", "listeners", s.listeners(), "http", s.httpURL(), "domains", s.domains, "data", o.Data, "version", o.Version)
	s.greet()
	return s, nil
}

// enter says why the server is not ready.
func (s *Server) enter(phase string) { s.phase.Store(&phase) }

// atStop has something undone at the end, before all that was there earlier.
func (s *Server) atStop(what string, do func() error) {
	s.closers = append(s.closers, closer{what, do})
}

// Stop ends the server: no new work, the grace for what is under way, then
// everything is closed in the reverse order of its start. Soft state stays.
func (s *Server) Stop() error {
	s.enter("stopping")
	s.log.Info("stopping")
	err := s.close()
	s.log.Info("stopped")
	return err
}

func (s *Server) close() error {
	var all error
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i].do(); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", s.closers[i].what, err))
		}
	}
	s.closers = nil
	return all
}

// Reload reads the configuration file again and takes over what can change while
// the server runs: the log level. Certificate files need no reload, each
// handshake looks whether they changed.
func (s *Server) Reload(file string) {
	c, err := Load(file)
	if err != nil {
		s.log.Error("the configuration is not taken over", "err", err)
		return
	}
	s.level.Set(c.Log.slogLevel())
	s.log.Info("configuration read again", "level", c.Log.Level)
	if keys := s.config.changed(c); len(keys) > 0 {
		s.log.Warn("what else changed in the configuration needs a restart", "keys", strings.Join(keys, ", "))
	}
}

// ready gives the reason why the server should get no traffic.
func (s *Server) ready(ctx context.Context) error {
	if phase := s.phase.Load(); phase != nil {
		return errors.New(*phase)
	}
	if soft, ok := s.soft.(store.Healthy); ok && soft.Health() != nil {
		return errors.New("the store of soft state does not work")
	}
	if _, err := s.directory.Generation(ctx); err != nil {
		return errors.New("the directory does not work")
	}
	return nil
}

func (s *Server) status() api.Status {
	return api.Status{
		Version: s.options.Version, Started: s.started, Domains: s.domains, Listeners: s.listeners(),
		Directory: s.config.Storage.Directory, Durability: s.config.Storage.Durability,
	}
}

func (s *Server) listeners() []string {
	var list []string
	for _, e := range s.transport.Listeners() {
		list = append(list, e.String())
	}
	return list
}

func (s *Server) httpURL() string {
	if s.http == nil {
		return ""
	}
	return localURL(s.http)
}

// Listeners gives where SIP is served, with the ports that were bound.
func (s *Server) Listeners() []transport.Endpoint { return s.transport.Listeners() }

// HTTP gives the address of the API; "" without one.
func (s *Server) HTTP() string { return s.httpURL() }
