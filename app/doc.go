// Package app puts the server together: it reads the configuration, opens the
// stores, makes the services and the edges, starts them in order and stops them
// in the reverse order. It is the only package that names a driver or knows the
// configuration file.
//
// Life cycle. Start: lock on the data directory, directory store, soft store,
// event engine with its packages, transactions, API, transport last, so that
// the first datagram finds everything ready. Stop: the transport no longer
// takes new work, transactions under way get the grace time, then the edges,
// the engine and the stores close. Soft state stays; it is there again at the
// next start.
//
// Two processes never share a data directory: the server holds an advisory lock
// on the file "lock" in it. Commands that change accounts use the same lock to
// find out whether a server runs (see [OpenAccounts] and [Running]).
package app
