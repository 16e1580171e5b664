// Package api is the administration edge on HTTP: accounts and tokens, the
// state of the server, presence by REST and as an event stream, metrics and
// health. The commands of cmd/vigie are its first client.
//
// Who asks: a bearer token, a digest answer of an account (RFC 7616; the same
// accounts and realms as in SIP), or the local token that the running server
// leaves in its data directory for commands on the same machine. Nobody is
// believed by address alone. Administrators may do everything; anybody else
// sees and changes what is their own, and watches with the rights that a SIP
// watcher has.
//
// Every refusal is JSON {error, detail, hint}: error is a word for programs,
// detail says what was wrong, hint what would be right. Secrets are never
// logged and never in an answer, with one exception: a password or token made
// by the server is told once, in the answer that made it.
//
// Locks: the table of names for publications (publication.go) serialises what
// one source says about one presentity; nothing else is shared.
package api
