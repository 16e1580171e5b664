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
				benchmarkPut(b, d, writers, func(uint64) uint64 { return store.AnyRevision })
			})
		}
	}
	b.Run("process/writers=1/compare", func(b *testing.B) {
		benchmarkPut(b, Process, 1, func(last uint64) uint64 { return last })
	})
}

func benchmarkPut(b *testing.B, d Durability, writers int, match func(last uint64) uint64) {
	s := open(b, b.TempDir(), Options{Durability: d})
	defer s.Close()
	value := make([]byte, 700)
	for i := range value {
		value[i] = "<tuple id=\"a\"><status>"[i%22]
	}
	expires := time.Now().Add(time.Hour)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	before := processor()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			last := make(map[string]uint64)
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				key := keys[i%len(keys)]
				revision, err := s.Put(context.Background(), key, value, expires, match(last[key]))
				if err != nil {
					b.Error(err)
					return
				}
				if match(1) == 1 {
					last[key] = revision
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(processor()-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/max(1, batches(s)), "changes/batch")
}

// batches is how many groups were committed.
func batches(s *Store) float64 {
	var m dto.Metric
	if err := s.metrics.batch.Write(&m); err != nil {
		return 0
	}
	return float64(m.GetHistogram().GetSampleCount())
}
