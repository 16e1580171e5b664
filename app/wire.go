package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/net/netutil"

	"vigie/api"
	"vigie/auth"
	"vigie/event"
	"vigie/presence"
	"vigie/sip"
	"vigie/sip/transaction"
	"vigie/sip/transport"
	"vigie/sipserver"
	"vigie/store"
	"vigie/store/pebble"
)

// The steps of Start, in their order.

// enterData makes the data directory this server's own.
func (s *Server) enterData(ctx context.Context) error {
	l, running, err := enter(ctx, s.options.Data)
	if err != nil {
		return err
	}
	if l == nil {
		return fmt.Errorf("%s: %w: process %d", s.options.Data, ErrBusy, running.PID)
	}
	s.atStop("unlock", func() error { l.release(); return nil })
	return nil
}

func (s *Server) openStores(context.Context) error {
	s.metrics = prometheus.NewRegistry()
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if s.directory = s.options.Directory; s.directory == nil {
		directory, err := openDirectory(s.options.Data, s.log)
		if err != nil {
			return err
		}
		s.atStop("close the directory", directory.Close)
		s.directory = directory
	}
	s.accounts = auth.NewAccounts(s.directory, 0)
	if s.soft = s.options.Soft; s.soft == nil {
		soft, err := pebble.Open(filepath.Join(s.options.Data, stateFolder), pebble.Options{
			Durability: pebble.Durability(s.config.Storage.Durability), Logger: s.log, Metrics: s.metrics,
		})
		if err != nil {
			return fmt.Errorf("open the store of soft state: %w", err)
		}
		s.atStop("close the store of soft state", soft.Close)
		s.soft = soft
	}
	return nil
}

// makeAdmin makes an administrator when there is none. It comes after all that
// keeps a server from starting: the password is told by a server that serves,
// and never again.
func (s *Server) makeAdmin(ctx context.Context) error {
	accounts, err := s.directory.Accounts(ctx, "")
	if err != nil {
		return fmt.Errorf("look for an administrator: %w", err)
	}
	s.noteForeign(accounts)
	if slices.ContainsFunc(accounts, func(a store.Account) bool { return a.Admin }) {
		return nil
	}
	book := &api.Accounts{Directory: s.directory}
	a, err := book.Add(ctx, api.NewAccount{Address: "admin@" + s.domains[0], Admin: true})
	var exists *api.Problem
	if errors.As(err, &exists) && exists.Status == 409 {
		s.log.Warn("there is no administrator, and admin@" + s.domains[0] + " is somebody else; `vigie account add --admin` makes one")
		return nil
	}
	if err != nil {
		return fmt.Errorf("make an administrator: %w", err)
	}
	s.admin = &a
	return nil
}

// noteForeign says which accounts cannot be used, because their domain is not
// served: a domain mistyped in "vigie account add", or one that has left the
// configuration.
func (s *Server) noteForeign(accounts []store.Account) {
	foreign := map[string]int{}
	for _, a := range accounts {
		if !slices.Contains(s.domains, a.Realm) {
			foreign[a.Realm]++
		}
	}
	for _, domain := range slices.Sorted(maps.Keys(foreign)) {
		s.log.Warn("accounts of a domain that is not served cannot be used", "domain", domain, "accounts", foreign[domain])
	}
}

// bindSIP takes the listeners; nothing is read from them yet.
func (s *Server) bindSIP(context.Context) error {
	c := &s.config.SIP
	o := transport.Options{
		Network: s.options.Network, Logger: s.log, Resolver: s.resolver(),
		Limits: transport.Limits{
			MaxMessage: c.MaxMessage, MaxHeaders: c.MaxHeaders, ReceiveBuffer: c.ReceiveBuffer,
			MaxConnections: c.Connections, MaxConnectionsPerSource: c.ConnectionsPerSrc,
			IdleTimeout: c.IdleTimeout, ReadTimeout: c.ReadTimeout, WriteQueue: c.WriteQueue,
		},
	}
	for _, spec := range c.Listen {
		l, err := transport.ParseListen(spec)
		if err != nil {
			return err
		}
		l.Advertise = c.Advertise
		o.Listen = append(o.Listen, l)
	}
	if s.config.TLS.Certificate != "" {
		var err error
		if o.TLS, err = s.serverTLS(); err != nil {
			return err
		}
	}
	t, err := transport.New(o)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; another program listens there: stop it, or choose another port with listen in [sip]", err)
	}
	if err != nil {
		return err
	}
	s.transport = t
	s.metrics.MustRegister(t.Metrics())
	s.atStop("close the SIP listeners", t.Close)
	return nil
}

func (s *Server) serverTLS() (*tls.Config, error) {
	c := s.config
	certificate, err := transport.LoadCertificate(c.path(c.TLS.Certificate), c.path(c.TLS.Key), s.log)
	if err != nil {
		return nil, err
	}
	if c.TLS.ClientCA == "" {
		return transport.ServerTLS(certificate, nil), nil
	}
	clients, err := loadPool(c.path(c.TLS.ClientCA))
	if err != nil {
		return nil, fmt.Errorf("tls.client-ca: %w", err)
	}
	return transport.ServerTLS(certificate, clients), nil
}

// resolver finds other servers. On a machine without resolv.conf it asks the
// machine itself, as the C library does.
func (s *Server) resolver() *transport.Resolver {
	var o transport.ResolverOptions
	for _, server := range s.config.SIP.DNS {
		o.Servers = append(o.Servers, dnsServer(server))
	}
	r, err := transport.NewResolver(o)
	if err == nil {
		return r
	}
	s.log.Warn("no DNS server is known, the one of this machine is asked", "err", err)
	o.Servers = []netip.AddrPort{dnsServer("127.0.0.1")}
	r, _ = transport.NewResolver(o) // never fails when servers are given
	return r
}

func dnsServer(s string) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap
	}
	addr, _ := netip.ParseAddr(s) // checked when the configuration was read
	return netip.AddrPortFrom(addr, 53)
}

// makeServices makes the engine with its packages, the SIP edge and the
// transactions between edge and transport.
func (s *Server) makeServices(ctx context.Context) error {
	c := s.config
	secret, err := auth.LoadSecret(ctx, s.directory)
	if err != nil {
		return err
	}
	authMetrics, edgeMetrics, layerMetrics := auth.NewMetrics(), sipserver.NewMetrics(), transaction.NewMetrics()
	s.digest, err = auth.NewDigest(auth.DigestOptions{
		Accounts: s.accounts.ByUser, Secret: secret, Algorithms: c.SIP.Algorithms,
		NonceLifetime: c.SIP.NonceLifetime, AllowNoQop: c.SIP.LegacyDigest, Metrics: authMetrics,
	})
	if err != nil {
		return err
	}
	s.engine = event.New(event.Options{
		Store: s.soft, Logger: s.log, Settle: s.transport.Settle,
		Limits: event.Limits{
			Body: c.Presence.Limits.Body, Publications: c.Presence.Limits.Publications,
			Subscriptions: c.Presence.Limits.Subscriptions, Failures: c.Presence.Limits.Failures,
		},
		Packages: []event.PackageOptions{{
			Package:   s.presence(),
			Lifetimes: event.Lifetimes(c.Presence.Expires),
			Interval:  c.Presence.NotifyInterval,
		}},
	})
	s.atStop("close the engine", func() error { s.engine.Close(); return nil })

	o := sipserver.Options{
		Events: s.engine, Accounts: s.accounts, Domains: s.domains, Trusted: c.trusted(),
		Sources: c.sources(authMetrics), AnyPresentity: c.anyPresentity(), Uniform: c.uniform(),
		ServerHeader: c.SIP.ServerHeader, Logger: s.log, Metrics: edgeMetrics,
	}
	if c.SIP.Authentication == "digest" {
		o.Digest = s.digest
	} else {
		s.log.Warn("AUTHENTICATION IS OFF: every From is believed, anybody can publish as anybody; this is for laboratories only")
	}
	s.edge = sipserver.New(o)
	s.atStop("close the SIP edge", func() error { s.edge.Close(); return nil })

	s.layer = transaction.New(s.transport, s.edge, transaction.Options{
		Allow: s.edge.Allows, MaxRequests: c.SIP.MaxRequests, Grace: c.Runtime.Grace, Logger: s.log, Metrics: layerMetrics,
	})
	s.atStop("finish transactions", func() error { s.layer.Close(); return nil })
	s.edge.Start(s.layer, s.transport, s.resolver())
	s.metrics.MustRegister(authMetrics, edgeMetrics, layerMetrics, s.engine)
	return nil
}

func (s *Server) presence() event.Package {
	w := s.config.Presence.Watchers
	return presence.New(presence.Options{
		SameDomain: presence.Default(w.SameDomain),
		Others:     presence.Default(w.Others),
	})
}

// presentity says whether an address can be published for and watched here.
func (s *Server) presentity(ctx context.Context, aor sip.URI) (bool, error) {
	if !slices.Contains(s.domains, aor.Host) {
		return false, nil
	}
	if s.config.anyPresentity() {
		return true, nil
	}
	_, err := s.accounts.ByAOR(ctx, aor.String())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// serveHTTP starts the API and leaves a note about it for commands.
func (s *Server) serveHTTP(context.Context) error {
	s.token = rand.Text()
	if s.config.HTTP.Listen != "" {
		l, err := net.Listen("tcp", s.config.HTTP.Listen)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w; another program listens there: stop it, or choose another port with listen in [http]", err)
		}
		if err != nil {
			return err
		}
		s.http = l.Addr()
		server := api.NewServer(api.Options{
			Directory: s.directory, Soft: s.soft, Events: s.engine, Digest: s.digest, Domains: s.domains,
			LocalToken: auth.HashToken(s.token), Presentity: s.presentity, Status: s.status, Ready: s.ready,
			Changed: s.accounts.Forget, Gatherer: s.metrics, MaxBody: s.config.Presence.Limits.Body, Logger: s.log,
		})
		server.Serve(netutil.LimitListener(l, s.config.HTTP.Connections))
		s.atStop("close HTTP", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), s.config.Runtime.Grace)
			defer cancel()
			return server.Close(ctx)
		})
	}
	note := Running{HTTP: s.httpURL(), Token: s.token, PID: os.Getpid(), Started: s.started, Version: s.options.Version}
	if err := note.leave(s.options.Data); err != nil {
		return err
	}
	s.atStop("take the note for commands away", func() error { return os.Remove(filepath.Join(s.options.Data, runtimeFile)) })
	return nil
}

// restore brings back what the last process kept.
func (s *Server) restore(ctx context.Context) error {
	s.collector.rest()
	defer s.collector.wake()
	return s.engine.Restore(ctx, map[string]event.Reviver{"sip": s.edge.Revive})
}

// serveSIP comes last: the first datagram finds everything ready.
func (s *Server) serveSIP(context.Context) error {
	s.transport.Serve(s.layer)
	return nil
}
