package transaction

import (
	"encoding/binary"

	"vigie/sip"
)

const (
	// chunkSize is how much memory records are given at a time.
	chunkSize = 16 << 10
	// recordHead is the fixed part of a record: key, merge key, time of
	// expiry, four lengths, status and flags.
	recordHead = 48
	// worthShrinking is the number of entries after which an emptied index is
	// made anew, because maps do not give memory back.
	worthShrinking = 1024
	// usualRecord is what a record may take on average: more than what SUBSCRIBE
	// and PUBLISH leave, far less than a request can have copied into its answer.
	usualRecord = 512
)

const flagRecordRoute = 1

// lingering holds the transactions of one shard that are answered and wait for
// Timer J: what rebuilds each answer, one record after the other in chunks of
// bytes. All wait equally long, so records die in the order they were born, and
// a chunk is freed at once when its last one does. Neither the chunks nor the
// index hold pointers: a million records cost the garbage collector nothing.
type lingering struct {
	index  map[key]place
	chunks [][]byte // oldest first
	first  uint32   // number of chunks[0], counted from the beginning
	read   int      // where the oldest record starts in chunks[0]
	held   int      // bytes of all records
	spare  []byte   // an emptied chunk
	peak   int      // most entries since the index was made
}

// place finds a record: the chunk's number and the offset in it.
type place uint64

func (g *lingering) len() int { return len(g.index) }

func recordSize(a *answer, rows []byte) int {
	return recordHead + len(a.tag) + len(a.reason) + len(rows) + len(a.body)
}

// add keeps an answer until expires, which is no earlier than that of any other record.
func (g *lingering) add(k key, merge uint64, expires int64, a *answer, rows []byte) {
	size := recordSize(a, rows)
	g.held += size
	chunk := g.room(size)
	last := len(g.chunks) - 1
	if g.index == nil {
		g.index = make(map[key]place)
	}
	g.index[k] = place(g.first+uint32(last))<<32 | place(len(chunk))
	g.peak = max(g.peak, len(g.index))
	g.chunks[last] = appendRecord(chunk, k, merge, expires, a, rows)
}

func appendRecord(b []byte, k key, merge uint64, expires int64, a *answer, rows []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, k.hi)
	b = le.AppendUint64(b, k.lo)
	b = le.AppendUint64(b, merge)
	b = le.AppendUint64(b, uint64(expires))
	b = le.AppendUint32(b, uint32(len(a.body)))
	b = le.AppendUint32(b, uint32(len(rows)))
	b = le.AppendUint16(b, uint16(len(a.tag)))
	b = le.AppendUint16(b, uint16(len(a.reason)))
	b = le.AppendUint16(b, uint16(a.status))
	flags := uint16(0)
	if a.recordRoute {
		flags = flagRecordRoute
	}
	b = le.AppendUint16(b, flags)
	b = append(append(b, a.tag...), a.reason...)
	return append(append(b, rows...), a.body...)
}

// room gives the newest chunk with at least size bytes free.
func (g *lingering) room(size int) []byte {
	if n := len(g.chunks); n > 0 && cap(g.chunks[n-1])-len(g.chunks[n-1]) >= size {
		return g.chunks[n-1]
	}
	chunk := g.spare
	g.spare = nil
	if cap(chunk) < size {
		chunk = make([]byte, 0, max(chunkSize, size))
	}
	g.chunks = append(g.chunks, chunk)
	return chunk
}

// get gives the record of a transaction; it is valid while the shard is locked.
func (g *lingering) get(k key) (r record, ok bool) {
	p, ok := g.index[k]
	if !ok {
		return nil, false
	}
	return record(g.chunks[uint32(p>>32)-g.first][uint32(p):]), true
}

// oldest gives the record that expires first.
func (g *lingering) oldest() (r record, ok bool) {
	if len(g.index) == 0 {
		return nil, false
	}
	return record(g.chunks[0][g.read:]), true
}

// drop forgets the oldest record.
func (g *lingering) drop() {
	r := record(g.chunks[0][g.read:])
	delete(g.index, r.key())
	g.read += r.size()
	g.held -= r.size()
	if g.read < len(g.chunks[0]) {
		return
	}
	emptied := g.chunks[0]
	g.chunks[0] = nil
	g.chunks = g.chunks[1:]
	g.first++
	g.read = 0
	g.spare = nil
	if cap(emptied) == chunkSize {
		g.spare = emptied[:0]
	}
	if len(g.index) == 0 {
		g.clear()
	}
}

// clear gives memory back when nothing lingers.
func (g *lingering) clear() {
	g.chunks, g.spare = nil, nil
	if g.peak > worthShrinking {
		g.index, g.peak = nil, 0
	}
}

// record is the bytes of one record and whatever follows them.
type record []byte

func (r record) key() key {
	return key{binary.LittleEndian.Uint64(r), binary.LittleEndian.Uint64(r[8:])}
}
func (r record) merge() uint64  { return binary.LittleEndian.Uint64(r[16:]) }
func (r record) expires() int64 { return int64(binary.LittleEndian.Uint64(r[24:])) }
func (r record) bodyLen() int   { return int(binary.LittleEndian.Uint32(r[32:])) }
func (r record) rowsLen() int   { return int(binary.LittleEndian.Uint32(r[36:])) }
func (r record) tagLen() int    { return int(binary.LittleEndian.Uint16(r[40:])) }
func (r record) reasonLen() int { return int(binary.LittleEndian.Uint16(r[42:])) }
func (r record) status() int    { return int(binary.LittleEndian.Uint16(r[44:])) }
func (r record) flags() uint16  { return binary.LittleEndian.Uint16(r[46:]) }
func (r record) size() int {
	return recordHead + r.tagLen() + r.reasonLen() + r.rowsLen() + r.bodyLen()
}

// tag gives a copy of the To tag we added.
func (r record) tag() string { return string(r[recordHead : recordHead+r.tagLen()]) }

// print prints the response again for a repeat of its request.
func (r record) print(req *sip.Message) []byte {
	text := r[recordHead:r.size()]
	tag, text := text[:r.tagLen()], text[r.tagLen():]
	reason, text := text[:r.reasonLen()], text[r.reasonLen():]
	rows, body := text[:r.rowsLen()], text[r.rowsLen():]
	a := answer{
		status: r.status(), reason: string(reason), tag: string(tag), rows: string(rows), body: body,
		recordRoute: r.flags()&flagRecordRoute != 0,
	}
	return a.print(req)
}
