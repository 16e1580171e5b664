package transaction

// completedSlots is how many completed client transactions a shard remembers.
const completedSlots = 1024

// completions remembers the transactions of one shard that had their final response
// over UDP, for Timer K (RFC 3261 §17.1.2.2): each in the slot its branch names, until
// a younger one takes it. A repeat of the response of one that is remembered no more
// is dropped as a stray: the same, but for the counter. So ending a transaction costs
// one write, however many there are (BenchmarkNotify).
type completions struct {
	slots []completion
}

type completion struct {
	branch uint64
	until  int64 // on the layer's clock
}

func completedSlot(branch uint64) uint64 { return branch / shards % completedSlots }

func (c *completions) add(branch uint64, until int64) {
	if c.slots == nil {
		c.slots = make([]completion, completedSlots)
	}
	c.slots[completedSlot(branch)] = completion{branch, until}
}

// has says that a transaction was completed and its Timer K has not fired.
func (c *completions) has(branch uint64, now int64) bool {
	if c.slots == nil {
		return false
	}
	known := c.slots[completedSlot(branch)]
	return known.branch == branch && now < known.until
}
