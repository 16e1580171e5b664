package pebble

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vigie/store"
)

// processor is the processor time this process has used.
func processor() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

var keys = func() []string {
	keys := make([]string, 200_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("publication/presence/sip:user%d@example.com/p%d", i, i)
	}
	return keys
}()

// BenchmarkPut is a refreshed publication of 700 octets, by one writer after
// the other and by 64 at once; cpu-ns/op counts every thread.
func BenchmarkPut(b *testing.B) {
	for _, d := range []Durability{Process, Fsync, Relaxed} {
		for _, writers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/writers=%d", d, writers), func(b *testing.B) {
				benchmarkPut(b, d, writers, false)
			})
		}
	}
	b.Run("process/writers=1/compare", func(b *testing.B) {
		benchmarkPut(b, Process, 1, true)
	})
}

func benchmarkPut(b *testing.B, d Durability, writers int, compare bool) {
	s := open(b, b.TempDir(), Options{Durability: d})
	defer s.Close()
	value := publication()
	expires := time.Now().Add(time.Hour)
	last := make(map[string]uint64)
	write(b, s, writers, func(key string) error {
		if !compare {
			_, err := s.Put(context.Background(), key, value, expires, store.AnyRevision)
			return err
		}
		revision, err := s.Put(context.Background(), key, value, expires, last[key])
		last[key] = revision
		return err
	})
}

// publication is 700 octets that can be compressed as PIDF can.
func publication() []byte {
	value := make([]byte, 700)
	for i := range value {
		value[i] = "<tuple id=\"a\"><status>"[i%22]
	}
	return value
}

// write has the writers change one key after the other.
func write(b *testing.B, s *Store, writers int, change func(key string) error) {
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	before, groups := processor(), batches(s)
	logged := s.engine.db.Metrics().WAL.BytesIn
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if err := change(keys[i%len(keys)]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(processor()-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(s.engine.db.Metrics().WAL.BytesIn-logged)/float64(b.N), "log-B/op")
	b.ReportMetric(float64(b.N)/max(1, batches(s)-groups), "changes/batch")
}

// BenchmarkProlong is a refreshed publication of 700 octets whose body stays;
// log-B/op are the octets that the log takes.
func BenchmarkProlong(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("process/writers=%d", writers), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{})
			defer s.Close()
			value := publication()
			expires := time.Now().Add(time.Hour)
			for _, key := range keys {
				if _, err := s.Put(context.Background(), key, value, expires, store.AnyRevision); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.engine.db.Flush(); err != nil {
				b.Fatal(err)
			}
			write(b, s, writers, func(key string) error {
				entry := store.Entry{Key: key, Value: value, Revision: 1 << 40}
				_, err := s.Prolong(context.Background(), entry, expires, store.AnyRevision)
				return err
			})
		})
	}
}

// batches is how many groups were committed.
func batches(s *Store) float64 {
	var m dto.Metric
	if err := s.metrics.batch.Write(&m); err != nil {
		return 0
	}
	return float64(m.GetHistogram().GetSampleCount())
}

// BenchmarkLoad reads 200,000 publications of 700 octets, as a restart does, that
// have been written often enough for as many files to lie over each other as may.
func BenchmarkLoad(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	defer s.Close()
	value, expires := publication(), time.Now().Add(time.Hour)
	var wg sync.WaitGroup
	for writer := range 64 {
		wg.Go(func() {
			for i := writer; i < 4*len(keys); i += 64 {
				key := keys[i*7919%len(keys)] // in no order
				if _, err := s.Put(context.Background(), key, value, expires, store.AnyRevision); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	deep := s.engine.db.Metrics().ReadAmp()
	b.ResetTimer()
	before := processor()
	for range b.N {
		if err := s.Load(context.Background(), "", func(store.Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processor()-before)/float64(b.N)/float64(len(keys)), "cpu-ns/entry")
	b.ReportMetric(float64(deep), "files-deep")
}
