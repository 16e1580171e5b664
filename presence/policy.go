package presence

// Policy says how inputs are composed; the zero value is the default.
type Policy struct {
	Persons        PersonMerge
	Services       ServiceMerge
	Registered     RegisteredTuple
	TimedStatus    TimedStatus
	RegisteredShut bool // a registration alone does not make a service open
	StripLastInput bool // nobody is told when a person last used something
}

// PersonMerge says what becomes of several persons.
type PersonMerge uint8

const (
	SinglePerson PersonMerge = iota // they are one
	KeepPersons
)

// ServiceMerge says what becomes of services with the same contact.
type ServiceMerge uint8

const (
	ByContact ServiceMerge = iota // they are one
	KeepServices
)

// RegisteredTuple says which services registrations make.
type RegisteredTuple uint8

const (
	PerAOR      RegisteredTuple = iota // one
	PerInstance                        // one for each device
	NoTuple
)

// TimedStatus says what becomes of a timed status when its time comes
// (RFC 4481 §3).
type TimedStatus uint8

const (
	DropTimed TimedStatus = iota
	ApplyTimed
)
