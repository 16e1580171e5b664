// Package pidf holds presence documents as a model: services, persons and
// devices with everything the presence RFCs let them carry.
//
// Covered are PIDF (RFC 3863), the data model (RFC 4479), RPID (RFC 4480),
// timed status (RFC 4481), contact information (RFC 4482), capabilities
// (RFC 5196) and the place types of RFC 4589. Everything else, geopriv
// (RFC 4119) included, is an Element: kept as it came.
//
// Reading is lenient and printing is strict. Parse refuses only what is not
// well-formed, has no presence root or entity, or holds a tuple without id or
// status; it takes children in any order and keeps what it does not know.
// AppendTo writes the order, names and values that the RFCs' schemas demand,
// with the prefixes rpid and dm always bound, because there are phones that
// look for the letters "<rpid:away/>". What a schema has no place for
// (elements of the PIDF namespace that PIDF does not define, elements of no
// namespace) is therefore lost on the way.
//
// Nothing here fetches a URI, and nothing here knows the network, the clock
// or a lock: a Document belongs to whoever holds it.
package pidf
