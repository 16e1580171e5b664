// Package event is the engine in the middle: publications come in,
// notifications go out (RFC 3903, RFC 6665). It knows no wire, no XML and no
// network: edges translate their wire into Publish and Subscribe, event
// packages give state its meaning, and a store.Soft keeps what a restart must
// not lose.
//
// Invariants:
//
//   - One total order per resource. Entity-tags come from store revisions and
//     are never given twice; a watcher never hears older state after newer.
//   - Store first, then tell: what Publish or Subscribe has answered is kept.
//   - At most one notification per subscription travels; newer state replaces
//     what waits (outbox.go).
//   - State is composed once per change and rendered once per distinct view,
//     never per watcher (resource.go).
//
// Locks: a subscription's record → shard → resource → subscription → alarms. A
// resource's lock is held while its publication is written to the store, a
// subscription's record lock while its record is; no lock is ever held while a
// Watcher's Notify is called.
package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"vigie/sip"
)

// Resource is what publishers publish for and watchers subscribe to: one
// event package seen at one URI, such as "presence" at sip:alice@example.com.
// URI is in the form of sip.URI.AOR.
type Resource struct {
	Package string
	URI     sip.URI
}

func (r Resource) String() string { return r.Package + " " + r.URI.String() }

// LogValue is the same in logs, JSON included.
func (r Resource) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Identity is who watches: an address of record somebody vouched for. Also
// holds further identities of the same asker (RFC 3325 allows a sip and a tel
// one). An anonymous identity has no URI.
type Identity struct {
	URI       sip.URI
	Also      []sip.URI
	Anonymous bool
}

// Service publishes and subscribes; Engine is the one that keeps state, others
// wrap it.
type Service interface {
	// Publish creates, refreshes, modifies or removes one publication
	// (RFC 3903 §6). It returns once the state is safe, before watchers hear.
	Publish(ctx context.Context, p Publish) (Receipt, error)

	// Subscribe starts a subscription (RFC 6665 §4.2.1). The watcher's first
	// notification, which carries full state, is on its way on return.
	Subscribe(ctx context.Context, s Subscribe, w Watcher) (Subscription, error)
}

// Package is an event package (RFC 6665 §5). All methods are pure but
// Authorize, which may look rules up.
type Package interface {
	Name() string

	// Read checks and parses one published body. The state it returns comes
	// back in Publication.State and may hold on to text. Errors: *UnsupportedBodyError when the type
	// is not one of the package, *MalformedBodyError when the content is bad.
	Read(r Resource, mediaType, text string) (state any, err error)

	// Compose merges the live publications, given in creation order.
	Compose(r Resource, live []Publication, now time.Time) (Composite, error)

	// Authorize decides what the watcher may know.
	Authorize(ctx context.Context, r Resource, watcher Identity) (Decision, error)

	// View renders what a decision lets a watcher see.
	View(r Resource, whole Composite, d Decision, f Form) (Body, error)

	// PublishTypes and NotifyTypes are the media types the package takes and
	// gives, the default first.
	PublishTypes() []string
	NotifyTypes() []string
}

// Checker is a Package that can tell, for less than Read costs, whether Read would
// take a body: what nobody watches is not read. It gives the error that Read gives.
type Checker interface {
	Check(r Resource, mediaType, text string) error
}

// Composite is the composed state of a resource.
type Composite interface {
	// Same says that nothing a watcher could notice tells the two apart.
	Same(other Composite) bool

	// Next is when time alone changes the state; zero for never.
	Next() time.Time
}

// Body is a document with its media type. Data is never changed once shared.
type Body struct {
	Type string
	Data []byte
}

// Publication is one live input of a composition.
type Publication struct {
	Created     int64  // creation number: unique in its resource, rising
	Prefix      string // for element ids: "" when it was alone at its creation
	Updated     time.Time
	Expires     time.Time
	ContentType string
	Body        string
	State       any // what Package.Read made of Body
}

// DecisionState is what a watcher may have at all.
type DecisionState uint8

const (
	Rejected DecisionState = iota // nothing, and is told so
	Waiting                       // undecided: a pending subscription
	Allowed
)

// Decision is what one watcher may know of one resource. Watchers with equal
// keys share one rendering.
type Decision struct {
	State DecisionState
	Key   string
}

// Form is how one watcher wants its document: Entity as it was subscribed to
// (the AOR when empty), Type as negotiated by Accept.
type Form struct {
	Entity string
	Type   string
}

// Publish asks for one publication to be created (no IfMatch), refreshed (no
// body), modified or removed (Expires zero).
type Publish struct {
	Resource Resource
	IfMatch  string
	Expires  time.Duration // below zero: not said
	Body     *Body
}

// Receipt is what a publisher gets for its state.
type Receipt struct {
	EntityTag string
	Expires   time.Duration
}

// Subscribe asks for a subscription; Expires zero fetches (RFC 6665 §4.4.3).
type Subscribe struct {
	Resource Resource
	Watcher  Identity
	Expires  time.Duration // below zero: not said
	Form     Form
}

// Refresh prolongs a subscription; Expires zero ends it.
type Refresh struct {
	Expires time.Duration // below zero: not said
	Form    Form
}

// Subscription is a watcher's handle on what it asked for.
type Subscription interface {
	// Expires is what was granted; zero for a fetch.
	Expires() time.Duration

	// Refresh prolongs (RFC 6665 §4.2.1.4) or ends the subscription and
	// brings a notification with full state on its way. ErrGone when it is
	// over already.
	Refresh(ctx context.Context, f Refresh) (time.Duration, error)

	// Save writes the watcher's record again, after it changed.
	Save(ctx context.Context) error

	// Notified reports how the notification in flight ended. It must be
	// called once for every call of Watcher.Notify.
	Notified(o Outcome)
}

// Watcher is told of changes.
type Watcher interface {
	// Notify starts one notification and returns without waiting for its
	// outcome, which goes to s.Notified. It is called with no lock held and
	// never again before the outcome is in.
	Notify(s Subscription, n Notification)
}

// Named is a Watcher that has its Identity's URI as a string, which the engine then
// need not have a second time.
type Named interface {
	Watcher
	Name() string
}

// Keeper is a Watcher whose subscription outlives the process: Kind names who
// can revive it from its record and, if there is one, the mark on it.
type Keeper interface {
	Watcher
	Kind() string

	// AppendRecord appends all that revives the watcher.
	AppendRecord(b []byte) []byte

	// AppendMark appends what a record lacks that was made by the last
	// AppendRecord. It says no when that takes more than a few octets.
	AppendMark(b []byte) (mark []byte, ok bool)
}

// State is that of a subscription as its watcher knows it.
type State uint8

const (
	Pending State = iota
	Active
	Terminated
)

func (s State) String() string { return [...]string{"pending", "active", "terminated"}[s] }

// Reason says why a subscription was terminated (RFC 6665 §4.1.3).
type Reason string

const (
	ReasonTimeout     Reason = "timeout"
	ReasonRejected    Reason = "rejected"
	ReasonDeactivated Reason = "deactivated"
	ReasonProbation   Reason = "probation"
	ReasonGiveUp      Reason = "giveup"
	ReasonNoResource  Reason = "noresource"
)

// Notification is what a watcher is told.
type Notification struct {
	State   State
	Reason  Reason        // with Terminated
	Expires time.Duration // left, with Pending and Active
	Body    *Body         // nil: none
}

// Outcome is how a notification ended.
type Outcome struct {
	Result     Result
	RetryAfter time.Duration // with Failed: zero when the peer named none
}

// Result sorts the answers to a notification (RFC 6665 §4.2.2).
type Result uint8

const (
	Delivered Result = iota
	Failed           // the subscription lives; try again later
	Gone             // the peer knows no such subscription
	Silent           // no answer at all
)

var (
	// ErrUnknownPackage says that nobody serves this event package.
	ErrUnknownPackage = errors.New("event: unknown package")
	// ErrNoPublication says that no live publication has this entity-tag.
	ErrNoPublication = errors.New("event: no publication under this entity-tag")
	// ErrNoBody says that a first publication came without state.
	ErrNoBody = errors.New("event: a first publication needs a body")
	// ErrRejected says that the watcher may not know anything.
	ErrRejected = errors.New("event: the watcher is not allowed to subscribe")
	// ErrGone says that the subscription is over.
	ErrGone = errors.New("event: the subscription is over")
	// ErrClosed says that the engine has stopped.
	ErrClosed = errors.New("event: the engine has stopped")
)

// BriefError refuses a lifetime that is too short; Min would do.
type BriefError struct{ Min time.Duration }

func (e *BriefError) Error() string {
	return fmt.Sprintf("event: lifetime too short, at least %s", e.Min)
}

// LimitError refuses what would go beyond a configured limit.
type LimitError struct {
	What string
	Max  int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("event: too many %s, the limit is %d", e.What, e.Max)
}

// UnsupportedBodyError refuses a body by its type; Accept would do.
type UnsupportedBodyError struct {
	Type   string
	Accept []string
}

func (e *UnsupportedBodyError) Error() string {
	return fmt.Sprintf("event: body type %q, not one of %s", e.Type, strings.Join(e.Accept, ", "))
}

// MalformedBodyError refuses a body by its content.
type MalformedBodyError struct{ Reason string }

func (e *MalformedBodyError) Error() string { return "event: " + e.Reason }

// OversizedBodyError refuses a body by its size in bytes.
type OversizedBodyError struct{ Max int }

func (e *OversizedBodyError) Error() string {
	return fmt.Sprintf("event: body larger than %d bytes", e.Max)
}
