package auth

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// failures slows guessing down: per user, per source, and per pair of both.
// A pair that has proved a password before is judged by its own failures alone,
// so that guessing at somebody's password, or from somebody's network, does not
// lock out those who know theirs.
type failures struct {
	seed  maphash.Seed
	users *limiter // by user and by pair
	from  *limiter // by source

	mu    sync.Mutex
	start time.Time
	known generations[uint64, struct{}]
}

const (
	// failureBurst is how many wrong passwords a user or pair has free; a source
	// has more, many users may be behind it.
	failureBurst       = 10
	failureSourceBurst = 50
	failureStep        = 6 * time.Second
	// knownFor is for how long at least a proof of the password counts.
	knownFor = 24 * time.Hour
)

func newFailures(keys int) *failures {
	return &failures{
		seed:  maphash.MakeSeed(),
		users: newLimiter(failureBurst, failureStep, 2*keys),
		from:  newLimiter(failureSourceBurst, failureStep, keys),
		start: time.Now(),
		known: generations[uint64, struct{}]{max: keys},
	}
}

// asker is who tries a password, as keys of the tables. Without a source there
// is the user alone.
type asker struct {
	user, source, pair uint64
	sourced            bool
}

func (f *failures) asker(realm, username string, source netip.Addr) asker {
	var h maphash.Hash
	h.SetSeed(f.seed)
	h.WriteString(realm)
	h.WriteByte(0)
	h.WriteString(username)
	a := asker{user: h.Sum64()}
	if !source.IsValid() {
		return a
	}
	a.sourced = true
	a.source = sourceKey(f.seed, source)
	a.pair = maphash.Comparable(f.seed, [2]uint64{a.user, a.source})
	return a
}

// wait tells how long the asker must wait before a password is looked at.
func (f *failures) wait(a asker) time.Duration {
	if !a.sourced {
		return f.users.wait(a.user)
	}
	if f.proved(a) {
		return f.users.wait(a.pair)
	}
	return max(f.users.wait(a.pair), f.users.wait(a.user), f.from.wait(a.source))
}

// wrong notes a wrong password.
func (f *failures) wrong(a asker) {
	f.users.spend(a.user)
	if a.sourced {
		f.users.spend(a.pair)
		f.from.spend(a.source)
	}
}

// right notes a right password.
func (f *failures) right(a asker) {
	if !a.sourced {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known.at(int64(time.Since(f.start) / knownFor))
	f.known.put(a.pair, struct{}{})
}

func (f *failures) proved(a asker) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.known.get(a.pair)
	return ok
}
