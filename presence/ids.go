package presence

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"vigie/pidf"
)

// Every output id is the prefix of its publication, fixed when that was created,
// and an id that is good within the document. The engine leaves the prefix out for
// a publication that was alone when it was created, hence ids that look like they
// had one, or like ours, are not taken as they are.

// ownPrefix begins the ids that the server makes.
const ownPrefix = "v-"

// settleIDs makes the ids of a document NCNames that are unique in it and cannot
// meet those of others (RFC 3863 §4.4). It depends on the document alone.
func settleIDs(d *pidf.Document) {
	ids := make([]*string, 0, len(d.Tuples)+len(d.Persons)+len(d.Devices))
	for i := range d.Tuples {
		ids = append(ids, &d.Tuples[i].ID)
	}
	for i := range d.Persons {
		ids = append(ids, withName(&d.Persons[i].ID, "person"))
	}
	for i := range d.Devices {
		ids = append(ids, withName(&d.Devices[i].ID, "device"))
	}
	for _, id := range ids {
		*id = goodID(*id)
	}
	if len(ids) == 1 || len(ids) == 2 && *ids[0] != *ids[1] {
		return // as most documents are
	}
	taken := make(map[string]bool, len(ids))
	var again []*string
	for _, id := range ids { // those that come first keep theirs
		if taken[*id] {
			again = append(again, id)
		}
		taken[*id] = true
	}
	tried := make(map[string]int, len(again))
	for _, id := range again {
		base := *id
		for k := max(2, tried[base]); taken[*id]; k++ {
			*id = base + "." + strconv.Itoa(k)
			tried[base] = k + 1
		}
		taken[*id] = true
	}
}

func withName(id *string, name string) *string {
	if *id == "" {
		*id = name
	}
	return id
}

// goodID gives an NCName that neither looks prefixed nor like an id of ours.
func goodID(id string) string {
	if pidf.IsNCName(id) && !reserved(id) {
		return id
	}
	var b strings.Builder
	b.WriteByte('_')
	for _, r := range id {
		if s := string(r); r != '\ufffd' && pidf.IsNCName("_"+s) {
			b.WriteString(s)
		} else {
			b.WriteByte('_')
		}
	}
	return b.String()
}

// reserved recognises our ids, and prefixes, which are p, digits of base 36 and a
// hyphen.
func reserved(id string) bool {
	if strings.HasPrefix(id, ownPrefix) {
		return true
	}
	if id[0] != 'p' {
		return false
	}
	end := strings.IndexByte(id, '-')
	return end > 0 && strings.Trim(id[1:end], "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

// ownID gives an id for something that the server made out of these parts.
func ownID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return ownPrefix + hex.EncodeToString(sum[:6])
}
