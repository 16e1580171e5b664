package auth

import (
	"iter"
	"strconv"
	"strings"

	"vigie/sip"
)

// credentials is one row of Authorization by the digest scheme (RFC 7616 §3.4).
type credentials struct {
	algorithm algorithm
	username  string
	realm     string
	nonce     string
	uri       string
	response  string
	cnonce    string
	qop       string // "" in the legacy form of RFC 2069
	nc        string // eight digits as sent, they are hashed
	count     uint32
}

// maxParameter bounds each parameter, so that a hash is over little.
const maxParameter = 1024

// credentialsFor picks the row that answers a challenge of ours. Rows of other
// realms, of other schemes and of algorithms that are not offered are passed
// over. An unusable row of ours is an error if none is usable.
func (d *Digest) credentialsFor(realm string, rows iter.Seq[string]) (credentials, error) {
	p := &picker{digest: d, realm: realm, err: ErrNoCredentials}
	if rows != nil {
		rows(p.look)
	}
	return p.credentials, p.err
}

// picker goes through rows; one of its own costs less than a loop over a function
// that is not known.
type picker struct {
	digest *Digest
	realm  string
	credentials
	err error
}

// look takes one row, and tells whether to go on.
func (p *picker) look(row string) bool {
	if !isDigest(row) {
		return true
	}
	parsed, err := sip.ParseAuth(row)
	if err != nil {
		p.err = &CredentialsError{"the credentials do not follow the grammar"}
		return true
	}
	if own, ok := parsed.Get("realm"); !ok || own != p.realm {
		return true
	}
	p.credentials, p.err = p.digest.read(parsed)
	return p.err != nil
}

func isDigest(row string) bool {
	const scheme = "digest"
	return len(row) > len(scheme) && strings.EqualFold(row[:len(scheme)], scheme) &&
		(row[len(scheme)] == ' ' || row[len(scheme)] == '\t')
}

// read takes the parameters of one row and checks them (RFC 7616 §3.4).
func (d *Digest) read(row sip.Auth) (credentials, error) {
	c := credentials{algorithm: algorithmMD5} // when none is named
	extended := ""
	for _, p := range row.Params {
		if len(p.Value) > maxParameter {
			return c, &CredentialsError{"the credentials have an overlong parameter"}
		}
		switch p.Name {
		case "username":
			c.username = p.Value
		case "username*":
			extended = p.Value
		case "realm":
			c.realm = p.Value
		case "nonce":
			c.nonce = p.Value
		case "uri":
			c.uri = p.Value
			if !p.Quoted { // RFC 8760 §2.6, item 2
				return c, &CredentialsError{"the uri of the credentials is not quoted"}
			}
		case "response":
			c.response = p.Value
		case "algorithm":
			c.algorithm = algorithmByName(p.Value)
		case "cnonce":
			c.cnonce = p.Value
		case "qop":
			c.qop = strings.ToLower(p.Value)
		case "nc":
			c.nc = p.Value
		}
	}
	if extended != "" {
		name, ok := decodeExtended(extended)
		if !ok || c.username != "" {
			return c, &CredentialsError{"the credentials name the user twice or in an unknown encoding"}
		}
		c.username = name
	}
	return c, d.check(&c)
}

func (d *Digest) check(c *credentials) error {
	if c.nonce == "" && c.response == "" {
		return ErrNoCredentials // the client has seen no challenge yet (RFC 8760 §2.7)
	}
	if !d.offers(c.algorithm) {
		return ErrNoCredentials
	}
	switch {
	case c.username == "":
		return &CredentialsError{"the credentials name no user"}
	case c.nonce == "":
		return &CredentialsError{"the credentials have no nonce"}
	case c.uri == "":
		return &CredentialsError{"the credentials have no uri"}
	case len(c.response) != c.algorithm.hexSize():
		return &CredentialsError{"the response of the credentials has not the length of its algorithm"}
	}
	switch {
	case c.qop == "" && !d.allowNoQop:
		return ErrNoCredentials
	case c.qop == "":
		return nil
	case c.qop != "auth" && (c.qop != "auth-int" || !d.offerAuthInt):
		return &CredentialsError{"the credentials use a qop that was not offered"}
	case c.cnonce == "":
		return &CredentialsError{"the credentials have a qop and no cnonce"}
	}
	count, err := strconv.ParseUint(c.nc, 16, 32)
	if err != nil || len(c.nc) != 8 || count == 0 {
		return &CredentialsError{"the nonce count of the credentials is not eight hexadecimal digits above zero"}
	}
	c.count = uint32(count)
	return nil
}

// decodeExtended reads the notation of RFC 5987 §3.2, for UTF-8 alone.
func decodeExtended(s string) (string, bool) {
	charset, rest, ok := strings.Cut(s, "'")
	_, value, tagged := strings.Cut(rest, "'")
	if !ok || !tagged || !strings.EqualFold(charset, "UTF-8") {
		return "", false
	}
	return sip.Unescape(value), true
}
