package app

import (
	"time"
)

// Config is the configuration file, value by value. [Default] has what holds
// without a file; settings.go binds each field to its key.
type Config struct {
	// File is where the configuration was read from; empty for the defaults.
	// Relative file names in it are meant relative to its folder.
	File string

	Domains []string

	SIP            SIP
	TLS            TLS
	HTTP           HTTP
	Storage        Storage
	Presence       Presence
	Dialog         Package
	MessageSummary Package
	Reg            Package
	Log            Log
	Runtime        Runtime
}

// SIP is the [sip] section.
type SIP struct {
	Listen              []string
	Advertise           string
	Trusted             []string
	TrustedCertificates []string
	Authentication      string
	Algorithms          []string
	NonceLifetime       time.Duration
	LegacyDigest        bool
	UnauthenticatedRate int
	Refusals            string
	MaxMessage          int
	MaxHeaders          int
	MaxRequests         int
	ReceiveBuffer       int // bytes, of one UDP listener
	Connections         int
	ConnectionsPerSrc   int
	IdleTimeout         time.Duration
	ReadTimeout         time.Duration
	WriteQueue          int
	DNS                 []string
	ServerHeader        string
}

// TLS is the [tls] section: certificate files for tls:// listeners.
type TLS struct {
	Certificate string
	Key         string
	ClientCA    string
}

// HTTP is the [http] section.
type HTTP struct {
	Listen      string
	Connections int
}

// Storage is the [storage] section.
type Storage struct {
	Directory  string
	Durability string
}

// Expires bounds the lifetimes of subscriptions and publications.
type Expires struct {
	Min, Default, Max time.Duration
}

// Package is what every event package can be told.
type Package struct {
	Expires        Expires
	NotifyInterval time.Duration
}

// Presence is the [presence] section.
type Presence struct {
	Package
	Watchers     Watchers
	Presentities string
	Limits       Limits
}

// Watchers is who may watch while the presentity has no rules of its own.
type Watchers struct {
	SameDomain string
	Others     string
}

// Limits bounds what one user can make the server keep.
type Limits struct {
	Publications  int // of one presentity
	Subscriptions int // of one watcher
	Failures      int // NOTIFYs failing in a row before a subscription ends
	Body          int // bytes of one document
}

// Log is the [log] section.
type Log struct {
	Level  string
	Format string
}

// Runtime is the [runtime] section.
type Runtime struct {
	Grace       time.Duration
	GCPercent   int
	GCHeadroom  int // bytes
	MemoryLimit int
}

// Default is the configuration that holds without a file.
func Default() *Config {
	hour := Expires{Min: time.Minute, Default: time.Hour, Max: 24 * time.Hour}
	return &Config{
		SIP: SIP{
			Listen:              []string{"udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"},
			Authentication:      "digest",
			Algorithms:          []string{"SHA-256", "SHA-512-256", "MD5"},
			NonceLifetime:       5 * time.Minute,
			UnauthenticatedRate: 50,
			Refusals:            "distinct",
			MaxMessage:          64 << 10,
			MaxHeaders:          256,
			MaxRequests:         20_000,
			ReceiveBuffer:       32 << 20,
			Connections:         20_000,
			ConnectionsPerSrc:   2000,
			IdleTimeout:         75 * time.Minute,
			ReadTimeout:         20 * time.Second,
			WriteQueue:          1 << 20,
			ServerHeader:        "vigie",
		},
		HTTP:    HTTP{Listen: "127.0.0.1:8080", Connections: 1000},
		Storage: Storage{Directory: "sqlite", Durability: "process"},
		Presence: Presence{
			Package:      Package{Expires: hour, NotifyInterval: 5 * time.Second},
			Watchers:     Watchers{SameDomain: "allow", Others: "confirm"},
			Presentities: "auto",
			Limits:       Limits{Publications: 50, Subscriptions: 5000, Failures: 5, Body: 64 << 10},
		},
		Dialog:         Package{Expires: hour, NotifyInterval: time.Second},
		MessageSummary: Package{Expires: Expires{Min: time.Minute, Default: time.Hour, Max: 7 * 24 * time.Hour}, NotifyInterval: time.Second},
		Reg:            Package{Expires: Expires{Min: time.Minute, Default: 3761 * time.Second, Max: 24 * time.Hour}, NotifyInterval: 5 * time.Second},
		Log:            Log{Level: "info", Format: "text"},
		Runtime:        Runtime{Grace: 5 * time.Second, GCPercent: 100, GCHeadroom: 32 << 20},
	}
}
