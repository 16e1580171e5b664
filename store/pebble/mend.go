package pebble

import (
	"errors"
	"io"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// mend lets go of every log after one that a power cut left without its end,
// and says whether there was such a log: pebble reads over a ragged end in the
// last log only. What is lost is of the last seconds.
func mend(dir string, under vfs.FS, log *slog.Logger) bool {
	logs, err := wal.Scan(wal.Dir{FS: under, Dirname: dir})
	if err != nil {
		return false
	}
	for i, l := range logs {
		if last := i == len(logs)-1; last || !ragged(l) {
			continue
		}
		log.Warn("soft state of the last seconds is lost, the power was cut", "dir", dir)
		return removeLogs(logs[i+1:]) == nil
	}
	return false
}

// ragged says whether the log ends in the middle of something.
func ragged(l wal.LogicalLog) bool {
	r := l.OpenForRead()
	defer r.Close()
	for {
		b, _, err := r.NextRecord()
		if err == nil {
			_, err = io.Copy(io.Discard, b)
		}
		if err != nil {
			return errors.Is(err, record.ErrUnexpectedEOF)
		}
	}
}

func removeLogs(logs []wal.LogicalLog) error {
	for _, l := range logs {
		for i := range l.NumSegments() {
			fs, path := l.SegmentLocation(i)
			if err := fs.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
